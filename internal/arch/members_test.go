package arch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// unheardFile lists the members of requests that no code reads, with a reason each.
const unheardFile = "testdata/unheard.txt"

// TestMembersAreHeard fails for a member of a request, or of a structure that a request holds, that no code of a service
// reads: a caller who sets it would not be heard. What is listed in testdata/unheard.txt, each with its reason, is left out.
// "Type.*" in the list stands for all members of a type; an entry that is not needed any more fails too.
func TestMembersAreHeard(t *testing.T) {
	p := loadProgram(t)
	heard := p.heard(t)
	var deaf []string
	for _, f := range p.requestMembers(t) {
		if !heard[f.v] {
			deaf = append(deaf, f.name)
		}
	}
	excused := readUnheard(t)
	used := map[string]bool{}
	for _, name := range deaf {
		owner, _, _ := cutLast(name)
		switch {
		case excused[name] != "":
			used[name] = true
		case excused[owner+".*"] != "":
			used[owner+".*"] = true
		default:
			t.Errorf("no code reads %s: whoever sets it is not heard (see %s)", name, unheardFile)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(excused)) {
		if !used[name] {
			t.Errorf("%s lists %s, which code reads now or no request has: take the line out", unheardFile, name)
		}
	}
}

// TestUnreadMembersAreFound is that the check can fail: of three members of a small program one is read, one is only
// written, and one is read after a conversion to another type.
func TestUnreadMembersAreFound(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "x.go", `package x
type In struct{ Read, Written, Converted, Never, Copied *string }
type Other struct{ Read, Written, Converted, Never, Copied *string }
func f(in *In) *string {
	in.Written = nil
	_ = In{Written: nil}
	o := Other(*in)
	_ = o.Converted
	_ = into[Other](in)
	return in.Read
}
func into[T any](any) *T { return nil }
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := newHearing()
	pkg := h.check(t, fset, "x", []*ast.File{file}, nil)
	h.settle()
	in := pkg.Scope().Lookup("In").Type().Underlying().(*types.Struct)
	var got strings.Builder
	for f := range in.Fields() {
		if h.read[f] {
			got.WriteString(f.Name() + " ")
		}
	}
	if got.String() != "Read Converted " {
		t.Errorf("heard: %s", got.String())
	}
}

// A listed is a package as go list tells of it.
type listed struct {
	ImportPath, Export, Dir string
	GoFiles, Imports        []string
}

// A program is the module's packages and what they import, in compiled form.
type program struct {
	fset     *token.FileSet
	packages map[string]listed
	imports  types.Importer
}

const apiPackages = module + "internal/api/"

func loadProgram(t *testing.T) *program {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles,Imports", "./internal/...", "./cmd/...")
	cmd.Dir, cmd.Stderr = filepath.Join("..", ".."), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{fset: token.NewFileSet(), packages: map[string]listed{}}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.packages[l.ImportPath] = l
	}
	p.imports = importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) {
		if p.packages[path].Export == "" {
			return nil, fmt.Errorf("%s is not compiled", path)
		}
		return os.Open(p.packages[path].Export)
	})
	return p
}

// A hearing collects which members of structures are read.
type hearing struct {
	read map[*types.Var]bool
	// same are members that another structure has after a conversion: who reads that one reads this one.
	same map[*types.Var][]*types.Var
}

func newHearing() *hearing {
	return &hearing{map[*types.Var]bool{}, map[*types.Var][]*types.Var{}}
}

// heard are the members that code outside of the generated packages reads.
func (p *program) heard(t *testing.T) map[*types.Var]bool {
	h := newHearing()
	for _, path := range slices.Sorted(maps.Keys(p.packages)) {
		l := p.packages[path]
		asks := slices.ContainsFunc(l.Imports, func(im string) bool { return strings.HasPrefix(im, apiPackages) })
		if !strings.HasPrefix(path, module) || strings.HasPrefix(path, apiPackages) || !asks || !served(path) {
			continue
		}
		var files []*ast.File
		for _, name := range l.GoFiles {
			f, err := parser.ParseFile(p.fset, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		h.check(t, p.fset, path, files, p.imports)
	}
	h.settle()
	return h.read
}

// served reports whether a package is a part of the server. Others make requests and read answers.
func served(path string) bool {
	for _, client := range []string{"cmd/", "internal/tour", "internal/live", "internal/scenario", "internal/bench", "internal/testkit", "internal/unseal", "internal/wire"} {
		if strings.HasPrefix(path, module+client) {
			return false
		}
	}
	return true
}

// check type-checks a package and notes what it reads.
func (h *hearing) check(t *testing.T, fset *token.FileSet, path string, files []*ast.File, imports types.Importer) *types.Package {
	t.Helper()
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}, Instances: map[*ast.Ident]types.Instance{}}
	conf := types.Config{Importer: imports}
	pkg, err := conf.Check(path, fset, files, info)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		written := writtenIn(f)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if v, ok := info.Uses[n].(*types.Var); ok && v.IsField() && !written[n] {
					h.read[v.Origin()] = true
				}
			case *ast.CallExpr:
				h.convert(info, n)
			}
			return true
		})
	}
	return pkg
}

// writtenIn are the names of members that are set in a file, not read.
func writtenIn(f *ast.File) map[*ast.Ident]bool {
	out := map[*ast.Ident]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, l := range n.Lhs {
				if s, ok := l.(*ast.SelectorExpr); ok {
					out[s.Sel] = true
				}
			}
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if id, ok := kv.Key.(*ast.Ident); ok {
						out[id] = true
					}
				}
			}
		}
		return true
	})
	return out
}

// convert notes the conversions of structures: T(x), and f[T](x) of a generic function that makes a T of x.
func (h *hearing) convert(info *types.Info, call *ast.CallExpr) {
	if len(call.Args) != 1 {
		return
	}
	from := info.Types[call.Args[0]].Type
	if fun := info.Types[call.Fun]; fun.IsType() {
		h.link(from, fun.Type)
		return
	}
	id := calleeName(call.Fun)
	if id == nil || id.Name != "convert" {
		return
	}
	if args := info.Instances[id].TypeArgs; args.Len() == 1 {
		h.link(from, args.At(0))
	}
}

func calleeName(fun ast.Expr) *ast.Ident {
	switch f := fun.(type) {
	case *ast.Ident:
		return f
	case *ast.IndexExpr:
		return calleeName(f.X)
	case *ast.SelectorExpr:
		return f.Sel
	}
	return nil
}

// link notes that the members of one structure become those of another with the same names, and so on within them.
func (h *hearing) link(from, to types.Type) {
	a, b := structOf(from), structOf(to)
	if a == nil || b == nil || a == b {
		return
	}
	for f := range a.Fields() {
		for g := range b.Fields() {
			if f.Name() == g.Name() && f != g && !slices.Contains(h.same[f], g) {
				h.same[f] = append(h.same[f], g)
				h.link(f.Type(), g.Type())
			}
		}
	}
}

// settle hears what was read after a conversion.
func (h *hearing) settle() {
	for again := true; again; {
		again = false
		for f, others := range h.same {
			if !h.read[f] && slices.ContainsFunc(others, func(o *types.Var) bool { return h.read[o] }) {
				h.read[f], again = true, true
			}
		}
	}
}

// structOf is the structure behind pointers, lists and maps; nil if there is none.
func structOf(t types.Type) *types.Struct {
	for t != nil {
		switch u := t.Underlying().(type) {
		case *types.Struct:
			return u
		case *types.Pointer:
			t = u.Elem()
		case *types.Slice:
			t = u.Elem()
		case *types.Map:
			t = u.Elem()
		default:
			return nil
		}
	}
	return nil
}

// A member is one of a structure in a request.
type member struct {
	name string // ec2api.RunInstancesRequest.ImageId
	v    *types.Var
}

// requestMembers are the members of all requests of all services, and of the structures in them.
func (p *program) requestMembers(t *testing.T) []member {
	var out []member
	seen := map[types.Type]bool{}
	for _, path := range slices.Sorted(maps.Keys(p.packages)) {
		if !strings.HasPrefix(path, apiPackages) || strings.HasSuffix(path, "/models") {
			continue
		}
		pkg, err := p.imports.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range p.inputs(t, path) {
			out = append(out, membersOf(pkg, pkg.Scope().Lookup(name).Type(), seen)...)
		}
	}
	if len(out) < 1000 {
		t.Fatalf("found only %d members of requests: the walk is broken", len(out))
	}
	return out
}

// inputs are the request types of a generated package: NewInput makes one of each.
func (p *program) inputs(t *testing.T, path string) (names []string) {
	f, err := parser.ParseFile(p.fset, filepath.Join(p.packages[path].Dir, "service_gen.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		if id, ok := kv.Key.(*ast.Ident); ok && id.Name == "NewInput" {
			ast.Inspect(kv.Value, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					names = append(names, call.Args[0].(*ast.Ident).Name)
				}
				return true
			})
		}
		return true
	})
	return names
}

func membersOf(pkg *types.Package, typ types.Type, seen map[types.Type]bool) (out []member) {
	for {
		if u, ok := typ.Underlying().(interface{ Elem() types.Type }); ok {
			typ = u.Elem()
			continue
		}
		break
	}
	named, ok := typ.(*types.Named)
	s := structOf(typ)
	if !ok || s == nil || seen[typ] || named.Obj().Pkg() != pkg {
		return nil
	}
	seen[typ] = true
	for f := range s.Fields() {
		out = append(out, member{pkg.Name() + "." + named.Obj().Name() + "." + f.Name(), f})
		out = append(out, membersOf(pkg, f.Type(), seen)...)
	}
	return out
}

var unheardOnce = sync.OnceValues(func() (string, error) {
	data, err := os.ReadFile(unheardFile)
	return string(data), err
})

// readUnheard reads the list: a name and a reason on each line.
func readUnheard(t *testing.T) map[string]string {
	t.Helper()
	text, err := unheardOnce()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); len(reason) < 10 {
			t.Errorf("%s: %s has no reason", unheardFile, name)
		}
		if out[name] != "" {
			t.Errorf("%s lists %s twice", unheardFile, name)
		}
		out[name] = reason
	}
	return out
}

func cutLast(name string) (owner, member string, ok bool) {
	n := strings.LastIndexByte(name, '.')
	if n < 0 {
		return "", name, false
	}
	return name[:n], name[n+1:], true
}
