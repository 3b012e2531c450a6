package scenario_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
)

// TestEveryScenarioPlaysAsItSays builds the world of each scenario on a server, performs its
// setup and its launch, and compares; then it does the same with each of its fixes, which must
// launch.
func TestEveryScenarioPlaysAsItSays(t *testing.T) {
	all := files(t)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		t.Run(id, func(t *testing.T) {
			sc, err := scenario.Parse(all[id])
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range play(t, sc) {
				t.Error(p)
			}
		})
	}
}

// play returns where a server and a scenario disagree.
func play(t *testing.T, sc *scenario.Scenario) []string {
	t.Helper()
	s := testkit.Start(t, testkit.Options{})
	w, attempts, err := perform(t, s, sc)
	if err != nil {
		return []string{err.Error()}
	}
	j := judge{t: t, server: s, world: w, want: *sc.Expected}
	found := j.compare(attempts)
	if sc.Expected.Fix == nil {
		return found
	}
	for i, patch := range sc.Expected.Fix.Patches() {
		if err := launches(t, s, sc, patch); err != nil {
			found = append(found, fmt.Sprintf("with fix %d: %v", i, err))
		}
	}
	return found
}

// config reaches a server whose time passes while one waits.
func config(t *testing.T, s *testkit.Server) scenario.Config {
	return scenario.Config{
		Endpoint: s.URL, Out: t.Output(),
		Pause: func(ctx context.Context, d time.Duration) error { return s.App.Advance(ctx, d) },
	}
}

// perform loads a scenario and, if its setup goes well, launches it.
func perform(t *testing.T, s *testkit.Server, sc *scenario.Scenario) (*scenario.World, []scenario.Attempt, error) {
	t.Helper()
	w, err := scenario.Load(t.Context(), config(t, s), sc)
	if err != nil || !w.SetUp() {
		return w, nil, err
	}
	attempts, err := w.Launch(t.Context())
	return w, attempts, err
}

var errStill = errors.New("it still does not launch")

// launches performs a fixed scenario on an empty server.
func launches(t *testing.T, s *testkit.Server, sc *scenario.Scenario, patch []scenario.Edit) error {
	t.Helper()
	fixed, err := sc.Patched(patch)
	if err != nil {
		return err
	}
	if err := s.App.Reset(t.Context()); err != nil {
		return err
	}
	w, attempts, err := perform(t, s, fixed)
	if err != nil {
		return err
	}
	if !w.SetUp() {
		return fmt.Errorf("%w: setup: %+v", errStill, w.Setup)
	}
	for _, a := range attempts {
		if !a.Launched {
			return fmt.Errorf("%w: %+v, refused: %+v", errStill, a, cmp.Or(a.Refused, &scenario.Refusal{}))
		}
	}
	return nil
}
