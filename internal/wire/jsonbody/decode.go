// Package jsonbody reads and writes the JSON of AWS's protocols: structures by their plans.
package jsonbody

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/b64"
)

// maxItems bounds the elements of one list or map.
const maxItems = 100_000

type decoder struct {
	dec  *jsontext.Decoder
	buf  *bytes.Buffer
	body []byte
}

func newDecoder() *decoder {
	buf := new(bytes.Buffer)
	return &decoder{dec: jsontext.NewDecoder(buf), buf: buf}
}

// Decoders read bodies. The zero Decoders is ready. Safe for concurrent use.
type Decoders struct{ pool sync.Pool }

// Decode reads one object into a structure. An empty body is an empty object, null is an absent
// member, members without a meaning are ignored; everything else that is not what the model says
// is a SerializationException. Nothing decoded shares memory with the body.
func (p *Decoders) Decode(body []byte, s *wire.Struct, v reflect.Value) error {
	if q := (quick{body}); q.object(s, v) {
		return nil
	}
	d, ok := p.pool.Get().(*decoder)
	if !ok {
		d = newDecoder()
	}
	defer func() {
		d.reset(nil) // keeps no reference to the body, which may hold a plaintext
		p.pool.Put(d)
	}()
	d.reset(body)
	return d.document(s, v)
}

// document reads one object, or null or nothing, and then the end of the body.
func (d *decoder) document(s *wire.Struct, v reflect.Value) error {
	if len(bytes.TrimLeft(d.body, " \t\r\n")) == 0 {
		return nil
	}
	var err error
	switch d.dec.PeekKind() {
	case '{':
		err = d.object(s, v)
	case 'n':
		_, err = d.dec.ReadToken()
		err = d.syntax(err)
	case '[':
		return serialization("Start of list found where not expected")
	case '"', '0', 't', 'f':
		return serialization("Unexpected field type")
	default:
		_, err = d.dec.ReadToken()
		return d.syntax(err)
	}
	if err != nil {
		return err
	}
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return serialization("The request has text after the end of its body")
	}
	return nil
}

// reset makes the decoder read a body. jsontext reads a bytes.Buffer in place, without a copy.
func (d *decoder) reset(body []byte) {
	d.body = body
	*d.buf = *bytes.NewBuffer(body)
	d.dec.Reset(d.buf)
}

func serialization(message string) error { return apierr.New("SerializationException", message) }

// syntax turns jsontext's error into AWS's. It names the place, never the text found there.
func (d *decoder) syntax(err error) error {
	if err == nil {
		return nil
	}
	what := "is not valid JSON"
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = "has a duplicate member"
	case errors.Is(err, jsontext.ErrNonStringName):
		what = "has a member name that is not a string"
	}
	at := d.dec.InputOffset()
	if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = se.ByteOffset
	}
	return serialization(fmt.Sprintf("The request %s near byte %d", what, at))
}

// mismatch is a value of the wrong JSON type.
func mismatch(kind jsontext.Kind, n *wire.Node) error {
	switch n.Kind {
	case wire.List:
		return serialization("Expected list or null")
	case wire.Map:
		return serialization("Expected map or null")
	case wire.Structure:
		return serialization("Unexpected field type")
	}
	switch kind {
	case '{':
		return serialization("Start of structure or map found where not expected")
	case '[':
		return serialization("Start of list found where not expected")
	}
	return Mismatch(tokenName(kind), n)
}

// Mismatch is the error for a value of a kind, such as "STRING_VALUE", that the node cannot take.
func Mismatch(kind string, n *wire.Node) error {
	return serialization(kind + " can not be converted to " + targetName(n))
}

func tokenName(kind jsontext.Kind) string {
	switch kind {
	case '"':
		return "STRING_VALUE"
	case '0':
		return "NUMBER_VALUE"
	case 't':
		return "TRUE_VALUE"
	case 'f':
		return "FALSE_VALUE"
	}
	return "VALUE_NULL"
}

func targetName(n *wire.Node) string {
	switch n.Kind {
	case wire.String:
		return "a String"
	case wire.Int:
		if n.Type.Bits() == 64 {
			return "a Long"
		}
		return "an Integer"
	case wire.Float:
		return "a Double"
	case wire.Bool:
		return "Boolean"
	case wire.Blob:
		return "a Blob"
	}
	return "milliseconds since epoch"
}

func (d *decoder) object(s *wire.Struct, v reflect.Value) error {
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	for d.dec.PeekKind() != '}' {
		raw, err := d.dec.ReadValue() // the name
		if err != nil {
			return d.syntax(err)
		}
		f := s.Named(unquoted(raw))
		if f == nil {
			if err := d.dec.SkipValue(); err != nil {
				return d.syntax(err)
			}
			continue
		}
		if d.dec.PeekKind() == 'n' {
			if _, err := d.dec.ReadToken(); err != nil {
				return d.syntax(err)
			}
			continue
		}
		if err := d.value(f, f.Node, v.Field(f.Index)); err != nil {
			return err
		}
	}
	_, err := d.dec.ReadToken()
	return d.syntax(err)
}

// unquoted is the text of a valid JSON string, without a copy if it has no escapes.
func unquoted(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return nil // cannot be: the decoder has validated it
	}
	return out
}

// value reads a value that is not null.
func (d *decoder) value(f *wire.Field, n *wire.Node, v reflect.Value) error {
	kind := d.dec.PeekKind()
	if kind == jsontext.KindInvalid {
		_, err := d.dec.ReadToken()
		return d.syntax(err)
	}
	if kind == 'n' {
		return serialization("null found where not expected")
	}
	switch {
	case n.Kind == wire.Structure && kind == '{':
		return d.object(n.Struct, n.Make(v))
	case n.Kind == wire.List && kind == '[':
		return d.list(f, n, v)
	case n.Kind == wire.Map && kind == '{':
		return d.entries(f, n, v)
	case n.Kind == wire.Structure || n.Kind == wire.List || n.Kind == wire.Map || kind == '{' || kind == '[':
		return mismatch(kind, n)
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		return d.syntax(err)
	}
	return scalar(f, n, n.Make(v), kind, raw)
}

func scalar(f *wire.Field, n *wire.Node, v reflect.Value, kind jsontext.Kind, raw []byte) error {
	switch {
	case n.Kind == wire.String && kind == '"':
		v.SetString(string(unquoted(raw)))
		return nil
	case n.Kind == wire.Bool && (kind == 't' || kind == 'f'):
		v.SetBool(kind == 't')
		return nil
	case n.Kind == wire.Blob && kind == '"':
		text := unquoted(raw)
		b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		size, err := b64.Decode(b, text)
		if err != nil {
			clear(b)
			return serialization("The value of " + f.Path + " is not valid base64")
		}
		v.SetBytes(b[:size:size])
		return nil
	case n.Kind == wire.Int && kind == '0':
		if i, err := strconv.ParseInt(string(raw), 10, n.Type.Bits()); err == nil {
			v.SetInt(i)
			return nil
		}
	case n.Kind == wire.Float && kind == '0':
		if x, err := strconv.ParseFloat(string(raw), 64); err == nil {
			v.SetFloat(x)
			return nil
		}
	case n.Kind == wire.Float && kind == '"':
		if x, ok := special(string(unquoted(raw))); ok {
			v.SetFloat(x)
			return nil
		}
	case n.Kind == wire.Time && (kind == '0') == f.Epoch && (kind == '"') == !f.Epoch:
		if err := f.Parse(n, v, string(bytes.Trim(raw, `"`))); err == nil {
			return nil
		}
	}
	return mismatch(kind, n)
}

func special(s string) (float64, bool) {
	switch s {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

func (d *decoder) list(f *wire.Field, n *wire.Node, v reflect.Value) error {
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	list := reflect.MakeSlice(n.Type, 0, 4)
	for i := 0; d.dec.PeekKind() != ']'; i++ {
		if i >= maxItems {
			return serialization("The request has a list that is too long")
		}
		list = reflect.Append(list, reflect.Zero(n.Type.Elem()))
		if err := d.value(f, n.Elem, list.Index(i)); err != nil {
			return err
		}
	}
	v.Set(list)
	_, err := d.dec.ReadToken()
	return d.syntax(err)
}

func (d *decoder) entries(f *wire.Field, n *wire.Node, v reflect.Value) error {
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	m := reflect.MakeMap(n.Type)
	plain, _ := m.Interface().(map[string]string) // by far the most common: no reflection
	elem := reflect.New(n.Type.Elem()).Elem()
	for i := 0; d.dec.PeekKind() != '}'; i++ {
		if i >= maxItems {
			return serialization("The request has a map that is too long")
		}
		raw, err := d.dec.ReadValue()
		if err != nil {
			return d.syntax(err)
		}
		key := string(unquoted(raw))
		elem.SetZero()
		if err := d.value(f, n.Elem, elem); err != nil {
			return err
		}
		if plain != nil {
			plain[key] = elem.String()
		} else {
			m.SetMapIndex(reflect.ValueOf(key), elem)
		}
	}
	v.Set(m)
	_, err := d.dec.ReadToken()
	return d.syntax(err)
}
