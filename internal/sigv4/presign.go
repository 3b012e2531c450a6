package sigv4

import (
	"cmp"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Parameters of a presigned request.
// Source: IAM User Guide, "Elements of an AWS API request signature", "Query string parameters".
const (
	algorithmParam  = "X-Amz-Algorithm"
	credentialParam = "X-Amz-Credential"
	dateParam       = "X-Amz-Date"
	expiresParam    = "X-Amz-Expires"
	signedParam     = "X-Amz-SignedHeaders"
	signatureParam  = "X-Amz-Signature"
	tokenParam      = "X-Amz-Security-Token"

	paramPrefix = "x-amz-" // of all of them, and of headers that a client moved into the URL
)

// MaxExpires is how long a presigned request can be good: seven days.
const MaxExpires = 7 * 24 * time.Hour

// defaultExpires is how long a presigned request is good that does not say it, and every one of
// STS: the official SDKs presign for EC2 and STS without X-Amz-Expires, and Kubernetes
// authenticators present for a quarter of an hour what they presigned for a minute.
// Source: aws-iam-authenticator, comments in pkg/token/token.go.
const defaultExpires = 15 * time.Minute

// lifetime is how long after its date a presigned request is good.
func (c *claim) lifetime() time.Duration {
	if c.service == "sts" {
		return defaultExpires
	}
	return cmp.Or(c.expires, defaultExpires)
}

// presigned reports whether a query string claims a signature, whole or not.
func presigned(raw string) bool {
	for pair := range pairs(raw) {
		switch name, _ := pair.name(); name {
		case algorithmParam, credentialParam, signatureParam:
			return true
		}
	}
	return false
}

// parseQuery reads the claim of a presigned request.
func parseQuery(raw string) (claim, error) {
	c := claim{presigned: true}
	var alg, credential, date, expires string
	fields := map[string]*string{
		algorithmParam: &alg, credentialParam: &credential, dateParam: &date, expiresParam: &expires,
		signedParam: &c.signedHeaders, signatureParam: &c.signature, tokenParam: &c.token,
	}
	seen := map[string]bool{}
	for pair := range pairs(raw) {
		name, _ := pair.name()
		field := fields[name]
		if field == nil {
			continue
		}
		value, ok := pair.value()
		if !ok || seen[name] {
			return c, &Error{Incomplete, "The parameter '" + name + "' cannot be read or is there twice."}
		}
		*field, seen[name] = value, true
	}
	var missing strings.Builder
	for _, name := range [...]string{algorithmParam, credentialParam, dateParam, signatureParam, signedParam} {
		if *fields[name] == "" {
			missing.WriteString(" The query string requires '" + name + "' parameter.")
		}
	}
	switch {
	case missing.Len() > 0:
		return c, &Error{Incomplete, missing.String()[1:]}
	case alg != algorithm:
		return c, &Error{Incomplete, "Unsupported AWS 'algorithm': kagimori takes " + algorithm + "."}
	case !headerNames(c.signedHeaders):
		return c, &Error{Incomplete, badNames}
	}
	var err error
	if c.at, err = time.Parse(timeFormat, date); err != nil {
		return c, &Error{Incomplete, badDate}
	}
	if seen[expiresParam] {
		n, err := strconv.ParseUint(expires, 10, 32)
		if c.expires = time.Duration(n) * time.Second; err != nil || n == 0 || c.expires > MaxExpires {
			return c, &Error{Incomplete, "X-Amz-Expires must be a number of seconds from 1 to 604800."}
		}
	}
	return c, c.scope(credential)
}

// OperationQuery is a query string without what belongs to signatures: every parameter named
// X-Amz-*.
func OperationQuery(raw string) string {
	var out []string
	dropped := false
	for pair := range pairs(raw) {
		name, _ := pair.name()
		if len(name) >= len(paramPrefix) && strings.EqualFold(name[:len(paramPrefix)], paramPrefix) {
			dropped = true
			continue
		}
		out = append(out, string(pair))
	}
	if !dropped {
		return raw
	}
	return strings.Join(out, "&")
}

// Presign puts the signature of a request into its URL: whoever has that can send the request until
// it expires. body is what r.Body will give. The headers that are set by then are signed like those
// of [Sign] and have to be sent too. The request says nothing of its expiry if expires is 0.
func Presign(r *http.Request, body []byte, cred Credentials, region, service string, t time.Time, expires time.Duration) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	at := t.UTC().Truncate(time.Second)
	for _, name := range [...]string{authorizationHeader, dateHeader, tokenHeader} {
		r.Header.Del(name)
	}
	signed, sc := signedHeaders(r.Header), scope{at.Format("20060102"), region, service}
	q := url.Values{
		algorithmParam:  {algorithm},
		credentialParam: {cred.AccessKeyID + "/" + sc.date + "/" + region + "/" + service + "/" + terminator},
		dateParam:       {at.Format(timeFormat)}, signedParam: {signed},
	}
	if expires != 0 {
		q.Set(expiresParam, strconv.FormatInt(int64(expires/time.Second), 10))
	}
	if cred.SessionToken != "" {
		q.Set(tokenParam, cred.SessionToken)
	}
	query := q.Encode()
	if rest := OperationQuery(r.URL.RawQuery); rest != "" {
		query = rest + "&" + query
	}
	r.URL.RawQuery = query
	signature := signature(r, payloadHash(body), signed, cred.Secret, at, sc)
	r.URL.RawQuery += "&" + signatureParam + "=" + hex.EncodeToString(signature[:])
}
