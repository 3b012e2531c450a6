package hostile_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretive are names of what must be compared in constant time, and sums those of what may be a secret's.
var (
	secretive = regexp.MustCompile(`(?i)(^|\.)(mac|hmac|sig|signature|secret|secretkey|password|passphrase|pin|seed|otp|integrity|keycheck|authkey|challenge)$`)
	sums      = regexp.MustCompile(`(?i)(^|\.)(sum|digest|hash|tag|code|token|key|plain|plaintext)$`)
)

// open are comparisons of what is no secret, by file and what is compared.
var open = map[string]string{
	"internal/app/seal.go Kind == soft.Passphrase":                      "kinds of locks",
	"internal/app/seal.go k == soft.Passphrase":                         "kinds of locks",
	"internal/blockdev/changes.go bytes.Equal(sum, b)":                  "checksums of files",
	"internal/blockdev/header.go bytes.Equal(sum, b)":                   "checksums of files",
	"internal/blockdev/index.go bytes.Equal(sum, b)":                    "checksums of files",
	"internal/blockdev/create.go h.keyCheck != none":                    "whether there is one",
	"internal/blockdev/create.go f.keyCheck != none":                    "whether there is one",
	"internal/blockdev/shelf.go a.keyCheck != none":                     "whether there is one",
	"internal/blockdev/shelf.go b.keyCheck != none":                     "whether there is one",
	"internal/blockdev/shelf.go a.keyCheck != b.keyCheck":               "both lie in the clear in headers of files",
	"internal/hsm/hsmtest/hostile.go bytes.Equal(got, plain)":           "a test's",
	"internal/hsm/soft/sealfile.go bytes.Equal(old.Digest, old.digest)": "checksums of the seal",
	"internal/hsm/soft/sealfile.go bytes.Equal(f.Digest, f.digest)":     "checksums of the seal",
	"internal/hsm/soft/sealwrite.go bytes.Equal(f.Digest, digest)":      "checksums of the seal",
	"internal/hsm/soft/shared.go bytes.Equal(f.Digest, digest)":         "checksums of the seal",
	"internal/iam/password.go strings.EqualFold(password, user)":        "whether a new password is a user's name",
	"internal/xks/request.go in.Integrity != SHA256":                    "names of algorithms",
}

// What proves who somebody is, or that nothing was changed, is compared in constant time.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	seen, constant := map[string]bool{}, 0
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "e2e" || d.Name() == "bench" || d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_gen.go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("../..", path)
		ast.Inspect(file, func(n ast.Node) bool {
			what := compared(n)
			if strings.HasPrefix(what, "constant ") {
				constant++
				return true
			}
			if id := filepath.ToSlash(rel) + " " + what; what != "" {
				if seen[id] = true; open[id] == "" {
					t.Errorf("%s: %s", fset.Position(n.Pos()), id)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := range open {
		if !seen[id] {
			t.Errorf("there is no %s any more", id)
		}
	}
	if constant < 10 {
		t.Errorf("only %d comparisons in constant time", constant)
	}
}

// compared is a comparison that may be of secrets, or "".
func compared(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		x, y := name(n.X), name(n.Y)
		if (n.Op == token.EQL || n.Op == token.NEQ) && x != "" && y != "" && (secretive.MatchString(x) || secretive.MatchString(y)) {
			return fmt.Sprintf("%s %s %s", x, n.Op, y)
		}
	case *ast.CallExpr:
		fn := name(n.Fun)
		switch fn {
		case "subtle.ConstantTimeCompare", "hmac.Equal":
			return "constant " + fn
		case "bytes.Equal", "bytes.Compare", "strings.EqualFold", "slices.Equal", "strings.Compare":
			for _, a := range n.Args {
				if x := name(a); secretive.MatchString(x) || fn == "bytes.Equal" && sums.MatchString(x) {
					return fmt.Sprintf("%s(%s, %s)", fn, name(n.Args[0]), name(n.Args[1]))
				}
			}
		}
	}
	return ""
}

// name is that of a variable, a field or what a function gives; "" of anything else, such as a literal.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		if e.Name == "nil" || e.Name == "true" || e.Name == "false" {
			return ""
		}
		return e.Name
	case *ast.SelectorExpr:
		if x := name(e.X); x != "" {
			return x + "." + e.Sel.Name
		}
		return e.Sel.Name
	case *ast.SliceExpr:
		return name(e.X)
	case *ast.CallExpr:
		return name(e.Fun)
	case *ast.StarExpr:
		return name(e.X)
	case *ast.ParenExpr:
		return name(e.X)
	}
	return ""
}
