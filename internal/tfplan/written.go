package tfplan

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/tfsource"
)

// written is a policy that the plan does not tell, as the files say it of which the plan was made.
// ok is false if they do not, or do not fit the plan. With probe, what is not known is anything: ids of
// accounts are not looked for.
func (m *model) written(r *resource, path []any, probe bool) (_ document, ok bool) {
	attr, is := path[0].(string)
	if m.opt.Files == nil || !is || len(path) != 1 || r.attr(attr).isSensitive() || m.block(r) == nil {
		return document{}, false
	}
	e, told := m.expr(r, attr)
	if !told || e == nil {
		return document{}, false
	}
	p := m.placeInFiles(r)
	p.Attr = attr
	text, refs, where, ok := m.files.Text(&world{m, probe}, p)
	if !ok || !strings.HasPrefix(strings.TrimSpace(text), "{") || !sameReferences(e, refs) {
		return document{}, false
	}
	return document{raw: []byte(strings.TrimSpace(text)), at: r.addr,
		assumed: asWritten(place(r, path), where)}, true
}

// placeInFiles is where the files have a resource.
func (m *model) placeInFiles(r *resource) tfsource.Place {
	if m.files == nil {
		m.files = tfsource.New(m.opt.Files)
	}
	p := tfsource.Place{Resource: r.typ + "." + r.name, Key: r.key}
	if r.mode == "data" {
		p.Resource = "data." + p.Resource
	}
	for _, s := range parse(r.module) {
		if s.name != "module" && s.name != "" {
			p.Module = append(p.Module, tfsource.Step{Name: s.name, Key: s.key})
		}
	}
	return p
}

// unordered are blocks whose values are in another order than files have them.
var unordered = []string{"ebs_block_device", "launch_template_config", "launch_specification", "principals", "not_principals", "condition"}

// fileSays is what the files say of an attribute that the plan does not tell, and where. e is the expression as far as
// the plan has it. ok is false if the files do not tell.
func (m *model) fileSays(r *resource, e any, path []any) (value any, where string, ok bool) {
	if m.opt.Files == nil || m.block(r) == nil {
		return nil, "", false
	}
	for i, p := range path {
		name, _ := p.(string)
		if n, _ := r.attr(path[:i+1]...).length(); n > 1 && slices.Contains(unordered, name) {
			return nil, "", false
		}
	}
	at := m.placeInFiles(r)
	value, refs, where, ok := m.files.Below(&world{m, false}, at, path)
	if !ok || e != nil && !sameReferences(e, refs) {
		return nil, "", false
	}
	return value, where, true
}

func asWritten(what, where string) string {
	return what + " is as " + where + " says it: the plan does not tell"
}

// listInFile is fileSays of a list in a document, which then is as the files say it.
func (m *model) listInFile(r *resource, e any, path []any) ([]string, bool) {
	value, where, ok := m.fileSays(r, e, path)
	list, is := value.([]string)
	if !ok || !is {
		return nil, false
	}
	if len(r.assumed) == 0 {
		r.assumed = []string{asWritten(r.addr, where)}
	}
	return list, true
}

// linked is fileSays of an attribute that is or names one of the wanted resources, with that resource.
func (m *model) linked(r *resource, e any, want func(kind string) bool, path []any) (_ text, _ *resource, ok bool) {
	value, where, ok := m.fileSays(r, e, path)
	if !ok {
		return text{}, nil, false
	}
	said, is := value.(string)
	if !is {
		return text{}, nil, value == nil
	}
	t := text{s: said, assumed: asWritten(place(r, path), where)}
	for _, kind := range slices.Sorted(maps.Keys(attributes)) {
		if !want(kind) {
			continue
		}
		for _, other := range m.of(kind) {
			if m.identity(other, "").s == said || m.identity(other, "id").s == said || other.known("name") == said {
				return t, other, true
			}
		}
	}
	return t, nil, true
}

// sameReferences reports whether an expression of the plan refers to what that of the files does:
// else the files are others than those it was made of.
func sameReferences(e any, refs []string) bool {
	leaf, _ := e.(map[string]any)
	list, _ := leaf["references"].([]any)
	for _, ref := range refs {
		if strings.HasPrefix(ref, "path.") {
			continue
		}
		if !slices.ContainsFunc(list, func(said any) bool {
			s, _ := said.(string)
			rest, ok := strings.CutPrefix(s, ref)
			return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
		}) {
			return false
		}
	}
	return len(refs) > 0
}

// world is a plan as what its files refer to.
type world struct {
	m     *model
	probe bool
}

// Instances implements [tfsource.World].
func (w *world) Instances(module, name string) ([]tfsource.Instance, bool) {
	m := w.m
	kind := name[:strings.LastIndexByte(name, '.')]
	if kind == "data.aws_partition" {
		return []tfsource.Instance{{Values: map[string]any{"partition": arn.Partition, "dns_suffix": "amazonaws.com"}}}, true
	}
	names, ok := attributes[kind]
	if !ok {
		return nil, false
	}
	if module != "" {
		name = module + "." + name
	}
	var out []tfsource.Instance
	for _, r := range m.byBlock[name] {
		values := map[string]any{}
		for _, attr := range names {
			switch x := r.attr(attr); {
			case !w.probe:
				values[attr] = m.reference(r, attr)
			case !x.isUnknown() && !x.isSensitive():
				values[attr] = x.v
			default:
				values[attr] = "unknown"
			}
		}
		out = append(out, tfsource.Instance{Key: r.key, Values: values})
	}
	return out, true
}

// reference is an attribute as far as it is known, or what stands for it.
func (m *model) reference(r *resource, attr string) any {
	x := r.attr(attr)
	switch {
	case x.isSensitive():
		return tfsource.Unknown{}
	case !x.isUnknown() && x.v != nil:
		return x.v
	case r.kind() == "data.aws_caller_identity" && attr == "account_id" && m.homeOf(r).noAccount == "":
		return m.homeOf(r).account
	case r.kind() == "data.aws_region" && m.homeOf(r).noRegion == "":
		return m.homeOf(r).region
	case x.isUnknown():
		if t := m.identity(r, attr); t.why == "" && t.s != "" {
			return t.s
		}
		if r.kind() == documentKind && (attr == "json" || attr == "minified_json") {
			if d := m.build(r); d.why == "" && d.raw != nil {
				return string(d.raw)
			}
		}
		return tfsource.Unknown{}
	}
	return nil
}

// Variable implements [tfsource.World].
func (w *world) Variable(name string) (any, bool) {
	v, ok := w.m.variables[name]
	return v, ok
}
