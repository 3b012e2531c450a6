package sigv4

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/secret"
)

// Config of a [Verifier]. The zero Config is good for a server.
type Config struct {
	// Now is wall time; nil is time.Now. Signatures do not follow a service clock.
	Now func() time.Time
	// MaxSkew is how far the time of a request may be from Now; 0 is 5 minutes, as at AWS.
	MaxSkew time.Duration
	// KeyCache is how many signing keys a generation of the cache holds; 0 is 1024, negative none.
	KeyCache int
}

// A Verifier checks signatures. Safe for concurrent use. The zero Verifier is that of the zero
// [Config].
type Verifier struct {
	cfg  Config
	keys keyCache
}

// NewVerifier makes a Verifier.
func NewVerifier(cfg Config) *Verifier { return &Verifier{cfg: cfg} }

// A Lookup finds the secret of an access key id, which is 1 to 128 letters, digits and
// underscores, and of a session token, "" if none was sent. Its error is what Verify returns: an
// [Error] or one of the caller's own.
type Lookup = func(ctx context.Context, accessKeyID, sessionToken string) (secret.String, error)

const (
	defaultSkew     = 5 * time.Minute
	defaultKeyCache = 1024
)

const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access " +
	"Key and signing method. Consult the service documentation for details."

// Verify checks the signature of a request as a server received it. body is the whole of its body;
// r.Body is not read. The error is an *[Error], or that of lookup as it is.
//
// What cannot be bound to the body (UNSIGNED-PAYLOAD, chunked signatures) is refused, and so is a
// request that is signed in its header and in its query string.
func (v *Verifier) Verify(r *http.Request, body []byte, lookup Lookup) (Result, error) {
	return v.verify(r, body, false, lookup)
}

// VerifyUnsigned is Verify for an operation whose body may be left out of the signature: the hash
// of the payload is then the text UNSIGNED-PAYLOAD. Clients say so in X-Amz-Content-Sha256 or, over
// TLS, nowhere.
func (v *Verifier) VerifyUnsigned(r *http.Request, body []byte, lookup Lookup) (Result, error) {
	return v.verify(r, body, true, lookup)
}

func (v *Verifier) verify(r *http.Request, body []byte, unsigned bool, lookup Lookup) (Result, error) {
	c, err := v.claim(r)
	if err != nil {
		return Result{}, err
	}
	token, err := c.sessionToken(r.Header)
	if err != nil {
		return Result{}, err
	}
	if !plausible(c.accessKeyID) {
		return Result{}, &Error{UnknownKey, "The security token included in the request is invalid."}
	}
	s, err := lookup(r.Context(), c.accessKeyID, token)
	if err != nil {
		return Result{}, err
	}
	if s == "" { // anybody could sign with it
		return Result{}, &Error{UnknownKey, "The security token included in the request is invalid."}
	}
	if err := v.compareHashes(r, body, unsigned, &c, s); err != nil {
		return Result{}, err
	}
	return Result{
		AccessKeyID: c.accessKeyID, SessionToken: token, Region: c.region, Service: c.service, Date: c.at,
		SignedHeaders: strings.Split(c.signedHeaders, ";"),
	}, nil
}

// sessionToken is the one session token of a request, or "". A presigned request may have it in its
// query string.
func (c *claim) sessionToken(h http.Header) (string, error) {
	t := h[tokenHeader]
	switch {
	case len(t) > 1 || len(t) == 1 && c.token != "":
		return "", &Error{InvalidToken, "The request has more than one session token."}
	case len(t) == 1:
		return t[0], nil
	}
	return c.token, nil
}

// claim reads what the request says of its signature and checks all that needs no key.
func (v *Verifier) claim(r *http.Request) (claim, error) {
	c, err := readClaim(r)
	if err != nil {
		return c, err
	}
	if c.terminator != terminator {
		return c, &Error{WrongScope, "Credential should be scoped with a valid terminator: '" + terminator + "'."}
	}
	var day [8]byte
	if string(c.at.AppendFormat(day[:0], "20060102")) != c.date {
		return c, &Error{WrongScope, fmt.Sprintf(
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%.16s' != '%s', from '%s'.",
			c.date, c.at.Format("20060102"), c.at.Format(timeFormat))}
	}
	if err := c.covers(r.Header); err != nil {
		return c, err
	}
	return c, v.fresh(&c)
}

// readClaim takes the claim from where it is: in the header or in the query string, not in both.
func readClaim(r *http.Request) (claim, error) {
	header, query := r.Header[authorizationHeader], presigned(r.URL.RawQuery)
	switch {
	case len(header) == 0 && query:
		return parseQuery(r.URL.RawQuery)
	case len(header) == 0:
		return claim{}, &Error{MissingToken, "Missing Authentication Token"}
	case query:
		return claim{}, &Error{Incomplete, "A request is signed in its Authorization header or in its query string, not in both."}
	case len(header) > 1:
		return claim{}, &Error{Incomplete, "The request has more than one Authorization header."}
	}
	c, err := parseAuthorization(header[0])
	if err != nil {
		return c, err
	}
	c.at, err = signedAt(r.Header, header[0])
	return c, err
}

// fresh checks that a request was signed about now, or that a presigned one has not expired.
func (v *Verifier) fresh(c *claim) error {
	now := time.Now
	if v.cfg.Now != nil {
		now = v.cfg.Now
	}
	skew := cmp.Or(v.cfg.MaxSkew, defaultSkew)
	age := skew
	if c.presigned {
		age = c.lifetime()
	}
	at, t := c.at, now().UTC()
	switch {
	case at.Before(t.Add(-age)):
		return &Error{Expired, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s.)",
			at.Format(timeFormat), t.Add(-age).Format(timeFormat), t.Format(timeFormat), minutes(age))}
	case at.After(t.Add(skew)):
		return &Error{Expired, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %s.)",
			at.Format(timeFormat), t.Add(skew).Format(timeFormat), t.Format(timeFormat), minutes(skew))}
	}
	return nil
}

func minutes(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.String()
}

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, 2048)) }}

// unsignedPayload stands for the hash of a body that is not signed.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// compareHashes compares the signature with the one over the body or, where it may be left out,
// over none.
func (v *Verifier) compareHashes(r *http.Request, body []byte, unsigned bool, c *claim, s secret.String) error {
	sent := r.Header[hashHeader]
	if unsigned && len(sent) == 1 && sent[0] == unsignedPayload {
		return v.compare(r, unsignedPayload, c, s)
	}
	sum := sha256.Sum256(body)
	var hash [2 * sha256.Size]byte
	hex.Encode(hash[:], sum[:])
	if len(sent) > 1 || len(sent) == 1 && sent[0] != string(hash[:]) {
		return &Error{Mismatch, mismatch}
	}
	err := v.compare(r, string(hash[:]), c, s)
	if err != nil && unsigned && len(sent) == 0 {
		return v.compare(r, unsignedPayload, c, s)
	}
	return err
}

// compare computes the signature over the hash of a payload and compares it.
func (v *Verifier) compare(r *http.Request, hash string, c *claim, s secret.String) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	canonical, ok := appendCanonical((*buf)[:0], r, c.signedHeaders, hash)
	if !ok {
		return &Error{Mismatch, mismatch}
	}
	n := len(canonical)
	sc := scope{c.date, c.region, c.service}
	all := appendStringToSign(canonical, c.at, sc, canonical)
	*buf = all

	ck := cacheKey{accessKeyID: c.accessKeyID, secret: sha256.Sum256([]byte(s)), scope: sc}
	k, cached := v.keys.get(ck)
	if !cached {
		k = derive(s, sc)
	}
	want := mac(k[:], all[n:])
	var wantHex, got [2 * sha256.Size]byte
	hex.Encode(wantHex[:], want[:])
	sameLength := copy(got[:], c.signature) == len(c.signature) && len(c.signature) == len(got)
	if subtle.ConstantTimeCompare(got[:], wantHex[:]) != 1 || !sameLength {
		return &Error{Mismatch, mismatch}
	}
	// Only keys that verified something are kept: others could be made up without end.
	if !cached && v.cfg.KeyCache >= 0 {
		v.keys.put(ck.cloned(), k, cmp.Or(v.cfg.KeyCache, defaultKeyCache))
	}
	return nil
}

// cloned is the key without the request's header, which its strings are parts of.
func (k cacheKey) cloned() cacheKey {
	k.accessKeyID = strings.Clone(k.accessKeyID)
	k.scope = scope{strings.Clone(k.scope.date), strings.Clone(k.scope.region), strings.Clone(k.scope.service)}
	return k
}
