package tfplan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of Read.
var (
	// ErrFormat: this is not what terraform show -json prints.
	ErrFormat = errors.New("not the output of terraform show -json")
	// ErrRaw: this is Terraform's own file of a plan or a state. Its format is nobody's business.
	ErrRaw = errors.New("this is a plan or state file of Terraform; give the output of `terraform show -json FILE`")
	// ErrVersion: the format has a major version that is not known here.
	ErrVersion = errors.New("unknown version of the format")
)

// said is what a decoder says, in words of the document alone: whoever gave it may be far away.
func said(err error) string {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Sprintf("what is at %q is of another kind than it should be", e.JSONPointer)
	}
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

// Is reports whether data looks like what terraform show -json prints, or like the file that it
// should have been given.
func Is(data []byte) bool {
	if isRaw(data) {
		return true
	}
	dec := decoder(data)
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return false
	}
	version := false
	for range 8 { // the members that tell are among the first
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != '"' {
			return false
		}
		switch s := name.String(); s {
		case "format_version":
			version = true
		case "terraform_version", "planned_values", "resource_changes", "values", "prior_state":
			if version {
				return true
			}
		}
		if dec.SkipValue() != nil {
			return false
		}
	}
	return false
}

// isRaw recognizes a plan file (a zip archive) and a state file.
func isRaw(data []byte) bool {
	head := data[:min(len(data), 512)]
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) ||
		bytes.Contains(head, []byte(`"terraform_version"`)) && bytes.Contains(head, []byte(`"lineage"`))
}

func decoder(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
}

// members calls read for each member of the object that comes next; read must consume the value.
// null is an object without members.
func members(dec *jsontext.Decoder, read func(name string) error) error {
	return sequence(dec, '{', func() error {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		return read(name.String())
	})
}

// readText reads a string, or null as none.
func readText(dec *jsontext.Decoder, to *string) error {
	tok, err := dec.ReadToken()
	switch {
	case err != nil:
		return err
	case tok.Kind() == '"':
		*to = tok.String()
	case tok.Kind() != 'n':
		return fmt.Errorf("%w: %s where a string was expected", ErrFormat, tok.Kind())
	}
	return nil
}

// items calls read for each item of the array that comes next.
func items(dec *jsontext.Decoder, read func() error) error { return sequence(dec, '[', read) }

func sequence(dec *jsontext.Decoder, open jsontext.Kind, read func() error) error {
	tok, err := dec.ReadToken()
	if err != nil || tok.Kind() == 'n' {
		return err
	}
	if tok.Kind() != open {
		return fmt.Errorf("%w: %s where %s was expected", ErrFormat, tok.Kind(), open)
	}
	for dec.PeekKind() != open+2 { // '}' and ']' follow their beginnings by two
		if err := read(); err != nil {
			return err
		}
	}
	_, err = dec.ReadToken()
	return err
}

func (m *model) file(data []byte) error {
	if isRaw(data) {
		return ErrRaw
	}
	dec := decoder(data)
	version := ""
	err := members(dec, func(name string) error {
		switch name {
		case "format_version":
			return readText(dec, &version)
		case "variables":
			return m.readVariables(dec)
		case "resource_changes":
			return items(dec, func() error { return m.readChange(dec) })
		case "prior_state":
			return m.readState(dec, true)
		case "values":
			m.state = true
			return m.readValues(dec, false)
		case "errored":
			var errored bool
			err := json.UnmarshalDecode(dec, &errored)
			if errored {
				m.note("", "planning ended with an error: the plan is not whole")
			}
			return err
		case "configuration":
			return m.readConfiguration(dec)
		}
		return dec.SkipValue()
	})
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			err = errors.New("there is text after it")
		}
	}
	switch {
	case err != nil && !errors.Is(err, ErrFormat):
		return fmt.Errorf("%w: %s", ErrFormat, said(err))
	case err != nil:
		return err
	case version == "":
		return fmt.Errorf("%w: it has no format_version", ErrFormat)
	case !strings.HasPrefix(version, "0.") && !strings.HasPrefix(version, "1."):
		return fmt.Errorf("%w: %s", ErrVersion, version)
	}
	return nil
}

// readVariables keeps what providers are configured with. Nothing else looks at variables.
func (m *model) readVariables(dec *jsontext.Decoder) error {
	return members(dec, func(name string) error {
		var v struct {
			Value any `json:"value"`
		}
		err := json.UnmarshalDecode(dec, &v)
		m.variables[name] = v.Value
		return err
	})
}

// readState reads prior_state. Of a plan, only the data sources that it has read already count.
func (m *model) readState(dec *jsontext.Decoder, prior bool) error {
	return members(dec, func(name string) error {
		if name == "values" {
			return m.readValues(dec, prior)
		}
		return dec.SkipValue()
	})
}

func (m *model) readValues(dec *jsontext.Decoder, prior bool) error {
	return members(dec, func(name string) error {
		if name == "root_module" {
			return m.readModuleValues(dec, "", prior)
		}
		return dec.SkipValue()
	})
}

func (m *model) readModuleValues(dec *jsontext.Decoder, address string, prior bool) error {
	var held []jsontext.Value // what came before the address of the module
	known := address == ""
	read := func(dec *jsontext.Decoder) error {
		return items(dec, func() error { return m.readResource(dec, address, prior) })
	}
	return members(dec, func(name string) error {
		switch name {
		case "address":
			known = true
			if err := readText(dec, &address); err != nil {
				return err
			}
			for _, raw := range held {
				if err := read(decoder(raw)); err != nil {
					return err
				}
			}
			return nil
		case "resources":
			if known {
				return read(dec)
			}
			raw, err := dec.ReadValue()
			held = append(held, raw.Clone())
			return err
		case "child_modules":
			// A module without an address of its own does not occur: children name themselves.
			return items(dec, func() error { return m.readModuleValues(dec, "?", prior) })
		}
		return dec.SkipValue()
	})
}

// A rawResource is a resource in the order in which Terraform writes its members, which is not
// relied on: values that come before the type are kept as they are.
type rawResource struct {
	resource
	held map[string]jsontext.Value
}

// common reads a member that says which resource it is. ok is false for other members.
func (r *rawResource) common(dec *jsontext.Decoder, name string) (ok bool, err error) {
	switch name {
	case "address":
		err = readText(dec, &r.addr)
	case "module_address":
		err = readText(dec, &r.module)
	case "mode":
		err = readText(dec, &r.mode)
	case "type":
		err = readText(dec, &r.typ)
	case "name":
		err = readText(dec, &r.name)
	default:
		return false, nil
	}
	return true, err
}

func (m *model) readResource(dec *jsontext.Decoder, module string, prior bool) error {
	r := &rawResource{resource: resource{module: module}, held: map[string]jsontext.Value{}}
	err := members(dec, func(name string) error {
		if ok, err := r.common(dec, name); ok {
			return err
		}
		if name == "values" || name == "sensitive_values" {
			if r.typ == "" || r.mode == "" {
				raw, err := dec.ReadValue()
				r.held[name] = raw.Clone()
				return err
			}
			return r.readPart(dec, name)
		}
		return dec.SkipValue()
	})
	if err != nil {
		return err
	}
	for name, raw := range r.held {
		if err := r.readPart(decoder(raw), name); err != nil {
			return err
		}
	}
	if prior && r.mode != "data" {
		return nil
	}
	m.add(r, actionNone)
	return nil
}

func (m *model) readChange(dec *jsontext.Decoder) error {
	r := &rawResource{held: map[string]jsontext.Value{}}
	var actions []string
	deposed := false
	change := func(dec *jsontext.Decoder) error {
		return members(dec, func(name string) error {
			switch name {
			case "actions":
				return items(dec, func() error {
					actions = append(actions, "")
					return readText(dec, &actions[len(actions)-1])
				})
			case "after", "after_unknown", "after_sensitive":
				return r.readPart(dec, name)
			}
			return dec.SkipValue()
		})
	}
	err := members(dec, func(name string) error {
		if ok, err := r.common(dec, name); ok {
			return err
		}
		switch name {
		case "deposed":
			deposed = true
		case "change":
			if r.typ != "" && r.mode != "" {
				return change(dec)
			}
			raw, err := dec.ReadValue()
			r.held[name] = raw.Clone()
			return err
		}
		return dec.SkipValue()
	})
	if err != nil {
		return err
	}
	if raw, ok := r.held["change"]; ok {
		if err := change(decoder(raw)); err != nil {
			return err
		}
	}
	switch create := slices.Contains(actions, "create"); {
	case deposed, !create && (slices.Contains(actions, "delete") || slices.Contains(actions, "forget")):
		return nil // it will be gone
	case create:
		m.add(r, actionCreate)
	case slices.Contains(actions, "update"):
		m.add(r, actionUpdate)
	default:
		m.add(r, actionNone)
	}
	return nil
}

// readPart reads the attributes of a resource that are needed.
func (r *rawResource) readPart(dec *jsontext.Decoder, part string) error {
	names, ok := attributes[r.kind()]
	if !ok || dec.PeekKind() != '{' {
		return dec.SkipValue() // also: one true or false for the whole resource
	}
	mark := part != "values" && part != "after" // true where something is so
	out := map[string]any{}
	err := members(dec, func(name string) error {
		if !slices.Contains(names, name) {
			return dec.SkipValue()
		}
		raw, err := dec.ReadValue()
		if err != nil || mark && !bytes.Contains(raw, []byte("true")) {
			return err
		}
		var v any
		if err = json.Unmarshal(raw, &v, jsontext.AllowDuplicateNames(true)); v != nil {
			out[name] = v
		}
		return err
	})
	switch part {
	case "values", "after":
		r.values = out
	case "after_unknown":
		r.unknown = out
	default:
		r.sensitive = out
	}
	return err
}

// add takes a resource into the model.
func (m *model) add(r *rawResource, a action) {
	if _, ok := attributes[r.kind()]; !ok || r.addr == "" {
		return
	}
	prefix := r.kind() + "." + r.name
	if r.module != "" {
		prefix = r.module + "." + prefix
	}
	r.key, _ = strings.CutPrefix(r.addr, prefix)
	r.action = a
	res := &r.resource
	if old, ok := m.byAddress[res.addr]; ok {
		if old.mode == "data" && old.action == actionNone && !m.state {
			// A data source that the prior state knows and the plan reads again: the plan's counts.
			*old = *res
		}
		return
	}
	m.byAddress[res.addr] = res
	m.resources = append(m.resources, res)
}
