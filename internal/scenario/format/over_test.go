package format_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

func TestOver(t *testing.T) {
	const web, db = "arn:aws:kms:us-east-1:111122223333:key/web", "arn:aws:kms:us-east-1:111122223333:key/db"
	plan := &format.Scenario{
		Keys: []format.Key{
			{ARN: web, Policy: format.Document(`{"new":1}`), Grants: []format.Grant{{ID: "mine"}}},
			{ARN: db},
		},
		Accounts: []format.Account{{ID: "111122223333"}},
		Unknown: map[string]string{
			"/keys/0/state": "the plan does not say", "/keys/1": "not in the plan", "/accounts/0/ebs": "not in the plan", "/principals": "others may be there",
			"/launch/caller": "not known",
		},
	}
	base := &format.Scenario{
		Keys: []format.Key{
			{ARN: "arn:aws:kms:us-east-1:111122223333:key/other"},
			{ARN: db, State: "Disabled", Policy: format.Document(`{"db":1}`)},
			{ARN: web, State: "Enabled", Policy: format.Document(`{"old":1}`), Grants: []format.Grant{{ID: "mine"}, {ID: "live"}}},
		},
		Accounts:   []format.Account{{ID: "444455556666"}, {ID: "111122223333", EBS: map[string]format.EBS{"us-east-1": {EncryptionByDefault: true}}}},
		Principals: []format.Principal{{ARN: "arn:aws:iam::111122223333:role/r"}},
		Unknown:    map[string]string{"/keys/0/policy": "refused", "/keys/1/grants": "refused", "/principals/0/policies": "refused", "/launch/account": "not ours"},
	}
	before := *plan
	got := plan.Over(base)
	want := &format.Scenario{
		Keys: []format.Key{
			{ARN: web, State: "Enabled", Policy: format.Document(`{"new":1}`), Grants: []format.Grant{{ID: "mine"}, {ID: "live"}}},
			{ARN: db, State: "Disabled", Policy: format.Document(`{"db":1}`)},
			{ARN: "arn:aws:kms:us-east-1:111122223333:key/other"},
		},
		Accounts:   []format.Account{{ID: "111122223333", EBS: map[string]format.EBS{"us-east-1": {EncryptionByDefault: true}}}, {ID: "444455556666"}},
		Principals: []format.Principal{{ARN: "arn:aws:iam::111122223333:role/r"}},
		Unknown: map[string]string{
			"/principals": "others may be there", "/launch/caller": "not known",
			"/keys/1/grants": "refused", "/keys/2/policy": "refused", "/principals/0/policies": "refused",
		},
	}
	encode := func(s *format.Scenario) string {
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if diff := cmp.Diff(encode(want), encode(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if encode(&before) != encode(plan) {
		t.Error("the plan's scenario was changed")
	}
}
