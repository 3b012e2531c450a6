package policy_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/policy"
)

func TestValuesOfAListComeAndGo(t *testing.T) {
	for _, tt := range []struct{ rule, list, added, without string }{
		{"a value becomes a list", `"a:b"`, `["a:b", "c:d"]`, ""},
		{"a list grows at its end", `[ "a:b" ]`, `[ "a:b", "c:d" ]`, ""},
		{"as it is spaced", `["x:y","a:b"]`, `["x:y","a:b","c:d"]`, `["a:b"]`},
		{"line by line", "[\n\t\"x:y\",\n\t\"a:b\"\n]", "[\n\t\"x:y\",\n\t\"a:b\",\n\t\"c:d\"\n]", "[\n\t\"a:b\"\n]"},
		{"a single line", "[\r\n  \"a:b\"\r\n]", "[\r\n  \"a:b\",\r\n  \"c:d\"\r\n]", ""},
		{"a value on a line of its own is no list", "\n  \"a:b\"", "\n  [\"a:b\", \"c:d\"]", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			doc := func(list string) string {
				return `{"Statement":{"Effect":"Allow","Action":` + list + ` ,"Resource":"*"}} `
			}
			d, err := policy.Parse([]byte(doc(tt.list)), policy.Identity)
			if err != nil {
				t.Fatal(err)
			}
			if out, ok := d.InsertValue(d.Statements[0].Actions, "c:d"); !ok || string(out) != doc(tt.added) {
				t.Errorf("inserted: %v\n%s\nwant\n%s", ok, out, doc(tt.added))
			}
			if out, ok := d.DeleteValue(d.Statements[0].Actions, 0); ok != (tt.without != "") || ok && string(out) != doc(tt.without) {
				t.Errorf("deleted: %v\n%s", ok, out)
			}
			if d.Source[0] != '{' || string(d.Source) != doc(tt.list) {
				t.Error("the document changed")
			}
			if _, ok := d.InsertValue(nil, "c:d"); ok {
				t.Error("a list that is not there grew")
			}
		})
	}
}

func TestStatementsGo(t *testing.T) {
	const a, b, c = `{"Effect":"Allow","Action":"a:b","Resource":"*"}`, `{"Effect":"Deny","Action":"a:b","Resource":"*"}`, `{"Effect":"Allow","Action":"c:d","Resource":"*"}`
	src := `{"Statement":[ ` + a + ` , ` + b + ",\n" + c + ` ]}`
	d, err := policy.Parse([]byte(src), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`{"Statement":[ ` + b + ",\n" + c + ` ]}`, `{"Statement":[ ` + a + ",\n" + c + ` ]}`, `{"Statement":[ ` + a + ` , ` + b + ` ]}`,
	} {
		if out, ok := d.DeleteStatement(i); !ok || string(out) != want {
			t.Errorf("%d: %v %s", i, ok, out)
		}
	}
	if one, err := policy.Parse([]byte(`{"Statement":[`+a+`]}`), policy.Identity); err != nil {
		t.Fatal(err)
	} else if out, ok := one.DeleteStatement(0); ok {
		t.Errorf("the only statement went: %s", out)
	}
}
