package cfn

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxSteps is how many values are evaluated of all templates together.
const maxSteps = 20_000_000

// A set is all stacks that are read together.
type set struct {
	opt       Options
	stacks    []*stack
	exporting map[string]bool
	steps     int
	looped    int
	given     map[string]bool // parameters that a template has
	result    *Result
}

// A stack is a template with what is known of where it goes.
type stack struct {
	set             *set
	file            File
	name            string
	prefix          string // of addresses
	account, region string
	accountName     string // what the account is called, if the number only stands for it
	regionName      string // what the region is called, if its name only stands for it
	sam             bool

	parameters map[string]*node
	types      map[string]string // of parameters
	inherited  map[string]*node  // what the parent says of parameters that were not asked for yet
	parent     *stack            // of a nested stack
	within     *res              // the parent's resource that makes it
	nested     map[string]*stack
	mappings   *node
	conditions *node
	outputs    *node
	resources  map[string]*res
	order      []*res
	tested     map[string]verdict
	busy       map[string]bool // what is being evaluated
	depth      int
}

// A res is a resource of a template.
type res struct {
	name, typ string
	props     *node
	metadata  *node
	at        pos
	assumed   []string // what was taken for granted of it
	doubt     string   // why it is not known whether it is created; until settle, its condition
}

// address is how the resource is called among all stacks.
func (s *stack) address(name string) string { return s.prefix + name }

// digest is a name for something of the stack, the same wherever it is used.
func (s *stack) digest(name string) string {
	sum := sha256.Sum256([]byte(s.name + "/" + name))
	return hex.EncodeToString(sum[:])
}

// stackName is the name of a stack that has none, after its file.
func stackName(file string) string {
	name := path.Base(strings.ReplaceAll(file, `\`, "/"))
	for _, ext := range []string{".json", ".yaml", ".yml", ".template"} {
		name = strings.TrimSuffix(name, ext)
	}
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, name)
	if name = strings.Trim(name, "-"); name == "" {
		return "stack"
	}
	return name
}

// load reads a template.
func (w *set) load(f File) (*stack, error) {
	root, err := parse(f.Name, f.Data)
	if err != nil {
		return nil, err
	}
	s := &stack{set: w, file: f, name: f.Stack, parameters: map[string]*node{}, types: map[string]string{}, inherited: map[string]*node{}, nested: map[string]*stack{}, resources: map[string]*res{}, tested: map[string]verdict{}, busy: map[string]bool{}}
	if s.name == "" {
		s.name = stackName(f.Name)
	}
	if !root.is(object) {
		return nil, s.fail(root.at, "a template is an object")
	}
	for _, section := range []string{"Parameters", "Mappings", "Conditions", "Resources", "Outputs"} {
		if n := root.get(section); n != nil && n.kind != object && n.kind != null {
			return nil, s.fail(n.at, section+" must be an object")
		}
	}
	s.mappings, s.conditions, s.outputs = root.get("Mappings"), root.get("Conditions"), root.get("Outputs")
	s.region, s.account = f.Region, f.Account
	for _, t := range root.get("Transform").list() {
		name, ok := t.scalar()
		if !ok {
			name, _ = t.get("Name").scalar()
		}
		switch {
		case strings.HasPrefix(name, "AWS::Serverless"):
			s.sam = true
		case name == "AWS::Include" || name != "" && !strings.HasPrefix(name, "AWS::"):
			w.note(s, "", "the macro "+name+" may change the template: what is written was read")
		}
	}
	if err := s.readParameters(root.get("Parameters")); err != nil {
		return nil, err
	}
	s.outputs = s.expand(s.outputs, nil)
	resources := s.expand(root.get("Resources"), nil)
	if !resources.is(object) || len(resources.members) == 0 {
		return nil, s.fail(root.at, "the template has no Resources")
	}
	for _, m := range resources.members {
		if strings.HasPrefix(m.name, "Fn::") {
			w.note(s, "", m.name+" among the resources is not read")
			continue
		}
		typ, ok := m.value.get("Type").scalar()
		if !ok {
			return nil, s.fail(m.at, "the resource "+m.name+" has no Type")
		}
		props := m.value.get("Properties")
		if _, _, isCall := call(props); props != nil && !props.is(object) && !props.is(null) || isCall {
			return nil, s.fail(props.at, "the Properties of "+m.name+" must be an object")
		}
		r := &res{name: m.name, typ: typ, props: props, metadata: m.value.get("Metadata"), at: m.at}
		if c, ok := m.value.get("Condition").scalar(); ok {
			if s.conditions.get(c) == nil {
				return nil, s.fail(m.value.get("Condition").at, "there is no condition "+c)
			}
			r.doubt = c // settled when account and region are known
		}
		s.resources[m.name] = r
		s.order = append(s.order, r)
	}
	return s, nil
}

func (s *stack) fail(at pos, what string) error {
	return &Error{s.file.Name, at.line, at.column, what}
}

// settle leaves out what the conditions leave out.
func (s *stack) settle() {
	s.order = slices.DeleteFunc(s.order, func(r *res) bool {
		if r.doubt == "" {
			return false
		}
		name := r.doubt
		t := s.condition(name)
		r.doubt = t.why
		if t.why == "" && !t.v {
			delete(s.resources, r.name)
			return true
		}
		if t.why != "" {
			r.assumed = append(r.assumed, s.address(r.name)+" is created: its condition "+name+" is not known, "+t.why)
		}
		return false
	})
}

// readParameters takes the values of parameters that are given, or their defaults.
func (s *stack) readParameters(declared *node) error {
	if declared == nil {
		return nil
	}
	for _, m := range declared.members {
		typ, _ := m.value.get("Type").scalar()
		s.types[m.name] = typ
		var v *node
		given, ok := s.set.valueOf(s, m.name)
		if ok {
			v = textNode(given)
		} else if d := m.value.get("Default"); d != nil && d.kind != null {
			if t, ok := d.scalar(); ok {
				v = textNode(t)
			}
		}
		if v != nil {
			if allowed := m.value.get("AllowedValues").list(); ok && len(allowed) > 0 &&
				!slices.ContainsFunc(allowed, func(a *node) bool { t, _ := a.scalar(); return t == v.s }) {
				return s.fail(m.at, "the value given for the parameter "+m.name+" is none of its AllowedValues")
			}
		}
		switch {
		case v == nil:
			v = unknownNode("the parameter %s has no value (--parameters %s=...)", m.name, m.name)
		case m.value.get("NoEcho").isTrue():
			v = unknownNode("the parameter %s is secret (NoEcho)", m.name)
		default:
			v = typed(typ, m.name, v)
		}
		s.parameters[m.name] = v
	}
	return nil
}

// valueOf is the value given for a parameter: for its stack, else for all.
func (w *set) valueOf(s *stack, name string) (string, bool) {
	if v, ok := w.opt.Parameters[name]; ok {
		w.used(name)
		return v, true
	}
	v, ok := s.file.Parameters[name]
	return v, ok
}

// maxLoop is how many members the loops of a template may make.
const maxLoop = 10_000

// expand writes the loops of an object out. Source: CloudFormation Template Reference Guide,
// "Fn::ForEach".
func (s *stack) expand(n *node, names map[string]string) *node {
	switch {
	case n == nil:
		return nil
	case n.kind == text && len(names) > 0:
		out := *n
		out.s = substitute(n.s, names)
		return &out
	case n.kind == list:
		out := *n
		out.items = nil
		for _, item := range n.items {
			out.items = append(out.items, s.expand(item, names))
		}
		return &out
	case n.kind != object:
		return n
	}
	if ref, ok := n.get("Ref").scalar(); ok && len(n.members) == 1 {
		if v, ok := names[ref]; ok {
			return &node{kind: text, s: v, at: n.at}
		}
	}
	out := *n
	out.members = nil
	for _, m := range n.members {
		loop, isLoop := strings.CutPrefix(m.name, "Fn::ForEach::")
		args := m.value.list()
		if !isLoop || len(args) != 3 || !args[2].is(object) {
			out.members = append(out.members, member{substitute(m.name, names), m.at, s.expand(m.value, names)})
			continue
		}
		variable, _ := args[0].scalar()
		values := s.loopValues(s.expand(args[1], names))
		if values == nil {
			s.set.note(s, "", "what Fn::ForEach::"+loop+" makes is not read: its values are not known")
		}
		for _, v := range values {
			inner := map[string]string{variable: v}
			maps.Copy(inner, names)
			if s.set.looped += len(args[2].members); s.set.looped > maxLoop {
				break
			}
			out.members = append(out.members, s.expand(args[2], inner).members...)
		}
	}
	return &out
}

// loopValues are the values of a loop; nil if they are not known.
func (s *stack) loopValues(n *node) []string {
	if name, ok := n.get("Ref").scalar(); ok {
		n = s.parameters[name]
	}
	if !n.is(list) {
		return nil
	}
	out := []string{}
	for _, item := range n.items {
		v, ok := item.scalar()
		if ref, is := item.get("Ref").scalar(); is {
			v, ok = s.parameters[ref].scalar()
		}
		if !ok {
			return nil
		}
		out = append(out, v)
	}
	return out
}

// substitute puts the variables of loops into a text.
func substitute(t string, names map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		v := names[name]
		plain := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, v)
		pairs = append(pairs, "${"+name+"}", v, "&{"+name+"}", plain)
	}
	return strings.NewReplacer(pairs...).Replace(t)
}
