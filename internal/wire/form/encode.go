package form

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/wire"
)

// Encode writes a request: Action and Version, then the members in the order of the model. An
// empty list is "Name=" in awsQuery; ec2Query cannot carry one. Structures without any member
// cannot be carried at all.
func Encode(svc *api.Service, op string, style Style, s *wire.Struct, v reflect.Value) []byte {
	e := encoder{style: style}
	e.pair("Action", op)
	e.pair("Version", svc.Version)
	e.structure(s, v, "")
	return e.out
}

type encoder struct {
	style Style
	out   []byte
}

func (e *encoder) pair(name, value string) {
	if len(e.out) > 0 {
		e.out = append(e.out, '&')
	}
	e.out = append(e.out, url.QueryEscape(name)...)
	e.out = append(e.out, '=')
	e.out = append(e.out, url.QueryEscape(value)...)
}

func (e *encoder) structure(s *wire.Struct, v reflect.Value, path string) {
	for i := range s.Fields {
		f := &s.Fields[i]
		fv := v.Field(f.Index)
		if f.Absent(fv) {
			continue
		}
		name := f.Name
		if e.style == EC2 {
			name = f.Query
		}
		at := join(path, name)
		switch f.Kind {
		case wire.List:
			e.list(f, fv, at)
		case wire.Map:
			e.entries(f, fv, at)
		default:
			e.value(f, f.Node, fv, at)
		}
	}
}

func (e *encoder) value(f *wire.Field, n *wire.Node, v reflect.Value, path string) {
	v = n.Get(v)
	if n.Kind == wire.Structure {
		e.structure(n.Struct, v, path)
		return
	}
	e.pair(path, string(f.Format(nil, n, v, false)))
}

func (e *encoder) list(f *wire.Field, v reflect.Value, path string) {
	if v.Len() == 0 {
		if e.style == Query {
			e.pair(path, "")
		}
		return
	}
	if e.style == Query && !f.Flat {
		path = join(path, f.Item)
	}
	for i := range v.Len() {
		e.value(f, f.Elem, v.Index(i), join(path, strconv.Itoa(i+1)))
	}
}

func (e *encoder) entries(f *wire.Field, v reflect.Value, path string) {
	if v.Len() == 0 {
		if e.style == Query {
			e.pair(path, "")
		}
		return
	}
	if e.style == Query && !f.Flat {
		path = join(path, "entry")
	}
	keys := make(map[string]reflect.Value, v.Len())
	for it := v.MapRange(); it.Next(); {
		keys[it.Key().String()] = it.Value()
	}
	for i, k := range slices.Sorted(maps.Keys(keys)) {
		at := join(path, strconv.Itoa(i+1))
		e.pair(join(at, f.Key), k)
		e.value(f, f.Elem, keys[k], join(at, f.Val))
	}
}
