package guard_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// A flood of refusals leaves short records: who was refused what, by which layer.
func TestAFloodOfRefusalsIsRecordedInBrief(t *testing.T) {
	w := guardtest.New(t)
	ana, bob := w.User(account, "ana", nothing), w.User("444455556666", "bob", nothing)
	refused := func(as guard.Caller) guard.Recorded {
		c := newCall(as, "kms", "DescribeKey")
		if _, err := w.Guard.Invoke(t.Context(), c, &in{}, read(w, onKey(t, "kms:DescribeKey"))); err == nil {
			t.Fatal("the request was allowed")
		}
		_, ds := only(t, w, c)
		return ds[0]
	}
	h := read(w, onKey(t, "kms:DescribeKey"))
	n := 0
	for ; n < 3000; n++ {
		c := newCall(ana, "kms", "DescribeKey")
		if _, err := w.Guard.Invoke(t.Context(), c, &in{}, h); err == nil {
			t.Fatal("the request was allowed")
		}
		if n%250 == 0 {
			if _, ds := only(t, w, c); ds[0].Brief {
				break
			}
		}
	}
	if n < 500 || n > 2000 {
		t.Fatalf("records are brief after %d refusals", n)
	}
	d := refused(ana)
	if !d.Brief || d.Fixes != nil || d.Context != nil || len(d.Parts) != 1 || d.Parts[0].By != "identity" || d.Outcome != "implicitDeny" || len(d.Parts[0].Matched) == 0 {
		t.Errorf("in the flood: %+v", d)
	}
	if d := refused(bob); d.Brief || len(d.Fixes) == 0 {
		t.Errorf("another account's refusal: %+v", d)
	}
	w.Advance(time.Minute)
	if d := refused(ana); d.Brief || len(d.Fixes) == 0 {
		t.Errorf("a minute later: %+v", d)
	}
}
