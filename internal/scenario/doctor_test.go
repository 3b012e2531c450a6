package scenario_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
)

// unperformed begins a disagreement about a world that could not be built or launched.
const unperformed = "not performed: "

// earlier reports whether a launch takes one step for all devices before the other.
func earlier(step, other string) bool {
	order := []string{"group-create", "request", "resolve-key", "create-volume", "attach", "decrypt"}
	return slices.Index(order, step) < slices.Index(order, other)
}

// disagreements performs a scenario on a server and returns where the doctor foretold something
// else: the verdict, and of each failure the step, the principal, the action, the key and the rule.
func disagreements(t *testing.T, s *testkit.Server, sc *scenario.Scenario) []string {
	t.Helper()
	foretold := doctor.Check(forgetful(sc))
	w, attempts, err := perform(t, s, sc)
	if err != nil {
		return []string{unperformed + err.Error()}
	}
	j := judge{t: t, server: s, world: w, want: scenario.Expected{}}
	for i, got := range w.Setup {
		if i >= len(foretold.Setup) {
			j.wrong("the doctor did not reach step %d of the setup", i)
			continue
		}
		want := foretold.Setup[i]
		j.same(fmt.Sprintf("setup %d", i), [2]any{want.OK, want.Error}, [2]any{got.OK, got.Error})
		if !got.OK && len(foretold.Failures) == 1 {
			j.compareFailure(foretold.Failures[0], j.refusedStep(i, got))
		}
	}
	launched := w.SetUp()
	for _, a := range attempts {
		launched = launched && a.Launched
		var first *doctor.Failure
		for i := range foretold.Failures {
			f := &foretold.Failures[i]
			if api.Val(f.Template) == a.Template && (first == nil || earlier(f.Step, first.Step)) {
				first = f
			}
		}
		switch {
		case a.Launched != (first == nil):
			j.wrong("%q launched: %t, foretold %+v; %+v", a.Template, a.Launched, first, a)
			if !a.Launched && a.Instance != "" {
				j.wrong("it was refused: %+v", j.refusedLaunch(a))
			}
		case first == nil:
		case first.Step == "group-create" || first.Step == "request": // no request to KMS
			e := foretold.Symptom.APIError
			j.same("the API's answer", [2]string{e.Operation, e.Code}, [2]string{a.Refused.Operation, a.Refused.Code})
		case a.Instance != "" || a.Refused != nil:
			j.compareFailure(*first, j.refusedLaunch(a))
		}
	}
	if want := foretold.Verdict == "launches"; launched != want {
		j.wrong("launched: %t, foretold %s", launched, foretold.Verdict)
	}
	return j.found
}

func (j *judge) compareFailure(want doctor.Failure, got refusal) {
	if a, err := arn.Parse(api.Val(want.Key)); err == nil && want.Rule == "alias-not-found" && a.Account != j.world.Scenario.Launch.Account {
		// The server does not tell what another account has: KMS refuses a key that is not there (docs/divergences.md, "Keys of other accounts").
		j.same("principal", api.Val(want.Principal), got.principal)
		if !strings.HasPrefix(got.key, arn.KMSKey(a.Region, a.Account, "")) || slices.ContainsFunc(j.world.Scenario.Keys, func(k scenario.Key) bool { return j.world.Real(k.ARN) == got.key }) {
			j.wrong("%s, which is not there, is %s", *want.Key, got.key)
		}
		return
	}
	j.same("step", want.Step, got.step)
	j.same("principal", api.Val(want.Principal), got.principal)
	j.same("action", want.Action, strings.TrimPrefix(got.action, "kms:DescribeKey"))
	key := j.world.Real(api.Val(want.Key))
	if place, ok := strings.CutSuffix(key, noKeyID); ok && strings.HasPrefix(got.key, place) {
		key = got.key // AWS's own key, of which the scenario does not tell
	}
	j.same("key", key, got.key)
	if strings.HasPrefix(want.Rule, "grant-") && slices.Contains(got.grantRules, want.Rule) {
		return // several grants do not help, each for a reason of its own
	}
	j.same("rule", want.Rule, got.rule)
}

// noKeyID stands for the id of a key that nobody has made yet.
const noKeyID = "00000000-0000-0000-0000-000000000000"

// forgetful is a scenario as a server has it, which forgets grants that ended.
func forgetful(sc *scenario.Scenario) *scenario.Scenario {
	out := *sc
	out.Keys = slices.Clone(sc.Keys)
	for i := range out.Keys {
		out.Keys[i].Grants = slices.DeleteFunc(slices.Clone(out.Keys[i].Grants), func(g scenario.Grant) bool { return g.Status != "active" })
	}
	return &out
}

// TestTheDoctorsFixesLaunchOnAServer loads each failing scenario with the first fix of the doctor,
// and the one that is AWS's documentation's, and launches it.
func TestTheDoctorsFixesLaunchOnAServer(t *testing.T) {
	all := files(t)
	fixed := 0
	s := testkit.Start(t, testkit.Options{})
	for _, id := range slices.Sorted(maps.Keys(all)) {
		sc, err := scenario.Parse(all[id])
		if err != nil {
			t.Fatal(err)
		}
		r := doctor.Check(sc)
		if r.Fix == nil {
			continue
		}
		t.Run(id, func(t *testing.T) {
			fixed++
			if err := launches(t, s, sc, r.Fix.Patch); err != nil {
				t.Errorf("%s: %v", r.Fix.Summary, err)
			}
			for _, p := range r.Fix.Alternatives {
				if p.Name != "documented" {
					continue
				}
				if err := launches(t, s, sc, p.Patch); err != nil {
					t.Errorf("%s: %v", p.Summary, err)
				}
			}
		})
	}
	if fixed != 38 {
		t.Errorf("%d scenarios were fixed, want 38", fixed)
	}
}

// TestServerAndDoctorAgreeOnDamagedWorlds takes one statement, grant or step away, or changes the
// state of a key, of scenarios that launch.
func TestServerAndDoctorAgreeOnDamagedWorlds(t *testing.T) {
	seen := 0
	s := testkit.Start(t, testkit.Options{})
	for _, id := range []string{"001-example1-two-volumes", "004-cross-account-grant", "008-re-encrypt-both-keys-open", "005-via-service-statement", "010-network-perimeter-with-exemptions", "011-lambda-caller-root-delegation"} {
		sc := variant(t, id, "/expected", "null")
		for _, damage := range damages(t, sc) {
			broken, err := sc.Patched([]scenario.Edit{damage})
			if err != nil {
				t.Fatal(err)
			}
			seen++
			t.Run(fmt.Sprint(id, " ", damage.Op, " ", damage.Path, " ", string(damage.Value)), func(t *testing.T) {
				if err := s.App.Reset(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, d := range disagreements(t, s, broken) {
					t.Error(d)
				}
			})
		}
	}
	if seen < 25 {
		t.Errorf("only %d damaged worlds", seen)
	}
}

// damages are edits that each break something.
func damages(t *testing.T, sc *scenario.Scenario) []scenario.Edit {
	t.Helper()
	var out []scenario.Edit
	for i, k := range sc.Keys {
		var p struct{ Statement []json.RawMessage }
		if err := json.Unmarshal(k.Policy, &p); err != nil {
			t.Fatal(err)
		}
		for j := range p.Statement {
			if len(p.Statement) > 1 {
				out = append(out, scenario.Edit{Op: "remove", Path: fmt.Sprintf("/keys/%d/policy/Statement/%d", i, j)})
			}
		}
		for j := range k.Grants {
			out = append(out, scenario.Edit{Op: "remove", Path: fmt.Sprintf("/keys/%d/grants/%d", i, j)})
		}
		if strings.Contains(string(k.Policy), `"Deny"`) {
			continue // it keeps the administrator from changing the key's state
		}
		out = append(out, scenario.Edit{Op: "replace", Path: fmt.Sprintf("/keys/%d/state", i), Value: scenario.Value(`"Disabled"`)})
	}
	for i := range sc.Setup {
		out = append(out, scenario.Edit{Op: "remove", Path: fmt.Sprintf("/setup/%d", i)})
	}
	for i, p := range sc.Principals {
		for j := range p.Policies {
			out = append(out, scenario.Edit{Op: "remove", Path: fmt.Sprintf("/principals/%d/policies/%d", i, j)})
		}
	}
	return out
}

// TestServerAndDoctorAgreeOnOtherOperations: volumes that are made, copies.
func TestServerAndDoctorAgreeOnOtherOperations(t *testing.T) {
	copying := []string{"/launch/operation", `"CopySnapshot"`, "/launch/templates/0/kind", `"volume"`, "/expected", `null`,
		"/snapshots", `[{"id":"snap-1","owner":"210987654321","encrypted":true,"key":"arn:aws:kms:us-west-2:210987654321:key/1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c73","sharedWith":[]}]`,
		"/launch/templates/0/blockDevices/0/ebs/snapshotId", `"snap-1"`}
	free := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","kms:*"],"Resource":"*"}]}`
	tests := []struct {
		name string
		sc   *scenario.Scenario
	}{
		{"a volume is made", variant(t, "037-boundary-hides-kms", "/launch/operation", `"CreateVolume"`, "/launch/templates/0/kind", `"volume"`, "/expected", "null", "/principals/0/boundary", free)},
		{"a copy is refused", variant(t, "037-boundary-hides-kms", copying...)},
		{"an image is not shared", variant(t, "023-shared-image-default-key-closed", "/images/0/sharedWith", "[]", "/expected", "null")},
		{"a role does not exist", variant(t, "013-first-statement-only", "/expected", "null", "/launch/group/serviceLinkedRoleArn",
			`"arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_x"`)},
		{"a key is named without Encrypted", variant(t, "037-boundary-hides-kms", "/expected", "null", "/launch/templates/0/blockDevices/0/ebs/encrypted", "false")},
		{"a key that does not exist", variant(t, "013-first-statement-only", "/expected", "null", "/launch/templates/0/blockDevices/0/ebs/kmsKeyId",
			`"arn:aws:kms:us-west-2:111122223333:key/00000000-0000-4000-8000-000000000000"`)},
		{"a key of another region", variant(t, "013-first-statement-only", "/expected", "null", "/launch/templates/0/blockDevices/0/ebs/kmsKeyId",
			`"arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000"`)},
		{"a copy is made", variant(t, "037-boundary-hides-kms", append(copying, "/principals/0/boundary", free)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, d := range disagreements(t, testkit.Start(t, testkit.Options{}), tt.sc) {
				t.Error(d)
			}
		})
	}
}

func TestWhatIsNotKnownCannotBeLoaded(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	_, err := scenario.Load(t.Context(), config(t, s), variant(t, "012-default-key-policy", "/unknown", `{"/keys/0/policy":"no permission to read it"}`))
	if err == nil || !strings.Contains(err.Error(), "/keys/0/policy of 012-default-key-policy is not known: no permission to read it") {
		t.Errorf("got %v", err)
	}
}

// TestTheServersDecisionsAreThoseForetold replays what a server recorded of each launch that goes
// well, and of each that fails on its only device: the same requests by the same principals on the same keys with the same outcomes. (Their
// order is not in the records, which all are of one moment of a clock that stands still.)
func TestTheServersDecisionsAreThoseForetold(t *testing.T) {
	all := files(t)
	s := testkit.Start(t, testkit.Options{})
	replayed, decisions := 0, 0
	for _, id := range slices.Sorted(maps.Keys(all)) {
		sc, err := scenario.Parse(all[id])
		if err != nil {
			t.Fatal(err)
		}
		if sc.Launch.Group != nil {
			sc.Launch.Group.Desired = 1
		}
		r := doctor.Check(sc)
		if len(r.Setup) > 0 && !r.Setup[len(r.Setup)-1].OK ||
			r.Told() != doctor.Launches && (len(sc.Launch.Templates) > 1 || len(r.Volumes) != 1 || r.Volumes[0].Device != onlyDevice(r)) {
			continue // the failure of one device cuts the requests of others short
		}
		t.Run(id, func(t *testing.T) {
			if err := s.App.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			w, attempts, err := perform(t, s, sc)
			if err != nil {
				t.Fatal(err)
			}
			j := judge{t: t, server: s, world: w}
			var want, got []doctor.Request
			for _, a := range attempts {
				got = append(got, j.recorded(a)...)
			}
			for _, q := range r.Requests() {
				q.Template, q.Device, q.Key = "", "", w.Real(q.Key)
				want = append(want, q)
			}
			byText := func(a, b doctor.Request) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
			slices.SortFunc(want, byText)
			slices.SortFunc(got, byText)
			j.same("requests", want, got)
			for _, p := range j.found {
				t.Error(p)
			}
			replayed++
			decisions += len(got)
		})
	}
	if replayed < 30 || decisions < 90 {
		t.Errorf("%d launches with %d decisions were replayed", replayed, decisions)
	}
}

// onlyDevice is the device of all requests, or "".
func onlyDevice(r *doctor.Report) string {
	device := ""
	for i, q := range r.Requests() {
		if i > 0 && q.Device != device {
			return ""
		}
		device = q.Device
	}
	return device
}

// recorded are the decisions of KMS about a launch. What undoes a launch that failed is left out.
func (j *judge) recorded(a scenario.Attempt) []doctor.Request {
	j.t.Helper()
	id := a.Instance
	if a.Refused != nil && a.Refused.Operation == "AttachVolume" {
		id = j.world.Real(j.world.Scenario.Launch.ExistingVolumes[0].ID)
	}
	var out []doctor.Request
	records := slices.DeleteFunc(j.records(trail.Filter{RequestID: j.request(id)}), func(r trail.Record) bool { return r.EventSource != "kms.amazonaws.com" })
	failed := slices.ContainsFunc(records, func(r trail.Record) bool { return r.ErrorCode != "" && r.ErrorCode != "DryRunOperationException" })
	for i := range records {
		r := &records[i]
		if failed && r.EventName == "RetireGrant" {
			continue
		}
		who := r.UserIdentity.ARN
		if s := r.UserIdentity.SessionContext; s != nil {
			who = s.SessionIssuer.ARN
		}
		if r.UserIdentity.Type == "AWSService" {
			who = r.UserIdentity.InvokedBy
		}
		for _, rec := range j.decisions(r) {
			d := rec.Decision()
			for _, p := range d.Parts {
				out = append(out, doctor.Request{Principal: who, Action: p.Action, Key: p.Resource, Outcome: p.Outcome})
			}
		}
	}
	return out
}
