package kagimori_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/store"
)

func dataKey(key string) *kmsapi.GenerateDataKeyWithoutPlaintextRequest {
	return &kmsapi.GenerateDataKeyWithoutPlaintextRequest{
		KeyId: &key, NumberOfBytes: new(int32(64)), EncryptionContext: map[string]string{"aws:ebs:id": "vol-1"},
	}
}

func attachGrant(key, account string) *kmsapi.CreateGrantRequest {
	return &kmsapi.CreateGrantRequest{
		KeyId: &key, GranteePrincipal: new("arn:aws:sts::" + account + ":assumed-role/aws:ec2-infrastructure/i-1"), Operations: []string{"Decrypt"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"aws:ebs:id": "vol-1"}},
	}
}

// addStatements appends statements to a key policy.
func (k *kit) addStatements(account, key string, statements ...string) {
	k.t.Helper()
	admin := k.Lookup(account + "ADMIN")
	_, out, err := k.useKMS(admin, "GetKeyPolicy", &kmsapi.GetKeyPolicyRequest{KeyId: &key})
	k.Must(err)
	var doc map[string]any
	k.Must(json.Unmarshal([]byte(api.Val(out.(*kmsapi.GetKeyPolicyResponse).Policy)), &doc))
	for _, s := range statements {
		doc["Statement"] = append(doc["Statement"].([]any), json.RawMessage(s))
	}
	src, err := json.Marshal(doc)
	k.Must(err)
	_, _, err = k.useKMS(admin, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(string(src))})
	k.Must(err)
}

// Example 1 of the page, S4 and S12: the fixes of the first denial, applied as they are, let the
// service-linked role do all that a launch asks for.
func TestTheFixesOfExampleOneWork(t *testing.T) {
	k := newKit(t)
	key, slr := k.newKey(accountG), k.autoScaling(accountG)
	id, _, err := k.useKMS(slr, "GenerateDataKeyWithoutPlaintext", dataKey(key))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	a, e := k.evaluation(accountG, id)
	if api.Val(a.AuthorizationId) != id || api.Val(a.EventName) != "GenerateDataKeyWithoutPlaintext" || api.Val(a.ErrorCode) != "AccessDeniedException" ||
		api.Val(a.Principal) != "arn:aws:sts::123456789012:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling" {
		t.Errorf("authorization = %+v", a)
	}
	if api.Val(e.EvaluatedEffect) != "IMPLICIT_DENY" || api.Val(e.DecidedBy) != "IDENTITY_BASED_POLICY" || api.Val(e.CrossAccount) {
		t.Errorf("evaluation = %+v", e)
	}
	text := strings.Join(e.Explanation, "\n")
	for _, want := range []string{"Enable IAM User Permissions", "policies of a service-linked role cannot be changed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation lacks %q:\n%s", want, text)
		}
	}
	var documents []string
	for _, f := range named(e, "documented") {
		if api.Val(f.Kind) != "key-policy" || !strings.Contains(api.Val(f.Document), slrARN(accountG)) {
			t.Errorf("fix = %+v", f)
		}
		documents = append(documents, api.Val(f.Document))
	}
	k.addStatements(accountG, key, documents...)
	_, _, err = k.useKMS(slr, "GenerateDataKeyWithoutPlaintext", dataKey(key))
	k.Must(err)
	id, _, err = k.useKMS(slr, "CreateGrant", attachGrant(key, accountG))
	k.Must(err)

	_, e = k.evaluation(accountG, id)
	if api.Val(e.EvaluatedEffect) != "ALLOW" || api.Val(e.DecidedBy) != "RESOURCE_BASED_POLICY" || len(e.Fixes) != 0 ||
		!slices.ContainsFunc(e.MatchedStatements, func(m kagimoriapi.MatchedStatement) bool {
			return api.Val(m.Sid) == "Allow attachment of persistent resources" && api.Val(m.Policy) == key && api.Val(m.EvaluatedEffect) == "ALLOW"
		}) {
		t.Errorf("after the fix: %+v", e)
	}
}

// named are the fixes of a set.
func named(e kagimoriapi.Evaluation, name string) []kagimoriapi.Fix {
	var out []kagimoriapi.Fix
	for _, f := range e.Fixes {
		if api.Val(f.Name) == name {
			out = append(out, f)
		}
	}
	return out
}

// Example 2 of the page, S24: the grant of the command lets it, and nothing else is proposed.
func TestTheFixOfExampleTwoWorks(t *testing.T) {
	k := newKit(t)
	key, slr := k.newKey(accountK), k.autoScaling(accountA)
	k.addStatements(accountK, key,
		`{"Sid":"P3","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`,
		`{"Sid":"P4","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":["kms:CreateGrant"],"Resource":"*"}`)
	id, _, err := k.useKMS(slr, "CreateGrant", attachGrant(key, accountA))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	_, e := k.evaluation(accountA, id)
	page := named(e, "documented")
	if len(page) != 1 || len(e.Fixes) != 2 || api.Val(page[0].Kind) != "grant" || api.Val(e.Fixes[0].Kind) != "grant" || !api.Val(e.CrossAccount) {
		t.Fatalf("evaluation = %+v", e)
	}
	if text := strings.Join(e.Explanation, "\n"); !strings.Contains(text, "only a grant can help") {
		t.Errorf("explanation: %s", text)
	}
	fields := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(api.Val(page[0].Command), "\\\n", " "), `"`, ""))
	at := func(flag string) int { return slices.Index(fields, flag) + 1 }
	request := &kmsapi.CreateGrantRequest{
		KeyId: &fields[at("--key-id")], GranteePrincipal: &fields[at("--grantee-principal")], Operations: fields[at("--operations"):],
	}
	_, _, err = k.useKMS(k.Lookup(accountA+"ADMIN"), "CreateGrant", request) // an administrator of A, as in the page
	k.Must(err)
	id, _, err = k.useKMS(slr, "CreateGrant", attachGrant(key, accountA))
	k.Must(err)
	_, e = k.evaluation(accountA, id)
	if api.Val(e.EvaluatedEffect) != "ALLOW" || api.Val(e.DecidedBy) != "GRANT" {
		t.Errorf("after the fix: %+v", e)
	}
	_, e = k.evaluation(accountK, id)
	if !slices.ContainsFunc(e.MatchedStatements, func(m kagimoriapi.MatchedStatement) bool {
		return api.Val(m.GrantId) != "" && api.Val(m.PolicyType) == "GRANT" && api.Val(m.EvaluatedEffect) == "ALLOW"
	}) {
		t.Errorf("the key's account sees %+v", e)
	}
	_, _, err = k.useKMS(slr, "GenerateDataKeyWithoutPlaintext", dataKey(key))
	k.Must(err)
}

func TestEachAccountSeesItsOwnEvidence(t *testing.T) {
	k := newKit(t)
	key := k.newKey(accountK)
	k.addStatements(accountK, key,
		`{"Sid":"SecretOfK","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"111122223333"}}}`)
	ana := k.User(accountA, "ana", `{"Version":"2012-10-17","Statement":[{"Sid":"SecretOfA","Effect":"Allow","Action":"kms:*","Resource":"*"}]}`)
	id, _, err := k.useKMS(ana, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &key})
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	all, err := k.details(accountA, id)
	k.Must(err)
	if got := dump(t, all); strings.Contains(got, "SecretOfK") || !strings.Contains(got, "SecretOfA") || !strings.Contains(got, "user/ana") {
		t.Errorf("A sees %s", got)
	}
	all, err = k.details(accountK, id)
	k.Must(err)
	if got := dump(t, all); strings.Contains(got, "SecretOfA") || strings.Contains(got, "user/ana") || strings.Contains(got, "203.0.113.7") {
		t.Errorf("K sees %s", got)
	}
	if api.Val(all[0].Principal) != accountA {
		t.Errorf("to K the caller is %s", api.Val(all[0].Principal))
	}
	_, err = k.details(accountG, id)
	guardtest.WantError(t, err, "ResourceNotFoundException", fmt.Sprintf("No authorization details are kept for the authorization id %s.", id))
}

func dump(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// What A's callers learn of a key of K that does not exist and of one that is silent is the same.
func TestAMissingKeyOfAnotherAccountExplainsLikeASilentOne(t *testing.T) {
	k := newKit(t)
	ana := k.User(accountA, "ana", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`)
	silent := k.newKey(accountK)
	missing := "arn:aws:kms:us-west-2:444455556666:key/00000000-0000-0000-0000-000000000000"
	var seen []string
	for _, key := range []string{silent, missing} {
		id, _, err := k.useKMS(ana, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &key})
		if _, denied := guard.Denied(err); !denied {
			t.Fatalf("%s: %v", key, err)
		}
		all, err := k.details(accountA, id)
		k.Must(err)
		all[0].AuthorizationId, all[0].EventTime = nil, nil
		for _, clock := range []string{"aws:currenttime", "aws:epochtime"} {
			delete(all[0].Evaluations[0].Context, clock)
		}
		seen = append(seen, strings.ReplaceAll(dump(t, all), key, "KEY"))
	}
	if seen[0] != seen[1] {
		t.Errorf("silent:  %s\nmissing: %s", seen[0], seen[1])
	}
}

func TestUnknownRequest(t *testing.T) {
	k := newKit(t)
	_, err := k.details(accountG, "no-such-request")
	guardtest.WantError(t, err, "ResourceNotFoundException", "No authorization details are kept for the authorization id no-such-request.")
}

func TestExplainResource(t *testing.T) {
	k := newKit(t)
	key, slr := k.newKey(accountG), k.autoScaling(accountG)
	id, _, err := k.useKMS(slr, "GenerateDataKeyWithoutPlaintext", dataKey(key))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	k.Must(k.Guard.Change(t.Context(), func(tx store.Tx) error {
		return k.Guard.LinkCause(tx, accountG, guardtest.Region, "i-1", id)
	}))
	explain := func(account, resource string) (*kagimoriapi.ExplainResourceResponse, error) {
		_, out, err := call(k, kagimoriapi.Service(), k.kagimori.Operations(), k.Lookup(account+"ADMIN"), "ExplainResource",
			&kagimoriapi.ExplainResourceRequest{ResourceId: &resource})
		if err != nil {
			return nil, err
		}
		return out.(*kagimoriapi.ExplainResourceResponse), nil
	}
	out, err := explain(accountG, "i-1")
	k.Must(err)
	if api.Val(out.ResourceId) != "i-1" || len(out.Authorizations) != 1 || api.Val(out.Authorizations[0].AuthorizationId) != id || len(out.Authorizations[0].Evaluations) != 1 {
		t.Errorf("ExplainResource = %+v", out)
	}
	_, err = explain(accountG, "i-2")
	guardtest.WantError(t, err, "ResourceNotFoundException", "Nothing is kept that explains what became of i-2.")
	_, err = explain(accountA, "i-1") // another account's instance
	guardtest.WantError(t, err, "ResourceNotFoundException", "Nothing is kept that explains what became of i-1.")
}

func TestExplainingIsDecidedAndRecordedToo(t *testing.T) {
	k := newKit(t)
	ana := k.User(accountG, "ana", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kagimori:GetAuthorizationDetails","Resource":"*"}]}`)
	ops, svc := k.kagimori.Operations(), kagimoriapi.Service()
	id, _, err := call(k, svc, ops, ana, "ExplainResource", &kagimoriapi.ExplainResourceRequest{ResourceId: new("i-1")})
	guardtest.WantError(t, err, "AccessDeniedException",
		"User: arn:aws:iam::123456789012:user/ana is not authorized to perform: kagimori:ExplainResource on resource: * because no identity-based policy allows the kagimori:ExplainResource action")
	_, out, err := call(k, svc, ops, ana, "GetAuthorizationDetails", &kagimoriapi.GetAuthorizationDetailsRequest{AuthorizationId: &id})
	k.Must(err)
	e := out.(*kagimoriapi.GetAuthorizationDetailsResponse).Authorizations[0].Evaluations[0]
	if api.Val(e.Action) != "kagimori:ExplainResource" || len(e.Fixes) == 0 || api.Val(e.Fixes[0].Kind) != "identity-policy" {
		t.Errorf("the refusal explained: %+v", e)
	}
}
