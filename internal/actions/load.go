package actions

import (
	_ "embed" // the table
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed table.json
var data string

// Load gives the table, which it reads once.
func Load() *Table { return load() }

var load = sync.OnceValue(func() *Table {
	t, err := read(data)
	if err != nil {
		panic(fmt.Sprintf("actions: table.json: %v", err))
	}
	return t
})

type file struct {
	Global   map[string]string `json:"global"`
	Services map[string]struct {
		RCP       bool                    `json:"rcp"`
		Sets      map[string][]string     `json:"sets"` // lists that several entries share: "@s1"
		Keys      map[string]string       `json:"keys"`
		Resources map[string]fileResource `json:"resources"`
		Actions   map[string]fileAction   `json:"actions"`
		Others    []string                `json:"others"`
	} `json:"services"`
	Prefixes []string `json:"prefixes"`
}

type fileResource struct {
	ARN  string   `json:"arn"`
	Keys []string `json:"keys"`
}

type fileAction struct {
	Level string   `json:"level"`
	Keys  []string `json:"keys"`
	Res   map[string]struct {
		Req  bool     `json:"req"`
		Keys []string `json:"keys"`
	} `json:"res"`
	Dep  []string `json:"dep"`
	When []struct {
		Action string `json:"action"`
		On     string `json:"on"`
		If     string `json:"if"`
	} `json:"when"`
	Grant  string   `json:"grant"`
	Abroad bool     `json:"abroad"`
	By     []string `json:"by"`
}

func read(text string) (*Table, error) {
	var f file
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	t := &Table{services: map[string]*Service{}, global: newKeySet(f.Global, true)}
	for prefix, in := range f.Services {
		s := &Service{Prefix: prefix, RCP: in.RCP, actions: map[string]*Action{}, types: map[string]*ResourceType{}, keys: newKeySet(in.Keys, false)}
		for name, r := range in.Resources {
			s.types[name] = &ResourceType{Name: name, ARN: r.ARN, Keys: r.Keys}
		}
		for name, a := range in.Actions {
			out, err := a.action(s, name, in.Sets)
			if err != nil {
				return nil, err
			}
			s.actions[strings.ToLower(name)] = out
		}
		for _, name := range in.Others {
			s.actions[strings.ToLower(name)] = &Action{Service: s, Name: name, NamesOnly: true, ByIdentity: true}
		}
		s.sorted = slices.SortedFunc(maps.Values(s.actions), func(a, b *Action) int { return strings.Compare(a.Name, b.Name) })
		t.services[prefix] = s
	}
	t.prefixes = append(slices.Collect(maps.Keys(t.services)), f.Prefixes...)
	slices.Sort(t.prefixes)
	t.prefixes = slices.Compact(t.prefixes)
	return t, nil
}

func (a *fileAction) action(s *Service, name string, sets map[string][]string) (*Action, error) {
	out := &Action{
		Service: s, Name: name, Level: strings.Split(a.Level, "+"), Keys: expand(a.Keys, sets), Grant: a.Grant, CrossAccount: a.Abroad,
		ByKeyPolicy: slices.Contains(a.By, "key"), ByIdentity: true, ByGrant: a.Grant != "",
	}
	for _, typ := range slices.Sorted(maps.Keys(a.Res)) {
		r, ok := s.types[typ]
		if !ok {
			return nil, fmt.Errorf("%s:%s acts on the unknown type %s", s.Prefix, name, typ)
		}
		out.Resources = append(out.Resources, On{ResourceType: r, Required: a.Res[typ].Req, keys: expand(a.Res[typ].Keys, sets)})
	}
	for _, n := range a.Dep {
		out.Needs = append(out.Needs, Need{Action: n})
	}
	for _, n := range a.When {
		out.Needs = append(out.Needs, Need{n.Action, n.On, n.If})
	}
	return out, nil
}

// expand replaces the names of shared lists by what is in them.
func expand(keys []string, sets map[string][]string) []string {
	var out []string
	for _, k := range keys {
		if name, ok := strings.CutPrefix(k, "@"); ok {
			out = append(out, sets[name]...)
		} else {
			out = append(out, k)
		}
	}
	return out
}
