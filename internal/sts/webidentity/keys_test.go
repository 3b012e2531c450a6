package webidentity_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/sts/webidentity"
)

func FuzzKeys(f *testing.F) {
	modulus := strings.Repeat("qg", 171)
	for _, seed := range []string{
		`{"keys":[{"kty":"RSA","kid":"a","n":"` + modulus + `","e":"AQAB"}]}`, `{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},null,7]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`, `{"keys":{}}`, "", strings.Repeat("[", 20000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := webidentity.ReadKeys(data); (n == 0) == (err == nil) {
			t.Fatalf("%d keys, %v", n, err)
		}
	})
}
