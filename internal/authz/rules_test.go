package authz_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

var (
	userAlice = authz.Principal{Type: authz.User, ARN: alice, Account: accountA, UserID: aliceID, UniqueID: aliceID, AccountRole: authz.Member}
	sessionS1 = authz.Principal{Type: authz.RoleSession, ARN: devS1, RoleARN: devRole, Account: accountA, UserID: devID + ":s1", UniqueID: devID, AccountRole: authz.Member}
	federated = authz.Principal{Type: authz.FederatedUser, ARN: "arn:aws:sts::111122223333:federated-user/fred", ParentARN: alice, Account: accountA, UserID: accountA + ":fred"}
	rootA     = authz.Principal{Type: authz.Root, ARN: arn.Root(accountA), Account: accountA, UserID: accountA, AccountRole: authz.Member}
	service   = authz.Principal{Type: authz.Service, ARN: "ec2.amazonaws.com"}
	keyB      = arn.KMSKey("us-west-2", accountB, "1a2b")
	queueA    = "arn:aws:sqs:us-west-2:111122223333:orders"
	queueB    = "arn:aws:sqs:us-west-2:444455556666:orders"
)

const (
	allowAll    = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	denyAll     = `{"Effect":"Deny","Action":"*","Resource":"*"}`
	allowOther  = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	delegateA   = `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}`
	nameAlice   = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Action":"*","Resource":"*"}`
	nameDev     = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/team/dev"},"Action":"*","Resource":"*"}`
	nameAdmin   = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/admin"},"Action":"*","Resource":"*"}`
	everybody   = `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`
	denyAnybody = `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`
)

// A rule is a request in short form with the decision it must get. Identity, boundary, session,
// scp, rcp, endpoint and policy are the statements of one 2012 document each; "" is none.
type rule struct {
	name                                                      string
	as                                                        authz.Principal
	action, resource                                          string
	identity, boundary, session, scp, rcp, endpoint, policies string
	change                                                    func(*authz.Request)
	want                                                      authz.Outcome
	by, also                                                  authz.Layer
}

func (r *rule) request(t testing.TB) *authz.Request {
	t.Helper()
	one := func(statements string, kind policy.Kind) *authz.Document {
		if statements == "" {
			return nil
		}
		d := document(t, `{"Version":"2012-10-17","Statement":[`+statements+`]}`, kind)
		d.Name = "doc"
		return d
	}
	list := func(d *authz.Document) []*authz.Document {
		if d == nil {
			return nil
		}
		return []*authz.Document{d}
	}
	levels := func(d *authz.Document) [][]*authz.Document {
		if d == nil {
			return nil
		}
		return [][]*authz.Document{{d}}
	}
	a, _ := arn.Parse(r.resource)
	p := authz.Part{Action: r.action, Resource: authz.Resource{ARN: r.resource, Account: a.Account}, RCPs: levels(one(r.rcp, policy.RCP))}
	kind := policy.Resource
	switch a.Service {
	case "kms":
		kind, p.Authoritative = policy.Key, true
	case "iam":
		kind, p.Authoritative = policy.Trust, r.action != "iam:PassRole"
	}
	p.Policy = one(r.policies, kind)
	req := &authz.Request{
		Principal: r.as, Identity: list(one(r.identity, policy.Identity)), Boundary: one(r.boundary, policy.Identity),
		Session: list(one(r.session, policy.Session)), SCPs: levels(one(r.scp, policy.SCP)), Endpoint: one(r.endpoint, policy.Endpoint),
		Parts: []authz.Part{p},
	}
	if r.change != nil {
		r.change(req)
	}
	return req
}

func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Helper()
			req := r.request(t)
			d := authz.Explain(req)
			sameAnswer(t, authz.Decide(req), d)
			p := d.Parts[0]
			if p.Outcome != r.want || p.By != r.by || p.Also != r.also {
				t.Errorf("%d by %s and %s, want %d by %s and %s\n%+v", p.Outcome, p.By, p.Also, r.want, r.by, r.also, p)
			}
		})
	}
}

func withGrants(grants ...authz.Grant) func(*authz.Request) {
	return func(r *authz.Request) { r.Parts[0].Grants = grants }
}

// Source: IAM User Guide, "Policy evaluation logic", "Permissions boundaries for IAM entities".
func TestLayers(t *testing.T) {
	wrongID := func(r *authz.Request) {
		r.Parts[0].Policy.SetPrincipalIDs(map[string]string{alice: "AIDADEADXXXXXXXX", devRole: "AROADEADXXXXXXXX"})
	}
	rightID := func(r *authz.Request) {
		r.Parts[0].Policy.SetPrincipalIDs(map[string]string{alice: aliceID, devRole: devID})
	}
	checkRules(t, []rule{
		{name: "the root user needs no policy", as: rootA, action: "sqs:SendMessage", resource: queueA, want: authz.Allowed, by: authz.LayerRoot},
		{name: "a resource policy can deny the root user", as: rootA, action: "sqs:SendMessage", resource: queueA, policies: denyAnybody, want: authz.ExplicitDeny, by: authz.LayerResource},
		{name: "SCPs limit the root user of a member account", as: rootA, action: "sqs:SendMessage", resource: queueA, scp: allowOther, want: authz.ImplicitDeny, by: authz.LayerSCP},
		{name: "the root user needs the key policy", as: rootA, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "the root user needs a policy abroad", as: rootA, action: "sqs:SendMessage", resource: queueB, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "the root user has what a policy abroad gives its account", as: rootA, action: "sqs:SendMessage", resource: queueB, policies: delegateA, want: authz.Allowed, by: authz.LayerResource},
		{name: "a key without policy is closed", as: userAlice, action: "kms:Decrypt", resource: keyA, identity: allowAll, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "a trust policy is authoritative and reported as itself", as: userAlice, action: "sts:AssumeRole", resource: "arn:aws:iam::111122223333:role/r", identity: allowAll, want: authz.ImplicitDeny, by: authz.LayerTrust},
		{name: "PassRole does not ask the trust policy", as: userAlice, action: "iam:PassRole", resource: "arn:aws:iam::111122223333:role/r", identity: allowAll, want: authz.Allowed, by: authz.LayerIdentity},
		{name: "a federated user without session policy has nothing", as: federated, action: "sqs:SendMessage", resource: queueA, identity: allowAll, want: authz.ImplicitDeny, by: authz.LayerSession},
		{name: "a federated user without session policy may be named", as: federated, action: "sqs:SendMessage", resource: queueA, policies: everybody, want: authz.Allowed, by: authz.LayerResource},
		{name: "naming the user does not cross the border", as: userAlice, action: "sqs:SendMessage", resource: queueB, policies: nameAlice, want: authz.ImplicitDeny, by: authz.LayerIdentity},
		{name: "session policies limit abroad", as: sessionS1, action: "sqs:SendMessage", resource: queueB, identity: allowAll, session: allowOther, policies: nameDev, want: authz.ImplicitDeny, by: authz.LayerSession},
		{name: "foreign administration of a key is ineffective", as: userAlice, action: "kms:PutKeyPolicy", resource: keyB, identity: allowAll, policies: everybody, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "foreign use of a key is effective", as: userAlice, action: "kms:GenerateDataKeyWithoutPlaintext", resource: keyB, identity: allowAll, policies: everybody, want: authz.Allowed, by: authz.LayerIdentity, also: authz.LayerResource},
		{name: "a statement without Resource in a key policy is inert", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: `{"Effect":"Allow","Principal":"*","Action":"*"}`, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "a recreated user is not meant", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: nameAlice, change: wrongID, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "a recreated role is not meant", as: sessionS1, action: "kms:Decrypt", resource: keyA, policies: nameDev, change: wrongID, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "the same user is meant", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: nameAlice, change: rightID, want: authz.Allowed, by: authz.LayerResource},
		{name: "the same role is meant", as: sessionS1, action: "kms:Decrypt", resource: keyA, policies: nameDev, change: rightID, want: authz.Allowed, by: authz.LayerResource},
		{name: "a deny of a deleted user does not hit the new one", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: everybody + `,{"Effect":"Deny","Principal":{"AWS":"` + alice + `"},"Action":"*","Resource":"*"}`, change: wrongID, want: authz.Allowed, by: authz.LayerResource},
		{name: "the management account has no SCPs", as: userAlice, action: "sqs:SendMessage", resource: queueA, identity: allowAll, scp: denyAll, change: func(r *authz.Request) { r.Principal.AccountRole = authz.Management }, want: authz.Allowed, by: authz.LayerIdentity},
		{name: "service-linked roles have no SCPs", as: authz.Principal{Type: authz.RoleSession, ARN: "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling", RoleARN: linked, Account: accountA, AccountRole: authz.Member}, action: "sqs:SendMessage", resource: queueA, identity: allowAll, scp: denyAll, want: authz.Allowed, by: authz.LayerIdentity},
		{name: "an empty SCP level blocks all", as: userAlice, action: "sqs:SendMessage", resource: queueA, identity: allowAll, change: func(r *authz.Request) { r.SCPs = [][]*authz.Document{{}} }, want: authz.ImplicitDeny, by: authz.LayerSCP},
		{name: "AWS managed keys have no RCPs", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: everybody, rcp: denyAnybody, change: func(r *authz.Request) { r.Parts[0].Resource.AWSManaged = true }, want: authz.Allowed, by: authz.LayerResource},
		{name: "the management account's resources have no RCPs", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: everybody, rcp: denyAnybody, change: func(r *authz.Request) { r.Parts[0].Resource.AccountRole = authz.Management }, want: authz.Allowed, by: authz.LayerResource},
		{name: "an endpoint policy limits a service", as: service, action: "kms:Decrypt", resource: keyA, policies: everybody, endpoint: nameAlice, want: authz.ImplicitDeny, by: authz.LayerEndpoint},
		{name: "SCPs come before the endpoint", as: userAlice, action: "kms:Decrypt", resource: keyA, scp: allowOther, endpoint: nameAdmin, want: authz.ImplicitDeny, by: authz.LayerSCP},
		{name: "anonymous callers need the resource policy", as: authz.Principal{}, action: "sqs:SendMessage", resource: queueA, policies: nameAlice, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "anonymous callers have what everybody has", as: authz.Principal{}, action: "sqs:SendMessage", resource: queueA, policies: everybody, want: authz.Allowed, by: authz.LayerResource},
		{name: "NotPrincipal always denies a caller with a boundary", as: userAlice, action: "sqs:SendMessage", resource: queueA, identity: allowAll, boundary: allowAll, policies: `{"Effect":"Deny","NotPrincipal":{"AWS":["` + alice + `","111122223333"]},"Action":"*","Resource":"*"}`, want: authz.ExplicitDeny, by: authz.LayerResource},
		{name: "NotPrincipal must list the account too", as: userAlice, action: "sqs:SendMessage", resource: queueA, identity: allowAll, policies: `{"Effect":"Deny","NotPrincipal":{"AWS":"` + alice + `"},"Action":"*","Resource":"*"}`, want: authz.ExplicitDeny, by: authz.LayerResource},
		{name: "NotPrincipal must list role, session and account", as: sessionS1, action: "sqs:SendMessage", resource: queueA, identity: allowAll, policies: `{"Effect":"Deny","NotPrincipal":{"AWS":["` + devRole + `","` + devS1 + `","111122223333"]},"Action":"*","Resource":"*"}`, want: authz.Allowed, by: authz.LayerIdentity},
		{name: "NotPrincipal that lists only the role denies its sessions", as: sessionS1, action: "sqs:SendMessage", resource: queueA, identity: allowAll, policies: `{"Effect":"Deny","NotPrincipal":{"AWS":["` + devRole + `","111122223333"]},"Action":"*","Resource":"*"}`, want: authz.ExplicitDeny, by: authz.LayerResource},
		{name: "NotPrincipal that lists only the session denies it", as: sessionS1, action: "sqs:SendMessage", resource: queueA, identity: allowAll, policies: `{"Effect":"Deny","NotPrincipal":{"AWS":["` + devS1 + `","111122223333"]},"Action":"*","Resource":"*"}`, want: authz.ExplicitDeny, by: authz.LayerResource},
		{name: "NotPrincipal does not allow", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: `{"Effect":"Allow","NotPrincipal":{"AWS":"` + devRole + `"},"Action":"*","Resource":"*"}`, want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "GetCallerIdentity is always allowed", as: userAlice, action: "sts:GetCallerIdentity", resource: "*", identity: denyAll, want: authz.Allowed},
		{name: "GetSessionToken needs no allow", as: userAlice, action: "sts:GetSessionToken", resource: "*", want: authz.Allowed, by: authz.LayerIdentity},
		{name: "GetSessionToken is not capped by a silent boundary", as: userAlice, action: "sts:GetSessionToken", resource: "*", boundary: allowOther, want: authz.Allowed, by: authz.LayerIdentity},
		{name: "RCPs of the caller's account govern what has no resource", as: userAlice, action: "kms:CreateKey", resource: "*", identity: allowAll, rcp: denyAnybody, want: authz.ExplicitDeny, by: authz.LayerRCP},
		{name: "not those of the management account", as: userAlice, action: "kms:CreateKey", resource: "*", identity: allowAll, rcp: denyAnybody, change: func(r *authz.Request) { r.Principal.AccountRole = authz.Management }, want: authz.Allowed, by: authz.LayerIdentity},
		{name: "a global service is asked in one Region", as: userAlice, action: "iam:GetUser", resource: alice, identity: allowAll + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}`, want: authz.ExplicitDeny, by: authz.LayerIdentity},
		{name: "GetSessionToken can be denied", as: userAlice, action: "sts:GetSessionToken", resource: "*", identity: denyAll, want: authz.ExplicitDeny, by: authz.LayerIdentity},
		{name: "web identities are named by their provider", as: authz.Principal{}, action: "sts:AssumeRoleWithWebIdentity", resource: "arn:aws:iam::111122223333:role/r", policies: `{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`, change: func(r *authz.Request) { r.Context.Set("aws:federatedprovider", "accounts.google.com") }, want: authz.Allowed, by: authz.LayerTrust},
		{name: "a document that is not compiled never allows", as: userAlice, action: "sqs:SendMessage", resource: queueA, change: func(r *authz.Request) { r.Identity = []*authz.Document{{}} }, want: authz.Undetermined, by: authz.LayerIdentity},
	})
}

// Source: KMS Developer Guide, "Grants in AWS KMS", "Retiring and revoking grants".
func TestGrants(t *testing.T) {
	grant := func(who string, ops ...string) authz.Grant {
		return authz.Grant{ID: "g1", Grantee: who, Operations: ops, IssuingAccount: accountB}
	}
	source := grant("ec2.amazonaws.com", "Decrypt")
	source.SourceARN = "arn:aws:ec2:us-west-2:111122223333:volume/vol-1"
	from := func(volume string, g authz.Grant) func(*authz.Request) {
		return func(r *authz.Request) {
			r.Parts[0].Grants = []authz.Grant{g}
			r.Context.Set("aws:sourcearn", "arn:aws:ec2:us-west-2:111122223333:volume/"+volume)
		}
	}
	dead := grant(alice, "Decrypt")
	dead.GranteeID = "AIDADEADXXXXXXXX"
	checkRules(t, []rule{
		{name: "a grant needs no policy of the grantee abroad", as: userAlice, action: "kms:Decrypt", resource: keyB, policies: nameAdmin, change: withGrants(grant(alice, "Decrypt")), want: authz.Allowed, by: authz.LayerGrant},
		{name: "a grant to a role is for all its sessions", as: sessionS1, action: "kms:Decrypt", resource: keyB, policies: nameAdmin, change: withGrants(grant(devRole, "Decrypt")), want: authz.Allowed, by: authz.LayerGrant},
		{name: "a grant to another session is not", as: sessionS1, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, change: withGrants(grant(devS1+"x", "Decrypt")), want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "a grant to an account needs the identity's policy", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, change: withGrants(grant(arn.Root(accountA), "Decrypt")), want: authz.ImplicitDeny, by: authz.LayerIdentity},
		{name: "a grant to an account with the identity's policy", as: userAlice, action: "kms:Decrypt", resource: keyA, identity: allowAll, policies: nameAdmin, change: withGrants(grant(arn.Root(accountA), "Decrypt")), want: authz.Allowed, by: authz.LayerGrant, also: authz.LayerIdentity},
		{name: "a grant to an account is its root user's", as: rootA, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, change: withGrants(grant(arn.Root(accountA), "Decrypt")), want: authz.Allowed, by: authz.LayerGrant},
		{name: "a grant to a deleted user is not the new one's", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, change: withGrants(dead), want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "a grant to a unique id", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, change: withGrants(grant(aliceID, "Decrypt")), want: authz.Allowed, by: authz.LayerGrant},
		{name: "a grant to a service for its source", as: service, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, change: from("vol-1", source), want: authz.Allowed, by: authz.LayerGrant},
		{name: "a grant to a service for another source", as: service, action: "kms:Decrypt", resource: keyA, policies: nameAdmin, change: from("vol-2", source), want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "the key policy's deny beats a grant", as: userAlice, action: "kms:Decrypt", resource: keyA, policies: denyAnybody, change: withGrants(grant(alice, "Decrypt")), want: authz.ExplicitDeny, by: authz.LayerResource},
		{name: "RevokeGrant does not come from a grant", as: userAlice, action: "kms:RevokeGrant", resource: keyA, policies: nameAdmin, change: withGrants(grant(alice, "RevokeGrant")), want: authz.ImplicitDeny, by: authz.LayerResource},
		{name: "constraints are ignored for DescribeKey", as: userAlice, action: "kms:DescribeKey", resource: keyA, policies: nameAdmin, change: withGrants(authz.Grant{ID: "g1", Grantee: alice, Operations: []string{"DescribeKey"}, ContextEquals: map[string]string{"a": "1"}}), want: authz.Allowed, by: authz.LayerGrant},
		{name: "CreateGrant without a new grant is not covered", as: userAlice, action: "kms:CreateGrant", resource: keyA, policies: nameAdmin, change: withGrants(grant(alice, "CreateGrant")), want: authz.ImplicitDeny, by: authz.LayerResource},
	})
	target := func(g authz.Grant) func(*authz.Request) { return func(r *authz.Request) { r.Parts[0].Target = &g } }
	none := authz.Grant{ID: "g1", Grantee: arn.User(accountB, "/", "bob"), Operations: []string{"Decrypt"}, IssuingAccount: accountB}
	by := func(change func(*authz.Grant)) func(*authz.Request) { g := none; change(&g); return target(g) }
	retiring := by(func(g *authz.Grant) { g.Retiring = alice })
	retiringRole := by(func(g *authz.Grant) { g.Retiring = devRole })
	retiringAccount := by(func(g *authz.Grant) { g.Retiring = arn.Root(accountA) })
	issued := by(func(g *authz.Grant) { g.IssuingAccount = accountA })
	issuedARN := by(func(g *authz.Grant) { g.IssuingAccount = arn.Root(accountA) })
	grantee := by(func(g *authz.Grant) { g.Grantee, g.Operations = alice, []string{"RetireGrant"} })
	granteeOnly := by(func(g *authz.Grant) { g.Grantee = alice })
	retiringDead := by(func(g *authz.Grant) { g.Retiring, g.RetiringID = alice, "AIDADEADXXXXXXXX" })
	checkRules(t, []rule{
		{name: "IAM alone does not retire", as: userAlice, action: "kms:RetireGrant", resource: keyB, identity: allowAll, policies: everybody, change: target(none), want: authz.ImplicitDeny, by: authz.LayerGrant},
		{name: "the retiring principal retires", as: userAlice, action: "kms:RetireGrant", resource: keyB, change: retiring, want: authz.Allowed, by: authz.LayerGrant},
		{name: "a deleted retiring principal does not", as: userAlice, action: "kms:RetireGrant", resource: keyB, change: retiringDead, want: authz.ImplicitDeny, by: authz.LayerGrant},
		{name: "an identity's deny beats retiring", as: userAlice, action: "kms:RetireGrant", resource: keyB, identity: denyAll, change: retiring, want: authz.ExplicitDeny, by: authz.LayerIdentity},
		{name: "a key policy's deny does not", as: userAlice, action: "kms:RetireGrant", resource: keyB, policies: denyAnybody, rcp: denyAnybody, change: retiring, want: authz.Allowed, by: authz.LayerGrant},
		{name: "the grantee retires if the grant says so", as: userAlice, action: "kms:RetireGrant", resource: keyB, change: grantee, want: authz.Allowed, by: authz.LayerGrant},
		{name: "the grantee does not otherwise", as: userAlice, action: "kms:RetireGrant", resource: keyB, change: granteeOnly, want: authz.ImplicitDeny, by: authz.LayerGrant},
		{name: "the issuing account's root user retires", as: rootA, action: "kms:RetireGrant", resource: keyB, change: issued, want: authz.Allowed, by: authz.LayerGrant},
		{name: "the issuing account delegates by IAM", as: userAlice, action: "kms:RetireGrant", resource: keyB, identity: allowAll, change: issuedARN, want: authz.Allowed, by: authz.LayerGrant, also: authz.LayerIdentity},
		{name: "a retiring account delegates by IAM", as: userAlice, action: "kms:RetireGrant", resource: keyB, identity: allowAll, change: retiringAccount, want: authz.Allowed, by: authz.LayerGrant, also: authz.LayerIdentity},
		{name: "a retiring role is limited by a boundary", as: sessionS1, action: "kms:RetireGrant", resource: keyB, boundary: allowOther, change: retiringRole, want: authz.ImplicitDeny, by: authz.LayerBoundary},
		{name: "without a target nothing retires", as: userAlice, action: "kms:RetireGrant", resource: keyB, identity: allowAll, policies: everybody, want: authz.ImplicitDeny, by: authz.LayerGrant},
	})
}

// Source: KMS Developer Guide, "Using grant constraints".
func TestGrantConstraints(t *testing.T) {
	type pairs = map[string]string
	a, ab := pairs{"a": "1"}, pairs{"a": "1", "b": "2"}
	tests := []struct {
		name           string
		equals, subset pairs
		context        pairs
		unknown        string // a key of unknown value
		want           authz.Outcome
	}{
		{"equals, same", a, nil, a, "", authz.Allowed},
		{"equals, more", a, nil, ab, "", authz.ImplicitDeny},
		{"equals, fewer", ab, nil, a, "", authz.ImplicitDeny},
		{"equals, none", a, nil, nil, "", authz.ImplicitDeny},
		{"equals nothing, none", pairs{}, nil, nil, "", authz.Allowed},
		{"equals nothing, some", pairs{}, nil, a, "", authz.ImplicitDeny},
		{"subset, same", nil, a, a, "", authz.Allowed},
		{"subset, more", nil, a, ab, "", authz.Allowed},
		{"subset, fewer", nil, ab, a, "", authz.ImplicitDeny},
		{"subset, other value", nil, pairs{"a": "2"}, a, "", authz.ImplicitDeny},
		{"subset, other case of key", nil, pairs{"A": "1"}, a, "", authz.ImplicitDeny},
		{"equals, names unknown", a, nil, a, "kms:encryptioncontextkeys", authz.Undetermined},
		{"equals, names unknown but a value differs", pairs{"a": "2"}, nil, a, "kms:encryptioncontextkeys", authz.ImplicitDeny},
		{"subset, names unknown", nil, ab, a, "kms:encryptioncontextkeys", authz.Undetermined},
		{"subset, names unknown but there", nil, a, a, "kms:encryptioncontextkeys", authz.Allowed},
		{"subset, value unknown", nil, ab, a, "kms:encryptioncontext:b", authz.Undetermined},
		{"subset, another value unknown", nil, a, a, "kms:encryptioncontext:b", authz.Allowed},
		{"equals, value unknown", ab, nil, a, "kms:encryptioncontext:b", authz.Undetermined},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rule{as: userAlice, action: "kms:Decrypt", resource: keyA, policies: nameAdmin}
			req := r.request(t)
			p := &req.Parts[0]
			p.Grants = []authz.Grant{{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}, ContextEquals: tt.equals, ContextSubset: tt.subset}}
			p.EncryptionContext = tt.context
			if tt.unknown != "" {
				p.Context.SetUnknown(tt.unknown)
			}
			d := authz.Explain(req)
			if d.Outcome != tt.want {
				t.Errorf("%+v", d)
			}
			sameAnswer(t, authz.Decide(req), d)
		})
	}
}

// Source: KMS Developer Guide, "Creating grants", Granting CreateGrant permission.
func TestChildGrantIsNoWiderThanItsParent(t *testing.T) {
	type pairs = map[string]string
	ops := []string{"CreateGrant", "Decrypt"}
	a, ab := pairs{"a": "1"}, pairs{"a": "1", "b": "2"}
	tests := []struct {
		name          string
		parent, child authz.Grant
		want          bool
	}{
		{"same", authz.Grant{}, authz.Grant{Operations: ops}, true},
		{"fewer operations", authz.Grant{}, authz.Grant{Operations: []string{"Decrypt"}}, true},
		{"another operation", authz.Grant{}, authz.Grant{Operations: []string{"Decrypt", "Encrypt"}}, false},
		{"constraint where there was none", authz.Grant{}, authz.Grant{ContextEquals: a}, true},
		{"subset, none", authz.Grant{ContextSubset: a}, authz.Grant{}, false},
		{"subset, same", authz.Grant{ContextSubset: a}, authz.Grant{ContextSubset: a}, true},
		{"subset, more pairs", authz.Grant{ContextSubset: a}, authz.Grant{ContextSubset: ab}, true},
		{"subset, fewer pairs", authz.Grant{ContextSubset: ab}, authz.Grant{ContextSubset: a}, false},
		{"subset, equals of more", authz.Grant{ContextSubset: a}, authz.Grant{ContextEquals: ab}, true},
		{"subset, other value", authz.Grant{ContextSubset: a}, authz.Grant{ContextSubset: pairs{"a": "2"}}, false},
		{"subset, other case", authz.Grant{ContextSubset: a}, authz.Grant{ContextSubset: pairs{"A": "1"}}, false},
		{"equals, same", authz.Grant{ContextEquals: a}, authz.Grant{ContextEquals: a}, true},
		{"equals, more", authz.Grant{ContextEquals: a}, authz.Grant{ContextEquals: ab}, false},
		{"equals, subset", authz.Grant{ContextEquals: a}, authz.Grant{ContextSubset: a}, false},
		{"equals, none", authz.Grant{ContextEquals: a}, authz.Grant{}, false},
		{"source, same", authz.Grant{SourceARN: queueA}, authz.Grant{SourceARN: queueA}, true},
		{"source, none", authz.Grant{SourceARN: queueA}, authz.Grant{}, false},
		{"source, other", authz.Grant{SourceARN: queueA}, authz.Grant{SourceARN: queueB}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.parent.Grantee, tt.parent.Operations = alice, ops
			r := rule{as: userAlice, action: "kms:CreateGrant", resource: keyA, policies: nameAdmin}
			req := r.request(t)
			req.Context.Set("aws:sourcearn", queueA)
			req.Parts[0].Grants, req.Parts[0].NewGrant = []authz.Grant{tt.parent}, &tt.child
			d := authz.Explain(req)
			if got := d.Outcome == authz.Allowed; got != tt.want {
				t.Fatalf("%+v", d)
			}
			if !tt.want && (len(d.Parts[0].Missed) != 2 || d.Parts[0].Missed[1].Reason != authz.MissNotSubset) {
				t.Errorf("missed %+v", d.Parts[0].Missed)
			}
		})
	}
}
