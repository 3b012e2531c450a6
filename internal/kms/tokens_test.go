package kms_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// Nothing but what CreateGrant gave out is a grant token, wherever one is taken.
func FuzzGrantToken(f *testing.F) {
	w := newWorld(f)
	root := w.root(owner)
	key := root.newKey()
	token := *root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(w.user(owner, "u").arn()), Operations: []string{"Decrypt"}}).GrantToken
	f.Add(token)
	f.Add(token + "A")
	f.Add("")
	f.Add(strings.Repeat("A", 8192))
	f.Fuzz(func(t *testing.T, given string) {
		raw, err := base64.RawURLEncoding.DecodeString(given)
		same := err == nil && base64.RawURLEncoding.EncodeToString(raw) == token // another spelling of it
		for _, in := range []any{
			&kmsapi.DescribeKeyRequest{KeyId: &key, GrantTokens: []string{given}},
			&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), GrantTokens: []string{given}},
			&kmsapi.RetireGrantRequest{GrantToken: &given, DryRun: new(true)},
		} {
			_, _, err := root.do(t.Context(), in)
			switch apierr.Code(err) {
			case "InvalidGrantTokenException", "ValidationException":
				if given == token {
					t.Errorf("the token is refused: %v", err)
				}
			case "", "DryRunOperationException":
				if !same {
					t.Errorf("%q is taken", given)
				}
			default:
				t.Errorf("%v", err)
			}
		}
	})
}

// Nothing but what GetParametersForImport gave out, for this key, is an import token.
func FuzzImportToken(f *testing.F) {
	w := newWorld(f)
	root := w.root(owner)
	key, another := root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
	good := root.wrapped(key, "RSAES_OAEP_SHA_256", make([]byte, 32))
	f.Add(good.ImportToken)
	f.Add(root.wrapped(another, "RSAES_OAEP_SHA_256", make([]byte, 32)).ImportToken)
	f.Add([]byte("token"))
	f.Fuzz(func(t *testing.T, token []byte) {
		in := *good
		in.ImportToken = token
		_, _, err := root.do(t.Context(), &in)
		switch code := apierr.Code(err); {
		case err == nil && string(token) != string(good.ImportToken):
			t.Errorf("%x is taken", token)
		case err != nil && string(token) == string(good.ImportToken):
			t.Errorf("the token is refused: %v", err)
		case err != nil && code != "InvalidImportTokenException" && code != "ValidationException":
			t.Errorf("%v", err)
		}
	})
}
