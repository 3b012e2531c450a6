package actions_test

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// in are the members of a request, by name.
type in map[string]any

// A caller calls services as somebody, by the names of their members.
type caller struct {
	t       *testing.T
	clients map[string]*client.Client
}

func newCaller(t *testing.T, s *testkit.Server, creds sigv4.Credentials) caller {
	c := caller{t, map[string]*client.Client{}}
	for _, svc := range services() {
		cl, err := client.New(s.URL, testkit.Region, creds, svc)
		if err != nil {
			t.Fatal(err)
		}
		c.clients[svc.Name] = cl
	}
	return c
}

func (c caller) try(operation string, members in) (answer, error) {
	c.t.Helper()
	service, name, _ := strings.Cut(operation, ":")
	cl := c.clients[service]
	op, ok := serviceNamed(service).Operations[name]
	if !ok {
		c.t.Fatalf("%s is not implemented", operation)
	}
	req := op.NewInput()
	fill(c.t, operation, reflect.ValueOf(req).Elem(), members)
	var out any
	if op.NewOutput != nil {
		out = op.NewOutput()
	}
	return answer{c.t, operation, out}, cl.Do(c.t.Context(), name, req, out)
}

// do makes a request that must succeed.
func (c caller) do(operation string, members in) answer {
	c.t.Helper()
	out, err := c.try(operation, members)
	if err != nil {
		c.t.Fatalf("%s: %v", operation, err)
	}
	return out
}

// refused makes a request that is decided and then refused with a code.
func (c caller) refused(operation, code string, members in) {
	c.t.Helper()
	_, err := c.try(operation, members)
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Code != code {
		c.t.Fatalf("%s: %v, want %s", operation, err, code)
	}
}

func serviceNamed(name string) *api.Service {
	for _, s := range services() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// fill sets the fields of a request; a text serves for any scalar, and for a list of one.
func fill(t *testing.T, operation string, v reflect.Value, members in) {
	t.Helper()
	for name, value := range members {
		f := v.FieldByName(name)
		if !f.IsValid() {
			t.Fatalf("%s has no member %s", operation, name)
		}
		set(t, operation+" "+name, f, value)
	}
}

func set(t *testing.T, what string, f reflect.Value, value any) {
	t.Helper()
	switch v := value.(type) {
	case in:
		if f.Kind() == reflect.Pointer {
			f.Set(reflect.New(f.Type().Elem()))
			f = f.Elem()
		}
		if f.Kind() == reflect.Map {
			f.Set(reflect.MakeMap(f.Type()))
			for k, e := range v {
				f.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(e).Convert(f.Type().Elem()))
			}
			return
		}
		fill(t, what, f, v)
	case []in:
		f.Set(reflect.MakeSlice(f.Type(), len(v), len(v)))
		for i := range v {
			set(t, what, f.Index(i), v[i])
		}
	case []string:
		f.Set(reflect.ValueOf(v).Convert(f.Type()))
	case string:
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String {
			f.Set(reflect.ValueOf([]string{v}).Convert(f.Type()))
			return
		}
		scalar(t, what, f, reflect.ValueOf(v))
	default:
		scalar(t, what, f, reflect.ValueOf(v))
	}
}

func scalar(t *testing.T, what string, f, v reflect.Value) {
	t.Helper()
	typ := f.Type()
	if typ.Kind() == reflect.Pointer {
		p := reflect.New(typ.Elem())
		f.Set(p)
		f, typ = p.Elem(), typ.Elem()
	}
	if s, ok := v.Interface().(string); ok && typ.Kind() != reflect.String && typ.Kind() != reflect.Slice {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("%s: %q does not fit %s", what, s, typ)
		}
		v = reflect.ValueOf(n)
	}
	if !v.CanConvert(typ) {
		t.Fatalf("%s: %s does not fit %s", what, v.Type(), typ)
	}
	f.Set(v.Convert(typ))
}

// An answer is the output of an operation.
type answer struct {
	t         *testing.T
	operation string
	out       any
}

// value follows a path of names and places in lists: "Reservations.0.InstanceId".
func (a answer) value(path string) reflect.Value {
	a.t.Helper()
	v := reflect.ValueOf(a.out)
	for step := range strings.SplitSeq(path, ".") {
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if i, err := strconv.Atoi(step); err == nil && v.Kind() == reflect.Slice {
			if i >= v.Len() {
				a.t.Fatalf("%s answered %s: only %d", a.operation, path, v.Len())
			}
			v = v.Index(i)
		} else if v.Kind() == reflect.Struct {
			v = v.FieldByName(step)
		}
		if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
			a.t.Fatalf("%s answered without %s (at %s): %+v", a.operation, path, step, a.out)
		}
	}
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

func (a answer) str(path string) string { a.t.Helper(); return a.value(path).String() }

func (a answer) bytes(path string) []byte { a.t.Helper(); return a.value(path).Bytes() }
