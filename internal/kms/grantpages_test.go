package kms_test

import (
	"fmt"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// The longest pages there are, of grants that each name other principals, and of grants among more
// that the request does not ask for.
func TestLongestPagesOfGrants(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	retiring := w.role(owner, "/", "retiring")
	lister := w.session(retiring, "s").arn()
	for i := range 130 {
		grantee := w.role(owner, "/", fmt.Sprint("grantee", i))
		root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(grantee.ARN()), RetiringPrincipal: new(retiring.ARN()), Operations: []string{"Decrypt"}})
		root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(grantee.ARN()), RetiringPrincipal: &lister, Operations: []string{"Decrypt"}})
	}
	pages := func(next func(marker *string) *kmsapi.ListGrantsResponse) (all, calls int) {
		seen := map[string]bool{}
		for marker, more := (*string)(nil), true; more; calls++ {
			out := next(marker)
			for _, g := range out.Grants {
				if seen[*g.GrantId] {
					t.Fatalf("grant %s is listed twice", *g.GrantId)
				}
				seen[*g.GrantId] = true
			}
			if len(out.Grants) > 100 || calls > 20 {
				t.Fatalf("%d grants in page %d", len(out.Grants), calls)
			}
			marker, more = out.NextMarker, *out.Truncated
		}
		return len(seen), calls
	}
	if n, _ := pages(func(m *string) *kmsapi.ListGrantsResponse {
		return get[kmsapi.ListGrantsResponse](root, &kmsapi.ListGrantsRequest{KeyId: &key, Limit: new(int32(100)), Marker: m})
	}); n != 260 {
		t.Errorf("%d grants of the key, want 260", n)
	}
	for _, who := range []string{retiring.ARN(), lister} {
		if n, _ := pages(func(m *string) *kmsapi.ListGrantsResponse {
			return get[kmsapi.ListGrantsResponse](root, &kmsapi.ListRetirableGrantsRequest{RetiringPrincipal: &who, Limit: new(int32(100)), Marker: m})
		}); n != 130 {
			t.Errorf("%d grants for %s to retire, want 130", n, who)
		}
	}
	one := "arn:aws:iam::" + owner + ":role/grantee7"
	if n, _ := pages(func(m *string) *kmsapi.ListGrantsResponse {
		return get[kmsapi.ListGrantsResponse](root, &kmsapi.ListGrantsRequest{KeyId: &key, GranteePrincipal: &one, Marker: m})
	}); n != 2 {
		t.Errorf("%d grants of one grantee, want 2", n)
	}
}
