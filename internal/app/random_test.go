package app_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/literal"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A judge compares every decision of a server with the literal reading of the rules.
type judge struct {
	t    *testing.T
	mu   sync.Mutex
	seen map[string]int // outcomes and the layers that made them
}

func (j *judge) observe(c *guard.Call, req *authz.Request) {
	d := authz.Explain(req)
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, p := range d.Parts {
		outcome, layer := literal.Decide(req, i)
		if p.Outcome != outcome || p.By != layer {
			j.t.Errorf("%s by %s, %s on %s: %v by %s, literally %v by %s", c.Operation, req.Principal.ARN, p.Action, p.Resource, p.Outcome, p.By, outcome, layer)
		}
		j.seen[fmt.Sprint(p.Outcome, " ", p.By)]++
	}
}

// A country is an organization made at random.
type country struct {
	t        *testing.T
	r        *rand.Rand
	s        *testkit.Server
	accounts []string
	parents  []string // the root and units
	keys     []string
	roles    []string
	people   []testkit.Clients
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// actions is a statement's list of actions, most of them in use here.
func (c *country) actions(covered bool) string {
	all := []string{"kms:*", "kms:Encrypt", "kms:DescribeKey", "kms:Describe*", "kms:GenerateDataKey", "sts:AssumeRole", "sts:*"}
	if covered { // by resource control policies
		return `"` + pick(c.r, all) + `","` + pick(c.r, all) + `"`
	}
	all = []string{"kms:*", "kms:Encrypt", "kms:DescribeKey", "kms:Describe*", "kms:GenerateDataKey", "iam:List*", "iam:*", "sts:AssumeRole", "sts:*", "*", "ec2:*", "kms:ListKeys"}
	return `"` + pick(c.r, all) + `","` + pick(c.r, all) + `"`
}

func (c *country) resource() string {
	return `"` + pick(c.r, []string{"*", "*", "*", pick(c.r, c.keys), "arn:aws:kms:*:" + pick(c.r, c.accounts) + ":key/*", "arn:aws:iam::" + pick(c.r, c.accounts) + ":role/*"}) + `"`
}

func (c *country) condition() string {
	account := pick(c.r, c.accounts)
	return pick(c.r, []string{
		"", "", "", `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"` + account + `"}}`, `,"Condition":{"StringNotEquals":{"aws:ResourceAccount":"` + account + `"}}`,
		`,"Condition":{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::` + account + `:role/*"}}`, `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`,
		`,"Condition":{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"*/` + pick(c.r, c.parents) + `/*"}}`,
	})
}

// document is a policy of one to three statements, with a Principal element if there is one to give.
func (c *country) document(effects, principal string) string {
	var all []string
	for range 1 + c.r.IntN(3) {
		all = append(all, `{"Effect":"`+pick(c.r, strings.Fields(effects))+`"`+principal+`,"Action":[`+c.actions(principal != "")+`],"Resource":`+c.resource()+c.condition()+`}`)
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
}

func newCountry(t *testing.T, s *testkit.Server, r *rand.Rand) *country {
	c := &country{t: t, r: r, s: s, parents: []string{"r-kgmr"}, keys: []string{"*"}}
	m := s.As(testkit.Admin("000000000000"))
	testkit.Must(m.Organizations, "EnablePolicyType", &organizationsapi.EnablePolicyTypeRequest{RootId: new("r-kgmr"), PolicyType: new("RESOURCE_CONTROL_POLICY")})
	for i := range 4 {
		unit := testkit.Call[organizationsapi.CreateOrganizationalUnitResponse](m.Organizations, "CreateOrganizationalUnit", &organizationsapi.CreateOrganizationalUnitRequest{
			ParentId: new(pick(r, c.parents)), Name: new(fmt.Sprint("unit ", i))}).OrganizationalUnit
		c.parents = append(c.parents, *unit.Id)
	}
	for i := range 4 {
		account := fmt.Sprintf("30000000000%d", i)
		c.accounts = append(c.accounts, account)
		if to := pick(r, c.parents); to != "r-kgmr" {
			testkit.Must(m.Organizations, "MoveAccount", &organizationsapi.MoveAccountRequest{AccountId: &account, SourceParentId: new("r-kgmr"), DestinationParentId: &to})
		}
	}
	for _, account := range append(c.accounts, "000000000000") {
		c.populate(account)
	}
	for i := range 6 {
		kind, principal := "SERVICE_CONTROL_POLICY", ""
		if i%2 == 1 {
			kind, principal = "RESOURCE_CONTROL_POLICY", `,"Principal":"*"`
		}
		doc := c.document("Deny", principal)
		p := testkit.Call[organizationsapi.CreatePolicyResponse](m.Organizations, "CreatePolicy", &organizationsapi.CreatePolicyRequest{
			Name: new(fmt.Sprint("policy ", i)), Description: new(""), Type: &kind, Content: &doc}).Policy.PolicySummary.Id
		target := pick(r, append(c.parents, c.accounts...))
		testkit.Must(m.Organizations, "AttachPolicy", &organizationsapi.AttachPolicyRequest{PolicyId: p, TargetId: &target})
	}
	return c
}

// populate gives an account a key, users and roles with policies and boundaries.
func (c *country) populate(account string) {
	a := c.s.As(testkit.Admin(account))
	delegates := `{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"kms:*","Resource":"*"}`
	other := `{"Effect":"` + pick(c.r, []string{"Allow", "Deny"}) + `","Principal":{"AWS":"` + pick(c.r, append(c.accounts, "*")) + `"},"Action":[` +
		`"kms:Encrypt","kms:DescribeKey"],"Resource":"*"` + c.condition() + `}`
	policy := `{"Version":"2012-10-17","Statement":[` + delegates + `,` + other + `]}`
	key := testkit.Call[kmsapi.CreateKeyResponse](a.KMS, "CreateKey", &kmsapi.CreateKeyRequest{Policy: &policy, BypassPolicyLockoutSafetyCheck: new(true)}).KeyMetadata
	c.keys = append(c.keys, *key.Arn)
	for i := range 3 {
		name := fmt.Sprint("p", i)
		inline := c.document("Allow Allow Deny", "")
		boundary := testkit.Call[iamapi.CreatePolicyResponse](a.IAM, "CreatePolicy", &iamapi.CreatePolicyRequest{PolicyName: &name, PolicyDocument: new(c.document("Allow Allow Deny", ""))}).Policy.Arn
		if c.r.IntN(2) == 0 {
			boundary = nil
		}
		testkit.Call[iamapi.CreateUserResponse](a.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: &name, PermissionsBoundary: boundary})
		testkit.Must(a.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("in"), PolicyDocument: &inline})
		k := testkit.Call[iamapi.CreateAccessKeyResponse](a.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
		c.people = append(c.people, c.s.As(sigv4.Credentials{AccessKeyID: *k.AccessKeyId, Secret: *k.SecretAccessKey}))

		trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + pick(c.r, c.accounts) + `"},"Action":"sts:AssumeRole"` + c.condition() + `},` +
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/admin"},"Action":"sts:AssumeRole"}]}`
		role := testkit.Call[iamapi.CreateRoleResponse](a.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: &name, AssumeRolePolicyDocument: &trust, PermissionsBoundary: boundary}).Role
		testkit.Must(a.IAM, "PutRolePolicy", &iamapi.PutRolePolicyRequest{RoleName: &name, PolicyName: new("in"), PolicyDocument: new(c.document("Allow Allow Deny", ""))})
		c.roles = append(c.roles, *role.Arn)
		in := &stsapi.AssumeRoleRequest{RoleArn: role.Arn, RoleSessionName: new("session")}
		if c.r.IntN(2) == 0 {
			in.Policy = new(c.document("Allow Allow Deny", ""))
		}
		got := testkit.Call[stsapi.AssumeRoleResponse](a.STS, "AssumeRole", in).Credentials
		c.people = append(c.people, c.s.As(sigv4.Credentials{AccessKeyID: *got.AccessKeyId, Secret: *got.SecretAccessKey, SessionToken: *got.SessionToken}))
	}
	c.people = append(c.people, c.s.As(testkit.Root(account)))
}

// call does something as somebody; whether it is allowed is the judge's matter.
func (c *country) call() {
	who, key, ctx := pick(c.r, c.people), new(pick(c.r, c.keys[1:])), c.t.Context()
	switch c.r.IntN(6) {
	case 0:
		_ = who.KMS.Do(ctx, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: key}, &kmsapi.DescribeKeyResponse{})
	case 1:
		_ = who.KMS.Do(ctx, "Encrypt", &kmsapi.EncryptRequest{KeyId: key, Plaintext: secret.Bytes("x")}, &kmsapi.EncryptResponse{})
	case 2:
		_ = who.KMS.Do(ctx, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: key, KeySpec: new("AES_256")}, &kmsapi.GenerateDataKeyResponse{})
	case 3:
		_ = who.KMS.Do(ctx, "ListKeys", &kmsapi.ListKeysRequest{}, &kmsapi.ListKeysResponse{})
	case 4:
		_ = who.IAM.Do(ctx, "ListUsers", &iamapi.ListUsersRequest{}, &iamapi.ListUsersResponse{})
	default:
		_ = who.STS.Do(ctx, "AssumeRole", &stsapi.AssumeRoleRequest{RoleArn: new(pick(c.r, c.roles)), RoleSessionName: new("other")}, &stsapi.AssumeRoleResponse{})
	}
}

// Organizations made at random through the services: every decision is what the rules say literally.
func TestRandomOrganizationsAreDecidedLiterally(t *testing.T) {
	j := &judge{t: t, seen: map[string]int{}}
	for seed := range uint64(2) {
		s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) { c.Observe = j.observe }})
		c := newCountry(t, s, rand.New(rand.NewPCG(seed, 6)))
		for range 300 {
			c.call()
		}
		s.Stop()
	}
	for _, want := range []struct {
		outcome authz.Outcome
		by      authz.Layer
	}{
		{authz.Allowed, authz.LayerIdentity}, {authz.Allowed, authz.LayerRoot}, {authz.ExplicitDeny, authz.LayerSCP}, {authz.ExplicitDeny, authz.LayerRCP},
		{authz.ExplicitDeny, authz.LayerIdentity}, {authz.ExplicitDeny, authz.LayerBoundary}, {authz.ImplicitDeny, authz.LayerIdentity},
		{authz.ImplicitDeny, authz.LayerBoundary}, {authz.ImplicitDeny, authz.LayerSession}, {authz.ImplicitDeny, authz.LayerResource},
	} {
		if j.seen[fmt.Sprint(want.outcome, " ", want.by)] == 0 {
			t.Errorf("no decision was %v by %s: %v", want.outcome, want.by, j.seen)
		}
	}
}
