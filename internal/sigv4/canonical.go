package sigv4

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// appendCanonical appends the canonical request; ok is false if the query string cannot be
// decoded. signed are lower-case header names joined by ";", hash is the payload's in hex. The
// signature in a query string is not part of what it signs.
func appendCanonical(b []byte, r *http.Request, signed, hash string) (out []byte, ok bool) {
	b = append(b, cmp.Or(r.Method, http.MethodGet)...)
	b = append(b, '\n')
	b = appendPath(b, r.URL.EscapedPath())
	b = append(b, '\n')
	if b, ok = appendQuery(b, r.URL.RawQuery); !ok {
		return b, false
	}
	b = append(b, '\n')
	for name := range strings.SplitSeq(signed, ";") {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, signed...)
	b = append(b, '\n')
	return append(b, hash...), true
}

// appendPath normalizes an escaped path and escapes it once more, as every service but S3 does.
func appendPath(b []byte, escaped string) []byte {
	if escaped == "" || escaped == "/" {
		return append(b, '/')
	}
	p := path.Clean("/" + escaped)
	if strings.HasSuffix(escaped, "/") && p != "/" {
		p += "/"
	}
	return appendEscaped(b, p, true)
}

const upperHex = "0123456789ABCDEF"

// appendEscaped percent-encodes all but the unreserved characters of RFC 3986.
func appendEscaped(b []byte, s string, slashes bool) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && slashes:
			b = append(b, c)
		default:
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

type parameter struct{ name, value string } // both escaped

// appendQuery sorts the parameters by name and value and escapes them anew; X-Amz-Signature is
// left out.
func appendQuery(b []byte, raw string) (out []byte, ok bool) {
	if raw == "" {
		return b, true
	}
	var params []parameter
	for p := range pairs(raw) {
		n, okName := p.name()
		v, okValue := p.value()
		if !okName || !okValue {
			return b, false
		}
		if n == signatureParam {
			continue
		}
		params = append(params, parameter{escape(n), escape(v)})
	}
	slices.SortFunc(params, func(a, b parameter) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	for i, p := range params {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b, true
}

func escape(s string) string {
	return string(appendEscaped(make([]byte, 0, len(s)+8), s, false))
}

// unescape decodes a part of a query string. "+" is a space, as for the query protocols, which
// read the same string.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "+%") {
		return s, true
	}
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			plain = append(plain, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			v, err := hex.DecodeString(s[i+1 : i+3])
			if err != nil {
				return "", false
			}
			plain = append(plain, v[0])
			i += 2
		default:
			plain = append(plain, s[i])
		}
	}
	return string(plain), true
}

// appendHeader appends the canonical value of a header: values joined by commas, outer white space
// removed, runs of spaces made one.
func appendHeader(b []byte, r *http.Request, name string) []byte {
	switch name {
	case "host": // net/http moves these out of the headers
		return append(b, host(r)...)
	case "content-length":
		if len(r.Header["Content-Length"]) == 0 && r.ContentLength >= 0 {
			return strconv.AppendInt(b, r.ContentLength, 10)
		}
	case "transfer-encoding":
		return append(b, strings.Join(r.TransferEncoding, ",")...)
	}
	for i, v := range headerValues(r.Header, name) {
		if i > 0 {
			b = append(b, ',')
		}
		v = strings.Trim(v, " \t")
		for j := range len(v) {
			if v[j] != ' ' || v[j-1] != ' ' { // v[0] is no space
				b = append(b, v[j])
			}
		}
	}
	return b
}

func host(r *http.Request) string {
	if r.Host == "" {
		return r.URL.Host // an outgoing request
	}
	return r.Host
}

// headerValues is Header.Values for a lower-case name, without the allocation for names that
// net/http does not know.
func headerValues(h http.Header, name string) []string {
	var key [64]byte
	if len(name) > len(key) {
		return h.Values(name)
	}
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		key[i], upper = c, c == '-'
	}
	return h[string(key[:len(name)])]
}

// appendStringToSign appends what the signature is made of.
func appendStringToSign(b []byte, at time.Time, s scope, canonical []byte) []byte {
	b = append(b, algorithm+"\n"...)
	b = at.AppendFormat(b, timeFormat)
	b = append(b, '\n')
	b = append(b, s.date...)
	b = append(b, '/')
	b = append(b, s.region...)
	b = append(b, '/')
	b = append(b, s.service...)
	b = append(b, "/"+terminator+"\n"...)
	sum := sha256.Sum256(canonical)
	return hex.AppendEncode(b, sum[:])
}
