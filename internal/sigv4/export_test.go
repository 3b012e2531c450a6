package sigv4

import (
	"encoding/hex"
	"net/http"
	"time"

	"github.com/kagimori/kagimori/internal/secret"
)

// Canonical is the canonical request.
func Canonical(r *http.Request, signed, hash string) (string, bool) {
	b, ok := appendCanonical(nil, r, signed, hash)
	return string(b), ok
}

// SigningKey is the derived key in hex.
func SigningKey(s secret.String, date, region, service string) string {
	k := derive(s, scope{date, region, service})
	return hex.EncodeToString(k[:])
}

// Cached is how many signing keys a verifier holds.
func (v *Verifier) Cached() int {
	v.keys.mu.Lock()
	defer v.keys.mu.Unlock()
	return len(v.keys.young) + len(v.keys.old)
}

// ParseAuthorization gives the parts of an Authorization header: credential, signed headers,
// signature.
func ParseAuthorization(header string) (credential, signed, signature string, err error) {
	c, err := parseAuthorization(header)
	return c.accessKeyID + "/" + c.date + "/" + c.region + "/" + c.service + "/" + c.terminator, c.signedHeaders, c.signature, err
}

// SignCanonical signs a canonical request that a test made.
func SignCanonical(canonical string, s secret.String, at time.Time, region, service string) string {
	sc := scope{at.Format("20060102"), region, service}
	k := derive(s, sc)
	signature := mac(k[:], appendStringToSign(nil, at, sc, []byte(canonical)))
	return hex.EncodeToString(signature[:])
}
