package actions

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// A Table is what is known of all services. It is immutable.
type Table struct {
	services map[string]*Service
	prefixes []string // sorted
	global   *keySet
}

// A Service is one service of the table.
type Service struct {
	Prefix string // of its actions: "kms"
	// RCP reports that resource control policies govern its resources.
	RCP     bool
	actions map[string]*Action // by name in lower case
	sorted  []*Action          // by name
	types   map[string]*ResourceType
	keys    *keySet
}

// A ResourceType is a kind of resource.
type ResourceType struct {
	Name string
	// ARN is its form, with placeholders such as ${Account} and ${KeyId}.
	ARN  string
	Keys []string // templates of the condition keys that it carries
}

// An Action is something that a policy can allow.
type Action struct {
	Service *Service
	Name    string
	// NamesOnly reports that nothing else is known of the action.
	NamesOnly bool
	Level     []string // access levels, such as Read and Write
	// Keys are the templates of the condition keys that its requests carry whatever the resource.
	Keys []string
	// Resources that it acts on; without any it can only be allowed on "*".
	Resources []On
	Needs     []Need
	// Grant is the grant operation that can allow it, or "". CrossAccount reports that it works on
	// the key of another account. ByKeyPolicy, ByIdentity and ByGrant say which documents can
	// allow it. These are facts of kms alone; elsewhere ByIdentity is set and nothing else.
	Grant                            string
	CrossAccount                     bool
	ByKeyPolicy, ByIdentity, ByGrant bool
}

// On is a resource type that an action acts on.
type On struct {
	*ResourceType
	Required bool
	keys     []string // if not nil, those of the type that count for this action
}

// A Need is an action that another needs besides.
type Need struct {
	Action, On, If string
}

// Full is the action with its prefix: "kms:Decrypt".
func (a *Action) Full() string { return a.Service.Prefix + ":" + a.Name }

// Carries are the templates of the condition keys of its evaluation on a resource type of it, each
// once, without the global ones; a nil type is "*".
func (a *Action) Carries(on *On) []string {
	keys := slices.Clone(a.Keys)
	if on != nil {
		keys = append(keys, on.Carried()...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Carried are the templates of the keys that the action's evaluation on this type carries beside
// those of the action.
func (o *On) Carried() []string {
	if o.keys != nil {
		return o.keys
	}
	return o.Keys
}

// Service finds a service by the prefix of its actions.
func (t *Table) Service(prefix string) (*Service, bool) {
	s, ok := t.services[strings.ToLower(prefix)]
	return s, ok
}

// Services yields the services that are in the table, by prefix.
func (t *Table) Services() iter.Seq[*Service] {
	return func(yield func(*Service) bool) {
		for _, p := range slices.Sorted(maps.Keys(t.services)) {
			if !yield(t.services[p]) {
				return
			}
		}
	}
}

// Exists reports whether AWS, or kagimori, has a service of that prefix.
func (t *Table) Exists(prefix string) bool {
	_, ok := slices.BinarySearch(t.prefixes, strings.ToLower(prefix))
	return ok
}

// Prefixes are those of all services, sorted.
func (t *Table) Prefixes() []string { return t.prefixes }

// Action finds an action by its full name, in any case.
func (t *Table) Action(full string) (*Action, bool) {
	prefix, name, _ := strings.Cut(full, ":")
	s, ok := t.Service(prefix)
	if !ok {
		return nil, false
	}
	return s.Action(name)
}

// Action finds an action by its name without prefix, in any case.
func (s *Service) Action(name string) (*Action, bool) {
	a, ok := s.actions[strings.ToLower(name)]
	return a, ok
}

// Actions are the service's actions, by name.
func (s *Service) Actions() []*Action { return slices.Clone(s.sorted) }

// ResourceType finds a type by name.
func (s *Service) ResourceType(name string) (*ResourceType, bool) {
	r, ok := s.types[name]
	return r, ok
}

// ResourceTypes are the service's types of resource, by name.
func (s *Service) ResourceTypes() []*ResourceType {
	return slices.SortedFunc(maps.Values(s.types), func(a, b *ResourceType) int { return strings.Compare(a.Name, b.Name) })
}

// Partial reports whether the table has some of the service's actions by name only: then it may lack resource types too.
func (s *Service) Partial() bool {
	return slices.ContainsFunc(s.sorted, func(a *Action) bool { return a.NamesOnly })
}

// Keys are the templates of the service's condition keys, sorted.
func (s *Service) Keys() []string { return s.keys.templates() }
