package e2e_test

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// management is the account that manages the organization of a development server.
const management = "000000000000"

// organizationPolicy hangs a policy of statements on an account until the test ends.
func organizationPolicy(t *testing.T, url, account string, kind orgtypes.PolicyType, statements ...string) {
	t.Helper()
	m := adminOf(url, management)
	id := must(m.org.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{
		Type: kind, Name: new("guard of " + account), Description: new(""), Content: new(seed.Policy(statements...)),
	}))(t).Policy.PolicySummary.Id
	must(m.org.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: id, TargetId: &account}))(t)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context()) // the test's own has ended
		must(m.org.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: id, TargetId: &account}))(t)
		must(m.org.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: id}))(t)
	})
}

// Each way to lack the permission has its own explanation.
func TestS29_WhyTheRequesterMayNotCreateTheGrant(t *testing.T) {
	other := seed.Key(seed.KeyAccount, "1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01")
	for name, tt := range map[string]struct {
		statements []func(string) string
		policies   func(key string) []string
		decidedBy  string
		check      func(t *testing.T, e *evaluation)
		kind       string // of the fixes "least"
	}{
		"no identity policy": {[]func(string) string{p3, p4}, func(string) []string { return nil }, "IDENTITY_BASED_POLICY", func(t *testing.T, e *evaluation) {
			if l := e.layer(t, "IDENTITY_BASED_POLICY"); l.State != "NEEDED" || len(l.Statements) != 0 {
				t.Errorf("the identity policies: %+v", l)
			}
		}, "identity-policy"},
		"another key": {[]func(string) string{p3, p4}, func(string) []string { return []string{seed.Identity("kms:CreateGrant", other)} }, "IDENTITY_BASED_POLICY", func(t *testing.T, e *evaluation) {
			l := e.layer(t, "IDENTITY_BASED_POLICY")
			if s := l.missed(t, "AllowCreationOfGrantForTheKMSKeyinExternalAccount"); l.State != "NEEDED" || s.Reason != "RESOURCE" {
				t.Errorf("the identity policy: %+v", l)
			}
		}, "identity-policy"},
		"no statement in the key policy": {[]func(string) string{p3}, func(key string) []string { return []string{seed.Identity("kms:CreateGrant", key)} }, "RESOURCE_BASED_POLICY", func(t *testing.T, e *evaluation) {
			if l := e.layer(t, "IDENTITY_BASED_POLICY"); l.State != "ALLOWS" {
				t.Errorf("the identity policies: %+v", l)
			}
			if l := e.layer(t, "RESOURCE_BASED_POLICY"); l.State != "NEEDED" || len(l.Statements) != 0 { // the statements are the other account's
				t.Errorf("the key policy: %+v", l)
			}
		}, "key-policy"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExample2(t, tt.statements...)
			u := e.user.user(t, "delegate", tt.policies(e.key)...)
			out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
			refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:CreateGrant")
			why := e.user.details(t, err)
			why.denied(t, u.arn(t), "kms:CreateGrant", e.key)
			got := why.Evaluations[0]
			if got.DecidedBy != tt.decidedBy || got.EvaluatedEffect != "IMPLICIT_DENY" || !got.CrossAccount {
				t.Errorf("decided by %s, %s: %s", got.DecidedBy, got.EvaluatedEffect, why.text())
			}
			tt.check(t, &got)
			if kinds := got.sets()["least"]; !slices.Contains(kinds, tt.kind) {
				t.Errorf("the fixes %v lack %s", kinds, tt.kind)
			}
		})
	}
}

const denyGrants = `{"Sid":"NoGrants","Effect":"Deny","Action":"kms:CreateGrant","Resource":"*"}`

func TestS29_AServiceControlPolicyDeniesTheRequester(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	organizationPolicy(t, e.user.url, e.user.account, orgtypes.PolicyTypeServiceControlPolicy, denyGrants)
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:CreateGrant", "with an explicit deny in a service control policy")
	// The policy's text is for the management account to see.
	why := e.user.details(t, err)
	why.denied(t, u.arn(t), "kms:CreateGrant", e.key, "a service control policy denies it. Only the organization can change that")
	if by := why.Evaluations[0].DecidedBy; by != "SERVICE_CONTROL_POLICY" {
		t.Errorf("it was decided by %s: %s", by, why.text())
	}
	if l := why.Evaluations[0].layer(t, "SERVICE_CONTROL_POLICY"); l.State != "DENIES" || slices.ContainsFunc(l.Statements, func(s layerStatement) bool { return s.EvaluatedEffect == "DENY" && (s.Sid != "" || s.Policy != "") }) {
		t.Errorf("the layer of the organization: %+v", l)
	}
	if sets := why.Evaluations[0].sets(); len(sets) != 0 {
		t.Errorf("fixes against a service control policy: %v", sets)
	}
	if n := len(e.owner.grants(t, e.key)); n != 0 {
		t.Errorf("the refused call made %d grants", n)
	}
	// It is a rule for the account of the requester: a user of the key's account may grant, and the
	// service-linked role, which is exempt, uses the grant.
	o := e.owner.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	must(o.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	e.launchOK(t)
}

// Resource control policies have to be turned on for the whole organization: on a server of its own.
func TestS29_AResourceControlPolicyOfTheKeysAccountDeniesTheRequester(t *testing.T) {
	t.Parallel()
	url := server.Start(t, t.TempDir()+"/data").URL
	e := example2{owner: adminOf(url, seed.KeyAccount), user: adminOf(url, seed.UserAccount)}
	e.user.serviceRole(t)
	e.key = e.owner.key(t, seed.Policy(seed.Full(seed.Root(seed.KeyAccount)), p3(seed.UserAccount), p4(seed.UserAccount)))
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	m := adminOf(url, management)
	root := must(m.org.ListRoots(t.Context(), &organizations.ListRootsInput{}))(t).Roots[0].Id
	must(m.org.EnablePolicyType(t.Context(), &organizations.EnablePolicyTypeInput{
		RootId: root, PolicyType: orgtypes.PolicyTypeResourceControlPolicy,
	}))(t)
	must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	organizationPolicy(t, url, seed.KeyAccount, orgtypes.PolicyTypeResourceControlPolicy,
		`{"Sid":"OwnAccountOnly","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*",
"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"`+seed.KeyAccount+`"}}}`)
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:CreateGrant")
	if by := e.user.details(t, err).Evaluations[0].DecidedBy; by != "RESOURCE_CONTROL_POLICY" {
		t.Errorf("it was decided by %s", by)
	}
	if n := len(e.owner.grants(t, e.key)); n != 1 {
		t.Errorf("there are %d grants, want that of before", n)
	}
}
