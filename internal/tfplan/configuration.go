package tfplan

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A module is a module as the configuration has it, once for all its instances.
type module struct {
	blocks    map[string]*block // by kind and name: data.aws_ami.linux
	calls     map[string]*call
	outputs   map[string]any // expressions
	variables map[string]any // defaults
}

// A call is a module block.
type call struct {
	exprs   map[string]any
	forEach any // expression, or nil
	module  *module
}

// A block is the configuration of a resource, of all its instances.
type block struct {
	provider string
	exprs    map[string]any // of the attributes that are read
	forEach  any
}

// A provider is a provider block.
type provider struct {
	Name   string         `json:"name"`
	Module string         `json:"module_address"`
	Exprs  map[string]any `json:"expressions"`
}

func (m *model) readConfiguration(dec *jsontext.Decoder) error {
	return members(dec, func(name string) error {
		switch name {
		case "provider_config":
			return json.UnmarshalDecode(dec, &m.providers)
		case "root_module":
			mod, err := readModule(dec)
			m.config = mod
			return err
		}
		return dec.SkipValue()
	})
}

func readModule(dec *jsontext.Decoder) (*module, error) {
	mod := &module{blocks: map[string]*block{}, calls: map[string]*call{}, outputs: map[string]any{}, variables: map[string]any{}}
	return mod, members(dec, func(name string) error {
		switch name {
		case "outputs":
			return members(dec, func(name string) error {
				var o struct {
					Expression any `json:"expression"`
				}
				err := json.UnmarshalDecode(dec, &o)
				mod.outputs[name] = o.Expression
				return err
			})
		case "variables":
			return members(dec, func(name string) error {
				var v struct {
					Default any `json:"default"`
				}
				err := json.UnmarshalDecode(dec, &v)
				mod.variables[name] = v.Default
				return err
			})
		case "resources":
			return items(dec, func() error { return mod.readBlock(dec) })
		case "module_calls":
			return members(dec, func(name string) error {
				c := &call{}
				mod.calls[name] = c
				return members(dec, func(name string) (err error) {
					switch name {
					case "expressions":
						return json.UnmarshalDecode(dec, &c.exprs)
					case "for_each_expression":
						return json.UnmarshalDecode(dec, &c.forEach)
					case "module":
						c.module, err = readModule(dec)
						return err
					}
					return dec.SkipValue()
				})
			})
		}
		return dec.SkipValue()
	})
}

func (mod *module) readBlock(dec *jsontext.Decoder) error {
	b := &block{}
	r := rawResource{held: map[string]jsontext.Value{}}
	readExprs := func(dec *jsontext.Decoder) error {
		names := attributes[r.kind()]
		return members(dec, func(name string) error {
			if !slices.Contains(names, name) {
				return dec.SkipValue()
			}
			var v any
			err := json.UnmarshalDecode(dec, &v)
			if b.exprs == nil {
				b.exprs = map[string]any{}
			}
			b.exprs[name] = v
			return err
		})
	}
	err := members(dec, func(name string) error {
		if ok, err := r.common(dec, name); ok {
			return err
		}
		switch name {
		case "provider_config_key":
			return readText(dec, &b.provider)
		case "for_each_expression":
			return json.UnmarshalDecode(dec, &b.forEach)
		case "expressions":
			if r.typ != "" && r.mode != "" {
				return readExprs(dec)
			}
			raw, err := dec.ReadValue()
			r.held[name] = raw.Clone()
			return err
		}
		return dec.SkipValue()
	})
	if raw, ok := r.held["expressions"]; ok && err == nil {
		err = readExprs(decoder(raw))
	}
	if _, ok := attributes[r.kind()]; ok {
		mod.blocks[r.kind()+"."+r.name] = b
	}
	return err
}

// An instance is an instance of a module: module.group["a"].
type instance struct {
	path   string // "" for the root
	parent *instance
	call   *call  // nil for the root
	key    string // ["a"], [0] or ""
	config *module
}

// instance finds the module instance of an address, or nil if the configuration does not have it.
func (m *model) instance(path string) *instance {
	if in, ok := m.instances[path]; ok {
		return in
	}
	in := m.findInstance(path)
	m.instances[path] = in
	return in
}

func (m *model) findInstance(path string) *instance {
	if path == "" {
		if m.config == nil {
			return nil
		}
		return &instance{config: m.config}
	}
	steps := parse(path)
	if len(steps) < 2 {
		return nil
	}
	last := steps[len(steps)-1]
	cut := len(path) - len("module.") - len(last.name) - len(last.key)
	parent := m.instance(path[:max(cut-1, 0)])
	if parent == nil {
		return nil
	}
	c := parent.config.calls[last.name]
	if c == nil || c.module == nil {
		return nil
	}
	return &instance{path: path, parent: parent, call: c, key: last.key, config: c.module}
}

// A step is a part of an address or of a reference: name["a"].
type step struct{ name, key string }

// parse splits an address at its dots. The key of a step is all that stands in brackets behind it.
func parse(s string) []step {
	var out []step
	start, bracket, quoted := 0, -1, false
	flush := func(end int) {
		if bracket < 0 {
			out = append(out, step{s[start:end], ""})
		} else {
			out = append(out, step{s[start:bracket], s[bracket:end]})
		}
		start, bracket = end+1, -1
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '[' && bracket < 0:
			bracket = i
		case c == '.' && (bracket < 0 || s[i-1] == ']'):
			flush(i)
		}
	}
	flush(len(s))
	return out
}
