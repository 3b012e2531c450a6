package live_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// corpus reads the shared scenarios.
func corpus(t *testing.T) map[string]*format.Scenario {
	t.Helper()
	paths, err := filepath.Glob("../launch/testdata/scenarios/*.json")
	if err != nil || len(paths) != 50 {
		t.Fatalf("%d scenarios, %v", len(paths), err)
	}
	out := map[string]*format.Scenario{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := format.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		out[sc.ID] = sc
	}
	return out
}

// access is that of an administrator of an account, or of another access key.
func access(s *testkit.Server, region, account string, creds sigv4.Credentials) live.Access {
	return live.Access{
		Name: "account " + account, Region: region,
		Credentials: func(context.Context) (sigv4.Credentials, error) { return creds, nil },
		Endpoint:    func(string) string { return s.URL },
	}
}

// open reads the accounts of a scenario as their administrators do, and the organization as that of
// the management account.
func open(t *testing.T, s *testkit.Server, sc *format.Scenario, change func(*live.Config)) *live.Session {
	t.Helper()
	ids := []string{sc.Launch.Account}
	for _, a := range sc.Accounts {
		if !slices.Contains(ids, a.ID) {
			ids = append(ids, a.ID)
		}
	}
	cfg := live.Config{}
	for _, id := range append(ids, "000000000000") {
		cfg.Accesses = append(cfg.Accesses, access(s, sc.Region, id, testkit.Admin(id)))
	}
	if change != nil {
		change(&cfg)
	}
	session, err := live.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// perform loads a scenario and launches it.
func perform(t *testing.T, s *testkit.Server, sc *format.Scenario) *scenario.World {
	t.Helper()
	w, err := scenario.Load(t.Context(), scenario.Config{
		Endpoint: s.URL, Out: t.Output(), Pause: func(ctx context.Context, d time.Duration) error { return s.App.Advance(ctx, d) },
	}, sc)
	if err != nil {
		t.Fatal(err)
	}
	if w.SetUp() {
		if _, err := w.Launch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// selection is what of a server is checked for the launch of a scenario.
func selection(t *testing.T, s *testkit.Server, w *scenario.World) live.Selection {
	t.Helper()
	l := w.Scenario.Launch
	sel := live.Selection{Caller: api.Val(l.Caller)}
	switch l.Operation {
	case format.AttachVolume:
		sel.Volumes = []string{w.Real(l.ExistingVolumes[0].ID)}
	case format.StartInstances:
		c := s.In(w.Scenario.Region, testkit.Admin(l.Account))
		out := testkit.Call[ec2api.DescribeVolumesResult](c.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{VolumeIds: []string{w.Real(l.ExistingVolumes[0].ID)}})
		sel.Instances = []string{api.Val(out.Volumes[0].Attachments[0].InstanceId)}
	case format.RunInstances:
		for _, t := range l.Templates {
			sel.Templates = append(sel.Templates, w.TemplateName(t.Name))
		}
	}
	return sel
}

// A verdict is what two checks of the same launch have to agree in.
type verdict struct {
	Verdict  string
	Failures []string
}

// verdictOf is what is said of the launches of one scenario together.
func verdictOf(key func(string) string, reports ...*doctor.Report) verdict {
	v := verdict{}
	for _, r := range reports {
		if v.Verdict == "" || v.Verdict == "launches" || r.Verdict == "fails" {
			v.Verdict = r.Verdict
		}
		for _, f := range r.Failures {
			text := fmt.Sprintf("%s %s %s %s %s", f.Step, api.Val(f.Principal), f.Action, key(api.Val(f.Key)), f.Rule)
			if !slices.Contains(v.Failures, text) {
				v.Failures = append(v.Failures, text)
			}
		}
	}
	slices.Sort(v.Failures)
	return v
}

func scenarios(launches []live.Launch) (out []*format.Scenario) {
	for _, l := range launches {
		out = append(out, l.Scenario)
	}
	return out
}

// other are the scenarios of which a live check has to say something else than their file, and why.
func other() map[string]string {
	setup := "the setup is refused: there is no launch yet"
	perimeter := "the key policy denies everything to who comes from outside the network, the administrator too"
	return map[string]string{
		"019-create-grant-condition-blocks-admin": setup, "020-role-does-not-exist-yet": setup, "021-grantee-does-not-exist": setup, "035-policy-lock-out": setup,
		"010-network-perimeter-with-exemptions": perimeter, "029-deny-source-ip": perimeter,
		"032-grant-revoked": "a grant that was revoked is not to be seen any more: the same refusal, explained without it",
	}
}

// TestTheLiveCheckSaysWhatTheFileSays builds the world of each scenario on a server, reads it back
// with read-only calls alone, and compares what the doctor says of the two.
func TestTheLiveCheckSaysWhatTheFileSays(t *testing.T) {
	for id, sc := range corpus(t) {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			s := testkit.Start(t, testkit.Options{})
			w := perform(t, s, sc)
			session, sel := open(t, s, sc, nil), selection(t, s, w)
			launches, err := session.Read(t.Context(), sel)
			if err != nil {
				t.Fatal(err)
			}
			why, differs := other()[id]
			if len(launches) == 0 && w.SetUp() { // the group could not be made: ask before it is
				for _, x := range sc.Launch.Templates {
					sel.Templates = append(sel.Templates, w.TemplateName(x.Name))
				}
				if launches, err = session.Read(t.Context(), sel); err != nil {
					t.Fatal(err)
				}
			}
			var reports []*doctor.Report
			for _, l := range launches {
				reports = append(reports, doctor.Check(l.Scenario))
			}
			key := func(name string) string { // a server makes the AWS managed key with an id of its own
				for _, x := range append([]*format.Scenario{sc}, scenarios(launches)...) {
					if k := x.Key(name); k != nil && k.Manager == format.ManagerAWS || strings.HasSuffix(name, "/00000000-0000-0000-0000-000000000000") {
						return "the AWS managed key"
					}
				}
				return name
			}
			want, got := verdictOf(key, doctor.Check(sc)), verdictOf(key, reports...)
			diff := gocmp.Diff(want, got)
			switch {
			case !differs && diff != "":
				t.Errorf("(-file +live):\n%s%q", diff, reports[0].Depends)
			case differs && diff == "":
				t.Errorf("this is to differ, for %s", why)
			case why == other()["010-network-perimeter-with-exemptions"]:
				if d := strings.Join(reports[0].Depends, "\n"); got.Verdict != "cannot-tell" || !strings.Contains(d, "may not kms:GetKeyPolicy") {
					t.Errorf("got %s, %s", got.Verdict, d)
				}
			case why == other()["032-grant-revoked"]:
				trim := func(v verdict) string {
					return strings.TrimSuffix(strings.TrimSuffix(v.Failures[0], "grant-revoked"), "cross-account-needs-grant")
				}
				if got.Verdict != want.Verdict || trim(got) != trim(want) {
					t.Errorf("got %v", got)
				}
			case differs && len(launches) > 0:
				t.Errorf("there is a launch, although %s", why)
			}
		})
	}
}
