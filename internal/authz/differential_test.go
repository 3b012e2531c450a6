package authz_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kagimori/kagimori/internal/authz"
)

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// show prints a request with its documents for a failure.
func show(req *authz.Request) string {
	b, err := json.MarshalIndent(req, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// indexGrants puts the grants of a request into an index.
func (w world) indexGrants(req *authz.Request) *authz.Request {
	req = clone(req)
	for i := range req.Parts {
		p := &req.Parts[i]
		n := w.IntN(len(p.Grants) + 1)
		p.GrantIndex, p.Grants = authz.IndexGrants(p.Grants[n:]), p.Grants[:n]
	}
	return req
}

// sameCitation asserts that what applies is the same, and that nothing else is cited.
func sameCitation(t testing.TB, cited, full authz.Decision) {
	t.Helper()
	for i := range full.Parts {
		full.Parts[i].Missed = nil
	}
	if diff := cmp.Diff(full, cited, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("cited otherwise than explained:\n%s", diff)
	}
}

func TestEnginesAgree(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(8000) {
		w := newWorld(t, seed)
		req := w.request()
		full := authz.Explain(req)
		sameAnswer(t, authz.Decide(req), full)
		sameCitation(t, authz.Cite(req), full)
		sameAnswer(t, authz.Decide(w.indexGrants(req)), full)
		for i, p := range full.Parts {
			outcome, layer := literally(req, i)
			if p.Outcome != outcome || p.By != layer {
				t.Fatalf("seed %d part %d: %s by %s, literally %s by %s\n%s", seed, i,
					decisions[p.Outcome], p.By, decisions[outcome], layer, show(req))
			}
			seen[decisions[outcome]+" by "+layer.String()]++
		}
	}
	for _, want := range []string{
		"Allow by identity", "Allow by resource", "Allow by grant", "Allow by root",
		"ExplicitDeny by identity", "ExplicitDeny by resource", "ExplicitDeny by boundary", "ExplicitDeny by session",
		"ExplicitDeny by scp", "ExplicitDeny by rcp", "ExplicitDeny by endpoint",
		"ImplicitDeny by identity", "ImplicitDeny by resource", "ImplicitDeny by boundary", "ImplicitDeny by session",
		"ImplicitDeny by scp", "ImplicitDeny by endpoint", "ImplicitDeny by grant",
	} {
		if seen[want] < 10 {
			t.Errorf("%s: only %d requests", want, seen[want])
		}
	}
}

func TestEnginesAgreeOnTheCorpus(t *testing.T) {
	for _, c := range corpus(t) {
		outcome, layer := literally(c.request(t), 0)
		if decisions[outcome] != c.Expect.Decision {
			t.Errorf("%s: literally %s by %s, want %s", c.ID, decisions[outcome], layer, c.Expect.Decision)
		}
	}
}
