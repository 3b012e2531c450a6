package org_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// key is an action on a key of an account. Its policy allows everybody, or what is given.
func key(t testing.TB, action, account string, statements ...string) authz.Part {
	t.Helper()
	if len(statements) == 0 {
		statements = []string{`{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}`}
	}
	src := document(statements...)
	doc, err := policy.Parse([]byte(src), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	d := authz.Compile(doc, policy.Key)
	d.Name = arn.KMSKey(guardtest.Region, account, "1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d")
	d.Owner, d.Attached = account, d.Name
	return authz.Part{Action: action, Resource: authz.Resource{ARN: d.Name, Account: account}, Policy: d, Authoritative: true}
}

// decide is the decision on parts as a service asks for it, and the text of a refusal.
func (w *world) decide(caller guard.Caller, parts ...authz.Part) (authz.Outcome, authz.Layer, string) {
	w.T.Helper()
	service, operation, _ := strings.Cut(parts[0].Action, ":")
	c := &guard.Call{ID: guard.NewRequestID(), Service: service, Operation: operation, Region: guardtest.Region, Caller: caller, Time: w.Guard.Now()}
	_, err := w.Guard.Invoke(w.T.Context(), c, &struct{}{}, guard.HandleVoid(func(ctx context.Context, c *guard.Call, _ *struct{}) error {
		return w.Guard.View(ctx, c, func(tx store.Tx) error {
			_, err := w.Guard.Authorize(tx, c, guard.Check{Parts: slices.Clone(parts)})
			return err
		})
	}))
	if err == nil {
		return authz.Allowed, authz.LayerNone, ""
	}
	e, ok := guard.Denied(err)
	if !ok {
		w.T.Fatal(err)
	}
	return e.Decision.Outcome, e.Decision.Parts[e.Decision.Part].By, e.Message
}

// wants fails unless the decision is this one.
func (w *world) wants(name string, caller guard.Caller, part authz.Part, outcome authz.Outcome, by authz.Layer) {
	w.T.Helper()
	if o, l, text := w.decide(caller, part); o != outcome || l != by {
		w.T.Errorf("%s: outcome %d by %s (%s), want %d by %s", name, o, l, text, outcome, by)
	}
}

func (w *world) allows(name string, caller guard.Caller, part authz.Part) {
	w.T.Helper()
	w.wants(name, caller, part, authz.Allowed, authz.LayerNone)
}

// session is a session of a role that is made if it does not exist.
func (w *world) session(account, path, name string) guard.Caller {
	w.T.Helper()
	var id directory.Identity
	r := directory.Role{
		Account: account, Name: name, Path: path, ID: directory.NewID("AROA"), Inline: map[string]string{"p": everything},
		Trust: document(`{"Effect":"Allow","Principal":{"Service":"autoscaling.amazonaws.com"},"Action":"sts:AssumeRole"}`),
	}
	w.Update(func(tx store.Tx) error { return w.Directory.PutRole(tx, r) })
	w.View(func(tx store.Tx) (err error) {
		id, err = w.Directory.SessionIdentity(tx, directory.SessionGrant{
			Account: account, RoleName: name, RolePath: path, RoleID: r.ID, Name: "s", IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
		})
		return err
	})
	return guardtest.Caller(id)
}

func TestSCPDenyLimitsWhomItShould(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	grant := key(t, "kms:CreateGrant", member)
	user := w.User(member, "u", everything)
	w.allows("before", user, grant)
	m.attach(m.policy(scp, "guard", statement("Deny", "kms:CreateGrant")), rootID)

	w.wants("user", user, grant, authz.ExplicitDeny, authz.LayerSCP)
	w.wants("root user of a member", w.Lookup(member), grant, authz.ExplicitDeny, authz.LayerSCP)
	w.wants("role", w.session(member, "/", "Ops"), grant, authz.ExplicitDeny, authz.LayerSCP)
	w.wants("EC2's infrastructure role", guardtest.Caller(w.Directory.InfrastructureIdentity(member, guardtest.Region, "i-1")), grant, authz.ExplicitDeny, authz.LayerSCP)
	w.wants("role whose call a service forwards", w.session(member, "/", "Ops2").Via("ec2.amazonaws.com"), grant, authz.ExplicitDeny, authz.LayerSCP)
	w.allows("other action", user, key(t, "kms:Encrypt", member))
	w.allows("service-linked role", w.session(member, "/aws-service-role/autoscaling.amazonaws.com/", "AWSServiceRoleForAutoScaling"), grant)
	w.allows("management account", w.User(management, "u", everything), grant)
	w.allows("service", guardtest.Caller(directory.ServiceIdentity("ec2.amazonaws.com")), grant)

	_, _, text := w.decide(user, grant)
	const want = "User: arn:aws:iam::111122223333:user/u is not authorized to perform: kms:CreateGrant on resource: " +
		"arn:aws:kms:us-west-2:111122223333:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d with an explicit deny in a service control policy"
	if !strings.HasPrefix(text, want) {
		t.Errorf("message: %s\nwant:    %s", text, want)
	}
}

func TestSCPAllowList(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	user := w.User(member, "u", everything)
	encrypt := key(t, "kms:Encrypt", member)
	list := m.policy(scp, "list", `{"Effect":"Allow","Action":["ec2:*","iam:*"],"Resource":"*"}`)
	m.attach(list, member)
	w.allows("FullAWSAccess is still there", user, encrypt)
	m.detach("p-FullAWSAccess", member)
	w.wants("not on the list", user, encrypt, authz.ImplicitDeny, authz.LayerSCP)
	w.wants("not on the list: root user", w.Lookup(member), encrypt, authz.ImplicitDeny, authz.LayerSCP)
	w.allows("on the list", user, authz.Part{Action: "ec2:DescribeInstances", Resource: authz.Resource{ARN: "*", Account: member}})
	w.allows("member without the list", w.User(other, "u", everything), encrypt)

	content := document(`{"Effect":"Allow","Action":["ec2:*","iam:*","kms:*"],"Resource":"*"}`)
	m.must(&organizationsapi.UpdatePolicyRequest{PolicyId: &list, Content: &content})
	w.allows("the list was changed", user, encrypt)
}

// A move, an attachment and a change of what a policy says bear on the next decision.
func TestOrganizationalUnitsInherit(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	user, encrypt := w.User(member, "u", everything), key(t, "kms:Encrypt", member)
	apps := m.unit(rootID, "apps")
	prod := m.unit(apps, "prod")
	deny := m.policy(scp, "guard", statement("Deny", "kms:Encrypt"))
	m.attach(deny, apps)
	w.allows("outside the unit", user, encrypt)
	m.move(member, rootID, prod)
	w.wants("two levels below", user, encrypt, authz.ExplicitDeny, authz.LayerSCP)
	m.detach(deny, apps)
	w.allows("detached", user, encrypt)
	m.attach(m.policy(scp, "list", statement("Allow", "kms:*")), apps)
	m.detach("p-FullAWSAccess", apps)
	w.allows("allowed at every level", user, encrypt)
	m.attach(m.policy(scp, "list2", statement("Allow", "ec2:*")), prod)
	m.detach("p-FullAWSAccess", prod)
	w.wants("one level is silent", user, encrypt, authz.ImplicitDeny, authz.LayerSCP)
	m.move(member, prod, apps)
	w.allows("moved out of the silent level", user, encrypt)
	m.must(&organizationsapi.DisablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(scp)})
	m.move(member, apps, prod)
	w.allows("type disabled", user, encrypt)
}

func TestRCPDenyLimitsWhoeverUsesTheResource(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	m.enable(rcp)
	decrypt := key(t, "kms:Decrypt", member)
	own, foreign := w.User(member, "u", everything), w.User(other, "u", everything)
	w.allows("before: own", own, decrypt)
	w.allows("before: foreign", foreign, decrypt)
	deny := m.policy(rcp, "perimeter", denyAll("kms:*"), denyAll("sts:*"))
	m.attach(deny, member)

	w.wants("own principal", own, decrypt, authz.ExplicitDeny, authz.LayerRCP)
	w.wants("foreign principal", foreign, decrypt, authz.ExplicitDeny, authz.LayerRCP)
	w.wants("principal of the management account", w.User(management, "u", everything), decrypt, authz.ExplicitDeny, authz.LayerRCP)
	w.wants("root user", w.Lookup(member), decrypt, authz.ExplicitDeny, authz.LayerRCP)
	w.wants("service", guardtest.Caller(directory.ServiceIdentity("ec2.amazonaws.com")), decrypt, authz.ExplicitDeny, authz.LayerRCP)
	w.wants("action without resource", own, authz.Part{Action: "kms:CreateKey", Resource: authz.Resource{ARN: "*", Account: member}}, authz.ExplicitDeny, authz.LayerRCP)
	w.allows("resource of another account", own, key(t, "kms:Decrypt", other))
	w.allows("service-linked role", w.session(member, "/aws-service-role/autoscaling.amazonaws.com/", "AWSServiceRoleForAutoScaling"), decrypt)
	w.allows("service that RCPs do not cover", own, authz.Part{Action: "ec2:RunInstances", Resource: authz.Resource{ARN: "*", Account: member}})
	managed := decrypt
	managed.Resource.AWSManaged = true
	w.allows("AWS managed key", own, managed)
	trust := key(t, "sts:AssumeRole", member)
	trust.Resource.ARN = arn.Role(member, "/", "r")
	w.wants("role", foreign, trust, authz.ExplicitDeny, authz.LayerRCP)

	m.attach(deny, management)
	w.allows("resource of the management account", own, key(t, "kms:Decrypt", management))
	m.detach(deny, member)
	w.allows("detached", own, decrypt)
	m.attach(deny, rootID)
	w.wants("from the root down", own, decrypt, authz.ExplicitDeny, authz.LayerRCP)
	m.must(&organizationsapi.DisablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(rcp)})
	w.allows("type disabled", own, decrypt)
}

func TestEachPartIsUnderItsOwnersRCPs(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	m.enable(rcp)
	m.attach(m.policy(rcp, "perimeter", denyAll("kms:ReEncryptTo")), other)
	user := w.User(member, "u", everything)
	from := key(t, "kms:ReEncryptFrom", member)
	if o, by, _ := w.decide(user, from, key(t, "kms:ReEncryptTo", other), from); o != authz.ExplicitDeny || by != authz.LayerRCP {
		t.Errorf("into the account with the policy: %d by %s", o, by)
	}
	if o, _, text := w.decide(user, from, key(t, "kms:ReEncryptTo", member), from); o != authz.Allowed {
		t.Errorf("within the account: %s", text)
	}
}

func TestOrganizationKeysOfTheContext(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	apps := m.unit(rootID, "apps")
	path := "o-kagimori00/r-kgmr/" + apps + "/"
	onlyUnit := `{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{
		"StringEquals":{"aws:PrincipalOrgID":"o-kagimori00","aws:ResourceOrgID":"o-kagimori00"},
		"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"` + path + `*"}}}`
	resourceUnit := `{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:ResourceOrgPaths":"` + path + `"}}}`
	user := w.User(member, "u", everything)
	for _, st := range []string{onlyUnit, resourceUnit} {
		w.wants("outside the unit", user, key(t, "kms:Encrypt", member, st), authz.ImplicitDeny, authz.LayerResource)
	}
	m.move(member, rootID, apps)
	for _, st := range []string{onlyUnit, resourceUnit} {
		w.allows("in the unit", user, key(t, "kms:Encrypt", member, st))
	}
}

// A policy that named a user does not mean the next one of that name.
func TestDeletedPrincipalIsNotItsNamesake(t *testing.T) {
	w := newWorld(t)
	first := w.User(member, "u", everything)
	p := key(t, "kms:Encrypt", member, `{"Effect":"Allow","Principal":{"AWS":"`+first.Principal.ARN+`"},"Action":"kms:*","Resource":"*"}`)
	p.Policy.SetPrincipalIDs(map[string]string{first.Principal.ARN: first.Principal.UniqueID})
	w.allows("the user", first, p)
	w.Update(func(tx store.Tx) error {
		u, _, err := w.Directory.User(tx, member, "u")
		if err != nil {
			return err
		}
		return w.Directory.DeleteUser(tx, u)
	})
	second := w.User(member, "u", everything)
	w.wants("the user of the same name", second, p, authz.ImplicitDeny, authz.LayerResource)
	w.wants("credentials of the deleted user", first, authz.Part{Action: "kms:ListKeys", Resource: authz.Resource{ARN: "*", Account: member}}, authz.ImplicitDeny, authz.LayerIdentity)
}

func TestEndpointPolicy(t *testing.T) {
	w := newWorld(t)
	doc, err := policy.Parse([]byte(document(`{"Effect":"Allow","Principal":"*","Action":"kms:Encrypt","Resource":"*"}`)), policy.Endpoint)
	w.Must(err)
	user := w.User(member, "u", everything)
	user.Endpoint = &guard.Endpoint{ID: "vpce-1", VPC: "vpc-1", IP: "10.0.0.7", Policy: authz.Compile(doc, policy.Endpoint)}
	w.allows("what it allows", user, key(t, "kms:Encrypt", member))
	w.wants("what it does not mention", user, key(t, "kms:Decrypt", member), authz.ImplicitDeny, authz.LayerEndpoint)
	w.allows("what a service asks for the caller", user.Via("ec2.amazonaws.com"), key(t, "kms:Decrypt", member))
	perimeter := `{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{
		"StringEquals":{"aws:SourceVpce":"vpce-1","aws:SourceVpc":"vpc-1"},"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"},"Null":{"aws:SourceIp":"true"}}}`
	w.allows("the keys of the context", user, key(t, "kms:Encrypt", member, perimeter))
	w.wants("not through the endpoint", w.User(member, "v", everything), key(t, "kms:Encrypt", member, perimeter), authz.ImplicitDeny, authz.LayerResource)
}

func TestDecisionsInTheTransactionOfAChangeSeeIt(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	deny := m.policy(scp, "guard", statement("Deny", "kms:Encrypt"))
	user, encrypt := w.User(member, "u", everything), key(t, "kms:Encrypt", member)
	w.allows("before", user, encrypt)
	var got []bool
	undo := apierr.New("Undo", "")
	err := w.Store.Update(t.Context(), func(tx store.Tx) error {
		got = nil
		c := &guard.Call{ID: "1", Service: "kms", Operation: "Encrypt", Region: guardtest.Region, Caller: user}
		o, _, err := w.Directory.OrganizationOf(tx, member)
		if err != nil {
			return err
		}
		for _, ids := range [][]string{{"p-FullAWSAccess", deny}, {"p-FullAWSAccess"}, {"p-FullAWSAccess", deny}} {
			if err := w.Directory.PutAttached(tx, o, directory.SCP, member, ids); err != nil {
				return err
			}
			ok, err := w.Guard.Allowed(tx, c, encrypt)
			if err != nil {
				return err
			}
			got = append(got, ok)
		}
		return undo
	})
	if err != undo {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{false, true, false}, got); diff != "" {
		t.Error(diff)
	}
	w.allows("nothing was committed", user, encrypt)
}

func TestCreatedAccountIsUnderPolicies(t *testing.T) {
	w := newProduction(t)
	m := w.productionRoot("999988887777")
	m.must(&organizationsapi.CreateOrganizationRequest{})
	root := *get[organizationsapi.ListRootsResponse](m, &organizationsapi.ListRootsRequest{}).Roots[0].Id
	m.must(&organizationsapi.CreateAccountRequest{Email: sensitive("a@example.com"), AccountName: sensitive("a"), RoleName: new("Steward")})
	accounts := get[organizationsapi.ListAccountsResponse](m, &organizationsapi.ListAccountsRequest{}).Accounts
	i := slices.IndexFunc(accounts, func(a organizationsapi.Account) bool { return *a.JoinedMethod == "CREATED" })
	if i < 0 || len(accounts) != 2 {
		t.Fatalf("accounts = %+v", accounts)
	}
	account := *accounts[i].Id
	var id directory.Identity
	w.View(func(tx store.Tx) error {
		r, _, err := w.Directory.Role(tx, account, "Steward")
		if err != nil {
			return err
		}
		id, err = w.Directory.SessionIdentity(tx, directory.SessionGrant{Account: account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: "s"})
		return err
	})
	steward, list := guardtest.Caller(id), authz.Part{Action: "kms:ListKeys", Resource: authz.Resource{ARN: "*", Account: account}}
	w.allows("before", steward, list)
	m.must(&organizationsapi.EnablePolicyTypeRequest{RootId: &root, PolicyType: new(scp)})
	m.attach(m.policy(scp, "guard", statement("Deny", "kms:*")), root)
	w.wants("member", steward, list, authz.ExplicitDeny, authz.LayerSCP)
	w.allows("management account", m.caller, authz.Part{Action: "kms:ListKeys", Resource: authz.Resource{ARN: "*", Account: "999988887777"}})
	w.allows("account outside", w.productionRoot("555566667777").caller, authz.Part{Action: "kms:ListKeys", Resource: authz.Resource{ARN: "*", Account: "555566667777"}})
}
