package cfn_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/testkit"
)

// TestAServerDoesWhatTheTemplateIsSaidToDo builds the worlds of templates on a server, launches, and
// compares with the doctor; for what fails, it does so again with the fix.
func TestAServerDoesWhatTheTemplateIsSaidToDo(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	launches := func(t *testing.T, sc *format.Scenario) bool {
		t.Helper()
		check(t, s.App.Reset(t.Context()))
		world := *sc
		world.Unknown = nil // what is known decides
		world.Launch.Templates = slices.Clone(sc.Launch.Templates)
		for i := range world.Launch.Templates {
			world.Launch.Templates[i].InstanceTypes = nil // the image that stands in is of another architecture
		}
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
	at := func(name, stack, account string) cfn.File {
		f := file(t, name)
		f.Stack, f.Account, f.Region = stack, account, "us-west-2"
		return f
	}
	two := []cfn.File{at("two-accounts-key.yaml", "Key", "444455556666"), at("two-accounts-group.yaml", "Group", "111122223333")}
	for _, tt := range []struct {
		name   string
		files  []cfn.File
		opt    cfn.Options
		launch string
	}{
		{"one account", []cfn.File{at("one-account.yaml", "Web", "111122223333")}, cfn.Options{}, "WebGroup"},
		{"without the statements", []cfn.File{at("one-account-failing.yaml", "Web", "111122223333")}, cfn.Options{}, "WebGroup"},
		{"two accounts", two, cfn.Options{}, "Group/Group"},
		{"without the grant", two, cfn.Options{Parameters: map[string]string{"WithGrant": "false"}}, "Group/Group"},
		{"the instances' role", []cfn.File{at("assembly/FleetStack.template.json", "FleetStack", "111122223333")}, cfn.Options{}, "FleetASG1F2E"},
		{"nested stacks", []cfn.File{at("nested/parent.yaml", "parent", "111122223333")}, cfn.Options{Open: open}, "parent-Group/Group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := find(t, read(t, tt.opt, tt.files...), tt.launch).Scenario
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
