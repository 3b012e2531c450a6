package form

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
)

// A Style is one of the two query protocols.
type Style uint8

// Styles.
const (
	Query Style = iota + 1 // awsQuery: Name.member.N; unknown parameters are ignored
	EC2                    // ec2Query: Name.N; unknown parameters are refused
)

// Decode reads parameters into a structure. Names are exact. Indexes may have gaps and come in
// any order; list items stand in the order of their indexes. A parameter that is known but
// cannot be what its member needs is always an error, so a bad request never becomes a
// smaller one.
func Decode(raw []byte, style Style, s *wire.Struct, v reflect.Value) error {
	root, err := parse(raw)
	if err != nil {
		return err
	}
	d := decoder{style: style}
	return d.structure(root, s, v, "")
}

type decoder struct{ style Style }

func (d decoder) name(f *wire.Field) string {
	if d.style == EC2 {
		return f.Query
	}
	return f.Name
}

func (d decoder) structure(n *node, s *wire.Struct, v reflect.Value, path string) error {
	if n.leaf {
		return d.misplaced(path)
	}
	seen := 0
	for i := range s.Fields {
		f := &s.Fields[i]
		name := d.name(f)
		child := n.children[name]
		if child == nil {
			continue
		}
		seen++
		if err := d.member(child, f, v.Field(f.Index), join(path, name)); err != nil {
			return err
		}
	}
	if d.style == EC2 && seen < len(n.children) {
		return d.unknown(n, s, path)
	}
	return nil
}

// unknown refuses the first parameter, in order of names, that no member takes.
func (d decoder) unknown(n *node, s *wire.Struct, path string) error {
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		known := slices.ContainsFunc(s.Fields, func(f wire.Field) bool { return d.name(&f) == name })
		if !known && !(path == "" && Overhead(name)) {
			return d.misplaced(join(path, name))
		}
	}
	return nil
}

func (d decoder) member(n *node, f *wire.Field, v reflect.Value, path string) error {
	switch f.Kind {
	case wire.List:
		return d.list(n, f, v, path)
	case wire.Map:
		return d.entries(n, f, v, path)
	}
	return d.value(n, f, f.Node, v, path)
}

// value reads a scalar or a structure.
func (d decoder) value(n *node, f *wire.Field, plan *wire.Node, v reflect.Value, path string) error {
	if plan.Kind == wire.Structure {
		return d.structure(n, plan.Struct, plan.Make(v), path)
	}
	if !n.leaf || len(n.children) > 0 {
		return d.misplaced(path)
	}
	if err := f.Parse(plan, plan.Make(v), n.value); err != nil {
		return d.invalid(path, n.value, plan.Secret || plan.Kind == wire.Blob, err)
	}
	return nil
}

func (d decoder) list(n *node, f *wire.Field, v reflect.Value, path string) error {
	v.Set(reflect.MakeSlice(f.Type, 0, len(n.children)))
	if n.emptyList() {
		return nil
	}
	if d.style == Query && !f.Flat {
		item := n.children[f.Item]
		if n.leaf || item == nil || len(n.children) > 1 {
			return d.misplaced(path)
		}
		n, path = item, join(path, f.Item)
		if n.emptyList() {
			return nil
		}
	}
	items, err := d.items(n, f, path)
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(f.Type, len(items), len(items))
	for i, it := range items {
		if err := d.value(it.node, f, f.Elem, list.Index(i), join(path, it.name)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (n *node) emptyList() bool { return n.leaf && n.value == "" && len(n.children) == 0 }

type item struct {
	index uint64
	name  string
	node  *node
}

// items are those of a list. A text without a number is a list of one in EC2: clients of its early days send it
// (RestorableBy=self), and count on it.
func (d decoder) items(n *node, f *wire.Field, path string) ([]item, error) {
	if d.style == EC2 && n.leaf && len(n.children) == 0 && f.Elem.Kind != wire.Structure {
		return []item{{name: "1", node: n}}, nil
	}
	return d.indexed(n, path)
}

// indexed are the children by number.
func (d decoder) indexed(n *node, path string) ([]item, error) {
	if n.leaf {
		return nil, d.misplaced(path)
	}
	items := make([]item, 0, len(n.children))
	for name, child := range n.children {
		i, err := strconv.ParseUint(name, 10, 32)
		if err != nil || len(name) > 1 && name[0] == '0' {
			return nil, d.misplaced(join(path, name))
		}
		items = append(items, item{i, name, child})
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.index, b.index) })
	return items, nil
}

// entries reads Name.entry.N.key and .value, or Name.N.key in flattened maps and EC2.
func (d decoder) entries(n *node, f *wire.Field, v reflect.Value, path string) error {
	v.Set(reflect.MakeMap(f.Type))
	if n.emptyList() {
		return nil
	}
	if d.style == Query && !f.Flat {
		entry := n.children["entry"]
		if n.leaf || entry == nil || len(n.children) > 1 {
			return d.misplaced(path)
		}
		n, path = entry, join(path, "entry")
	}
	items, err := d.indexed(n, path)
	if err != nil {
		return err
	}
	for _, it := range items {
		at := join(path, it.name)
		key, val := it.node.children[f.Key], it.node.children[f.Val]
		if it.node.leaf || key == nil || val == nil || !key.leaf || len(it.node.children) > 2 {
			return d.misplaced(at)
		}
		k := reflect.ValueOf(key.value).Convert(f.Type.Key())
		if v.MapIndex(k).IsValid() {
			return malformed("The request gives a map key more than once.")
		}
		e := reflect.New(f.Type.Elem()).Elem()
		if err := d.value(val, f, f.Elem, e, join(at, f.Val)); err != nil {
			return err
		}
		v.SetMapIndex(k, e)
	}
	return nil
}

// misplaced is a parameter that has no place in the request.
func (d decoder) misplaced(path string) error {
	if d.style == EC2 {
		return apierr.New("UnknownParameter", "The parameter "+path+" is not recognized")
	}
	return apierr.New("MalformedInput", "The parameter "+path+" does not have the form that its member needs.")
}

// invalid is a value that is not of its member's type.
func (d decoder) invalid(path, value string, hidden bool, cause error) error {
	if hidden {
		value = ""
	}
	if d.style == EC2 {
		return apierr.Newf("InvalidParameterValue", "Value (%.256s) for parameter %s is invalid. It is %v.", value, path, cause)
	}
	if hidden {
		return apierr.Newf("MalformedInput", "The value of parameter %s is %v.", path, cause)
	}
	return apierr.Newf("MalformedInput", "The value '%.256s' of parameter %s is %v.", value, path, cause)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
