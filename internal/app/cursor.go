package app

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
)

// cursors seals the tokens with which clients go on with lists, for services that do not do so
// themselves: a token is good for the account, the Region, the operation and the query that it was
// given for. Only clients' calls come through here.
type cursors struct{ box hsm.Box }

// sealed tells whether a service's tokens are sealed here. IAM, Organizations, CloudTrail and EBS
// direct seal their own.
func sealed(service string) bool {
	switch service {
	case "ec2", "autoscaling", "kms", "access-analyzer", "kagimori":
		return true
	}
	return false
}

// badToken begins what no service takes for a token.
const badToken = "!"

// wrap opens the token of a request and seals that of the answer. One that it cannot open goes on as
// one that the service refuses, in its own words and when it would.
func (k cursors) wrap(h guard.Handler) guard.Handler {
	return func(ctx context.Context, c *guard.Call, in any) (any, error) {
		v := reflect.ValueOf(in)
		if !sealed(c.Service) || v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			return h(ctx, c, in)
		}
		name := "NextToken"
		if !text(v.Elem().FieldByName(name)).IsValid() {
			name = "Marker"
		}
		token := text(v.Elem().FieldByName(name))
		if !token.IsValid() {
			return h(ctx, c, in)
		}
		aad := query(c, v.Elem())
		given := ""
		if !token.IsNil() {
			if given = token.Elem().String(); given != "" {
				inner := reflect.New(v.Elem().Type())
				inner.Elem().Set(v.Elem())
				inner.Elem().FieldByName(name).Set(reflect.ValueOf(new(k.open(given, aad))))
				in = inner.Interface()
			}
		}
		out, err := h(ctx, c, in)
		if e, ok := errors.AsType[*apierr.Error](err); ok && given != "" && strings.Contains(e.Message, badToken+given) {
			said := *e
			said.Message = strings.ReplaceAll(e.Message, badToken+given, given)
			err = &said
		}
		k.seal(out, aad)
		return out, err
	}
}

// text is a field that is a *string; else none.
func text(f reflect.Value) reflect.Value {
	if f.IsValid() && f.Type() == reflect.TypeFor[*string]() {
		return f
	}
	return reflect.Value{}
}

func (k cursors) open(token string, aad []byte) string {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return badToken + token
	}
	inner, err := k.box.Open(raw, aad)
	if err != nil {
		return badToken + token
	}
	return string(inner)
}

// seal replaces the token of an answer, which is the caller's own to change.
func (k cursors) seal(out any, aad []byte) {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return
	}
	for _, name := range []string{"NextToken", "NextMarker"} {
		if f := text(v.Elem().FieldByName(name)); f.IsValid() && !f.IsNil() && f.Elem().String() != "" {
			f.Set(reflect.ValueOf(new(base64.RawURLEncoding.EncodeToString(k.box.Seal([]byte(f.Elem().String()), aad)))))
		}
	}
}

// query tells a list from all others: who asks, where, for what. The size of the page is no part of it.
func query(c *guard.Call, in reflect.Value) []byte {
	same := reflect.New(in.Type()).Elem()
	same.Set(in)
	for _, name := range []string{"NextToken", "Marker", "MaxResults", "MaxRecords", "Limit", "MaxItems"} {
		if f := same.FieldByName(name); f.IsValid() {
			f.SetZero()
		}
	}
	data, err := json.Marshal(same.Interface())
	if err != nil {
		panic(err) // requests are made of texts, numbers, times and lists of these
	}
	sum := sha256.Sum256(data)
	return []byte(strings.Join([]string{c.Service, c.Operation, c.Region, c.Account(), string(sum[:])}, "\x00"))
}
