package sts

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Messages seals the details of a denial into the text that EC2 puts into its error, and opens it
// again. The text is URL-safe base64. The details are compressed: with the tags of a request they
// would often be longer than the 10,240 characters that DecodeAuthorizationMessage takes.
type Messages struct{ Box directory.Box }

// maxDetails bounds what a message decodes to, in bytes.
const maxDetails = 1 << 20

// Encode is the text for the details.
func (m Messages) Encode(plaintext []byte) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // fails for levels that there are not
	_, _ = w.Write(plaintext)                          // to memory
	_ = w.Close()
	return base64.RawURLEncoding.EncodeToString(m.Box.Seal(b.Bytes(), nil))
}

func (m Messages) decode(text string) ([]byte, bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	packed, err := m.Box.Open(sealed, nil)
	if err != nil {
		return nil, false
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxDetails))
	return plain, err == nil
}

// DecodeAuthorizationMessage opens what EC2 put into a denial of a principal of the caller's
// account. Source: STS API Reference, DecodeAuthorizationMessage. That the account must be the
// same is our choice: the message tells of policies of the denied principal's account.
func (s *Service) DecodeAuthorizationMessage(ctx context.Context, c *guard.Call, in *stsapi.DecodeAuthorizationMessageRequest) (*stsapi.DecodeAuthorizationMessageResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	plain, ok := s.messages.decode(api.Val(in.EncodedMessage))
	if !ok || deniedAccount(plain) != c.Account() {
		return nil, apierr.New("InvalidAuthorizationMessageException", "Message is not valid")
	}
	return &stsapi.DecodeAuthorizationMessageResponse{DecodedMessage: new(string(plain))}, nil
}

// deniedAccount is the account of the principal that a message is about.
func deniedAccount(message []byte) string {
	var m struct {
		Context struct {
			Principal struct {
				ARN string `json:"arn"`
			} `json:"principal"`
		} `json:"context"`
	}
	if json.Unmarshal(message, &m) != nil {
		return ""
	}
	a, err := arn.Parse(m.Context.Principal.ARN)
	if err != nil {
		return ""
	}
	return a.Account
}

// GetAccessKeyInfo tells the account of an access key, be it one of another account. Source: STS
// API Reference, GetAccessKeyInfo.
func (s *Service) GetAccessKeyInfo(ctx context.Context, c *guard.Call, in *stsapi.GetAccessKeyInfoRequest) (*stsapi.GetAccessKeyInfoResponse, error) {
	var key directory.AccessKey
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if err = s.decide(tx, c); err != nil {
			return err
		}
		var ok bool
		if key, ok, err = directory.AccessKeys.Get(tx, api.Val(in.AccessKeyId)); err == nil && !ok {
			err = apierr.Newf("ValidationError", "The access key %s does not exist.", api.Val(in.AccessKeyId))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &stsapi.GetAccessKeyInfoResponse{Account: &key.Account}, nil
}

// allow decides the action of a call that has no resource.
func (s *Service) allow(ctx context.Context, c *guard.Call) error {
	return s.g.View(ctx, c, func(tx store.Tx) error { return s.decide(tx, c) })
}

func (s *Service) decide(tx store.Tx, c *guard.Call) error {
	_, err := s.g.Allow(tx, c, authz.Part{
		Action: "sts:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()},
	})
	return err
}
