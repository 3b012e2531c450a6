package gateway

import (
	"net/http"
	"regexp"
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
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if len(parts) < 5 {
		return scope{}
	}
	// An access key id may hold slashes as far as the grammar goes: count from the end.
	return scope{region: parts[len(parts)-3], service: parts[len(parts)-2]}
}

// validRegion reports whether a name may be that of a Region of the partition aws, the only one
// there is here. Source: AWS General Reference, "Regions and endpoints"; the SDKs' partitions.
func validRegion(name string) bool {
	return regionName.MatchString(name) && !otherPartition.MatchString(name)
}

var (
	regionName     = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-\d$`)
	otherPartition = regexp.MustCompile(`^(cn|us-gov|us-iso[a-z]*|eu-isoe|eusc)-`)
)
