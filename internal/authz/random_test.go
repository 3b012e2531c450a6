package authz_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// A world makes random requests from a small vocabulary, so that statements often match.
type world struct {
	*rand.Rand
	t testing.TB
	// library, if not nil, has the documents of requests: to make one takes longer than to decide.
	library map[policy.Kind][]*authz.Document
}

func newWorld(t testing.TB, seed uint64) world {
	return world{Rand: rand.New(rand.NewPCG(seed, 20260401)), t: t}
}

var kinds = []policy.Kind{policy.Identity, policy.Key, policy.Trust, policy.Session, policy.SCP, policy.RCP, policy.Endpoint, policy.Resource}

// fill makes a library of n documents of each kind.
func (w *world) fill(n int) {
	made := map[policy.Kind][]*authz.Document{}
	for _, kind := range kinds {
		for range n {
			made[kind] = append(made[kind], w.document(kind))
		}
	}
	w.library = made
}

func pick[T any](w world, list ...T) T { return list[w.IntN(len(list))] }

// chance is true n times of 100.
func (w world) chance(n int) bool { return w.IntN(100) < n }

const (
	aliceID = "AIDAALICEXXXXXXX"
	devID   = "AROADEVXXXXXXXXX"
	linked  = "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
)

func (w world) principal() authz.Principal {
	p := pick(w,
		authz.Principal{Type: authz.User, ARN: alice, UserID: aliceID, UniqueID: aliceID},
		authz.Principal{Type: authz.User, ARN: "arn:aws:iam::111122223333:user/div/bob", UserID: "AIDABOBXXXXXXXXX"},
		authz.Principal{Type: authz.RoleSession, ARN: devS1, RoleARN: devRole, UserID: devID + ":s1", UniqueID: devID},
		authz.Principal{Type: authz.RoleSession, ARN: devS1, RoleARN: devRole, UserID: devID + ":s1", UniqueID: devID},
		authz.Principal{Type: authz.RoleSession, ARN: "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling", RoleARN: linked, UserID: "AROALINKEDXXXXXX:AutoScaling"},
		authz.Principal{Type: authz.FederatedUser, ARN: "arn:aws:sts::111122223333:federated-user/fred", ParentARN: alice, UserID: accountA + ":fred", UniqueID: aliceID},
		authz.Principal{Type: authz.Root, ARN: "arn:aws:iam::111122223333:root", UserID: accountA},
		authz.Principal{Type: authz.Service, ARN: "ec2.amazonaws.com"},
		authz.Principal{Type: authz.Anonymous},
	)
	if p.Type != authz.Service && p.Type != authz.Anonymous {
		p.Account = accountA
		p.AccountRole = pick(w, authz.NoOrganization, authz.Member, authz.Member, authz.Management)
		p.OrgID = pick(w, "", "o-1")
		if w.chance(50) {
			p.Tags = map[string]string{"Team": pick(w, "red", "blue", "*")}
		}
	}
	return p
}

func (w world) request() *authz.Request {
	req := &authz.Request{Principal: w.principal(), Context: w.context()}
	own := req.Principal.Type == authz.User || req.Principal.Type == authz.RoleSession || req.Principal.Type == authz.FederatedUser
	for range w.IntN(3) {
		if own {
			req.Identity = append(req.Identity, w.document(policy.Identity))
		}
	}
	if own && w.chance(25) {
		req.Boundary = w.document(policy.Identity)
	}
	if own && w.chance(25) {
		req.Session = []*authz.Document{w.document(policy.Session)}
	}
	if w.chance(25) {
		req.SCPs = w.levels(policy.SCP)
	}
	if w.chance(15) {
		req.Endpoint = w.document(policy.Endpoint)
	}
	for range 1 + w.IntN(2) {
		req.Parts = append(req.Parts, w.part())
	}
	return req
}

func (w world) levels(kind policy.Kind) [][]*authz.Document {
	levels := make([][]*authz.Document, 1+w.IntN(2))
	for i := range levels {
		for range 1 + w.IntN(2) {
			levels[i] = append(levels[i], w.document(kind))
		}
	}
	return levels
}

func (w world) part() authz.Part {
	p := authz.Part{Context: w.context()}
	account := pick(w, accountA, accountA, accountB)
	p.Resource = authz.Resource{Account: account, OrgID: pick(w, "", "o-1"), AccountRole: pick(w, authz.NoOrganization, authz.Member, authz.Management)}
	if w.chance(50) {
		p.Resource.Tags = []authz.Tag{{Key: "team", Value: pick(w, "red", "blue")}}
	}
	if w.chance(30) {
		p.RCPs = w.levels(policy.RCP)
	}
	kind := policy.Resource
	switch w.IntN(11) {
	case 10:
		p.Action, p.Resource.ARN = pick(w, "iam:GetUser", "IAM:GetUser"), "arn:aws:iam::"+account+":user/alice"
		return p
	case 0, 1:
		p.Action, p.Resource.ARN = "sqs:SendMessage", "arn:aws:sqs:us-west-2:"+account+":"+pick(w, "orders", "alice", "a:b")
	case 2:
		p.Action, p.Resource.ARN, p.Authoritative, kind = "sts:AssumeRole", "arn:aws:iam::"+account+":role/target", true, policy.Trust
	case 3:
		p.Action, p.Resource.ARN, p.Resource.Account = pick(w, "kms:ListKeys", "kms:ListKeys", "sts:GetSessionToken", "sts:GetCallerIdentity"), "*", accountA
		return p
	default:
		p.Action = pick(w, "kms:Decrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant", "kms:RetireGrant", "kms:PutKeyPolicy", "kms:ListGrants")
		p.Resource.ARN, p.Authoritative, kind = "arn:aws:kms:us-west-2:"+account+":key/1a2b", true, policy.Key
		p.Resource.AWSManaged = w.chance(10)
		w.grants(&p)
	}
	if w.chance(85) {
		p.Policy = w.document(kind)
	}
	return p
}

func (w world) grants(p *authz.Part) {
	p.EncryptionContext = w.pairs()
	for range w.IntN(3) {
		p.Grants = append(p.Grants, w.grant())
	}
	g := w.grant()
	switch p.Action {
	case "kms:CreateGrant":
		p.NewGrant = &g
	case "kms:RetireGrant":
		p.Target = &g
	}
}

func (w world) pairs() map[string]string {
	return pick(w, nil, nil, map[string]string{"a": "1"}, map[string]string{"a": "1", "b": "2"}, map[string]string{"A": "1"})
}

func (w world) grant() authz.Grant {
	g := authz.Grant{
		ID: "g", Grantee: w.who(), Retiring: pick(w, "", w.who()), IssuingAccount: pick(w, "", accountA, accountB),
		SourceARN: pick(w, "", "", "", "arn:aws:ec2:us-west-2:111122223333:volume/vol-1"),
	}
	for _, op := range []string{"Decrypt", "CreateGrant", "DescribeKey", "GenerateDataKey", "RetireGrant", "ListGrants"} {
		if w.chance(50) {
			g.Operations = append(g.Operations, op)
		}
	}
	switch w.IntN(4) {
	case 0:
		g.ContextEquals = w.pairs()
	case 1:
		g.ContextSubset = w.pairs()
	}
	if g.Grantee == alice {
		g.GranteeID = pick(w, "", aliceID, "AIDADEADXXXXXXXX")
	}
	return g
}

// who is an AWS principal or a service.
func (w world) who() string {
	if w.chance(10) {
		return "ec2.amazonaws.com"
	}
	return pick(w, alice, alice, devRole, devRole, devS1, linked, "arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root",
		"arn:aws:iam::111122223333:user/bob", "arn:aws:sts::111122223333:federated-user/fred", "arn:aws:iam::444455556666:user/carol", devID, aliceID, "AROADEADXXXXXXXX")
}

var vocabulary = map[string][]any{
	"aws:SourceIp":          {"10.1.2.3", "2001:db8::1"},
	"aws:SourceArn":         {"arn:aws:ec2:us-west-2:111122223333:volume/vol-1", "x"},
	"kms:ViaService":        {"ec2.us-west-2.amazonaws.com"},
	"aws:TagKeys":           {[]string{"a", "b"}, []string{"a"}, []string{""}, []string{}, "a"},
	"kms:x":                 {"5", "4.50", "-1", "abc"},
	"aws:CurrentTime":       {"2026-06-01T12:00:00Z", "1780315200"},
	"kms:flag":              {"true", "FALSE", "maybe"},
	"kms:bytes":             {"YWJj", "YWI="},
	"aws:username":          {"override"},
	"aws:PrincipalTag/team": {"green"},
	"aws:RequestTag/team":   {"red", "Blue", "*"},
}

func (w world) context() authz.Context {
	var c authz.Context
	for _, k := range keys(vocabulary) {
		if !w.chance(20) {
			continue
		}
		switch v := pick(w, vocabulary[k]...).(type) {
		case string:
			c.Set(k, v)
		case []string:
			c.SetList(k, v)
		}
	}
	return c
}

type object map[string]any

func (w world) document(kind policy.Kind) *authz.Document {
	if docs := w.library[kind]; docs != nil {
		return pick(w, docs...)
	}
	return w.compile(w.source(kind), kind)
}

func (w world) compile(src object, kind policy.Kind) *authz.Document {
	b, err := json.Marshal(src)
	if err != nil {
		w.t.Fatal(err)
	}
	d := document(w.t, string(b), kind)
	if w.chance(30) {
		ids := map[string]string{
			alice: pick(w, aliceID, "AIDADEADXXXXXXXX"), devRole: pick(w, devID, "AROADEADXXXXXXXX"), devS1: pick(w, devID, "AROADEADXXXXXXXX"),
		}
		if w.chance(30) { // alice was called bob when it was saved
			ids["arn:aws:iam::111122223333:user/bob"] = aliceID
		}
		d.SetPrincipalIDs(ids)
	}
	return d
}

func (w world) source(kind policy.Kind) object {
	d := object{}
	if w.chance(85) {
		d["Version"] = "2012-10-17"
	}
	var statements []object
	n := 1 + w.IntN(3)
	if w.chance(1) {
		n = 60 + w.IntN(80) // more than a word of an index
	}
	for range n {
		statements = append(statements, w.statement(kind))
	}
	d["Statement"] = statements
	return d
}

func (w world) statement(kind policy.Kind) object {
	s := object{"Effect": "Allow"}
	if w.chance(20) || kind == policy.RCP {
		s["Effect"] = "Deny"
	}
	element := "Action"
	if w.chance(8) {
		element = "NotAction"
	}
	s[element] = pick(w, "*", "*", "kms:*", "KMS:decrypt", "kms:De*", "kms:*Grant*", "kms:?etireGrant", "sqs:*", "sts:Assume?ole", "*:*", "k*s:*", "kms:ListKeys")
	if kind != policy.Trust {
		element = "Resource"
		if w.chance(8) {
			element = "NotResource"
		}
		s[element] = w.resource()
		if w.chance(2) {
			delete(s, element)
		}
	}
	if w.chance(30) {
		s["Condition"] = w.conditions()
	}
	switch kind {
	case policy.Key, policy.Trust, policy.Resource, policy.Endpoint, policy.RCP:
		element = "Principal"
		if w.chance(6) && kind != policy.Trust && kind != policy.RCP {
			element = "NotPrincipal"
		}
		s[element] = w.principals(element == "NotPrincipal")
	}
	return s
}

func (w world) resource() any {
	one := func() string {
		return pick(w, "*", "*", "*", "arn:aws:kms:us-west-2:111122223333:key/1a2b", "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:*",
			"arn:aws:kms:us-west-2:4444*", "arn:aws:sqs:us-west-2:111122223333:${aws:username}", "arn:aws:sqs:*:orders", "arn:*:sqs:*:*:ord??s",
			"arn:aws:s*:*:*:*", "arn:aws:sqs:us-west-2:${aws:PrincipalAccount}:*", "arn:aws:sqs:*:*:${aws:PrincipalTag/none, 'orders'}",
			"arn:aws:sqs:us-west-2:*:b", "arn:aws:sqs:*:a*:b", "arn:aws:sqs:*:1*3:*b", "arn:aws:sqs:u*:*:alice", "arn:aws:sqs:*:${aws:TagKeys, 'a'}:b",
			"arn:aws:iam::*:role/*", "arn:aws:sqs:us-west-2:111122223333:a*b", "arn:aws:sqs:*:*:${aws:TagKeys, 'orders'}", "arn:aws:*", "arn:aws:sqs:us-west-2:111122223333:a${*}b", "nonsense")
	}
	if w.chance(20) {
		return []string{one(), one()}
	}
	return one()
}

func (w world) principals(not bool) any {
	if w.chance(15) && !not {
		return "*"
	}
	who := w.who()
	if who == "ec2.amazonaws.com" {
		return object{"Service": who}
	}
	if not {
		return object{"AWS": []string{"arn:aws:iam::111122223333:root", who, devRole, devS1}[w.IntN(3):]}
	}
	return object{"AWS": pick[any](w, who, "*", []string{who, w.who()}, accountA)}
}

var operators = []struct {
	names  []string
	keys   []string
	values []any
}{
	{
		[]string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
		[]string{
			"aws:RequestTag/team", "AWS:RequestTag/TEAM", "aws:PrincipalTag/team", "aws:ResourceTag/Team", "kms:ViaService", "aws:TagKeys",
			"aws:PrincipalType", "aws:userid", "aws:username", "kms:CallerAccount", "aws:PrincipalOrgID", "aws:ResourceAccount", "aws:RequestedRegion",
			"aws:PrincipalServiceNamesList", "aws:PrincipalServiceName",
		},
		[]any{
			"red", "blue", "r*", "*", "a", []string{"a", "b"}, "${aws:PrincipalTag/team}", "${aws:PrincipalTag/none, 'red'}", "x${aws:none}",
			"User", accountA, "o-1", "us-*", "ec2*", "AIDA*", "${aws:ResourceTag/team}", "${aws:TagKeys}", "${aws:TagKeys, 'red'}",
		},
	},
	{
		[]string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"},
		[]string{"kms:x"},
		[]any{5, "4.5", 0, "x", []int{5, 6}},
	},
	{
		[]string{"DateEquals", "DateNotEquals", "DateLessThanEquals", "DateGreaterThan"},
		[]string{"aws:CurrentTime"},
		[]any{"2026-06-01T12:00:00Z", "2026-06-01T21:00:00+09:00", "2026", "2026-07", "1735689600"},
	},
	{[]string{"Bool"}, []string{"kms:flag", "aws:SecureTransport", "kms:GrantIsForAWSResource", "aws:PrincipalIsAWSService"}, []any{true, false, "true"}},
	{[]string{"Null"}, []string{"kms:flag", "aws:TagKeys", "aws:username", "aws:PrincipalTag/team"}, []any{true, "false"}},
	{[]string{"BinaryEquals"}, []string{"kms:bytes"}, []any{"YWJj", "YWI=", "!"}},
	{[]string{"IpAddress", "NotIpAddress"}, []string{"aws:SourceIp"}, []any{"10.0.0.0/8", "2001:DB8::/32", "10.1.2.3", []string{"192.0.2.0/24", "10.1.0.0/16"}}},
	{
		[]string{"ArnLike", "ArnEquals", "ArnNotLike"},
		[]string{"aws:SourceArn", "aws:PrincipalArn"},
		[]any{"arn:aws:ec2:*:111122223333:volume/*", "arn:aws:iam::*:role/*", "arn:*", "arn:aws:iam::111122223333:*/alice"},
	},
}

func (w world) conditions() object {
	out := object{}
	for range 1 + w.IntN(2) {
		op := pick(w, operators...)
		name := pick(w, op.names...)
		if w.chance(15) && name != "Null" {
			name += "IfExists"
		}
		if w.chance(15) {
			name = pick(w, "ForAllValues:", "ForAnyValue:") + name
		}
		out[name] = object{pick(w, op.keys...): pick(w, op.values...)}
	}
	return out
}
