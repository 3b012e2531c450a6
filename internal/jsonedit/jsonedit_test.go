package jsonedit_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/jsonedit"
)

func TestApply(t *testing.T) {
	tests := []struct{ name, src, op, path, value, want string }{
		{"append to a list of lines", "{\n  \"a\" : [\n    1,\n    2\n  ], \"b\":\"x\"\n}\n", "add", "/a/-", `{"c":1}`,
			"{\n  \"a\" : [\n    1,\n    2,\n    {\n      \"c\": 1\n    }\n  ], \"b\":\"x\"\n}\n"},
		{"append in a line", `{"a":[1, 2]}`, "add", "/a/-", `{"c": 1}`, `{"a":[1, 2, {"c":1}]}`},
		{"append to nothing", `{"a":[]}`, "add", "/a/-", `1`, `{"a":[1]}`},
		{"append to nothing, in lines", "{\n\t\"a\": []\n}", "add", "/a/-", `1`, "{\n\t\"a\": [\n\t\t1\n\t]\n}"},
		{"insert", `[1,3]`, "add", "/1", `2`, `[1,2, 3]`},
		{"a new member", "{\n \"a\": 1\n}", "add", "/b~1c", `[true]`, "{\n \"a\": 1,\n \"b/c\": [\n  true\n ]\n}"},
		{"a member that is there", `{"a": {"x" : 1}, "b": 2}`, "add", "/a/x", `"y"`, `{"a": {"x" : "y"}, "b": 2}`},
		{"replace, with Windows' line ends", "{\r\n  \"a\": [\r\n    \"x\\\"\"\r\n  ]\r\n}", "replace", "/a/0", `"y"`, "{\r\n  \"a\": [\r\n    \"y\"\r\n  ]\r\n}"},
		{"remove the first", "[\n  1,\n  2\n]", "remove", "/0", "", "[\n  2\n]"},
		{"remove the last", "[\n  1,\n  2\n]", "remove", "/1", "", "[\n  1\n]"},
		{"remove the only one", `{"a": {"b": null}}`, "remove", "/a/b", "", `{"a": {}}`},
		{"remove a member", `{"a": -1.5e3, "b": 2}`, "remove", "/a", "", `{"b": 2}`},
	}
	for _, tt := range tests {
		got, err := jsonedit.Apply([]byte(tt.src), tt.op, tt.path, []byte(tt.value))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, got, tt.want)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	for _, tt := range []struct{ src, op, path, value string }{
		{`{"a":1`, "remove", "/a", ""}, {`{"a":1}`, "remove", "/b", ""}, {`{"a":1}`, "replace", "/b", "1"}, {`{"a":1}`, "add", "", "1"},
		{`{"a":1}`, "add", "a", "1"}, {`[1]`, "add", "/3", "1"}, {`[1]`, "add", "/01", "1"}, {`{"a":1}`, "add", "/a/b", "1"},
		{`{"a":1} 2`, "remove", "/a", ""}, {`{"a":1}`, "add", "/b", "{"}, {`{"a":1}`, "move", "/a", "1"},
	} {
		if got, err := jsonedit.Apply([]byte(tt.src), tt.op, tt.path, []byte(tt.value)); err == nil {
			t.Errorf("%s %s of %s: %s, want an error", tt.op, tt.path, tt.src, got)
		}
	}
}

func TestLineAndValue(t *testing.T) {
	src := []byte("{\n \"a\": [\n  {\"b\": \"x\\\\\"},\n  2\n ]\n}")
	for path, want := range map[string]int{"": 1, "/a": 2, "/a/0": 3, "/a/0/b": 3, "/a/1": 4, "/a/9": 2, "/zz": 1} {
		if got := jsonedit.Line(src, path); got != want {
			t.Errorf("%q is at line %d, want %d", path, got, want)
		}
	}
	if v, err := jsonedit.Value(src, "/a/0/b"); err != nil || string(v) != `"x\\"` {
		t.Errorf("%s, %v", v, err)
	}
	if v, err := jsonedit.Value(src, "/a/5"); err == nil {
		t.Errorf("%s, want an error", v)
	}
}

// FuzzApply: what is not changed is as it was, and the text stays JSON.
func FuzzApply(f *testing.F) {
	for _, src := range []string{`{"a":[1,{"b":"c"}],"d":null}`, "{\n \"a\": [\n  1\n ]\n}", `[[],{},"\\\""]`, `{"a":tr`} {
		f.Add(src, "/a/-", `{"x":[1]}`)
		f.Add(src, "/0", `"y"`)
	}
	f.Fuzz(func(t *testing.T, src, path, value string) {
		for _, op := range []string{"add", "replace", "remove"} {
			out, err := jsonedit.Apply([]byte(src), op, path, []byte(value))
			if err != nil {
				continue
			}
			if !json.Valid(out) {
				t.Fatalf("%s %s of %q: %q", op, path, src, out)
			}
			if op != "add" || !strings.HasSuffix(path, "/-") {
				continue
			}
			back := jsonedit.Line(out, path[:len(path)-2])
			before, after := decode(t, src), decode(t, string(out))
			if back == 0 || reflect.DeepEqual(before, after) {
				t.Fatalf("%s %s of %q changed nothing: %q", op, path, src, out)
			}
		}
	})
}

func decode(t *testing.T, s string) any {
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
