package scenario_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
)

// An outcome is what of a launch survives being written down and loaded again.
type outcome struct {
	Launched                                 bool
	State, Status                            string
	Volumes                                  int
	Step, Principal, Action, Rule, Key, Code string
}

func outcomeOf(t *testing.T, s *testkit.Server, w *scenario.World, a scenario.Attempt) outcome {
	t.Helper()
	o := outcome{Launched: a.Launched, State: a.State, Status: a.StatusCode, Volumes: len(a.Volumes)}
	if a.Refused != nil {
		o.Code = a.Refused.Code
	}
	if !a.Launched {
		j := judge{t: t, server: s, world: w}
		r := j.refusedLaunch(a)
		for _, p := range j.found {
			t.Error(p)
		}
		o.Step, o.Principal, o.Action, o.Rule = r.step, r.principal, r.action, r.rule
		for _, k := range w.Scenario.Keys {
			if k.ARN == r.key && k.Manager == "CUSTOMER" { // a server chooses the ids of AWS managed keys
				o.Key = r.key
			}
		}
	}
	return o
}

// TestAWorldThatIsExportedAndLoadedLaunchesOrFailsAsBefore writes the world of every launch of a
// group or template down, after the fact, and builds it again.
func TestAWorldThatIsExportedAndLoadedLaunchesOrFailsAsBefore(t *testing.T) {
	all := files(t)
	var seen, hidden []string
	for _, id := range slices.Sorted(maps.Keys(all)) {
		sc, err := scenario.Parse(all[id])
		if err != nil {
			t.Fatal(err)
		}
		if op := sc.Launch.Operation; op != "AutoScalingLaunch" && op != "RunInstances" {
			continue
		}
		t.Run(id, func(t *testing.T) {
			s := testkit.Start(t, testkit.Options{})
			w, attempts, err := perform(t, s, sc)
			if err != nil {
				t.Fatal(err)
			}
			if !w.SetUp() || attempts[0].Refused != nil {
				return // there is no group to be written down
			}
			for _, a := range attempts {
				if roundTrip(t, s, w, a) {
					seen = append(seen, id)
				} else {
					hidden = append(hidden, id)
				}
			}
		})
	}
	if len(seen) < 32 {
		t.Errorf("only %d worlds were exported: %v", len(seen), seen)
	}
	// Two keys deny everybody outside their network, one account has no KMS: their administrators
	// cannot see what they have.
	if want := []string{"010-network-perimeter-with-exemptions", "029-deny-source-ip", "039-scp-allow-list-without-kms"}; !slices.Equal(hidden, want) {
		t.Errorf("hidden from their administrators: %v, want %v", hidden, want)
	}
}

// roundTrip exports the world of an attempt into another server. It returns false if the
// administrators may not look at all of it.
func roundTrip(t *testing.T, s *testkit.Server, w *scenario.World, a scenario.Attempt) bool {
	t.Helper()
	want := outcomeOf(t, s, w, a)
	sc, _, err := scenario.Export(t.Context(), config(t, s), selection(w, a))
	if apierr.Code(err) == "AccessDeniedException" {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := sc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if sc, err = scenario.Parse(data); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if group := a.Group != ""; (sc.Expected != nil) != (group && a.Launched) {
		t.Errorf("expected is %+v", sc.Expected)
	}
	second := testkit.Start(t, testkit.Options{})
	again, attempts, err := perform(t, second, sc)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if len(attempts) != 1 {
		t.Fatalf("%d attempts", len(attempts))
	}
	if diff := gocmp.Diff(want, outcomeOf(t, second, again, attempts[0])); diff != "" {
		t.Errorf("the copy (-original +copy):\n%s\n%s", diff, data)
	}
	if sc.Expected != nil {
		j := judge{t: t, server: second, world: again, want: *sc.Expected}
		for _, p := range j.compare(attempts) {
			t.Error(p)
		}
	}
	return true
}

// selection is that of the launch of an attempt, with all accounts of its scenario.
func selection(w *scenario.World, a scenario.Attempt) scenario.Selection {
	l := w.Scenario.Launch
	sel := scenario.Selection{ID: "copy", Accounts: []string{l.Account}, Region: w.Scenario.Region, Group: a.Group}
	if a.Group == "" {
		sel.Template, sel.Caller = w.TemplateName(a.Template), *l.Caller
	}
	for _, acc := range w.Scenario.Accounts {
		if acc.ID != l.Account {
			sel.Accounts = append(sel.Accounts, acc.ID)
		}
	}
	return sel
}

func TestASelectionThatIsNoLaunchIsRefused(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	for name, sel := range map[string]scenario.Selection{
		"no account":               {Region: testkit.Region},
		"no group":                 {Region: testkit.Region, Accounts: []string{"111122223333"}},
		"a group that is not":      {Region: testkit.Region, Accounts: []string{"111122223333"}, Group: "web"},
		"a template and nobody":    {Region: testkit.Region, Accounts: []string{"111122223333"}, Template: "web"},
		"somebody and no template": {Region: testkit.Region, Accounts: []string{"111122223333"}, Caller: "arn:aws:iam::111122223333:role/x"},
	} {
		if _, _, err := scenario.Export(t.Context(), config(t, s), sel); !errors.Is(err, scenario.ErrSelection) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
