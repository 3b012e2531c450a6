package restjson

import (
	"bytes"
	"net/http"
	"net/url"
	"reflect"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
)

// DecodeRequest reads an operation's input; labels are those that [Codec.Route] found. What is
// not what the model says is a SerializationException. Constraints are not checked yet. Nothing
// decoded shares memory with the body.
func (c *Codec) DecodeRequest(op *api.Operation, labels map[string]string, r Request) (any, error) {
	in := op.NewInput()
	s, v, err := c.table.Of(in)
	if err != nil {
		return nil, err
	}
	q, err := url.ParseQuery(r.Query)
	if err != nil {
		return nil, apierr.New("SerializationException", "The query string cannot be read.")
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		switch f.Place {
		case wire.Label:
			err = parse(f, f.Node, v.Field(f.Index), labels[f.Name])
		case wire.Query:
			err = parameter(f, v.Field(f.Index), q[f.Name])
		}
		if err != nil {
			return nil, err
		}
	}
	if err := headers(s, v, r.Header); err != nil {
		return nil, err
	}
	if err := c.body(s, v, r.Body); err != nil {
		return nil, err
	}
	return in, nil
}

// parameter reads a member from the query string. One that may be there once must not be there
// twice: a proxy in front may have read the other.
func parameter(f *wire.Field, v reflect.Value, values []string) error {
	switch {
	case len(values) == 0:
		return nil
	case f.Kind == wire.List:
		list := reflect.MakeSlice(f.Type, len(values), len(values))
		for i, s := range values {
			if err := parse(f, f.Elem, list.Index(i), s); err != nil {
				return err
			}
		}
		v.Set(list)
		return nil
	case len(values) > 1:
		return apierr.New("SerializationException", "The query parameter "+f.Name+" is there more than once.")
	}
	return parse(f, f.Node, v, values[0])
}

// headers reads the members that stand in headers.
func headers(s *wire.Struct, v reflect.Value, h http.Header) error {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Place != wire.Header {
			continue
		}
		values := h.Values(f.Name)
		if len(values) > 1 {
			return apierr.New("SerializationException", "The header "+f.Name+" is there more than once.")
		}
		if len(values) == 1 {
			if err := parse(f, f.Node, v.Field(f.Index), values[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// body reads the members of the body, or the member that is the body.
func (c *Codec) body(s *wire.Struct, v reflect.Value, body []byte) error {
	inBody := false
	for i := range s.Fields {
		f := &s.Fields[i]
		switch f.Place {
		case wire.Payload:
			if len(body) > 0 {
				f.Make(v.Field(f.Index)).SetBytes(bytes.Clone(body))
			}
			return nil
		case wire.Body:
			inBody = true
		}
	}
	if !inBody {
		return nil
	}
	return c.decoders.Decode(body, s, v)
}
