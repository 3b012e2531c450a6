// Package restjson is AWS REST JSON 1, the protocol of EBS direct and IAM Access Analyzer: an
// operation has a method and a path, and members of its messages stand in the path, the query
// string, headers, a JSON body, or are the whole body.
//
// Source: Smithy specification, "AWS restJson1 protocol" and "HTTP bindings".
package restjson

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/jsonbody"
)

// Media types of bodies: JSON, and a member that is the body.
const (
	MediaType = "application/json"
	BlobType  = "application/octet-stream"
)

// ErrorType is the header with the code of an error.
const ErrorType = "X-Amzn-Errortype"

// A Request is a request as far as the protocol uses it.
type Request struct {
	Method string
	Path   string // escaped
	Query  string // escaped, without the parameters of a signature
	Header http.Header
	Body   []byte
}

// URL is path and query.
func (r *Request) URL() string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

// A Response is an answer that is no error.
type Response struct {
	Status int
	Header http.Header // with Content-Type
	Body   []byte
}

// A Codec speaks for one service, in both directions. Safe for concurrent use.
type Codec struct {
	table    *wire.Table
	routes   []route
	decoders jsonbody.Decoders
}

// New compiles the service's types, constraints and paths.
func New(svc *api.Service) (*Codec, error) {
	if svc.Protocol != api.RESTJSON {
		return nil, fmt.Errorf("restjson: %s does not speak this protocol", svc.Name)
	}
	t, err := wire.TableOf(svc)
	if err != nil {
		return nil, err
	}
	c := &Codec{table: t}
	for name, op := range svc.Operations {
		for _, make := range []func() any{op.NewInput, op.NewOutput} {
			if make == nil {
				continue
			}
			s, _, err := t.Of(make())
			if err == nil {
				err = placeable(s)
			}
			if err != nil {
				return nil, fmt.Errorf("restjson: %s %s: %w", svc.Name, name, err)
			}
		}
		if err := c.addRoute(op); err != nil {
			return nil, fmt.Errorf("restjson: %s %s: %w", svc.Name, name, err)
		}
	}
	return c, nil
}

// placeable reports what no place outside the body can carry here.
func placeable(s *wire.Struct) error {
	for i := range s.Fields {
		f := &s.Fields[i]
		n := f.Node
		if f.Place == wire.Query && n.Kind == wire.List {
			n = n.Elem
		}
		switch {
		case f.Place == wire.Body:
		case f.Place == wire.Payload && n.Kind == wire.Blob:
		case f.Place != wire.Payload && n.Kind >= wire.String && n.Kind != wire.Blob:
		default:
			return fmt.Errorf("member %s cannot stand where the model has it", f.Name)
		}
	}
	return nil
}

// Table holds the service's plans.
func (c *Codec) Table() *wire.Table { return c.table }

// ContentType of errors.
func (c *Codec) ContentType() string { return MediaType }

// EncodeResponse writes an answer; out is nil for an operation without output. The body is the
// caller's: it shares no memory with out.
func (c *Codec) EncodeResponse(op *api.Operation, out any) (Response, error) {
	r := Response{Status: op.HTTP.Status, Header: http.Header{}}
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	if op.NewOutput == nil {
		return r, nil
	}
	if out == nil {
		out = op.NewOutput()
	}
	s, v, err := c.table.Of(out)
	if err != nil {
		return r, err
	}
	m := message{header: r.Header}
	m.write(s, v)
	r.Body = m.body
	return r, nil
}

// EncodeError writes the body of an error: its message and details. The code is in the header
// [ErrorType].
func (c *Codec) EncodeError(f wire.Fault, _ string) []byte {
	return encodeError(f, c.table.Service().Errors[f.Code].Text)
}

// EncodeError writes the body of an error of any service of this protocol.
func EncodeError(f wire.Fault) []byte { return encodeError(f, "") }

func encodeError(f wire.Fault, name string) []byte {
	name = cmp.Or(name, "message")
	m := map[string]any{}
	maps.Copy(m, f.Details)
	m[name] = f.Message
	b, err := json.Marshal(m)
	if err != nil { // details that are not JSON
		b, _ = json.Marshal(map[string]string{name: f.Message})
	}
	return b
}

// EncodeRequest writes a request.
func (c *Codec) EncodeRequest(op *api.Operation, in any) (Request, error) {
	r := Request{Method: op.HTTP.Method, Header: http.Header{}}
	s, v, err := c.table.Of(in)
	if err != nil {
		return r, err
	}
	m := message{header: r.Header, query: url.Values{}}
	m.write(s, v)
	if !hasBody(s) {
		m.body = nil
		delete(r.Header, "Content-Type")
	}
	r.Body, r.Query = m.body, m.query.Encode()
	r.Path, err = c.path(op, s, v)
	return r, err
}

func hasBody(s *wire.Struct) bool {
	return slices.ContainsFunc(s.Fields, func(f wire.Field) bool { return f.Place == wire.Body || f.Place == wire.Payload })
}

// DecodeResponse reads an answer into out, a pointer to the operation's output; nil skips it.
func (c *Codec) DecodeResponse(op *api.Operation, r Response, out any) error {
	if out == nil || op.NewOutput == nil {
		return nil
	}
	s, v, err := c.table.Of(out)
	if err != nil {
		return err
	}
	if err := headers(s, v, r.Header); err != nil {
		return err
	}
	return c.body(s, v, r.Body)
}

// DecodeError reads an error.
func (c *Codec) DecodeError(status int, h http.Header, body []byte) *apierr.Error {
	return jsonbody.DecodeError(status, h.Get(ErrorType), body)
}
