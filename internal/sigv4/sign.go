package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/secret"
)

// Sign signs a request that a client is about to send: it sets X-Amz-Date, X-Amz-Security-Token
// and Authorization. body is what r.Body will give. The headers that are set by then are signed,
// but for those that proxies and net/http change. Nothing that is signed may be changed after.
func Sign(r *http.Request, body []byte, cred Credentials, region, service string, t time.Time) {
	sign(r, payloadHash(body), cred, region, service, t)
}

func payloadHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// SignUnsigned is Sign with the body left out of the signature, which few operations allow.
func SignUnsigned(r *http.Request, cred Credentials, region, service string, t time.Time) {
	sign(r, unsignedPayload, cred, region, service, t)
}

func sign(r *http.Request, hash string, cred Credentials, region, service string, t time.Time) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	at := t.UTC().Truncate(time.Second)
	r.Header.Del(authorizationHeader)
	r.Header[dateHeader] = []string{at.Format(timeFormat)}
	delete(r.Header, tokenHeader)
	if cred.SessionToken != "" {
		r.Header[tokenHeader] = []string{cred.SessionToken}
	}
	signed, sc := signedHeaders(r.Header), scope{at.Format("20060102"), region, service}
	signature := signature(r, hash, signed, cred.Secret, at, sc)
	r.Header[authorizationHeader] = []string{algorithm + " Credential=" + cred.AccessKeyID + "/" + sc.date + "/" + region + "/" +
		service + "/" + terminator + ", SignedHeaders=" + signed + ", Signature=" + hex.EncodeToString(signature[:])}
}

func signature(r *http.Request, hash, signed string, s secret.String, at time.Time, sc scope) key {
	// A query string that cannot be decoded is signed as it is so far; no server takes it.
	canonical, _ := appendCanonical(nil, r, signed, hash)
	k := derive(s, sc)
	return mac(k[:], appendStringToSign(nil, at, sc, canonical))
}

// unsigned are headers that may change on the way.
var unsigned = map[string]bool{
	"accept-encoding": true, "authorization": true, "connection": true, "content-length": true, "expect": true, "host": true,
	"keep-alive": true, "proxy-authorization": true, "proxy-connection": true, "te": true, "trailer": true,
	"transfer-encoding": true, "upgrade": true, "user-agent": true, "x-amzn-trace-id": true,
}

func signedHeaders(h http.Header) string {
	names := []string{"host"}
	for name := range h {
		if lower := strings.ToLower(name); !unsigned[lower] {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}
