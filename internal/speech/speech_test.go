package speech_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/speech"
)

// said are the formats that the sources of the program say, with a place of each.
func said(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := filepath.Join("..", "..")
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "speech") {
				return err
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				return err
			}
			constants := map[string]string{}
			ast.Inspect(file, func(n ast.Node) bool {
				if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 {
					if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						constants[v.Names[0].Name], _ = strconv.Unquote(lit.Value)
					}
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Say" {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); !ok || x.Name != "speech" {
					return true
				}
				at := fset.Position(call.Pos()).String()
				format := ""
				switch arg := call.Args[0].(type) {
				case *ast.BasicLit:
					format, _ = strconv.Unquote(arg.Value)
				case *ast.Ident:
					format = constants[arg.Name]
				}
				if format == "" {
					t.Errorf("%s: the format is no constant", at)
				}
				if got := len(speech.Verbs(format)); got != len(call.Args)-1 && call.Ellipsis == token.NoPos {
					t.Errorf("%s: %d arguments for %q", at, len(call.Args)-1, format)
				}
				out[format] = at
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestEveryMessageIsInBothLanguages: each that the program says is in the catalogue, with the same
// arguments, and the catalogue has no other.
func TestEveryMessageIsInBothLanguages(t *testing.T) {
	formats := said(t)
	if len(formats) < 150 {
		t.Fatalf("only %d messages were found", len(formats))
	}
	for _, en := range slices.Sorted(maps.Keys(formats)) {
		ja, ok := speech.Translation(en)
		switch {
		case !ok:
			t.Errorf("%s: %q has no Japanese", formats[en], en)
		case !maps.Equal(speech.Verbs(en), speech.Verbs(ja)):
			t.Errorf("%q and %q say different things: %v, %v", en, ja, speech.Verbs(en), speech.Verbs(ja))
		}
	}
	all := speech.Formats()
	for i, en := range all {
		if formats[en] == "" && en != " " {
			t.Errorf("nobody says %q", en)
		}
		if i > 0 && all[i-1] == en {
			t.Errorf("%q is in the catalogue twice", en)
		}
	}
}

// TestTerms: the catalogue uses the terms of AWS's guides, not their variants.
func TestTerms(t *testing.T) {
	for _, en := range speech.Formats() {
		ja, _ := speech.Translation(en)
		for _, variant := range []string{"カスタマー管理型", "カスタマー管理キー", "サービスリンクロール", "明示的拒否", "権限", "復号化", "プリンシパル名", "ユーザ ", "グラントトークン許可"} {
			if strings.Contains(ja, variant) {
				t.Errorf("%q has %q", ja, variant)
			}
		}
		for term, own := range map[string]string{
			"key policy": "キーポリシー", "service-linked role": "サービスにリンクされたロール", "encryption context": "暗号化コンテキスト", "launch template": "起動テンプレート",
			"permissions boundary": "アクセス許可の境界", "AWS managed": "AWS マネージド",
		} {
			if strings.Contains(en, term) && !strings.Contains(ja, own) {
				t.Errorf("%q lacks %q for %q", ja, own, term)
			}
		}
	}
}

func TestText(t *testing.T) {
	inner := speech.Say("The %s", speech.Say("key policy"))
	x := speech.Say("%s denies it.", inner)
	if got := x.String(); got != "The key policy denies it." {
		t.Errorf("English: %q", got)
	}
	if got := x.In(speech.Japanese); got != "キーポリシー が拒否しています。" {
		t.Errorf("Japanese: %q", got)
	}
	if got := inner.Inside().String(); got != "the key policy" {
		t.Errorf("inside: %q", got)
	}
	two := speech.Sentences(x, speech.Text{}, speech.Say("Requests from anywhere, at any time."))
	if en, ja := two.String(), two.In(speech.Japanese); en != "The key policy denies it. Requests from anywhere, at any time." || ja != "キーポリシー が拒否しています。送信元と時刻を問いません。" {
		t.Errorf("%q, %q", en, ja)
	}
	if got := speech.Say("no such message %d", 3).In(speech.Japanese); got != "no such message 3" {
		t.Errorf("a message without translation: %q", got)
	}
	raw := speech.Raw("100% of arn:aws:iam::111122223333:role/x")
	if raw.In(speech.Japanese) != raw.String() || !speech.Has([]speech.Text{raw}, speech.Raw(raw.String())) {
		t.Errorf("a name changed: %q", raw.In(speech.Japanese))
	}
	var back speech.Text
	if text, err := x.MarshalText(); err != nil || back.UnmarshalText(text) != nil || back.String() != x.String() {
		t.Errorf("%q, %v", back, err)
	}
}

func TestLanguages(t *testing.T) {
	for name, want := range map[string]speech.Language{"ja": speech.Japanese, "ja_JP.UTF-8": speech.Japanese, "ja-JP": speech.Japanese, "JA": speech.Japanese, "en_US": speech.English, "C.UTF-8": speech.English, "POSIX": speech.English} {
		if got, ok := speech.Parse(name); !ok || got != want {
			t.Errorf("%s is %s, %t", name, got, ok)
		}
	}
	if _, ok := speech.Parse("de"); ok {
		t.Error("German is spoken")
	}
	tests := []struct {
		env  map[string]string
		want speech.Language
	}{
		{map[string]string{"LANG": "ja_JP.UTF-8"}, speech.Japanese},
		{map[string]string{"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, speech.English},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8"}, speech.Japanese},
		{map[string]string{"LANG": "de_DE.UTF-8"}, speech.English},
		{nil, speech.English},
	}
	for _, tt := range tests {
		if got := speech.Environment(func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.env, got, tt.want)
		}
	}
}
