package cfn

import (
	"bytes"
	"strings"
)

// Parameters reads a file with values of parameters, in JSON or YAML: the list of ParameterKey and
// ParameterValue that the aws command takes, an object with Parameters as CodePipeline has it, or an
// object of names and values. The error is an *Error.
func Parameters(file string, data []byte) (map[string]string, error) {
	root, err := parse(file, bytes.TrimSpace(data))
	if err != nil {
		return nil, err
	}
	fail := func(n *node, what string) error { return &Error{file, n.at.line, n.at.column, what} }
	out := map[string]string{}
	if root.is(list) {
		for _, item := range root.items {
			name, ok := item.get("ParameterKey").scalar()
			value, has := item.get("ParameterValue").scalar()
			if !ok || !has && !item.get("UsePreviousValue").isTrue() {
				return nil, fail(item, "a parameter needs ParameterKey and ParameterValue")
			}
			if has {
				out[name] = value
			}
		}
		return out, nil
	}
	values := root
	if p := root.get("Parameters"); p.is(object) {
		values = p
	}
	if !values.is(object) {
		return nil, fail(root, "this is no file of parameters")
	}
	for _, m := range values.members {
		var parts []string
		for _, item := range m.value.list() {
			v, ok := item.scalar()
			if !ok {
				return nil, fail(item, "the value of "+m.name+" is no text")
			}
			parts = append(parts, v)
		}
		out[m.name] = strings.Join(parts, ",")
	}
	return out, nil
}
