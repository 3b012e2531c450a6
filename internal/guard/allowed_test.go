package guard_test

import (
	"math/rand/v2"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
)

// What is written by hand is what encoding/json writes.
func TestAllowedIsEncodingJSONs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		all := []string{"", "arn:aws:iam::111122223333:user/a", "Enable IAM User Permissions", `quo"te\`, "<a&b>", "名前", "tab\t", "\u2028", "bad\xff"}
		return all[r.IntN(len(all))]
	}
	fast := 0
	for range 5000 {
		p := authz.Principal{ARN: text(), Account: text()}
		d := authz.Decision{Outcome: authz.Allowed, Parts: make([]authz.PartDecision, r.IntN(3))}
		for i := range d.Parts {
			d.Parts[i] = authz.PartDecision{
				Action: text(), Resource: text(), Outcome: authz.Allowed, By: authz.Layer(r.IntN(11)), Also: authz.Layer(r.IntN(11)),
				CrossAccount: r.IntN(2) == 0, Delegated: r.IntN(2) == 0, HomeOnly: r.IntN(2) == 0,
			}
			for range r.IntN(3) {
				d.Parts[i].Matched = append(d.Parts[i].Matched, authz.Match{
					Layer: authz.Layer(r.IntN(12)), Document: text(), Owner: text(), Sid: text(), Effect: policy.Effect(r.IntN(2)),
					Pos: policy.Pos{Line: r.IntN(3), Column: r.IntN(3)}, GrantID: text(), Account: r.IntN(2) == 0,
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
		got, want, err := guard.AllowedForms(&p, &d)
		if err != nil {
			t.Fatal(err)
		}
		if got != nil {
			fast++
			if string(got) != string(want) {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
	}
	if fast < 3000 {
		t.Errorf("only %d of 5000 were written by hand", fast)
	}
}
