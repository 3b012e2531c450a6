package doctor_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// TestImpactIsWhatCheckSaysAfterwards: of every scenario that launches, the change stops the launch
// exactly if check says so of the scenario in which it was made.
func TestImpactIsWhatCheckSaysAfterwards(t *testing.T) {
	judge := doctor.New()
	launching, stopped := 0, 0
	for id, sc := range corpus(t) {
		if len(sc.Setup) > 0 || judge.Check(sc).Told() != doctor.Launches {
			continue
		}
		launching++
		for _, ch := range changes(sc) {
			r, err := judge.Impact(t.Context(), sc, ch, "")
			if err != nil {
				t.Fatalf("%s: %+v: %v", id, ch, err)
			}
			predicted := slices.ContainsFunc(r.Effects, func(e impact.Effect) bool {
				return e.Outcome == impact.Stops && e.Operation != "" && e.PartOf == "" // of the launch itself
			})
			if sc.Launch.Operation == format.AutoScalingLaunch || sc.Launch.Operation == format.RunInstances {
				predicted = slices.ContainsFunc(r.Effects, func(e impact.Effect) bool { return e.Outcome == impact.Stops && e.When == impact.Launch })
			}
			after := judge.Check(changed(t, sc, ch)).Told()
			if predicted != (after == doctor.Fails) {
				t.Errorf("%s: %s %s%s: predicted to stop: %v, check says %s", id, ch.Kind, ch.Grant, ch.Statement, predicted, after)
			}
			if predicted {
				stopped++
			}
			for _, e := range r.Effects {
				if e.Outcome == impact.Stops && (e.Refusal == nil || e.Refusal.Code == "" || len(e.Refusal.Why) == 0) {
					t.Errorf("%s: an effect without evidence: %+v", id, e)
				}
			}
		}
	}
	if launching < 10 || stopped < 20 {
		t.Errorf("%d scenarios launch, %d changes stop them: too few to tell anything", launching, stopped)
	}
}

// changes are those that can be made to the keys of a scenario.
func changes(sc *format.Scenario) []impact.Change {
	var out []impact.Change
	for _, k := range sc.Keys {
		if k.Manager == format.ManagerAWS || k.State != "Enabled" {
			continue
		}
		out = append(out, impact.Change{Kind: impact.DisableKey, KeyARN: k.ARN}, impact.Change{Kind: impact.ScheduleDelete, KeyARN: k.ARN})
		for _, g := range k.Grants {
			if g.Status == format.GrantActive {
				out = append(out, impact.Change{Kind: impact.RevokeGrant, KeyARN: k.ARN, Grant: g.ID}, impact.Change{Kind: impact.RetireGrant, Grant: g.ID})
			}
		}
		all := statements(k.Policy)
		for i := 0; i < len(all) && len(all) > 1; i++ { // KMS takes no policy without statements
			out = append(out, impact.Change{Kind: impact.RemoveStatement, KeyARN: k.ARN, Statement: "#" + string(rune('1'+i))})
		}
	}
	for _, p := range sc.Principals {
		for _, d := range p.Policies {
			out = append(out, impact.Change{Kind: impact.DetachPolicy, Principal: p.ARN, Document: d.Name})
		}
	}
	return out
}

func statements(doc format.Document) []json.RawMessage {
	var p struct{ Statement []json.RawMessage }
	if json.Unmarshal(doc, &p) != nil {
		return nil
	}
	return p.Statement
}

// changed is a copy of a scenario in which a change was made.
func changed(t *testing.T, sc *format.Scenario, ch impact.Change) *format.Scenario {
	t.Helper()
	text, err := sc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := format.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out.Keys {
		k := &out.Keys[i]
		for j := range k.Grants {
			if k.Grants[j].ID == ch.Grant && ch.Grant != "" {
				k.Grants[j].Status = "revoked"
			}
		}
		if k.ARN != ch.KeyARN {
			continue
		}
		switch ch.Kind {
		case impact.DisableKey:
			k.State = "Disabled"
		case impact.ScheduleDelete:
			k.State = "PendingDeletion"
		case impact.RemoveStatement:
			all := statements(k.Policy)
			at := int(ch.Statement[1] - '1')
			all = slices.Delete(all, at, at+1)
			k.Policy = append(append(format.Document(`{"Version":"2012-10-17","Statement":[`), bytes.Join(raw(all), []byte(","))...), "]}"...)
		}
	}
	for i := range out.Principals {
		p := &out.Principals[i]
		if p.ARN == ch.Principal {
			p.Policies = slices.DeleteFunc(p.Policies, func(d format.InlinePolicy) bool { return d.Name == ch.Document })
		}
	}
	return out
}

func raw(all []json.RawMessage) [][]byte {
	var out [][]byte
	for _, m := range all {
		out = append(out, m)
	}
	return out
}
