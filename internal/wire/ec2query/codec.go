// Package ec2query is EC2's protocol: form parameters in, XML out, both with names of their own.
package ec2query

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/form"
	"github.com/kagimori/kagimori/internal/wire/xmltext"
)

// A Codec speaks for one service, in both directions. Safe for concurrent use.
type Codec struct{ table *wire.Table }

// New compiles the service's types and constraints.
func New(svc *api.Service) (*Codec, error) {
	if svc.Protocol != api.EC2 {
		return nil, fmt.Errorf("ec2query: %s does not speak this protocol", svc.Name)
	}
	t, err := wire.TableOf(svc)
	return &Codec{t}, err
}

// Table holds the service's plans.
func (c *Codec) Table() *wire.Table { return c.table }

// ContentType of answers.
func (c *Codec) ContentType() string { return "text/xml;charset=UTF-8" }

// DecodeRequest reads the parameters of an operation, from a body or a query string. Unknown
// parameters are refused. Constraints are not checked yet.
func (c *Codec) DecodeRequest(op *api.Operation, body []byte) (any, error) {
	in := op.NewInput()
	s, v, err := c.table.Of(in)
	if err != nil {
		return nil, err
	}
	if err := form.Decode(body, form.EC2, s, v); err != nil {
		return nil, err
	}
	return in, nil
}

// EncodeResponse writes an answer; operations without output answer <return>true</return>.
func (c *Codec) EncodeResponse(op *api.Operation, out any, requestID string) ([]byte, error) {
	root := op.Name + "Response"
	b := append(make([]byte, 0, 1024), `<?xml version="1.0" encoding="UTF-8"?>`+"\n<"...)
	b = append(b, root...)
	b = append(b, ` xmlns="`...)
	b = xmltext.Escape(b, strings.TrimSuffix(c.table.Service().Namespace, "/"))
	b = append(b, `/">`...)
	b = xmltext.Leaf(b, "requestId", requestID)
	switch {
	case op.NewOutput == nil:
		b = xmltext.Leaf(b, "return", "true")
	case out != nil:
		s, v, err := c.table.Of(out)
		if err != nil {
			return nil, err
		}
		b = xmltext.Style{Millis: true}.Structure(b, s, wire.WithLists(op, v))
	}
	return xmltext.Close(b, root), nil
}

// EncodeError writes an error.
func (c *Codec) EncodeError(f wire.Fault, requestID string) []byte {
	return EncodeError(f, requestID)
}

// EncodeError writes an error as EC2 does.
func EncodeError(f wire.Fault, requestID string) []byte {
	b := append(make([]byte, 0, 512), `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Response><Errors><Error>"...)
	b = xmltext.Leaf(b, "Code", f.Code)
	b = xmltext.Leaf(b, "Message", f.Message)
	b = append(b, "</Error></Errors>"...)
	b = xmltext.Leaf(b, "RequestID", requestID)
	return append(b, "</Response>"...)
}

// EncodeRequest writes a request's form body.
func (c *Codec) EncodeRequest(op *api.Operation, in any) ([]byte, http.Header, error) {
	s, v, err := c.table.Of(in)
	if err != nil {
		return nil, nil, err
	}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	return form.Encode(c.table.Service(), op.Name, form.EC2, s, v), h, nil
}

// DecodeResponse reads an answer into out, a pointer to the operation's output; nil skips it.
func (c *Codec) DecodeResponse(op *api.Operation, body []byte, out any) error {
	root, err := xmltext.Parse(body)
	if err != nil || out == nil || op.NewOutput == nil {
		return err
	}
	s, v, err := c.table.Of(out)
	if err != nil {
		return err
	}
	return xmltext.Decode(root, s, v)
}

// DecodeError reads an error's body.
func (c *Codec) DecodeError(status int, body []byte) *apierr.Error {
	e := &apierr.Error{Code: "UnknownError", Status: status, Server: status >= 500}
	if root, err := xmltext.Parse(body); err == nil {
		if x := root.Child("Errors").Child("Error"); x != nil {
			e.Code, e.Message = x.ChildText("Code"), x.ChildText("Message")
		}
	}
	return e
}
