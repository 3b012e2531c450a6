package gateway

import (
	"net/http"
	"strings"

	"github.com/kagimori/kagimori/internal/wire/form"
)

// scope is the credential scope that a request claims. It routes and spells errors; only a
// verified signature makes it true.
type scope struct{ region, service string }

// scopeOf reads AKID/20260304/eu-west-1/kms/aws4_request from the Authorization header or the
// query string of a presigned request. It is zero if there is none.
func scopeOf(r *http.Request) scope {
	credential := ""
	if header := r.Header.Get("Authorization"); header != "" {
		_, rest, _ := strings.Cut(header, "Credential=")
		credential, _, _ = strings.Cut(rest, ",")
	} else {
		credential, _ = form.Lookup([]byte(r.URL.RawQuery), "X-Amz-Credential")
	}
	// An access key id may hold slashes as far as the grammar goes: count from the end.
	rest, _, ok1 := cutLast(strings.TrimSpace(credential)) // the terminator
	rest, service, ok2 := cutLast(rest)
	rest, region, ok3 := cutLast(rest)
	if !ok1 || !ok2 || !ok3 || !strings.Contains(rest, "/") {
		return scope{}
	}
	return scope{region: region, service: service}
}

// cutLast cuts the last part off.
func cutLast(s string) (rest, part string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// validRegion reports whether a name may be that of a Region of the partition aws, the only one
// there is here. Source: AWS General Reference, "Regions and endpoints"; the SDKs' partitions.
func validRegion(name string) bool {
	first, rest, ok := strings.Cut(name, "-")
	if !ok || len(first) < 2 || !letters(first) || otherPartition(name) {
		return false
	}
	words := 0
	for ; ; words++ {
		word, after, more := strings.Cut(rest, "-")
		if !more {
			return words > 0 && len(word) == 1 && '0' <= word[0] && word[0] <= '9'
		}
		if word == "" || !letters(word) {
			return false
		}
		rest = after
	}
}

// letters reports whether a text is lower-case letters only.
func letters(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// otherPartition reports whether a name begins like those of the Regions of another partition.
func otherPartition(name string) bool {
	if rest, ok := strings.CutPrefix(name, "us-iso"); ok {
		word, _, more := strings.Cut(rest, "-")
		return more && letters(word)
	}
	for _, prefix := range [...]string{"cn-", "us-gov-", "eu-isoe-", "eusc-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
