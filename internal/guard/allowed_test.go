package guard_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/trail"
)

// What is written by hand, and leaves out what is around it, is read as encoding/json's whole form is.
func TestAllowedIsRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	any := []string{
		"arn:aws:iam::111122223333:user/a", "arn:aws:kms:us-east-1:111122223333:key/1", "arn:aws:iam::111122223333:role/r", "111122223333",
		"arn:aws:iam::aws:policy/job-function/ViewOnlyAccess", "kms:Encrypt", "aws", "Enable IAM User Permissions", `quo"te\`, "<a&b>", "名前", "tab\t", "\u2028", "bad\xff",
	}
	text := func() string { return any[r.IntN(len(any))] }
	maybe := func() string {
		if r.IntN(4) == 0 {
			return ""
		}
		return text()
	}
	fast, shorter := 0, 0
	for range 5000 {
		p := authz.Principal{ARN: text(), Account: maybe()}
		around := trail.Record{UserIdentity: trail.UserIdentity{ARN: valid(text()), AccountID: valid(maybe())}, EventSource: "kms.amazonaws.com", EventName: "Encrypt"}
		if r.IntN(10) == 0 {
			p.ARN, around.UserIdentity.ARN = "", "" // nobody
		}
		for range r.IntN(3) {
			around.Resources = append(around.Resources, trail.Resource{ARN: valid(text())})
		}
		d := authz.Decision{Outcome: authz.Allowed, Parts: make([]authz.PartDecision, r.IntN(3))}
		for i := range d.Parts {
			d.Parts[i] = authz.PartDecision{
				Action: text(), Resource: text(), Outcome: authz.Allowed, By: authz.Layer(r.IntN(11)), Also: authz.Layer(r.IntN(11)),
				CrossAccount: r.IntN(2) == 0, Delegated: r.IntN(2) == 0, HomeOnly: r.IntN(2) == 0,
			}
			for range r.IntN(3) {
				d.Parts[i].Matched = append(d.Parts[i].Matched, authz.Match{
					Layer: authz.Layer(1 + r.IntN(11)), Document: text(), Owner: maybe(), Sid: maybe(), Effect: policy.Effect(r.IntN(2)),
					Pos: policy.Pos{Line: r.IntN(3), Column: r.IntN(3)}, GrantID: maybe(), Account: r.IntN(2) == 0,
				})
			}
			switch r.IntN(20) {
			case 0:
				d.Parts[i].Missed = make([]authz.Miss, 1)
			case 1:
				d.Parts[i].Depends = []string{"principal"}
			case 2:
				d.Parts[i].Silent = []authz.Layer{authz.LayerSCP}
			}
		}
		brief, whole := guard.AllowedForms(&around, &p, &d)
		if brief == nil {
			continue
		}
		fast++
		want := completed(t, &around, marshal(t, whole))
		if got := completed(t, &around, brief); got != want {
			t.Fatalf("%s\ngot  %s\nwant %s", brief, got, want)
		}
		if len(brief) < len(want) {
			shorter++
		}
	}
	if fast < 3000 || shorter < 500 {
		t.Errorf("of 5000, %d were written by hand, and %d shorter", fast, shorter)
	}
}

// valid is a text as it comes out of a record.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// completed is a decision as it is read out of a record.
func completed(t *testing.T, around *trail.Record, decision []byte) string {
	t.Helper()
	around.Kagimori.Decisions = []json.RawMessage{decision}
	all := decisions(t, around)
	return string(marshal(t, all[0]))
}
