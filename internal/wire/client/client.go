// Package client is a small client of the AWS protocols, on the same plans as the server. The
// guided tour and tests use it; it has no retries, no credential chain and no endpoints of its
// own.
package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
	"github.com/kagimori/kagimori/internal/wire/awsquery"
	"github.com/kagimori/kagimori/internal/wire/ec2query"
	"github.com/kagimori/kagimori/internal/wire/restjson"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// codec is the client's half of a protocol whose messages are bodies.
type codec interface {
	EncodeRequest(op *api.Operation, in any) ([]byte, http.Header, error)
	DecodeResponse(op *api.Operation, body []byte, out any) error
	DecodeError(status int, body []byte) *apierr.Error
}

// A Client calls one service. Safe for concurrent use.
type Client struct {
	endpoint, region string
	creds            sigv4.Credentials
	svc              *api.Service
	codec            codec           // nil of a REST protocol
	rest             *restjson.Codec // nil of others
	// HTTP sends the requests; nil is http.DefaultClient. Set it before the first call.
	HTTP *http.Client
}

// New makes a client of the service at an endpoint such as "http://127.0.0.1:4566".
func New(endpoint, region string, creds sigv4.Credentials, svc *api.Service) (*Client, error) {
	c := &Client{endpoint: endpoint, region: region, creds: creds, svc: svc}
	var err error
	switch svc.Protocol {
	case api.JSON11:
		c.codec, err = awsjson.New(svc)
	case api.Query:
		c.codec, err = awsquery.New(svc)
	case api.EC2:
		c.codec, err = ec2query.New(svc)
	case api.RESTJSON:
		c.rest, err = restjson.New(svc)
	default:
		err = fmt.Errorf("client: no protocol %d", svc.Protocol)
	}
	return c, err
}

// Do calls an operation: in is a pointer to its input, out a pointer to its output or nil. An
// error that the service answers is an *apierr.Error with code, message and status.
func (c *Client) Do(ctx context.Context, op string, in, out any) error {
	o := c.svc.Operations[op]
	if o == nil {
		return fmt.Errorf("client: %s has no operation %s", c.svc.Name, op)
	}
	r, err := c.request(o, in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.endpoint+r.URL(), bytes.NewReader(r.Body))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	req.Header = r.Header
	sigv4.Sign(req, r.Body, c.creds, c.region, c.svc.Name, time.Now())
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	res, err := h.Do(req)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	switch failed := res.StatusCode < 200 || res.StatusCode > 299; {
	case c.rest != nil && failed:
		return c.rest.DecodeError(res.StatusCode, res.Header, answer)
	case c.rest != nil:
		return c.rest.DecodeResponse(o, restjson.Response{Status: res.StatusCode, Header: res.Header, Body: answer}, out)
	case failed:
		return c.codec.DecodeError(res.StatusCode, answer)
	}
	return c.codec.DecodeResponse(o, answer, out)
}

// request is the request of an operation, not yet signed.
func (c *Client) request(op *api.Operation, in any) (restjson.Request, error) {
	if c.rest != nil {
		return c.rest.EncodeRequest(op, in)
	}
	r := restjson.Request{Method: http.MethodPost, Path: "/"}
	var err error
	r.Body, r.Header, err = c.codec.EncodeRequest(op, in)
	return r, err
}
