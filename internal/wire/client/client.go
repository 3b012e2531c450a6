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
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// codec is the client's half of a protocol.
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
	codec            codec
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
	body, header, err := c.codec.EncodeRequest(o, in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	req.Header = header
	sigv4.Sign(req, body, c.creds, c.region, c.svc.Name, time.Now())
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
	if res.StatusCode != http.StatusOK {
		return c.codec.DecodeError(res.StatusCode, answer)
	}
	return c.codec.DecodeResponse(o, answer, out)
}
