package kagimori_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

func (k *kit) toolbox(account, id string) (*kagimoriapi.GetRequestAuthorizationDetailsResponse, error) {
	k.t.Helper()
	_, out, err := call(k, kagimoriapi.Service(), k.kagimori.Operations(), k.Lookup(account+"ADMIN"), "GetRequestAuthorizationDetails",
		&kagimoriapi.GetRequestAuthorizationDetailsRequest{AuthorizationId: &id})
	if err != nil {
		return nil, err
	}
	return out.(*kagimoriapi.GetRequestAuthorizationDetailsResponse), nil
}

// A denial is told in IAM Toolbox's terms, under the id of the message and under the request's, to the
// two accounts; each sees its own policies.
func TestRequestAuthorizationDetails(t *testing.T) {
	k := newKit(t)
	key := k.newKey(accountK)
	k.addStatements(accountK, key,
		`{"Sid":"NoUse","Effect":"Deny","Principal":{"AWS":"`+accountA+`"},"Action":"kms:GenerateDataKeyWithoutPlaintext","Resource":"*"}`)
	id, _, err := k.useKMS(k.Lookup(accountA+"ADMIN"), "GenerateDataKeyWithoutPlaintext", dataKey(key))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	type match struct{ Action, Resource, Effect, URI, Sid, StatementEffect string }
	for account, want := range map[string]struct {
		matched  match
		policies []kagimoriapi.EvaluatedPolicy
		caller   bool // sees the context
	}{
		accountK: {match{"kms:GenerateDataKeyWithoutPlaintext", key, "EXPLICIT_DENY", key, "NoUse", "DENY"}, []kagimoriapi.EvaluatedPolicy{
			{Type: new("RESOURCE_BASED_POLICY"), Inline: new(true), Uri: &key, AttachedTo: []kagimoriapi.AttachedTo{{Arn: &key}}},
		}, false},
		accountA: {match{"kms:GenerateDataKeyWithoutPlaintext", key, "IMPLICIT_DENY", "arn:aws:iam::aws:policy/AdministratorAccess", "#1", "ALLOW"}, []kagimoriapi.EvaluatedPolicy{
			{Type: new("IDENTITY_BASED_POLICY"), Inline: new(false), Uri: new("arn:aws:iam::aws:policy/AdministratorAccess")},
		}, true},
	} {
		for _, id := range []string{id, guard.AuthorizationID(id)} {
			out, err := k.toolbox(account, id)
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Evaluations) != 1 || len(out.Evaluations[0].MatchedPolicies) != 1 || len(out.Evaluations[0].MatchedPolicies[0].MatchedStatements) != 1 {
				t.Fatalf("%s: %+v", account, out)
			}
			e := out.Evaluations[0]
			m := e.MatchedPolicies[0]
			got := match{*e.Action, *e.Resource, *e.EvaluatedEffect, *m.Uri, *m.MatchedStatements[0].Sid, *m.MatchedStatements[0].EvaluatedEffect}
			if d := cmp.Diff(want.matched, got); d != "" {
				t.Errorf("%s: %s", account, d)
			}
			if d := cmp.Diff(want.policies, out.Policies); d != "" {
				t.Errorf("%s: %s", account, d)
			}
			if (len(out.RequestContext) > 0) != want.caller || out.NextToken != nil {
				t.Errorf("%s: %+v", account, out)
			}
		}
	}
	if _, err := k.toolbox("999988887777", id); apierr.Code(err) != "ResourceNotFoundException" {
		t.Errorf("a stranger: %v", err)
	}
	allowed, _, err := k.useKMS(k.Lookup(accountK+"ADMIN"), "GenerateDataKeyWithoutPlaintext", dataKey(key))
	k.Must(err)
	if _, err := k.toolbox(accountK, allowed); apierr.Code(err) != "ResourceNotFoundException" {
		t.Errorf("nothing was denied: %v", err)
	}
}

func TestAuthorizationIDs(t *testing.T) {
	request := guard.NewRequestID()
	id := guard.AuthorizationID(request)
	if guard.RequestOf(id) != request || guard.RequestOf(request) != request || len(id) != 32 {
		t.Errorf("%s is %s", request, id)
	}
	for _, other := range []string{"", "0", "i-0123456789abcdef0", "0123456789ABCDEF0123456789ABCDEF"} {
		if guard.RequestOf(other) != other {
			t.Errorf("%s became %s", other, guard.RequestOf(other))
		}
	}
}
