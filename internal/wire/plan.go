// Package wire turns the generated request and response types into bytes and back.
//
// A [Table] compiles one service's types, once per Go type, into plans: which member has which
// name, kind and constraint. The codecs below this package (awsjson, awsquery, ec2query, restjson) walk
// those plans; they hold no knowledge of any operation. The package also checks the model's
// constraints and resolves errors to codes and statuses, both with AWS's texts.
//
// Members of type secret.Bytes and secret.String are written in clear: the wire is where they
// are meant to go. No error text made here quotes a sensitive member or a blob.
package wire

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/secret"
)

// A Kind is the shape of a value.
type Kind uint8

// Kinds of values. Integers, floats, booleans, strings and times are scalars.
const (
	Structure Kind = iota + 1
	List
	Map
	String
	Blob
	Bool
	Int
	Float
	Time
)

// A Node is the plan of one Go type.
type Node struct {
	Kind   Kind
	Type   reflect.Type // without the pointer
	Ptr    bool         // values are pointers to Type; nil is absent
	Secret bool
	Struct *Struct // of a Structure
	Elem   *Node   // of a List or Map
}

// Absent reports whether v holds nothing: a nil pointer, slice or map.
func (n *Node) Absent(v reflect.Value) bool {
	if n.Ptr || n.Kind == List || n.Kind == Map || n.Kind == Blob {
		return v.IsNil()
	}
	return false
}

// Get is the value behind v's pointer, if the node has one. v is not absent.
func (n *Node) Get(v reflect.Value) reflect.Value {
	if n.Ptr {
		return v.Elem()
	}
	return v
}

// Make allocates what v needs to be set and returns the place to set.
func (n *Node) Make(v reflect.Value) reflect.Value {
	if !n.Ptr {
		return v
	}
	p := reflect.New(n.Type)
	v.Set(p)
	return p.Elem()
}

// A Struct is the plan of a structure. Fields stand in the order of the model.
type Struct struct {
	Type   reflect.Type
	Fields []Field
	byName map[string]*Field // of the body
}

// Named finds a member by its wire name, or nil. The bytes are not kept.
func (s *Struct) Named(name []byte) *Field { return s.byName[string(name)] }

// A Field is the plan of a member.
type Field struct {
	*Node
	Index    int
	Name     string // wire name
	Query    string // in ec2Query requests
	XML      string // in XML answers
	Item     string // list members in XML and query
	Key, Val string // map entries
	Path     string // in validation texts
	JSON     string // `"Name":`
	Flat     bool
	Required bool
	Token    bool // idempotency token
	Epoch    bool // a timestamp goes as seconds since 1970 instead of ISO 8601
	Place    Place

	rule, elem, key, val *Rule
}

// A Place is where a member stands in a message of a REST protocol. It has a meaning for members of
// an operation's own input and output only.
type Place uint8

// Places. Members of other protocols are all in the body.
const (
	Body Place = iota
	Label
	Query
	Header
	Payload // the member alone is the body
)

var places = map[string]Place{"uri": Label, "querystring": Query, "header": Header, "payload": Payload}

// WithLists is the answer v of an operation with the lists that it is about, empty if the answer has
// none: AWS writes the element of a list without items, and clients count on it.
func WithLists(op *api.Operation, v reflect.Value) reflect.Value {
	out, copied := v, false
	for _, name := range listsOf(op, v.Type()) {
		f := v.FieldByName(name)
		if !f.IsValid() || f.Kind() != reflect.Slice || !f.IsNil() {
			continue
		}
		if !copied { // v itself is the caller's
			out, copied = reflect.New(v.Type()).Elem(), true
			out.Set(v)
		}
		out.FieldByName(name).Set(reflect.MakeSlice(f.Type(), 0, 0))
	}
	return out
}

// listsOf names the lists that an operation is about: those that it pages or, where the model does not say, the only
// list of an answer that tells something. An answer with several lists, like that of DescribeImageAttribute, has what
// was asked for. Of changes of many things at once it is what was done and what was not.
func listsOf(op *api.Operation, answer reflect.Type) []string {
	if op.Pager != nil {
		return op.Pager.Results
	}
	var lists, done []string
	for f := range answer.Fields() {
		if f.Type.Kind() != reflect.Slice || f.Type.Elem().Kind() == reflect.Uint8 {
			continue
		}
		lists = append(lists, f.Name)
		if strings.HasPrefix(f.Name, "Successful") || strings.HasPrefix(f.Name, "Unsuccessful") {
			done = append(done, f.Name)
		}
	}
	if op.ReadOnly && len(lists) == 1 {
		return lists
	}
	return done
}

// A Table holds the compiled plans of one service. Safe for concurrent use.
type Table struct {
	svc   *api.Service
	rules map[string]*Rule
	codes map[string]code
	plans sync.Map   // reflect.Type → *Struct, whole ones
	mu    sync.Mutex // of who compiles

	checkers sync.Pool // of *checker that found nothing
}

// tables has what TableOf made, by *api.Service.
var tables sync.Map

// TableOf holds the plans of a service, which are made once for each description: processes have many clients and
// servers of few services.
func TableOf(svc *api.Service) (*Table, error) {
	made, _ := tables.LoadOrStore(svc, sync.OnceValues(func() (*Table, error) { return newTable(svc) }))
	return made.(func() (*Table, error))()
}

// newTable compiles the service's constraints and the types of its requests. Types of answers
// are compiled when first seen. It fails on tags it does not know, on types that no protocol
// carries and on patterns that cannot be translated, so a bad model cannot be served.
func newTable(svc *api.Service) (*Table, error) {
	t := &Table{svc: svc, rules: map[string]*Rule{}, codes: codesOf(svc)}
	for name, c := range svc.Constraints {
		r, err := newRule(c)
		if err != nil {
			return nil, fmt.Errorf("wire: %s constraint %s: %w", svc.Name, name, err)
		}
		t.rules[name] = r
	}
	c := compiler{table: t, made: map[reflect.Type]*Struct{}}
	for name, op := range svc.Operations {
		if _, err := c.structure(reflect.TypeOf(op.NewInput()).Elem()); err != nil {
			return nil, fmt.Errorf("wire: %s %s: %w", svc.Name, name, err)
		}
	}
	c.publish()
	return t, nil
}

// Service is the description that the table was made from.
func (t *Table) Service() *api.Service { return t.svc }

// Of opens a pointer to a generated structure: its plan and the structure itself.
func (t *Table) Of(ptr any) (*Struct, reflect.Value, error) {
	v := reflect.ValueOf(ptr)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem().Kind() != reflect.Struct {
		return nil, reflect.Value{}, fmt.Errorf("wire: %T is not a pointer to a structure", ptr)
	}
	s, err := t.Struct(v.Type().Elem())
	return s, v.Elem(), err
}

// Struct is the plan of a structure type.
func (t *Table) Struct(typ reflect.Type) (*Struct, error) {
	if s, ok := t.plans.Load(typ); ok {
		return s.(*Struct), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := compiler{table: t, made: map[reflect.Type]*Struct{}}
	s, err := c.structure(typ)
	if err != nil {
		return nil, err
	}
	c.publish()
	return s, nil
}

// A compiler makes plans that the table does not have yet.
type compiler struct {
	table *Table
	made  map[reflect.Type]*Struct
}

// publish shows the plans when all are whole: one may refer to itself.
func (c *compiler) publish() {
	for typ, s := range c.made {
		c.table.plans.Store(typ, s)
	}
}

func (c *compiler) structure(typ reflect.Type) (*Struct, error) {
	if s, ok := c.made[typ]; ok {
		return s, nil
	}
	if s, ok := c.table.plans.Load(typ); ok {
		return s.(*Struct), nil
	}
	s := &Struct{Type: typ, Fields: make([]Field, 0, typ.NumField()), byName: make(map[string]*Field, typ.NumField())}
	c.made[typ] = s
	for i := range typ.NumField() {
		sf := typ.Field(i)
		f, err := c.field(sf)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", typ.Name(), sf.Name, err)
		}
		f.Index = i
		s.Fields = append(s.Fields, f)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Place != Body {
			continue
		}
		if s.byName[f.Name] != nil {
			return nil, fmt.Errorf("%s: two members named %s", typ.Name(), f.Name)
		}
		s.byName[f.Name] = f
	}
	return s, nil
}

func (c *compiler) field(sf reflect.StructField) (Field, error) {
	tag, ok := sf.Tag.Lookup("aws")
	if !ok {
		return Field{}, fmt.Errorf("no aws tag")
	}
	parts := strings.Split(tag, ",")
	ec2 := c.table.svc.Protocol == api.EC2
	f := Field{
		Name: parts[0], Query: parts[0], XML: parts[0], Path: lowerCamel(parts[0]),
		JSON: `"` + parts[0] + `":`, Item: "member", Key: "key", Val: "value",
		Epoch: c.table.svc.Protocol.JSON(),
	}
	if ec2 {
		f.Item = "item"
	}
	for _, p := range parts[1:] {
		if err := c.option(&f, p); err != nil {
			return Field{}, err
		}
	}
	if f.Place != Body {
		f.Path = lowerCamel(sf.Name) // the text of a violation has the member's name, not the header's
	}
	n, err := c.node(sf.Type)
	f.Node = n
	return f, err
}

func (c *compiler) option(f *Field, opt string) error {
	name, value, _ := strings.Cut(opt, "=")
	rule := func(dst **Rule) error {
		r, ok := c.table.rules[value]
		if !ok {
			return fmt.Errorf("no constraint %s", value)
		}
		*dst = r
		return nil
	}
	switch name {
	case "q":
		f.Query = value
	case "x":
		f.XML = value
	case "item":
		f.Item = value
	case "key":
		f.Key = value
	case "val":
		f.Val = value
	case "flat":
		f.Flat = true
	case "req":
		f.Required = true
	case "tok":
		f.Token = true
	case "loc":
		place, ok := places[value]
		if !ok {
			return fmt.Errorf("location %s", value)
		}
		f.Place = place
	case "c":
		return rule(&f.rule)
	case "e":
		return rule(&f.elem)
	case "k":
		return rule(&f.key)
	case "v":
		return rule(&f.val)
	case "ts":
		switch value {
		case "iso8601":
			f.Epoch = false
		case "unixTimestamp":
			f.Epoch = true
		default:
			return fmt.Errorf("timestamp format %s", value)
		}
	default:
		return fmt.Errorf("tag option %q", opt)
	}
	return nil
}

var (
	timeType         = reflect.TypeFor[time.Time]()
	secretStringType = reflect.TypeFor[secret.String]()
	secretBytesType  = reflect.TypeFor[secret.Bytes]()
)

func (c *compiler) node(typ reflect.Type) (*Node, error) {
	n := &Node{Type: typ}
	if typ.Kind() == reflect.Pointer {
		n.Ptr, n.Type = true, typ.Elem()
	}
	n.Secret = n.Type == secretStringType || n.Type == secretBytesType
	var err error
	switch k := n.Type.Kind(); {
	case n.Type == timeType:
		n.Kind = Time
	case k == reflect.Struct:
		n.Kind = Structure
		n.Struct, err = c.structure(n.Type)
	case k == reflect.Slice && n.Type.Elem().Kind() == reflect.Uint8:
		n.Kind = Blob
	case k == reflect.Slice:
		n.Kind = List
		n.Elem, err = c.node(n.Type.Elem())
	case k == reflect.Map && n.Type.Key().Kind() == reflect.String:
		n.Kind = Map
		n.Elem, err = c.node(n.Type.Elem())
	case k == reflect.String:
		n.Kind = String
	case k == reflect.Bool:
		n.Kind = Bool
	case k == reflect.Int32 || k == reflect.Int64:
		n.Kind = Int
	case k == reflect.Float64:
		n.Kind = Float
	default:
		err = fmt.Errorf("type %s", typ)
	}
	if err == nil && n.Elem != nil && n.Elem.Elem != nil && !c.table.svc.Protocol.JSON() {
		err = fmt.Errorf("type %s: lists of lists are for JSON only", typ)
	}
	return n, err
}

// lowerCamel is a member's name in validation texts: "KeyId" is "keyId".
func lowerCamel(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToLower(name[:1]) + name[1:]
}
