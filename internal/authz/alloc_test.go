package authz_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

const (
	accountA = "111122223333"
	accountB = "444455556666"
	keyA     = "arn:aws:kms:us-west-2:111122223333:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	alice    = "arn:aws:iam::111122223333:user/alice"
	devRole  = "arn:aws:iam::111122223333:role/team/dev"
	devS1    = "arn:aws:sts::111122223333:assumed-role/dev/s1"
)

// fullRequest passes every layer there is, with conditions and policy variables, in three parts.
func fullRequest(t testing.TB) *authz.Request {
	t.Helper()
	all := document(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, policy.Identity)
	req := &authz.Request{
		Principal: authz.Principal{
			Type: authz.RoleSession, ARN: devS1, RoleARN: devRole, Account: accountA, UserID: "AROADEV:s1",
			UniqueID: "AROADEVXXXXXXXXX", Tags: map[string]string{"Team": "red", "cost": "1"}, OrgID: "o-1", AccountRole: authz.Member,
		},
		Identity: []*authz.Document{
			document(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Decrypt","kms:ReEncrypt*"],
				"Resource":"arn:aws:kms:*:111122223333:key/${aws:PrincipalTag/key, '1a2b'}*",
				"Condition":{"StringLike":{"aws:ResourceTag/team":"${aws:PrincipalTag/TEAM}"},
				"NumericLessThan":{"kms:x":5},"DateGreaterThan":{"aws:CurrentTime":"2024-01-01T00:00:00Z"},
				"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]},"Bool":{"aws:SecureTransport":true},
				"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["a","b"]},
				"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/team/*"},"Null":{"kms:none":"true"}}},
				{"Effect":"Deny","NotAction":"kms:*","Resource":"*"},
				{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111122223333"}}}]}`, policy.Identity),
		},
		Boundary: all, Session: []*authz.Document{all}, Endpoint: document(t,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`, policy.Endpoint),
		SCPs: [][]*authz.Document{{all}, {all}},
	}
	req.Context.Set("kms:x", "4.5")
	req.Context.Set("aws:currenttime", "2026-01-01T00:00:00Z")
	req.Context.Set("aws:sourceip", "10.1.2.3")
	key := document(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`, policy.Key)
	key.SetPrincipalIDs(map[string]string{devRole: "AROADEVXXXXXXXXX"})
	rcp := document(t, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*",
		"Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}}}`, policy.RCP)
	for _, action := range []string{"kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"} {
		p := authz.Part{
			Action: action, Policy: key, Authoritative: true, RCPs: [][]*authz.Document{{rcp}},
			Resource:          authz.Resource{ARN: keyA, Account: accountA, Tags: []authz.Tag{{Key: "team", Value: "red"}}, AccountRole: authz.Member},
			EncryptionContext: map[string]string{"a": "1"},
			Grants: []authz.Grant{{
				ID: "g1", Grantee: devRole, GranteeID: "AROADEVXXXXXXXXX", Operations: []string{"Decrypt"},
				ContextSubset: map[string]string{"a": "1"}, IssuingAccount: accountA,
			}},
		}
		p.Context.Set("kms:encryptioncontext:a", "1")
		p.Context.SetList("kms:encryptioncontextkeys", []string{"a"})
		req.Parts = append(req.Parts, p)
	}
	return req
}

func TestDecideDoesNotAllocateWhenAllIsAllowed(t *testing.T) {
	req := fullRequest(t)
	if d := authz.Decide(req); d.Outcome != authz.Allowed {
		t.Fatalf("%+v", authz.Explain(req))
	}
	if n := testing.AllocsPerRun(200, func() { authz.Decide(req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for _, c := range corpus(t) {
		req := build(t, c)
		if c.Expect.Decision != "Allow" {
			continue
		}
		most := 0.0
		if c.Principal.Type == "service" {
			most = 1 // the list of its names, if it is asked for
		}
		if n := testing.AllocsPerRun(20, func() { authz.Decide(req) }); n > most {
			t.Errorf("%s: %v allocations", c.ID, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	req := fullRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if authz.Decide(req).Outcome != authz.Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkExplain(b *testing.B) {
	req := fullRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if authz.Explain(req).Outcome != authz.Allowed {
			b.Fatal("denied")
		}
	}
}
