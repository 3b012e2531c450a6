package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// A claim is what a request says about its signature, in its Authorization header or in its query
// string.
type claim struct {
	accessKeyID           string
	date, region, service string // of the credential scope
	terminator            string
	signedHeaders         string // as sent: lower-case names joined by ";"
	signature             string
	at                    time.Time
	// The rest is of presigned requests only.
	presigned bool
	expires   time.Duration // from at; 0 if not said
	token     string        // session token of the query string
}

// maxAccessKeyID is AWS's bound. Source: IAM API Reference, "AccessKey".
const maxAccessKeyID = 128

// parseAuthorization reads "AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/iam/aws4_request,
// SignedHeaders=host;x-amz-date, Signature=..." The parameters come in any order, each once.
func parseAuthorization(header string) (claim, error) {
	var c claim
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	switch {
	case !strings.HasPrefix(scheme, "AWS4-"):
		return c, &Error{MissingToken, "Missing Authentication Token"}
	case scheme != algorithm:
		return c, &Error{Incomplete, "Unsupported AWS 'algorithm': kagimori takes " + algorithm + "."}
	}
	credential := ""
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok && name == "" {
			continue // a header of the algorithm alone, or a comma too many
		}
		var field *string
		switch name {
		case "Credential":
			field = &credential
		case "SignedHeaders":
			field = &c.signedHeaders
		case "Signature":
			field = &c.signature
		}
		switch {
		case !ok:
			return c, &Error{Incomplete, "Invalid key=value pair (missing equal-sign) in Authorization header " +
				"(hashed with SHA-256 and encoded with Base64): '" + sum(header) + "'."}
		case field == nil || *field != "":
			return c, &Error{Incomplete, "The Authorization header has a parameter twice or one that is not known." + digest(header)}
		}
		*field = value
	}
	if missing := missingParameters(credential, &c); missing != "" {
		return c, &Error{Incomplete, missing + digest(header)}
	}
	if !headerNames(c.signedHeaders) {
		return c, &Error{Incomplete, badNames + digest(header)}
	}
	return c, c.scope(credential)
}

// maxSigned bounds the names in SignedHeaders, so that a request costs little before it is known
// who sent it.
const maxSigned = 100

const badNames = "SignedHeaders must be lower-case names of headers, joined by semicolons."

// headerNames reports whether a list of signed headers is one. What is no name must not get into a
// canonical request: with line ends in it, two requests could have the same.
func headerNames(list string) bool {
	length, names := 0, 1
	for i := range len(list) {
		switch c := list[i]; {
		case c == ';' && length > 0:
			length, names = 0, names+1
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0: // RFC 9110, token
			length++
		default:
			return false
		}
	}
	return length > 0 && names <= maxSigned
}

func missingParameters(credential string, c *claim) string {
	var b strings.Builder
	for _, p := range [...]struct{ name, value string }{
		{"Credential", credential}, {"Signature", c.signature}, {"SignedHeaders", c.signedHeaders},
	} {
		if p.value == "" {
			b.WriteString("Authorization header requires '" + p.name + "' parameter. ")
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// digest names the header without repeating it: it holds a signature.
func digest(header string) string {
	return " (Hashed with SHA-256 and encoded with Base64) Authorization=" + sum(header)
}

func sum(header string) string {
	h := sha256.Sum256([]byte(header))
	return base64.StdEncoding.EncodeToString(h[:])
}

// scope takes a credential apart: access key id, date, region, service, terminator.
func (c *claim) scope(credential string) error {
	if strings.Count(credential, "/") != 4 {
		return &Error{Incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."}
	}
	var rest string
	c.accessKeyID, rest, _ = strings.Cut(credential, "/")
	c.date, rest, _ = strings.Cut(rest, "/")
	c.region, rest, _ = strings.Cut(rest, "/")
	c.service, c.terminator, _ = strings.Cut(rest, "/")
	return nil
}

// plausible reports whether an access key id could be one: no store has to be asked for others.
func plausible(id string) bool {
	if id == "" || len(id) > maxAccessKeyID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return true
}

// signedAt is the time in X-Amz-Date or, without that header, in Date.
func signedAt(h http.Header, header string) (time.Time, error) {
	v, name := h[dateHeader], dateHeader
	if len(v) == 0 {
		v, name = h["Date"], "Date"
	}
	switch {
	case len(v) == 0:
		return time.Time{}, &Error{Incomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header." + digest(header)}
	case len(v) > 1:
		return time.Time{}, &Error{Incomplete, "The request has more than one '" + name + "' header."}
	}
	at, err := time.Parse(timeFormat, v[0])
	if err != nil && name == "Date" {
		at, err = http.ParseTime(v[0])
	}
	if err != nil {
		return time.Time{}, &Error{Incomplete, badDate}
	}
	return at.UTC(), nil
}

const badDate = "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601"

// signs reports whether a header is among the signed ones, which are lower-case.
func (c *claim) signs(name string) bool {
	for s := range strings.SplitSeq(c.signedHeaders, ";") {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// covers checks that the host, the date and all x-amz-* headers are signed: an unsigned
// X-Amz-Target would let anybody turn one signed operation into another.
// Source: IAM User Guide, "Create a signed AWS API request": the canonical headers must include
// host and any x-amz-* header of the request.
func (c *claim) covers(h http.Header) error {
	if !c.signs("host") {
		return &Error{Mismatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."}
	}
	if !c.presigned && len(h[dateHeader]) == 0 && !c.signs("date") {
		return &Error{Mismatch, "'Date' must be a 'SignedHeader' in the AWS Authorization."}
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-") && !c.signs(name) {
			return &Error{Mismatch, "'" + name + "' must be a 'SignedHeader' in the AWS Authorization."}
		}
	}
	return nil
}
