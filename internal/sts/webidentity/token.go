package webidentity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Errors of [Parse] and [Verifier.Verify].
var (
	// ErrMalformed: it is no signed web token.
	ErrMalformed = errors.New("webidentity: not a JSON web token")
	// ErrClaim: a claim that every token needs is missing or of another type.
	ErrClaim = errors.New("webidentity: missing a required claim")
	// ErrSignature: the signature is not one of the issuer's keys, or of an algorithm that is not taken.
	ErrSignature = errors.New("webidentity: the signature is not the issuer's")
	// ErrKeys: what the issuer publishes is no set of keys.
	ErrKeys = errors.New("webidentity: the issuer publishes no keys that can be used")
	// ErrUnreachable: the issuer does not answer.
	ErrUnreachable = errors.New("webidentity: the issuer cannot be reached")
)

// maxToken is the longest token that is read. Source: STS API Reference, WebIdentityToken.
const maxToken = 20000

// A Token is a web token as it was read: nothing of it is proved.
type Token struct {
	alg, kid  string
	signed    []byte // what the signature is of
	signature []byte
	// Issuer is the claim iss.
	Issuer string
	claims map[string]any
}

// Parse reads a token in compact form. It wants the claims that every identity token has.
func Parse(text string) (*Token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) > maxToken {
		return nil, ErrMalformed
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil {
			return nil, ErrMalformed
		}
	}
	header, err := object(raw[0])
	if err != nil {
		return nil, ErrMalformed
	}
	t := &Token{signed: []byte(text[:len(parts[0])+1+len(parts[1])]), signature: raw[2]}
	t.alg, _ = header["alg"].(string)
	t.kid, _ = header["kid"].(string)
	if _, critical := header["crit"]; critical || t.alg == "" { // extensions that have to be understood: none are
		return nil, ErrMalformed
	}
	if t.claims, err = object(raw[1]); err != nil {
		return nil, ErrMalformed
	}
	t.Issuer, _ = t.claims["iss"].(string)
	if t.Issuer == "" || len(t.Audiences()) == 0 || t.Subject() == "" {
		return nil, ErrClaim
	}
	for _, name := range []string{"exp", "iat"} {
		if _, ok := t.instant(name); !ok {
			return nil, ErrClaim
		}
	}
	return t, nil
}

// object reads a JSON object, whose names must be there once.
func object(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok || d.More() {
		return nil, ErrMalformed
	}
	return m, nil
}

// maxDepth bounds how deep values may be in each other.
const maxDepth = 16

func value(d *json.Decoder, depth int) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return tok, nil
	}
	if depth == maxDepth {
		return nil, ErrMalformed
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	m := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := name.(string) // the decoder takes nothing else as a name
		if _, twice := m[key]; twice {
			return nil, ErrMalformed
		}
		if m[key], err = value(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return m, err
}

// instant is a claim that is a number of seconds since 1970.
func (t *Token) instant(claim string) (time.Time, bool) {
	n, ok := t.claims[claim].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > math.MaxInt32*64 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

// Expires is the claim exp.
func (t *Token) Expires() time.Time { at, _ := t.instant("exp"); return at }

// NotBefore is the claim nbf, or the zero time.
func (t *Token) NotBefore() time.Time { at, _ := t.instant("nbf"); return at }

// Subject is the claim sub.
func (t *Token) Subject() string { return t.Text("sub") }

// Text is a claim that is one text, number or truth value; "" if it is none.
func (t *Token) Text(claim string) string { return text(t.claims[claim]) }

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// List is a claim that is a text or a list of texts.
func (t *Token) List(claim string) []string { return list(t.claims[claim]) }

func list(v any) []string {
	if s := text(v); s != "" {
		return []string{s}
	}
	items, _ := v.([]any)
	var out []string
	for _, item := range items {
		if s := text(item); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Audiences are the claim aud.
func (t *Token) Audiences() []string { return t.List("aud") }

// Client is for whom the token was issued: the claim azp, or else the only audience; "" if there are
// several. Source: IAM User Guide, "IAM and AWS STS condition context keys", aud.
func (t *Token) Client() string {
	if azp := t.Text("azp"); azp != "" {
		return azp
	}
	if all := t.Audiences(); len(all) == 1 {
		return all[0]
	}
	return ""
}

// Claims of AWS. Source: IAM User Guide, "Pass session tags in AWS STS"; "Monitor and control actions
// taken with assumed roles".
const (
	tagsClaim   = "https://aws.amazon.com/tags"
	sourceClaim = "https://aws.amazon.com/source_identity"
)

// SourceIdentity is the source identity that the provider sets, or "".
func (t *Token) SourceIdentity() string { return t.Text(sourceClaim) }

// Tags are the session tags that the provider sets and the keys of those that go on to the next
// role. The claim is an object, or its members are claims of their own.
func (t *Token) Tags() (tags map[string]string, transitive []string) {
	tags = map[string]string{}
	add := func(key string, v any) {
		if values := list(v); len(values) > 0 {
			tags[key] = values[0]
		} else if v == "" {
			tags[key] = ""
		}
	}
	if o, ok := t.claims[tagsClaim].(map[string]any); ok {
		principal, _ := o["principal_tags"].(map[string]any)
		for k, v := range principal {
			add(k, v)
		}
		transitive = list(o["transitive_tag_keys"])
	}
	for claim, v := range t.claims {
		if key, ok := strings.CutPrefix(claim, tagsClaim+"/principal_tags/"); ok {
			add(key, v)
		}
	}
	return tags, append(transitive, t.List(tagsClaim+"/transitive_tag_keys")...)
}
