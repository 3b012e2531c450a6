package tfplan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxDepth is how many references are followed one behind the other.
const maxDepth = 32

// expr is the expression that a part of a resource's attributes comes from; nil if it has none, and
// so AWS or the provider chooses. ok is false if that cannot be told: there is no configuration, or
// the part is of a dynamic block, which the plan's configuration leaves out.
func (m *model) expr(r *resource, path ...any) (_ any, ok bool) {
	b := m.block(r)
	if b == nil {
		return nil, false
	}
	var e any = map[string]any(b.exprs)
	x := r.attr()
	inBlock := true // e is what a block says, which may be nothing
	for i, p := range path {
		switch p := p.(type) {
		case string:
			members, isBlock := e.(map[string]any)
			if !isBlock {
				return nil, false
			}
			if !inBlock && isLeaf(members) {
				return e, true // an attribute whose value has parts
			}
			inBlock = false
			next, there := members[p]
			if !there {
				// A block that is not there although there are values is dynamic.
				n, _ := x.at(p).length()
				return nil, i == len(path)-1 || n == 0
			}
			e = next
		case int:
			inBlock = true
			if members, is := e.(map[string]any); is && isLeaf(members) {
				return e, true
			}
			blocks, _ := e.([]any)
			if n, known := x.length(); !known || n != len(blocks) {
				return nil, false
			}
			if e = match(blocks, x, p); e == nil {
				return nil, false
			}
		}
		x = x.at(p)
	}
	return e, true
}

// isLeaf reports whether this is the expression of an attribute, and not a block.
func isLeaf(e map[string]any) bool {
	_, refs := e["references"]
	_, constant := e["constant_value"]
	return refs || constant || len(e) == 0
}

// match finds the block of the i-th value. Blocks of a set are in another order than their values,
// so all constants have to agree; if several blocks do, the place decides.
func match(blocks []any, x value, i int) any {
	fits := func(e any) bool {
		members, _ := e.(map[string]any)
		for name, sub := range members {
			leaf, _ := sub.(map[string]any)
			if c, ok := leaf["constant_value"]; ok {
				switch c := c.(type) {
				case string:
					if got, ok := x.at(i).at(name).v.(string); ok && got != c {
						return false
					}
				case bool:
					if got := fmt.Sprint(x.at(i).at(name).v); got != "<nil>" && got != fmt.Sprint(c) {
						return false
					}
				}
			}
		}
		return true
	}
	if fits(blocks[i]) {
		return blocks[i]
	}
	j := slices.IndexFunc(blocks, fits)
	if j < 0 {
		return nil
	}
	return blocks[j]
}

// A scope is where an expression stands.
type scope struct {
	in      *instance
	key     string // what each.key or count.index is, in brackets
	count   int    // of the instances that there are of what stands here
	forEach any
	each    bool // this is a forEach, and the value of the key is asked for
}

func (m *model) scope(r *resource) scope {
	s := scope{in: m.instance(r.module), key: r.key, count: len(m.byBlock[strings.TrimSuffix(r.addr, r.key)])}
	if b := m.block(r); b != nil {
		s.forEach = b.forEach
	}
	return s
}

// callScope is where the arguments of a module stand.
func (m *model) callScope(in *instance) scope {
	return scope{in: in.parent, key: in.key, count: len(m.modules[strings.TrimSuffix(in.path, in.key)]), forEach: in.call.forEach}
}

// choose is the key that a reference means: the one that it says, else the one that it stands under,
// if it refers to that. An index only counts among as many: who knows what is added to it.
func (s scope) choose(said string, bykey bool, count int) (key string, explicit bool) {
	if said != "" {
		return said, true
	}
	if !bykey || !strings.HasPrefix(s.key, `["`) && count != s.count {
		return "", false
	}
	return s.key, false
}

// A target is an attribute of a resource that an expression refers to.
type target struct {
	r    *resource
	attr string // "" if the reference does not say
}

// found is all that an expression refers to.
type found struct {
	targets []target
	locals  []string // local values, which a plan does not tell
	others  []string // resources of other kinds than wanted, and what leads out of the plan
	lost    bool     // there is more, which was not followed
	seen    map[visit]bool
}

// A visit is a reference that was followed, with all that decides where it leads.
type visit struct {
	in       *instance
	ref, key string
}

// first reports whether this is the first visit.
func (f *found) first(v visit) bool {
	if f.seen == nil {
		f.seen = map[visit]bool{}
	}
	was := f.seen[v]
	f.seen[v] = true
	return !was
}

// follow gathers the resources that an expression refers to, through variables, outputs and
// for_each. want chooses the kinds of resources.
func (m *model) follow(e any, s scope, want func(kind string) bool, depth int, out *found) {
	leaf, _ := e.(map[string]any)
	refs, _ := leaf["references"].([]any)
	if s.in == nil || depth > maxDepth {
		out.lost = true
		return
	}
	bykey := s.each
	for _, ref := range refs {
		bykey = bykey || ref == "each.key" || ref == "count.index"
	}
	last := ""
	for _, ref := range refs {
		ref, _ := ref.(string)
		if strings.HasPrefix(last, ref) && (len(last) == len(ref) || strings.ContainsAny(last[len(ref):len(ref)+1], ".[")) {
			continue // the beginning of the one before it
		}
		last = ref
		steps := parse(ref)
		if len(steps) < 2 {
			out.lost = true
			continue
		}
		if !out.first(visit{s.in, ref, s.key}) {
			continue
		}
		switch steps[0].name {
		case "path", "terraform", "count", "self":
		case "local":
			out.locals = append(out.locals, "local."+steps[1].name)
		case "var":
			if c := s.in.call; c != nil {
				m.follow(c.exprs[steps[1].name], m.callScope(s.in), want, depth+1, out)
			}
		case "each":
			out.lost = out.lost || steps[1].name == "value" && s.forEach == nil
			if steps[1].name == "value" && s.forEach != nil {
				m.follow(s.forEach, scope{in: s.in, key: s.key, count: s.count, each: true}, want, depth+1, out)
			}
		case "module":
			m.followModule(steps, bykey, s, want, depth, out)
		default:
			m.followResource(steps, bykey, s, want, out)
		}
	}
}

func (m *model) followModule(steps []step, bykey bool, s scope, want func(string) bool, depth int, out *found) {
	c := s.in.config.calls[steps[1].name]
	if c == nil || c.module == nil {
		out.lost = true
		return
	}
	for _, in := range m.modulesOf(steps[1], bykey, s) {
		if len(steps) > 2 {
			m.follow(c.module.outputs[steps[2].name], scope{in: in}, want, depth+1, out)
			continue
		}
		for _, o := range c.module.outputs {
			m.follow(o, scope{in: in}, want, depth+1, out)
		}
	}
}

// modulesOf are the instances of a module call that a reference means.
func (m *model) modulesOf(name step, bykey bool, s scope) []*instance {
	prefix := "module." + name.name
	if s.in.path != "" {
		prefix = s.in.path + "." + prefix
	}
	all := m.modules[prefix]
	key, explicit := s.choose(name.key, bykey, len(all))
	if in := m.instances[prefix+key]; in != nil {
		return []*instance{in}
	}
	if explicit {
		return nil
	}
	return all
}

func (m *model) followResource(steps []step, bykey bool, s scope, want func(string) bool, out *found) {
	kind, at := steps[0].name, 1
	if kind == "data" && len(steps) > 2 {
		kind, at = "data."+steps[1].name, 2
	}
	bare := kind + "." + steps[at].name
	if !want(kind) {
		out.others = append(out.others, bare)
		return
	}
	attr := ""
	if len(steps) > at+1 {
		attr = steps[at+1].name
	}
	if s.in.path != "" {
		bare = s.in.path + "." + bare
	}
	all := m.byBlock[bare]
	key, explicit := s.choose(steps[at].key, bykey, len(all))
	if r := m.byAddress[bare+key]; r != nil {
		all = []*resource{r}
	} else if explicit {
		out.lost = true
		return
	}
	for _, r := range all {
		if t := (target{r, attr}); !slices.Contains(out.targets, t) {
			out.targets = append(out.targets, t)
		}
	}
}

// pick finds the one resource whose attribute makes an expression unknown. doubt is what else might. There is
// no resource and no reason where all that an expression refers to is known: it is null then, and AWS or the
// provider chooses.
func (m *model) pick(r *resource, e any, want func(kind string) bool) (t target, doubt, why string) {
	var f found
	m.follow(e, m.scope(r), want, 0, &f)
	targets := slices.DeleteFunc(slices.Clone(f.targets), func(t target) bool { return t.attr != "" && t.r.attr(t.attr).v != nil && !t.r.attr(t.attr).isUnknown() })
	if len(targets) == 0 {
		targets = f.targets // all known: it is one of them
	}
	if len(f.locals) > 0 {
		doubt = f.locals[0] + " is a local value, and plans do not tell those"
	}
	switch {
	case len(targets) > 0 && same(targets):
		return targets[0], doubt, ""
	case len(targets) > 1:
		return target{}, "", fmt.Sprintf("it may be of %s, or of %s", targets[0].r.addr, targets[1].r.addr)
	case doubt != "":
		return target{}, "", doubt
	case len(f.others) > 0:
		return target{}, "", "it comes from " + f.others[0]
	case f.lost || len(f.seen) == 0:
		return target{}, "", "it is not known before apply"
	}
	return target{}, "", ""
}

// same reports whether all targets are of one resource.
func same(targets []target) bool {
	return !slices.ContainsFunc(targets, func(t target) bool { return t.r != targets[0].r })
}

// text is an attribute that is or names one of the wanted resources.
func (m *model) text(r *resource, want func(kind string) bool, path ...any) text {
	t, _ := m.link(r, want, path...)
	return t
}

// link is text, with the resource that an expression over unknown values refers to.
func (m *model) link(r *resource, want func(kind string) bool, path ...any) (text, *resource) {
	x := r.attr(path...)
	switch {
	case x.isSensitive():
		return text{why: place(r, path) + " is marked as sensitive"}, nil
	case !x.isUnknown():
		return text{s: x.string()}, nil
	}
	if r.given {
		return text{why: place(r, path) + x.why()}, nil
	}
	e, ok := m.expr(r, path...)
	if !ok {
		if t, of, ok := m.linked(r, nil, want, path); ok {
			return t, of
		}
		if t, ok := m.given(r, want); ok {
			s := m.identity(t.r, t.attr)
			s.assumed = place(r, path) + " is of " + t.r.addr + ", the only one that " + r.module + " is given: the block is dynamic"
			return s, t.r
		}
		return text{why: place(r, path) + " is not known before apply, and the plan does not tell its expression: the block is dynamic"}, nil
	}
	if e == nil {
		return text{}, nil
	}
	t, doubt, why := m.pick(r, e, want)
	if doubt != "" || why != "" {
		if t, of, ok := m.linked(r, e, want, path); ok {
			return t, of
		}
	}
	switch {
	case why != "":
		return text{why: place(r, path) + ": " + why}, nil
	case t.r == nil:
		return text{}, nil
	}
	s := m.identity(t.r, t.attr)
	if doubt != "" {
		s.assumed = place(r, path) + " is of " + t.r.addr + ": " + doubt
	}
	if s.why != "" {
		s.why = place(r, path) + ": " + s.why
	}
	return s, t.r
}

// given is the only wanted resource that is not known yet among all that the module of a resource is
// called with. Modules build blocks of lists of objects, and the plan does not tell how.
func (m *model) given(r *resource, want func(kind string) bool) (target, bool) {
	in := m.instance(r.module)
	if in == nil || in.call == nil {
		return target{}, false
	}
	var f found
	for _, name := range slices.Sorted(maps.Keys(in.call.exprs)) {
		m.follow(in.call.exprs[name], m.callScope(in), want, 0, &f)
	}
	targets := slices.DeleteFunc(f.targets, func(t target) bool { return t.attr == "" || !t.r.attr(t.attr).isUnknown() })
	return append(targets, target{})[0], len(targets) > 0 && same(targets)
}

// flag is an attribute that is true or false, as a boolean or as text.
func (m *model) flag(r *resource, path ...any) flag {
	x := r.attr(path...)
	switch {
	case x.isSensitive():
		return flag{why: place(r, path) + " is marked as sensitive"}
	case x.isUnknown():
		e, ok := m.expr(r, path...)
		if ok && e == nil {
			return flag{}
		}
		switch said, _, _ := m.fileSays(r, e, path); said {
		case true, "true":
			return flag{v: new(true)}
		case false, "false":
			return flag{v: new(false)}
		}
		return flag{why: place(r, path) + x.why()}
	}
	switch x.v {
	case true, "true", "1":
		return flag{v: new(true)}
	case false, "false", "0":
		return flag{v: new(false)}
	}
	return flag{}
}

// place is how people write an attribute.
func place(r *resource, path []any) string {
	var b strings.Builder
	for _, p := range path {
		switch p := p.(type) {
		case string:
			b.WriteString("." + p)
		default:
			fmt.Fprintf(&b, "[%v]", p)
		}
	}
	if own, ok := r.paths[strings.TrimPrefix(b.String(), ".")]; ok {
		return r.addr + "." + own
	}
	return r.addr + b.String()
}

// kinds wants some kinds.
func kinds(k ...string) func(string) bool {
	return func(kind string) bool { return slices.Contains(k, kind) }
}
