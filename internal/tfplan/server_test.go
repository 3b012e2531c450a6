package tfplan_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// TestAServerDoesWhatThePlanIsSaidToDo builds the worlds of plans on a server, launches, and compares
// with the doctor; for what fails, it does so again with the fix.
func TestAServerDoesWhatThePlanIsSaidToDo(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	launches := func(t *testing.T, sc *format.Scenario) bool {
		t.Helper()
		check(t, s.App.Reset(t.Context()))
		world := *sc
		world.Unknown = nil // what is known decides
		w, err := scenario.Load(t.Context(), scenario.Config{
			Endpoint: s.URL, Out: t.Output(), Pause: func(ctx context.Context, d time.Duration) error { return s.App.Advance(ctx, d) },
		}, &world)
		check(t, err)
		if !w.SetUp() {
			return false
		}
		attempts, err := w.Launch(t.Context())
		check(t, err)
		return !slices.ContainsFunc(attempts, func(a scenario.Attempt) bool { return !a.Launched })
	}
	for _, tt := range []struct{ file, launch string }{
		{"one-account/good.json", web},
		{"one-account/state.json", web},
		{"one-account/key-policy.json", web},
		{"one-account/missing-statements.json", web},
		{"two-accounts/good.json", web},
		{"two-accounts/no-grant.json", web},
		{"two-accounts/condition.json", web},
		{"defaults/closed-key.json", web},
		{"defaults/spot-launch-configuration.json", "aws_autoscaling_group.spot"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			sc := find(t, read(t, tt.file, tfplan.Options{}), tt.launch).Scenario
			r := doctor.Check(sc)
			if got := launches(t, sc); got != (r.Told() == doctor.Launches) {
				t.Fatalf("the server launches it: %v; the doctor says: %s", got, r.Verdict)
			}
			if r.Fix == nil {
				return
			}
			fixed, err := sc.Patched(r.Fix.Patch)
			check(t, err)
			if !launches(t, fixed) {
				t.Errorf("with the fix it still does not launch: %s", r.Fix.Summary)
			}
		})
	}
}
