// Package awsquery is the protocol of IAM, STS and EC2 Auto Scaling: form parameters in, XML
// out.
package awsquery

import (
	"fmt"
	"net/http"

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
	if svc.Protocol != api.Query {
		return nil, fmt.Errorf("awsquery: %s does not speak this protocol", svc.Name)
	}
	t, err := wire.TableOf(svc)
	return &Codec{t}, err
}

// Table holds the service's plans.
func (c *Codec) Table() *wire.Table { return c.table }

// ContentType of answers.
func (c *Codec) ContentType() string { return "text/xml" }

// DecodeRequest reads the parameters of an operation, from a body or a query string. Constraints
// are not checked yet.
func (c *Codec) DecodeRequest(op *api.Operation, body []byte) (any, error) {
	in := op.NewInput()
	s, v, err := c.table.Of(in)
	if err != nil {
		return nil, err
	}
	if err := form.Decode(body, form.Query, s, v); err != nil {
		return nil, err
	}
	return in, nil
}

// EncodeResponse writes an answer. out is ignored for operations without output, and nil is an
// empty answer.
func (c *Codec) EncodeResponse(op *api.Operation, out any, requestID string) ([]byte, error) {
	root := op.Name + "Response"
	b := append(make([]byte, 0, 1024), "<"...)
	b = append(b, root...)
	b = append(b, ` xmlns="`...)
	b = xmltext.Escape(b, c.table.Service().Namespace)
	b = append(b, `">`...)
	if op.NewOutput != nil {
		if op.ResultWrapper != "" {
			b = xmltext.Open(b, op.ResultWrapper)
		}
		if out != nil {
			s, v, err := c.table.Of(out)
			if err != nil {
				return nil, err
			}
			b = xmltext.Style{}.Structure(b, s, wire.WithLists(op, v))
		}
		if op.ResultWrapper != "" {
			b = xmltext.Close(b, op.ResultWrapper)
		}
	}
	b = xmltext.Open(b, "ResponseMetadata")
	b = xmltext.Leaf(b, "RequestId", requestID)
	b = xmltext.Close(b, "ResponseMetadata")
	return xmltext.Close(b, root), nil
}

// EncodeError writes an error.
func (c *Codec) EncodeError(f wire.Fault, requestID string) []byte {
	return EncodeError(c.table.Service().Namespace, f, requestID)
}

// EncodeError writes an error of a service with the given XML namespace, or of none.
func EncodeError(namespace string, f wire.Fault, requestID string) []byte {
	b := append(make([]byte, 0, 512), "<ErrorResponse"...)
	if namespace != "" {
		b = append(b, ` xmlns="`...)
		b = xmltext.Escape(b, namespace)
		b = append(b, '"')
	}
	b = append(b, "><Error>"...)
	blame := "Sender"
	if f.Server {
		blame = "Receiver"
	}
	b = xmltext.Leaf(b, "Type", blame)
	b = xmltext.Leaf(b, "Code", f.Code)
	b = xmltext.Leaf(b, "Message", f.Message)
	b = append(b, "</Error>"...)
	b = xmltext.Leaf(b, "RequestId", requestID)
	return append(b, "</ErrorResponse>"...)
}

// EncodeRequest writes a request's form body.
func (c *Codec) EncodeRequest(op *api.Operation, in any) ([]byte, http.Header, error) {
	s, v, err := c.table.Of(in)
	if err != nil {
		return nil, nil, err
	}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	return form.Encode(c.table.Service(), op.Name, form.Query, s, v), h, nil
}

// DecodeResponse reads an answer into out, a pointer to the operation's output; nil skips it.
func (c *Codec) DecodeResponse(op *api.Operation, body []byte, out any) error {
	root, err := xmltext.Parse(body)
	if err != nil || out == nil || op.NewOutput == nil {
		return err
	}
	if op.ResultWrapper != "" {
		if root = root.Child(op.ResultWrapper); root == nil {
			return fmt.Errorf("awsquery: the answer to %s has no %s", op.Name, op.ResultWrapper)
		}
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
		if x := root.Child("Error"); x != nil {
			e.Code, e.Message = x.ChildText("Code"), x.ChildText("Message")
		}
	}
	return e
}
