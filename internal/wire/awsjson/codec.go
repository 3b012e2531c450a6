// Package awsjson is AWS JSON 1.1, the protocol of KMS.
package awsjson

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/jsonbody"
)

// MediaType of requests and answers.
const MediaType = "application/x-amz-json-1.1"

// A Codec speaks for one service, in both directions. Safe for concurrent use.
type Codec struct {
	table    *wire.Table
	decoders jsonbody.Decoders
}

// New compiles the service's types and constraints.
func New(svc *api.Service) (*Codec, error) {
	if svc.Protocol != api.JSON11 {
		return nil, fmt.Errorf("awsjson: %s does not speak this protocol", svc.Name)
	}
	t, err := wire.TableOf(svc)
	return &Codec{table: t}, err
}

// Table holds the service's plans.
func (c *Codec) Table() *wire.Table { return c.table }

// ContentType of answers.
func (c *Codec) ContentType() string { return MediaType }

// DecodeRequest reads an operation's input. An empty body is an empty object, null is an absent
// member, members without a meaning are ignored; everything else that is not what the model
// says is a SerializationException. Constraints are not checked yet.
func (c *Codec) DecodeRequest(op *api.Operation, body []byte) (any, error) {
	in := op.NewInput()
	if err := c.decode(body, in); err != nil {
		return nil, err
	}
	return in, nil
}

func (c *Codec) decode(body []byte, ptr any) error {
	s, v, err := c.table.Of(ptr)
	if err != nil {
		return err
	}
	return c.decoders.Decode(body, s, v)
}

// EncodeResponse writes an answer: nothing for operations without output, else an object with
// the members that are present, in the order of the model.
func (c *Codec) EncodeResponse(op *api.Operation, out any, _ string) ([]byte, error) {
	if op.NewOutput == nil {
		return nil, nil
	}
	return c.AppendResponse(make([]byte, 0, 1024), op, out)
}

// AppendResponse appends what EncodeResponse writes.
func (c *Codec) AppendResponse(dst []byte, op *api.Operation, out any) ([]byte, error) {
	switch {
	case op.NewOutput == nil:
		return dst, nil
	case out == nil:
		return append(dst, "{}"...), nil
	}
	return c.append(dst, out)
}

func (c *Codec) append(dst []byte, ptr any) ([]byte, error) {
	s, v, err := c.table.Of(ptr)
	if err != nil {
		return nil, err
	}
	return jsonbody.Append(dst, s, v), nil
}

// EncodeError writes an error. KMS spells the text of a denial "Message" and of everything else
// "message"; some errors have none.
func (c *Codec) EncodeError(f wire.Fault, _ string) []byte { return EncodeError(f) }

// EncodeError writes an error of any service of this protocol.
func EncodeError(f wire.Fault) []byte {
	b := append(make([]byte, 0, 256), `{"__type":`...)
	b = jsonbody.AppendString(b, f.Code)
	if f.Message != "" {
		name := `,"message":`
		if f.Code == "AccessDeniedException" {
			name = `,"Message":`
		}
		b = append(b, name...)
		b = jsonbody.AppendString(b, f.Message)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Details)) {
		if text, ok := f.Details[name].(string); ok {
			b = append(b, ',')
			b = jsonbody.AppendString(b, name)
			b = append(b, ':')
			b = jsonbody.AppendString(b, text)
		}
	}
	return append(b, '}')
}

// EncodeRequest writes a request and the headers that name it.
func (c *Codec) EncodeRequest(op *api.Operation, in any) ([]byte, http.Header, error) {
	body, err := c.append(make([]byte, 0, 1024), in)
	h := http.Header{
		"Content-Type": {MediaType},
		"X-Amz-Target": {c.table.Service().TargetPrefix + "." + op.Name},
	}
	return body, h, err
}

// DecodeResponse reads an answer into out, a pointer to the operation's output; nil skips it.
func (c *Codec) DecodeResponse(op *api.Operation, body []byte, out any) error {
	if out == nil || op.NewOutput == nil {
		return nil
	}
	return c.decode(body, out)
}

// DecodeError reads an error's body. A namespace before the code, and a URI after it, go.
func (c *Codec) DecodeError(status int, body []byte) *apierr.Error {
	return jsonbody.DecodeError(status, "", body)
}
