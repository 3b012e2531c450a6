package explain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// keyMatch is a statement of the key policy of K.
func keyMatch(sid string, effect policy.Effect) authz.Match {
	return authz.Match{Layer: authz.LayerResource, Document: keyK, Owner: "444455556666", Sid: sid, Effect: effect}
}

func identityMatch(sid string, effect policy.Effect) authz.Match {
	return authz.Match{Layer: authz.LayerIdentity, Document: "inline", Owner: "123456789012", Sid: sid, Effect: effect}
}

func TestTextOfADenialNamesWhatDecidedAndWhatIsMissing(t *testing.T) {
	p := authz.PartDecision{
		Action: "kms:CreateGrant", Resource: keyG, By: authz.LayerIdentity, Silent: []authz.Layer{authz.LayerIdentity}, Delegated: true,
		Matched: []authz.Match{{Layer: authz.LayerResource, Document: keyG, Owner: "123456789012", Sid: "Enable IAM User Permissions", Effect: policy.Allow, Account: true}},
		Missed: []authz.Miss{
			{Match: authz.Match{Layer: authz.LayerResource, Document: keyG, Owner: "123456789012", Sid: "#3", Effect: policy.Allow}, Reason: authz.MissAction},
			{Match: authz.Match{Layer: authz.LayerResource, Document: keyG, Owner: "123456789012", Sid: "P2", Effect: policy.Allow}, Reason: authz.MissCondition,
				Operator: "Bool", Key: "kms:GrantIsForAWSResource", Want: []string{"false"}, Got: authz.Value{One: "true"}, Present: true},
			{Match: authz.Match{Layer: authz.LayerGrant, Owner: "123456789012", GrantID: "abc"}, Reason: authz.MissOperation},
		},
	}
	want := []string{
		slrG + " asked for kms:CreateGrant on " + keyG + ": denied, an allow is missing.",
		`Statement "Enable IAM User Permissions" of the key policy (account 123456789012) names the account, which leaves the decision to the account's identity policies.`,
		"No identity policy of the principal allows kms:CreateGrant, and the policies of a service-linked role cannot be changed.",
		`Statement "P2" of the key policy (account 123456789012) does not apply: its condition Bool kms:GrantIsForAWSResource wants "false", the request has "true".`,
		"Statement #3 of the key policy (account 123456789012) does not cover kms:CreateGrant.",
		"Grant abc (account 123456789012) does not include CreateGrant.",
	}
	if diff := cmp.Diff(want, explain.Text(p, slrG)); diff != "" {
		t.Error(diff)
	}
}

func TestTextOfReasons(t *testing.T) {
	base := authz.Miss{Match: identityMatch("S", policy.Allow)}
	tests := []struct {
		change func(*authz.Miss)
		want   string
	}{
		{func(m *authz.Miss) { m.Reason = authz.MissPrincipal }, "is for other principals."},
		{func(m *authz.Miss) { m.Reason = authz.MissDeadPrincipal }, "names a principal that was deleted; the present one of the same ARN is another."},
		{func(m *authz.Miss) { m.Reason = authz.MissResource }, "is for other resources."},
		{func(m *authz.Miss) { m.Reason = authz.MissGrantee }, "is for another grantee."},
		{func(m *authz.Miss) { m.Reason = authz.MissNotSubset }, "does not cover all that the new grant would allow."},
		{func(m *authz.Miss) { m.Reason = authz.MissConstraint }, "is limited to another encryption context."},
		{func(m *authz.Miss) {
			m.Reason, m.Key, m.Want = authz.MissConstraint, "aws:ebs:id", []string{"vol-1"}
			m.Got, m.Present = authz.Value{One: "vol-2"}, true
		}, `is limited to another encryption context: aws:ebs:id wants "vol-1", the request has "vol-2".`},
		{func(m *authz.Miss) {
			m.Reason, m.Operator, m.Key, m.Want = authz.MissCondition, "StringEquals", "kms:ViaService", []string{"a", "b"}
		}, `does not apply: its condition StringEquals kms:ViaService wants "a" or "b", the request does not have it.`},
		{func(m *authz.Miss) {
			m.Reason, m.Operator, m.Key, m.Want = authz.MissCondition, "ForAllValues:StringEquals", "aws:TagKeys", []string{"a"}
			m.Got, m.Present = authz.Value{Multi: true, List: []string{"a", "b"}}, true
		}, `does not apply: its condition ForAllValues:StringEquals aws:TagKeys wants "a", the request has "a" or "b".`},
		{func(m *authz.Miss) {
			m.Reason, m.Operator, m.Key, m.Want = authz.MissCondition, "Null", "aws:MultiFactorAuthAge", []string{"true"}
			m.Got, m.Present = authz.Value{Unknown: true}, true
		}, `does not apply: its condition Null aws:MultiFactorAuthAge wants "true", the request's value is not shown or not known.`},
		{func(m *authz.Miss) { m.Reason, m.Key, m.Want = authz.MissSourceARN, "aws:SourceArn", []string{"x"} },
			`is limited to another source: aws:SourceArn wants "x", the request does not have it.`},
	}
	for _, tt := range tests {
		m := base
		tt.change(&m)
		lines := explain.Text(authz.PartDecision{Action: "kms:Decrypt", Resource: keyG, By: authz.LayerIdentity, Missed: []authz.Miss{m}}, userG)
		want := `Statement "S" of the identity policy inline (account 123456789012) ` + tt.want
		if got := lines[len(lines)-1]; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestTextOfAllowed(t *testing.T) {
	p := authz.PartDecision{
		Action: "kms:Decrypt", Resource: keyK, Outcome: authz.Allowed, By: authz.LayerGrant, CrossAccount: true,
		Matched: []authz.Match{{Layer: authz.LayerGrant, Owner: "444455556666", GrantID: "abc", Effect: policy.Allow}},
		Missed:  []authz.Miss{{Match: keyMatch("x", policy.Allow), Reason: authz.MissAction}},
	}
	want := []string{slrG + " asked for kms:Decrypt on " + keyK + ": allowed.", "Grant abc (account 444455556666) allows it."}
	if diff := cmp.Diff(want, explain.Text(p, slrG)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatDecidedIsNamedAlone(t *testing.T) {
	delegates := keyMatch("root", policy.Allow)
	delegates.Account = true
	grant := authz.Match{Layer: authz.LayerGrant, Owner: "444455556666", GrantID: "abc", Effect: policy.Allow}
	limit := authz.Match{Layer: authz.LayerSCP, Document: "FullAWSAccess", Sid: "limit", Effect: policy.Allow}
	all := []authz.Match{delegates, keyMatch("direct", policy.Allow), identityMatch("own", policy.Allow), grant, limit}
	tests := []struct {
		name     string
		by, also authz.Layer
		matched  []authz.Match
		want     []string
	}{
		{"a grant", authz.LayerGrant, authz.LayerNone, all, []string{"abc"}},
		{"the key policy", authz.LayerResource, authz.LayerNone, all, []string{"direct"}},
		{"delegation", authz.LayerIdentity, authz.LayerResource, all, []string{"root", "direct", "own"}},
		{"the root user", authz.LayerResource, authz.LayerNone, []authz.Match{delegates, limit}, []string{"root"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, m := range explain.Deciding(authz.PartDecision{Outcome: authz.Allowed, By: tt.by, Also: tt.also, Matched: tt.matched}) {
				got = append(got, m.Sid+m.GrantID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := explain.Deciding(authz.PartDecision{Matched: all}); len(got) != len(all) {
		t.Errorf("of a denial: %+v", got)
	}
}

func TestTextIsBounded(t *testing.T) {
	p := authz.PartDecision{Action: "kms:Decrypt", Resource: keyG, By: authz.LayerResource}
	for i := range 1000 {
		p.Missed = append(p.Missed, authz.Miss{Match: authz.Match{Layer: authz.LayerGrant, GrantID: fmt.Sprint(i)}, Reason: authz.MissOperation})
	}
	lines := explain.Text(p, userG)
	if last := lines[len(lines)-1]; len(lines) > 30 || last != "980 more statements and grants do not apply." {
		t.Errorf("%d lines, the last: %s", len(lines), last)
	}
}

func TestTextOfUndetermined(t *testing.T) {
	p := authz.PartDecision{Action: "kms:Decrypt", Resource: keyG, Outcome: authz.Undetermined, Depends: []string{"the value of aws:SourceVpc"}}
	lines := explain.Text(p, userG)
	if len(lines) != 2 || !strings.HasSuffix(lines[0], ": undetermined.") || lines[1] != "It depends on the value of aws:SourceVpc." {
		t.Errorf("lines = %q", lines)
	}
}

// shared is a part in which both accounts have evidence.
func shared() authz.PartDecision {
	return authz.PartDecision{
		Action: "kms:CreateGrant", Resource: keyK, Outcome: authz.ImplicitDeny, By: authz.LayerIdentity, CrossAccount: true,
		Silent:  []authz.Layer{authz.LayerIdentity},
		Matched: []authz.Match{keyMatch("KeySid", policy.Allow), identityMatch("OtherSid", policy.Allow)},
		Missed: []authz.Miss{
			{Match: keyMatch("KeySecret", policy.Allow), Reason: authz.MissCondition, Operator: "IpAddress", Key: "aws:SourceIp", Want: []string{"10.0.0.0/8"}, Got: authz.Value{One: "192.0.2.1"}, Present: true},
			{Match: identityMatch("IdentitySecret", policy.Allow), Reason: authz.MissAction},
		},
		Depends: []string{"a fact"},
	}
}

func TestVisibleShowsEachAccountItsOwnEvidence(t *testing.T) {
	tests := []struct {
		viewer   string
		has, not []string
	}{
		{"123456789012", []string{"OtherSid", "IdentitySecret", "inline"}, []string{"KeySid", "KeySecret", "10.0.0.0/8"}},
		{"444455556666", []string{"KeySid", "KeySecret", "10.0.0.0/8"}, []string{"OtherSid", "IdentitySecret", "inline", "192.0.2.1"}},
	}
	for _, tt := range tests {
		seen, ok := explain.Visible(shared(), "123456789012", tt.viewer)
		if !ok {
			t.Fatalf("%s may see nothing", tt.viewer)
		}
		text := fmt.Sprintf("%+v", seen) + strings.Join(explain.Text(seen, "A principal"), "\n")
		for _, s := range tt.has {
			if !strings.Contains(text, s) {
				t.Errorf("%s does not see its own %s", tt.viewer, s)
			}
		}
		for _, s := range tt.not {
			if strings.Contains(text, s) {
				t.Errorf("%s sees %s in %s", tt.viewer, s, text)
			}
		}
	}
	for _, viewer := range []string{"999999999999", ""} {
		if seen, ok := explain.Visible(shared(), "123456789012", viewer); ok {
			t.Errorf("%q sees %+v", viewer, seen)
		}
	}
}

func TestVisibleHidesAForeignDenyBehindSilence(t *testing.T) {
	p := shared()
	p.Outcome, p.By, p.Silent = authz.ExplicitDeny, authz.LayerResource, nil
	p.Matched = []authz.Match{keyMatch("KeySecret", policy.Deny), identityMatch("Own", policy.Allow)}
	seen, _ := explain.Visible(p, "123456789012", "123456789012")
	if seen.Outcome != authz.ImplicitDeny || len(seen.Silent) != 1 || seen.Silent[0] != authz.LayerResource || len(seen.Matched) != 1 {
		t.Errorf("the caller's account sees %+v", seen)
	}
	text := explain.Text(seen, userG)
	if got := text[len(text)-2]; got != "The key policy in account 444455556666: no allow there." {
		t.Errorf("text = %q", text)
	}
	owner, _ := explain.Visible(p, "123456789012", "444455556666")
	if owner.Outcome != authz.ExplicitDeny || owner.By != authz.LayerResource {
		t.Errorf("the key's account sees %+v", owner)
	}
}

// AWS's message names the kind of the policy, so the evidence may; the statement is the organization's.
func TestVisibleKeepsTheDenyOfTheCallersOrganizationWithoutTheStatement(t *testing.T) {
	const caller, management, other = "123456789012", "999999999999", "444455556666"
	deny := func(l authz.Layer) authz.Match {
		return authz.Match{Layer: l, Document: "p-secret", Owner: management, Sid: "Secret", Effect: policy.Deny}
	}
	tests := []struct {
		name     string
		layer    authz.Layer
		resource string
		viewer   string
		outcome  authz.Outcome
	}{
		{"an SCP, to the caller's account", authz.LayerSCP, keyG, caller, authz.ExplicitDeny},
		{"an SCP, on another's resource", authz.LayerSCP, keyK, caller, authz.ExplicitDeny},
		{"an SCP, to the owner of the resource", authz.LayerSCP, keyK, other, authz.ImplicitDeny},
		{"an RCP on the caller's own resource", authz.LayerRCP, keyG, caller, authz.ExplicitDeny},
		{"an RCP on another's resource", authz.LayerRCP, keyK, caller, authz.ImplicitDeny},
		{"an RCP, to the owner of the resource", authz.LayerRCP, keyK, other, authz.ImplicitDeny},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := authz.PartDecision{
				Action: "kms:Decrypt", Resource: tt.resource, Outcome: authz.ExplicitDeny, By: tt.layer, CrossAccount: tt.resource == keyK,
				Matched: []authz.Match{deny(tt.layer), deny(tt.layer), identityMatch("Own", policy.Allow)}, // how many is not told
			}
			seen, ok := explain.Visible(p, caller, tt.viewer)
			if !ok || seen.Outcome != tt.outcome {
				t.Errorf("%s sees %+v", tt.viewer, seen)
			}
			if seen.Outcome == authz.ExplicitDeny && (seen.By != tt.layer || len(seen.Matched) != 2 || seen.Matched[0].Layer != tt.layer || seen.Matched[0].Effect != policy.Deny) {
				t.Errorf("By = %v, matched %+v", seen.By, seen.Matched)
			}
			text := fmt.Sprintf("%+v", seen) + strings.Join(explain.Text(seen, userG), "\n")
			if strings.Contains(text, "ecret") {
				t.Errorf("%s sees the statement: %s", tt.viewer, text)
			}
		})
	}
}

func TestVisibleHidesTheAttributesOfAnothersResource(t *testing.T) {
	p := shared()
	p.Missed = nil
	for _, key := range []string{"aws:ResourceTag/Project", "kms:ResourceAliases", "kms:KeySpec", "aws:ResourceOrgID", "iam:ResourceTag/Team", "kms:EncryptionContext:a"} {
		p.Missed = append(p.Missed, authz.Miss{
			Match: identityMatch("Own", policy.Allow), Reason: authz.MissCondition, Operator: "StringEquals", Key: key, Want: []string{"x"},
			Got: authz.Value{One: "value of " + key}, Present: true,
		})
	}
	seen, _ := explain.Visible(p, "123456789012", "123456789012")
	for _, m := range seen.Missed {
		if hidden := m.Key != "kms:EncryptionContext:a"; m.Got.Unknown != hidden || m.Present == hidden || hidden != (m.Got.One == "") {
			t.Errorf("the caller's account sees %+v", m)
		}
	}
	if len(seen.Missed) != 6 {
		t.Errorf("%d statements", len(seen.Missed))
	}
}

func TestVisibleNamesTheDenyThatMayBeSeen(t *testing.T) {
	p := shared()
	p.Outcome, p.By, p.Silent = authz.ExplicitDeny, authz.LayerResource, nil
	p.Matched = []authz.Match{keyMatch("KeySecret", policy.Deny), identityMatch("Own", policy.Deny)}
	seen, _ := explain.Visible(p, "123456789012", "123456789012")
	if seen.Outcome != authz.ExplicitDeny || seen.By != authz.LayerIdentity || len(seen.Matched) != 1 {
		t.Errorf("the caller's account sees %+v", seen)
	}
}

func TestVisibleCountsAWSManagedPoliciesAsTheHoldersEvidence(t *testing.T) {
	p := shared()
	p.Matched = []authz.Match{{Layer: authz.LayerIdentity, Document: "arn:aws:iam::aws:policy/AdministratorAccess", Owner: "aws", Sid: "#1", Effect: policy.Allow}}
	for viewer, want := range map[string]string{"123456789012": "arn:aws:iam::aws:policy/AdministratorAccess", "444455556666": ""} {
		seen, _ := explain.Visible(p, "123456789012", viewer)
		if got := seen.Matched[0].Document; got != want {
			t.Errorf("%s sees %q, want %q", viewer, got, want)
		}
	}
}

func TestVisibleInOneAccountIsEverything(t *testing.T) {
	p := shared()
	p.Resource, p.CrossAccount = keyG, false
	for i := range p.Matched {
		p.Matched[i].Owner = "123456789012"
	}
	for i := range p.Missed {
		p.Missed[i].Owner = "123456789012"
	}
	seen, ok := explain.Visible(p, "123456789012", "123456789012")
	if diff := cmp.Diff(p, seen); diff != "" || !ok {
		t.Error(diff)
	}
}

func TestVisibleFixes(t *testing.T) {
	fixes := []explain.Fix{{Kind: "a"}, {Kind: "b", Shows: "123456789012"}, {Kind: "c", Shows: "444455556666"}}
	got := explain.VisibleFixes(fixes, "123456789012")
	if len(got) != 2 || got[0].Kind != "a" || got[1].Kind != "b" {
		t.Errorf("got %+v", got)
	}
}
