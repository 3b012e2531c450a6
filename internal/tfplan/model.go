package tfplan

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/tfsource"
)

// An action is what a plan does with a resource.
type action uint8

const (
	actionNone action = iota // also: it is only read, or this is a state
	actionUpdate
	actionCreate // also: it is replaced
)

// A resource is an instance of a resource or data source.
type resource struct {
	addr, module    string
	mode, typ, name string
	key             string // ["a"], [0] or ""
	action          action
	// values are the attributes; unknown and sensitive are true where those will only be known
	// after apply or are secret, in the same places.
	values, unknown, sensitive map[string]any
	home                       *home

	given     bool              // it is of a file of another kind
	paths     map[string]string // what attributes are called there
	standsFor string            // what its ARN is called there
	assumed   []string
}

// kind is the type, with "data." before that of a data source.
func (r *resource) kind() string {
	if r.mode == "data" {
		return "data." + r.typ
	}
	return r.typ
}

// A model is a plan or state as it was read.
type model struct {
	opt       Options
	words     Words
	state     bool
	resources []*resource
	byAddress map[string]*resource
	byKind    map[string][]*resource
	byBlock   map[string][]*resource // by address without the key
	variables map[string]any
	providers map[string]provider
	config    *module
	instances map[string]*instance
	modules   map[string][]*instance // by address without the last key

	files     *tfsource.Files  // nil until something is looked for there
	homes     map[string]*home // by provider
	documents map[*resource]document
	keys      *keyring
	people    *people
	sources   *sources
	templates map[string]*resource
	defaults  map[region]ebsDefaults
	org       *organization
	notes     []Note
}

func newModel(opt Options) *model {
	return &model{
		opt: opt, words: terraformWords, byAddress: map[string]*resource{}, byKind: map[string][]*resource{}, byBlock: map[string][]*resource{},
		variables: map[string]any{}, instances: map[string]*instance{}, modules: map[string][]*instance{}, homes: map[string]*home{}, documents: map[*resource]document{},
	}
}

// index makes the resources findable, in the order of their addresses.
func (m *model) index() {
	slices.SortStableFunc(m.resources, func(a, b *resource) int { return strings.Compare(a.addr, b.addr) })
	for _, r := range m.resources {
		m.byKind[r.kind()] = append(m.byKind[r.kind()], r)
		bare := strings.TrimSuffix(r.addr, r.key)
		m.byBlock[bare] = append(m.byBlock[bare], r)
	}
	for _, r := range m.resources {
		for in := m.instance(r.module); in != nil && in.call != nil; in = in.parent {
			bare := strings.TrimSuffix(in.path, in.key)
			if !slices.Contains(m.modules[bare], in) {
				m.modules[bare] = append(m.modules[bare], in)
			}
		}
	}
}

// of are the resources of some kinds.
func (m *model) of(kinds ...string) []*resource {
	if len(kinds) == 1 {
		return m.byKind[kinds[0]]
	}
	var out []*resource
	for _, k := range kinds {
		out = append(out, m.byKind[k]...)
	}
	return out
}

func (m *model) note(addr, text string) { m.notes = append(m.notes, Note{addr, text}) }

// block is the configuration of a resource, or nil.
func (m *model) block(r *resource) *block {
	if in := m.instance(r.module); in != nil {
		return in.config.blocks[r.kind()+"."+r.name]
	}
	return nil
}

// A value is an attribute, or a part of one, with what is unknown and secret of it.
type value struct{ v, unknown, sensitive any }

// attr is a part of the attributes: names and places in lists.
func (r *resource) attr(path ...any) value {
	x := value{r.values, r.unknown, r.sensitive}
	for _, p := range path {
		x = x.at(p)
	}
	return x
}

func (x value) at(p any) value {
	return value{child(x.v, p), child(x.unknown, p), child(x.sensitive, p)}
}

// child is a member or item. All parts of a mark are marked.
func child(v, p any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return true
		}
	case mark:
		return v
	case map[string]any:
		if name, ok := p.(string); ok {
			return v[name]
		}
	case []any:
		if i, ok := p.(int); ok && i < len(v) {
			return v[i]
		}
	}
	return nil
}

func (x value) isUnknown() bool {
	_, marked := x.unknown.(mark)
	return marked || x.unknown == true
}

func (x value) isSensitive() bool { return x.sensitive == true }

// length is the number of items of a list; ok is false if it is unknown or secret.
func (x value) length() (n int, ok bool) {
	if x.isUnknown() || x.isSensitive() {
		return 0, false
	}
	list, _ := x.v.([]any)
	return len(list), true
}

// why tells why a value that is not known is not.
func (x value) why() string {
	if x.isSensitive() {
		return " is marked as sensitive"
	}
	if why, ok := x.unknown.(mark); ok {
		return ": " + string(why)
	}
	return " is not known before apply"
}

func (x value) string() string { s, _ := x.v.(string); return s }

// known is the text of an attribute, "" if it has none or it is not known.
func (r *resource) known(path ...any) string {
	x := r.attr(path...)
	if x.isUnknown() || x.isSensitive() {
		return ""
	}
	return x.string()
}

// number is a number that is known, or 0.
func (r *resource) number(path ...any) int32 {
	f, _ := r.attr(path...).v.(float64)
	return int32(f)
}

// A text is an attribute as far as it is known. With why it is not known, and s may be a name that
// stands for it. "" without why is absent.
type text struct{ s, why, assumed string }

func (t text) absent() bool { return t.s == "" && t.why == "" }

// A flag is a truth value as far as it is known; v is nil if it is absent.
type flag struct {
	v   *bool
	why string
}
