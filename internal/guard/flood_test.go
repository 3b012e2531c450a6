package guard_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// A flood of refusals leaves short records: who was refused what, by which layer. Time stands still
// but where the test moves it, so that none of the allowance comes back unasked.
func TestAFloodOfRefusalsIsRecordedInBrief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := guardtest.New(t)
		ana, bob := w.User(account, "ana", nothing), w.User("444455556666", "bob", nothing)
		h := read(w, onKey(t, "kms:DescribeKey"))
		refuse := func(as guard.Caller) *guard.Call {
			c := newCall(as, "kms", "DescribeKey")
			if _, err := w.Guard.Invoke(t.Context(), c, &in{}, h); err == nil {
				t.Fatal("the request was allowed")
			}
			return c
		}
		refused := func(as guard.Caller) guard.Recorded {
			_, ds := only(t, w, refuse(as))
			return ds[0]
		}
		for range 999 {
			refuse(ana)
		}
		if d := refused(ana); d.Brief || len(d.Fixes) == 0 {
			t.Errorf("the thousandth: %+v", d)
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
	})
}
