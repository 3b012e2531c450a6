package kagimori_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
)

// The evidence is whole: each layer, what nearly matched, and what the failed condition expects and
// got.
func TestEvidenceOfLayers(t *testing.T) {
	k := newKit(t)
	key, slr := k.newKey(accountG), k.autoScaling(accountG)
	k.addStatements(accountG, key, `{"Sid":"Attach","Effect":"Allow","Principal":{"AWS":"`+slrARN(accountG)+`"},"Action":"kms:CreateGrant","Resource":"*",`+
		`"Condition":{"Bool":{"kms:GrantIsForAWSResource":false}}}`)
	id, _, err := k.useKMS(slr, "CreateGrant", attachGrant(key, accountG))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	_, e := k.evaluation(accountG, id)
	if e.Context["kms:viaservice"] != "ec2.us-west-2.amazonaws.com" || e.Context["kms:grantisforawsresource"] != "true" {
		t.Errorf("context = %v", e.Context)
	}
	states := map[string]string{}
	var missed kagimoriapi.LayerStatement
	for _, l := range e.Layers {
		states[api.Val(l.PolicyType)] = api.Val(l.State)
		for _, st := range l.Statements {
			if api.Val(st.Sid) == "Attach" {
				missed = st
			}
		}
	}
	if states["IDENTITY_BASED_POLICY"] != "NEEDED" || states["RESOURCE_BASED_POLICY"] != "DELEGATES" {
		t.Errorf("states = %v", states)
	}
	c := missed.Condition
	if c == nil || api.Val(missed.Applies) || !api.Val(missed.Nearly) || api.Val(missed.Reason) != "CONDITION" || api.Val(missed.Policy) != key || api.Val(missed.Line) == 0 {
		t.Fatalf("statement = %+v", missed)
	}
	if api.Val(c.Operator) != "Bool" || api.Val(c.Key) != "kms:GrantIsForAWSResource" || strings.Join(c.Expected, "") != "false" || strings.Join(c.Actual, "") != "true" {
		t.Errorf("condition = %+v", c)
	}
}

// What is told of a decision is told in Japanese: the words are ours, the names in them are not.
func TestEvidenceInJapanese(t *testing.T) {
	k := newKit(t)
	key, slr := k.newKey(accountG), k.autoScaling(accountG)
	k.addStatements(accountG, key, `{"Sid":"Attach","Effect":"Allow","Principal":{"AWS":"`+slrARN(accountG)+`"},"Action":"kms:CreateGrant","Resource":"*",`+
		`"Condition":{"Bool":{"kms:GrantIsForAWSResource":false}}}`)
	id, _, err := k.useKMS(slr, "CreateGrant", attachGrant(key, accountG))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	_, out, err := call(k, kagimoriapi.Service(), k.kagimori.Operations(), k.Lookup(accountG+"ADMIN"), "GetAuthorizationDetails",
		&kagimoriapi.GetAuthorizationDetailsRequest{AuthorizationId: &id, Language: new("ja")})
	k.Must(err)
	e := out.(*kagimoriapi.GetAuthorizationDetailsResponse).Authorizations[0].Evaluations[0]
	sentences := slices.Clone(e.Explanation)
	for _, l := range e.Layers {
		sentences = append(sentences, api.Val(l.Change))
		if *l.Name == "key policy" || *l.Name == "identity policy" {
			t.Errorf("the layer is named %q", *l.Name)
		}
		for _, st := range l.Statements {
			sentences = append(sentences, *st.Explanation)
		}
	}
	if len(e.Fixes) == 0 {
		t.Error("no fixes")
	}
	for _, f := range e.Fixes {
		sentences = append(append(sentences, *f.Summary, api.Val(f.Run)), f.Opens...)
	}
	for _, s := range sentences {
		if s != "" && !strings.HasSuffix(s, "。") {
			t.Errorf("not in Japanese: %s", s)
		}
	}
}

// The owner of a key gets its policy with the statements of a set added and every other byte as it
// is, as long as that is the policy that was in force.
func TestPatchedPolicyLetsTheRequestThrough(t *testing.T) {
	for _, name := range []string{"least", "documented"} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			key, slr := k.newKey(accountG), k.autoScaling(accountG)
			policyOf := func() string {
				_, out, err := k.useKMS(k.Lookup(accountG+"ADMIN"), "GetKeyPolicy", &kmsapi.GetKeyPolicyRequest{KeyId: &key})
				k.Must(err)
				return api.Val(out.(*kmsapi.GetKeyPolicyResponse).Policy)
			}
			before := policyOf()
			id, _, err := k.useKMS(slr, "GenerateDataKeyWithoutPlaintext", dataKey(key))
			if _, denied := guard.Denied(err); !denied {
				t.Fatalf("err = %v", err)
			}
			_, e := k.evaluation(accountG, id)
			set := named(e, name)
			if len(set) != 2 || api.Val(set[0].Target) != key || len(set[0].Opens) == 0 || !strings.Contains(api.Val(set[0].Run), "kms:PutKeyPolicy") {
				t.Fatalf("set = %+v", set)
			}
			patched := api.Val(set[1].Patched)
			end := strings.LastIndex(before, "}") // of the document; the last statement's is before it
			last := strings.LastIndex(before[:end], "}") + 1
			if !strings.HasPrefix(patched, before[:last]) || !strings.HasSuffix(patched, before[last:]) || len(patched) <= len(before) {
				t.Fatalf("%s became %s", before, patched)
			}
			_, _, err = k.useKMS(k.Lookup(accountG+"ADMIN"), "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &patched})
			k.Must(err)
			_, _, err = k.useKMS(slr, "GenerateDataKeyWithoutPlaintext", dataKey(key))
			k.Must(err)
			_, _, err = k.useKMS(slr, "CreateGrant", attachGrant(key, accountG))
			k.Must(err)
			_, e = k.evaluation(accountG, id)
			if set = named(e, name); set[1].Patched != nil {
				t.Error("the fix is applied to a policy that has changed")
			}
		})
	}
}

func TestOthersGetNoPatchedPolicy(t *testing.T) {
	k := newKit(t)
	key, slr := k.newKey(accountK), k.autoScaling(accountA)
	id, _, err := k.useKMS(slr, "CreateGrant", attachGrant(key, accountA))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	for account, patched := range map[string]bool{accountA: false, accountK: true} {
		_, e := k.evaluation(account, id)
		set := named(e, "documented")
		if len(set) == 0 || (set[0].Patched != nil) != patched {
			t.Errorf("%s gets %+v", account, set)
		}
	}
}
