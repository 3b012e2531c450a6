package authz_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// A corpusCase is a line of testdata/cases.jsonl: one evaluation with the decision that AWS's
// documented rules give.
type corpusCase struct {
	ID        string `json:"id"`
	Why       string `json:"why"`
	Principal struct {
		Type, ARN, RoleARN, ParentARN, Account, UserID, Org, AccountRole string

		Tags            map[string]string
		SessionPolicies []json.RawMessage
	}
	Action   string
	Resource struct {
		ARN, Account, Org, AccountRole, KeyManager string

		Tags map[string]string
	}
	Context map[string]any
	Request struct {
		EncryptionContext                                 map[string]string
		GrantOperations                                   []string
		GranteePrincipal, RetiringPrincipal               string
		GranteeServicePrincipal, RetiringServicePrincipal string
		Constraints                                       constraints
	}
	IdentityPolicies []json.RawMessage
	Boundary         json.RawMessage
	SCPs, RCPs       [][]json.RawMessage
	ResourcePolicy   json.RawMessage
	Grants           []struct {
		GrantId, IssuingAccount, GranteePrincipal, GranteeServicePrincipal, RetiringPrincipal string

		Operations  []string
		Constraints constraints
	}
	VpcePolicy json.RawMessage
	Expect     struct {
		Decision, By string
		ByAny        []string
	}
}

type constraints struct {
	EncryptionContextSubset, EncryptionContextEquals map[string]string

	SourceArn string
}

func corpus(t testing.TB) []corpusCase {
	t.Helper()
	f, err := os.Open("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []corpusCase
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var c corpusCase
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if in.Err() != nil || len(cases) != 163 {
		t.Fatalf("%d cases, %v", len(cases), in.Err())
	}
	return cases
}

var principalTypes = map[string]authz.PrincipalType{
	"user": authz.User, "role-session": authz.RoleSession, "federated-user": authz.FederatedUser,
	"root": authz.Root, "service": authz.Service, "anonymous": authz.Anonymous,
}

var accountRoles = map[string]authz.AccountRole{"": authz.NoOrganization, "member": authz.Member, "management": authz.Management}

// request turns a case into what the engine decides on.
func (c *corpusCase) request(t testing.TB) *authz.Request {
	t.Helper()
	one := func(src json.RawMessage, kind policy.Kind) *authz.Document {
		if len(src) == 0 || string(src) == "null" {
			return nil
		}
		return document(t, string(src), kind)
	}
	list := func(srcs []json.RawMessage, kind policy.Kind) []*authz.Document {
		docs := make([]*authz.Document, len(srcs))
		for i, s := range srcs {
			docs[i] = one(s, kind)
		}
		return docs
	}
	levels := func(srcs [][]json.RawMessage, kind policy.Kind) [][]*authz.Document {
		var all [][]*authz.Document
		for _, s := range srcs {
			all = append(all, list(s, kind))
		}
		return all
	}
	p := &c.Principal
	req := &authz.Request{
		Principal: authz.Principal{
			Type: principalTypes[p.Type], ARN: p.ARN, RoleARN: p.RoleARN, ParentARN: p.ParentARN, Account: p.Account,
			UserID: p.UserID, Tags: p.Tags, OrgID: p.Org, AccountRole: accountRoles[p.AccountRole],
		},
		Identity: list(c.IdentityPolicies, policy.Identity), Boundary: one(c.Boundary, policy.Identity),
		SCPs: levels(c.SCPs, policy.SCP), Endpoint: one(c.VpcePolicy, policy.Endpoint),
	}
	if p.SessionPolicies != nil {
		req.Session = list(p.SessionPolicies, policy.Session)
	}
	for _, k := range slices.Sorted(maps.Keys(c.Context)) {
		set(t, &req.Context, k, c.Context[k])
	}
	part := authz.Part{
		Action: c.Action,
		Resource: authz.Resource{
			ARN: c.Resource.ARN, Account: c.Resource.Account, Tags: c.Resource.Tags, OrgID: c.Resource.Org,
			AccountRole: accountRoles[c.Resource.AccountRole], AWSManaged: c.Resource.KeyManager == "AWS",
		},
		RCPs: levels(c.RCPs, policy.RCP),
	}
	kind := policy.Resource
	switch a, _ := arn.Parse(c.Resource.ARN); {
	case a.Service == "kms" && a.Type() == "key":
		kind, part.Authoritative = policy.Key, true
	case strings.HasPrefix(c.Action, "sts:") && a.Service == "iam":
		kind, part.Authoritative = policy.Trust, true
	}
	part.Policy = one(c.ResourcePolicy, kind)
	c.grants(&part)
	req.Parts = []authz.Part{part}
	return req
}

func (c *corpusCase) grants(part *authz.Part) {
	r := &c.Request
	for _, g := range c.Grants {
		issuer, _ := policy.IsAccountPrincipal(g.IssuingAccount)
		part.Grants = append(part.Grants, authz.Grant{
			ID: g.GrantId, Grantee: g.GranteePrincipal + g.GranteeServicePrincipal, Retiring: g.RetiringPrincipal,
			IssuingAccount: issuer, Operations: g.Operations, SourceARN: g.Constraints.SourceArn,
			ContextEquals: g.Constraints.EncryptionContextEquals, ContextSubset: g.Constraints.EncryptionContextSubset,
		})
	}
	context := r.EncryptionContext
	switch c.Action {
	case "kms:RetireGrant":
		if len(part.Grants) > 0 {
			part.Target = &part.Grants[0]
		}
	case "kms:CreateGrant":
		part.NewGrant = &authz.Grant{
			Grantee: r.GranteePrincipal + r.GranteeServicePrincipal, Retiring: r.RetiringPrincipal + r.RetiringServicePrincipal,
			Operations: r.GrantOperations, SourceARN: r.Constraints.SourceArn,
			ContextEquals: r.Constraints.EncryptionContextEquals, ContextSubset: r.Constraints.EncryptionContextSubset,
		}
		ctx := &part.Context
		if r.GrantOperations != nil {
			ctx.SetList("kms:grantoperations", r.GrantOperations)
		}
		for key, v := range map[string]string{
			"kms:granteeprincipal": r.GranteePrincipal, "kms:retiringprincipal": r.RetiringPrincipal,
			"kms:granteeserviceprincipal": r.GranteeServicePrincipal, "kms:retiringserviceprincipal": r.RetiringServicePrincipal,
			"kms:grantconstraintsourcearn": r.Constraints.SourceArn,
		} {
			if v != "" {
				ctx.Set(key, v)
			}
		}
		if m := r.Constraints.EncryptionContextEquals; m != nil {
			ctx.Set("kms:grantconstrainttype", "EncryptionContextEquals")
			context = m
		} else if m := r.Constraints.EncryptionContextSubset; m != nil {
			ctx.Set("kms:grantconstrainttype", "EncryptionContextSubset")
			context = m
		}
	}
	if len(context) == 0 {
		return
	}
	part.EncryptionContext = context
	keys := slices.Sorted(maps.Keys(context))
	for _, k := range keys {
		part.Context.Set("kms:encryptioncontext:"+k, context[k])
	}
	part.Context.SetList("kms:encryptioncontextkeys", keys)
}

func set(t testing.TB, ctx *authz.Context, key string, value any) {
	t.Helper()
	switch v := value.(type) {
	case string:
		ctx.Set(key, v)
	case bool:
		ctx.SetBool(key, v)
	case []any:
		list := make([]string, len(v))
		for i := range v {
			list[i] = v[i].(string)
		}
		ctx.SetList(key, list)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		ctx.Set(key, string(b))
	}
}

// document parses and compiles a policy.
func document(t testing.TB, src string, kind policy.Kind) *authz.Document {
	t.Helper()
	doc, err := policy.Parse([]byte(src), kind)
	if err != nil {
		t.Fatal(err)
	}
	return authz.Compile(doc, kind)
}

var decisions = map[authz.Outcome]string{authz.Allowed: "Allow", authz.ExplicitDeny: "ExplicitDeny", authz.ImplicitDeny: "ImplicitDeny"}

func by(p *authz.PartDecision) string {
	if p.Outcome == authz.Allowed && p.By == authz.LayerIdentity && p.Also != authz.LayerNone {
		return p.By.String() + "+" + p.Also.String()
	}
	return p.By.String()
}

func TestCorpus(t *testing.T) {
	for _, c := range corpus(t) {
		t.Run(c.ID, func(t *testing.T) {
			req := c.request(t)
			fast, full := authz.Decide(req), authz.Explain(req)
			got := full.Parts[0]
			if decisions[full.Outcome] != c.Expect.Decision ||
				by(&got) != c.Expect.By && !slices.Contains(c.Expect.ByAny, by(&got)) {
				t.Errorf("%s: %s by %s, want %s by %s", c.Why, decisions[full.Outcome], by(&got), c.Expect.Decision, c.Expect.By)
			}
			sameAnswer(t, fast, full)
		})
	}
}

// sameAnswer asserts that the two modes agree.
func sameAnswer(t testing.TB, fast, full authz.Decision) {
	t.Helper()
	if fast.Outcome != full.Outcome || fast.Part != full.Part {
		t.Fatalf("fast %v at %d, explained %v at %d", fast.Outcome, fast.Part, full.Outcome, full.Part)
	}
	if fast.Outcome == authz.Allowed {
		if len(fast.Parts) != 0 {
			t.Errorf("fast mode allowed with %d parts of evidence", len(fast.Parts))
		}
		return
	}
	if len(fast.Parts) != fast.Part+1 {
		t.Fatalf("fast mode stopped at part %d and gives %d parts", fast.Part, len(fast.Parts))
	}
	for i := range fast.Parts {
		a, b := &fast.Parts[i], &full.Parts[i]
		if a.Outcome != b.Outcome || a.By != b.By || a.Also != b.Also || a.CrossAccount != b.CrossAccount ||
			a.Delegated != b.Delegated || !slices.Equal(a.Silent, b.Silent) {
			t.Errorf("part %d: fast %+v, explained %+v", i, a, b)
		}
	}
}
