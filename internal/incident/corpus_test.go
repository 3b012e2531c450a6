package incident_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/incident"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/testkit"
)

// lookup is what LookupEvents of an account says, as the command line prints it.
func lookup(t *testing.T, s *testkit.Server, region, account string) []byte {
	t.Helper()
	type event struct{ EventName, CloudTrailEvent string }
	var all struct{ Events []event }
	c := s.In(region, testkit.Admin(account)).CloudTrail
	for next := (*string)(nil); ; {
		out := testkit.Call[cloudtrailapi.LookupEventsResponse](c, "LookupEvents", &cloudtrailapi.LookupEventsRequest{NextToken: next})
		for _, e := range out.Events {
			all.Events = append(all.Events, event{api.Val(e.EventName), api.Val(e.CloudTrailEvent)})
		}
		if next = out.NextToken; next == nil {
			break
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestARefusedLaunchIsExplainedFromItsRecords launches every scenario that fails for want of
// permission on a server, reads the records with LookupEvents and finds the refusal that the scenario
// expects: with the scenario by the same rule, and without it with something to change.
func TestARefusedLaunchIsExplainedFromItsRecords(t *testing.T) {
	paths, err := filepath.Glob("../launch/testdata/scenarios/*.json")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := format.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		foretold := doctor.Check(sc)
		if len(foretold.Failures) == 0 || !strings.HasPrefix(foretold.Failures[0].Action, "kms:") || foretold.Failures[0].Step == "setup" ||
			foretold.Failures[0].Rule == "no-allow-scp" || // nor is LookupEvents allowed there
			strings.HasPrefix(foretold.Failures[0].Rule, "key-") {
			continue
		}
		found++
		t.Run(sc.ID, func(t *testing.T) { explained(t, sc, &foretold.Failures[0]) })
	}
	if found < 20 {
		t.Errorf("only %d scenarios", found)
	}
}

func explained(t *testing.T, sc *format.Scenario, want *doctor.Failure) {
	s := testkit.Start(t, testkit.Options{})
	w, err := scenario.Load(t.Context(), scenario.Config{
		Endpoint: s.URL, Out: t.Output(), Pause: func(ctx context.Context, d time.Duration) error { return s.App.Advance(ctx, d) },
	}, sc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	data := lookup(t, s, sc.Region, sc.Launch.Account)
	if !incident.Is(data) {
		t.Fatal("the records are not known as such")
	}
	events, seen, err := incident.Read(data)
	if err != nil || seen <= len(events) {
		t.Fatalf("%d of %d events failed, %v", len(events), seen, err)
	}
	key := w.Real(api.Val(want.Key))
	incidents := incident.Gather(events)
	i := slices.IndexFunc(incidents, func(n *incident.Incident) bool {
		return n.Principal == api.Val(want.Principal) && (n.Key == key || n.Key == "") && slices.Contains(incident.Actions(n), want.Action)
	})
	if i < 0 {
		t.Fatalf("no refusal of %s to %s on %s in %+v", want.Action, api.Val(want.Principal), key, deref(incidents))
	}
	n := incidents[i]
	if n.First > n.Last || n.Count < 1 || n.Code == "" || len(n.Events) == 0 {
		t.Errorf("%+v", n)
	}
	if n.Key == "" { // another account's key stays unnamed in the record of a refusal
		if f := (&incident.Explainer{Doctor: doctor.New()}).Explain("x", n); len(f.Notes) == 0 {
			t.Errorf("nothing is said of %+v", f)
		}
		return
	}
	judge := doctor.New()
	if sc.Key(n.Key) != nil { // a server makes AWS managed keys with ids of their own
		f := (&incident.Explainer{Doctor: judge, Scenarios: []*format.Scenario{sc}}).Explain("x", n)
		if f.Now != "refused" || f.Rule != want.Rule || f.Where != api.Val(want.Where) {
			t.Errorf("with the scenario: %s %s %q, want %s %q; %q", f.Now, f.Rule, f.Where, want.Rule, api.Val(want.Where), f.Depends)
		}
		if len(f.Fixes)+len(f.Notes) == 0 {
			t.Error("nothing helps")
		}
	}
	f := (&incident.Explainer{Doctor: judge}).Explain("x", n)
	if len(f.Fixes)+len(f.Notes) == 0 || f.Reason.Empty() {
		t.Errorf("without a scenario: %+v", f)
	}
	var out strings.Builder
	if err := f.Write(&out, speech.English, true); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
}

func deref(list []*incident.Incident) (out []incident.Incident) {
	for _, n := range list {
		out = append(out, *n)
	}
	return out
}

// parsed is a shared scenario.
func parsed(t *testing.T, id string) *format.Scenario {
	t.Helper()
	data, err := os.ReadFile("../launch/testdata/scenarios/" + id + ".json")
	if err != nil {
		t.Fatal(err)
	}
	sc, err := format.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}
