package cfn

import (
	"path"
	"strings"
)

// maxStacks is how many stacks are read together, with nested ones.
const maxStacks = 500

// nestedTypes are the resources that make stacks, by the property that says of which template.
func nestedTypes() map[string]string {
	return map[string]string{"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}
}

// loadNested reads the templates of nested stacks that are beside their parent's: those that CDK
// names in the metadata, and those with a path in the place of a URL.
func (w *set) loadNested(s *stack) error {
	for _, r := range s.order {
		property, is := nestedTypes()[r.typ]
		if !is || w.opt.Open == nil {
			continue
		}
		ref, ok := r.metadata.get("aws:asset:path").scalar()
		if !ok {
			ref, ok = r.props.get(property).scalar()
		}
		if !ok || !local(ref) || len(w.stacks) >= maxStacks {
			continue
		}
		f := File{Name: path.Join(path.Dir(s.file.Name), ref), Stack: s.name + "-" + r.name, Account: s.file.Account, Region: s.file.Region}
		data, err := w.opt.Open(f.Name)
		if err != nil || !Is(data) {
			continue // noteIgnored tells of it
		}
		f.Data = data
		child, err := w.load(f)
		if err != nil {
			return err
		}
		child.parent, child.within, child.prefix = s, r, child.name+"/"
		given := r.props.get("Parameters")
		if given.is(object) {
			for _, m := range given.members {
				if _, declared := child.types[m.name]; declared {
					child.inherited[m.name] = m.value
				}
			}
		}
		s.nested[r.name] = child
		w.stacks = append(w.stacks, child)
		if err := w.loadNested(child); err != nil {
			return err
		}
	}
	return nil
}

// gone reports whether a nested stack is not made, or not its parent.
func (s *stack) gone() bool {
	return s.parent != nil && (s.parent.gone() || s.parent.resources[s.within.name] != s.within)
}

// parameter is the value of a parameter. That of a nested stack is what its parent says.
func (s *stack) parameter(name string) (*node, bool) {
	if n, ok := s.inherited[name]; ok {
		delete(s.inherited, name)
		s.parameters[name] = unknownNode("the parameter %s is made of itself", name)
		v := s.parent.eval(n)
		if t, ok := v.scalar(); ok && v.stands == "" {
			v = typed(s.types[name], name, textNode(t))
		} else if v.is(list) && !isList(s.types[name]) {
			v = unknownNode("the parameter %s is a list", name)
		}
		if v == nil {
			v = unknownNode("the parameter %s has no value", name)
		}
		s.parameters[name] = v
	}
	v, ok := s.parameters[name]
	return v, ok
}

// output is what GetAtt of an output of a nested stack is.
func (s *stack) output(r *res, attr string) (*node, bool) {
	name, is := strings.CutPrefix(attr, "Outputs.")
	child := s.nested[r.name]
	if !is || child == nil {
		return nil, false
	}
	busy := "Outputs/" + name
	out := child.outputs.get(name)
	if out == nil || child.busy[busy] {
		return unknownNode("the nested stack %s has no output %s", r.name, name), true
	}
	child.busy[busy] = true
	defer delete(child.busy, busy)
	return child.eval(out.get("Value")), true
}

func isList(typ string) bool { return typ == "CommaDelimitedList" || strings.HasPrefix(typ, "List<") }

// typed is the value of a parameter of a type.
func typed(typ, name string, v *node) *node {
	switch {
	case strings.HasPrefix(typ, "AWS::SSM::Parameter::Value") && !strings.HasPrefix(v.s, "ami-"):
		out := unknownNode("the parameter %s is the value of the SSM parameter %s", name, v.s)
		if strings.HasPrefix(v.s, publicImages) {
			out.public = v.s
		}
		return out
	case isList(typ):
		items := &node{kind: list}
		for part := range strings.SplitSeq(v.s, ",") {
			items.items = append(items.items, textNode(strings.TrimSpace(part)))
		}
		return items
	}
	return v
}
