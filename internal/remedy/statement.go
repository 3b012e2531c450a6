package remedy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// order is that of the members of a statement, and of a policy, as AWS's pages have it.
var order = []string{"Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}

// Statement is a statement laid out as policies have it.
func Statement(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return string(compact(v))
	}
	var members []string
	for _, name := range order {
		if value, there := m[name]; there {
			members = append(members, fmt.Sprintf("  %q: %s", name, compact(value)))
		}
	}
	return "{\n" + strings.Join(members, ",\n") + "\n}"
}

func compact(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // it came from JSON
	return bytes.TrimSpace(b.Bytes())
}

// Value is the value of an edit, statements with their members in order.
func Value(e format.Edit) []byte {
	var v any
	if e.Value == nil || json.Unmarshal(e.Value, &v) != nil {
		return e.Value
	}
	return ordered(v)
}

// ordered is a value in which statements have their members in order.
func ordered(v any) []byte {
	switch v := v.(type) {
	case []any:
		var items [][]byte
		for _, x := range v {
			items = append(items, ordered(x))
		}
		return append(append([]byte("["), bytes.Join(items, []byte(","))...), ']')
	case map[string]any:
		_, statement := v["Effect"]
		if _, document := v["Statement"]; !statement && !document {
			return compact(v)
		}
		var members [][]byte
		for _, name := range order {
			if x, there := v[name]; there {
				members = append(members, append(append(compact(name), ':'), ordered(x)...))
			}
		}
		return append(append([]byte("{"), bytes.Join(members, []byte(","))...), '}')
	}
	return compact(v)
}

// indented is JSON in lines.
func indented(src []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, src, "", "  ") != nil {
		return string(src)
	}
	return b.String()
}
