package authz_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/literal"
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

// agree asserts that all modes and the literal engine decide a request alike, and returns how its
// parts were decided.
func agree(t testing.TB, w world, req *authz.Request, where string) []string {
	t.Helper()
	full := authz.Explain(req)
	sameAnswer(t, authz.Decide(req), full)
	sameAnswer(t, authz.Decide(w.indexGrants(req)), full)
	var how []string
	for i, p := range full.Parts {
		outcome, layer := literal.Decide(req, i)
		if p.Outcome != outcome || p.By != layer {
			t.Fatalf("%s part %d: %s by %s, literally %s by %s\n%s", where, i,
				decisions[p.Outcome], p.By, decisions[outcome], layer, show(req))
		}
		how = append(how, decisions[outcome]+" by "+layer.String())
	}
	return how
}

// oracleCases is how many requests are compared; ORACLE_CASES sets another number, as make fuzz
// does. What the race detector could find it finds with few.
func oracleCases(t *testing.T) int {
	s := os.Getenv("ORACLE_CASES")
	switch {
	case s == "" && raceDetector:
		return 20_000
	case s == "":
		return 200_000
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The engine and an independent, literal reading of the rules, in blocks with their own documents.
// A block's number is its seed: a failure happens again.
func TestEnginesAgree(t *testing.T) {
	const block = 10_000
	cases := oracleCases(t)
	blocks := (cases + block - 1) / block
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next int                // guarded by mu
		seen = map[string]int{} // guarded by mu
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				n := next
				next++
				mu.Unlock()
				if n >= blocks || t.Failed() {
					return
				}
				w, how := newWorld(t, uint64(n)), map[string]int{}
				w.fill(300)
				for i := range block {
					for _, h := range agree(t, w, w.request(), fmt.Sprintf("block %d request %d", n, i)) {
						how[h]++
					}
				}
				mu.Lock()
				for h, n := range how {
					seen[h] += n
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, want := range []string{
		"Allow by identity", "Allow by resource", "Allow by grant", "Allow by root",
		"ExplicitDeny by identity", "ExplicitDeny by resource", "ExplicitDeny by boundary", "ExplicitDeny by session",
		"ExplicitDeny by scp", "ExplicitDeny by rcp", "ExplicitDeny by endpoint",
		"ImplicitDeny by identity", "ImplicitDeny by resource", "ImplicitDeny by boundary", "ImplicitDeny by session",
		"ImplicitDeny by scp", "ImplicitDeny by endpoint", "ImplicitDeny by grant",
	} {
		if seen[want] < cases/2000 {
			t.Errorf("%s: only %d requests", want, seen[want])
		}
	}
}

func TestWhatIsCitedIsWhatApplies(t *testing.T) {
	for seed := range uint64(3000) {
		req := newWorld(t, seed).request()
		sameCitation(t, authz.Cite(req, nil), authz.Explain(req))
	}
}

// choices is a source of random numbers whose first ones are given, as a fuzzer does.
type choices struct {
	given []byte
	rest  *rand.PCG
}

func (c *choices) Uint64() uint64 {
	if len(c.given) == 0 {
		return c.rest.Uint64()
	}
	v := uint64(c.given[0]) << 56 // IntN looks at the high bits
	c.given = c.given[1:]
	return v
}

// FuzzEnginesAgree lets the fuzzer choose the request.
func FuzzEnginesAgree(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x40\x80\xc0\xff"))
	f.Fuzz(func(t *testing.T, given []byte) {
		w := world{Rand: rand.New(&choices{given, rand.NewPCG(1, 2)}), t: t}
		agree(t, w, w.request(), "the fuzzer's")
	})
}

func TestEnginesAgreeOnTheCorpus(t *testing.T) {
	for _, c := range corpus(t) {
		outcome, layer := literal.Decide(build(t, c), 0)
		if decisions[outcome] != c.Expect.Decision {
			t.Errorf("%s: literally %s by %s, want %s", c.ID, decisions[outcome], layer, c.Expect.Decision)
		}
	}
}
