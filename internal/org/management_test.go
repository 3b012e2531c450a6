package org_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
)

const tagPolicy = "TAG_POLICY"

// management makes a management policy.
func (c *who) management(kind, name, content string) string {
	c.w.T.Helper()
	in := &organizationsapi.CreatePolicyRequest{Type: &kind, Name: &name, Description: new(""), Content: &content}
	return *get[organizationsapi.CreatePolicyResponse](c, in).Policy.PolicySummary.Id
}

// Source of the cases: AWS Organizations User Guide, "Understanding management policy inheritance".
func TestEffectivePolicies(t *testing.T) {
	const set = `{"tags":{"team":{"tag_key":{"@@assign":"Team"},"tag_value":{"@@assign":["red","blue"]}}}}`
	for name, tc := range map[string]struct {
		root, unit, account []string // policies of each level, in order of attachment
		want                string   // "": none
	}{
		"nothing":            {},
		"an empty policy":    {root: []string{`{"tags":{}}`}},
		"inherited":          {root: []string{set}, want: `{"tags":{"team":{"tag_key":"Team","tag_value":["red","blue"]}}}`},
		"of the account":     {account: []string{`{"tags":{"team":{"tag_key":{"@@assign":"t"}}}}`}, want: `{"tags":{"team":{"tag_key":"t"}}}`},
		"the lower assigns":  {root: []string{set}, account: []string{`{"tags":{"team":{"tag_key":{"@@assign":"t"}}}}`}, want: `{"tags":{"team":{"tag_key":"t","tag_value":["red","blue"]}}}`},
		"the lower appends":  {root: []string{set}, unit: []string{`{"tags":{"team":{"tag_value":{"@@append":["green","red"]}}}}`}, want: `{"tags":{"team":{"tag_key":"Team","tag_value":["red","blue","green"]}}}`},
		"the lower removes":  {root: []string{set}, unit: []string{`{"tags":{"team":{"tag_value":{"@@remove":["red"]}}}}`}, want: `{"tags":{"team":{"tag_key":"Team","tag_value":["blue"]}}}`},
		"more than one":      {root: []string{set, `{"tags":{"cost":{"tag_key":{"@@assign":"Cost"}}}}`}, want: `{"tags":{"team":{"tag_key":"Team","tag_value":["red","blue"]},"cost":{"tag_key":"Cost"}}}`},
		"nothing is allowed": {root: []string{`{"tags":{"@@operators_allowed_for_child_policies":["@@none"],"team":{"tag_key":{"@@assign":"Team"}}}}`}, account: []string{set}, want: `{"tags":{"team":{"tag_key":"Team"}}}`},
		"only appending": {
			root: []string{`{"tags":{"team":{"tag_value":{"@@assign":["red"],"@@operators_allowed_for_child_policies":["@@append"]}}}}`},
			unit: []string{`{"tags":{"team":{"tag_value":{"@@append":["blue"]}}}}`}, account: []string{set},
			want: `{"tags":{"team":{"tag_key":"Team","tag_value":["red","blue"]}}}`,
		},
		"a lower level allows nothing more": {
			root:    []string{`{"tags":{"team":{"tag_key":{"@@assign":"a","@@operators_allowed_for_child_policies":["@@none"]}}}}`},
			unit:    []string{`{"tags":{"team":{"tag_key":{"@@operators_allowed_for_child_policies":["@@all"]}}}}`},
			account: []string{`{"tags":{"team":{"tag_key":{"@@assign":"b"}}}}`}, want: `{"tags":{"team":{"tag_key":"a"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, them := w.manager(), w.as(member+"ADMIN")
			m.must(&organizationsapi.EnablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(tagPolicy)})
			unit := m.unit(rootID, "u")
			m.must(&organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: new(rootID), DestinationParentId: &unit})
			for target, documents := range map[string][]string{rootID: tc.root, unit: tc.unit, member: tc.account} {
				for i, d := range documents {
					m.attach(m.management(tagPolicy, target+string(rune('a'+i)), d), target)
				}
			}
			ask := &organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new(tagPolicy)}
			if tc.want == "" {
				them.refused(ask, "EffectivePolicyNotFoundException", "*")
				return
			}
			got := get[organizationsapi.DescribeEffectivePolicyResponse](them, ask).EffectivePolicy
			if *got.TargetId != member || *got.PolicyType != tagPolicy || !got.LastUpdatedTimestamp.Equal(w.Clock.Now().Truncate(1e6)) && got.LastUpdatedTimestamp.IsZero() {
				t.Errorf("policy %+v", got)
			}
			var have, want any
			w.Must(json.Unmarshal([]byte(*got.PolicyContent), &have))
			w.Must(json.Unmarshal([]byte(tc.want), &want))
			if diff := cmp.Diff(want, have); diff != "" {
				t.Error(diff)
			}
			ask.TargetId = new(member)
			if again := get[organizationsapi.DescribeEffectivePolicyResponse](m, ask).EffectivePolicy; *again.PolicyContent != *got.PolicyContent {
				t.Errorf("the managing account is told %s", *again.PolicyContent)
			}
		})
	}
}

// Management policies hang nowhere from the start, and come off all.
func TestManagementPoliciesHang(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	const empty = `{"tags":{}}`
	id := m.management(tagPolicy, "p", empty)
	m.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &id, TargetId: new(member)}, "PolicyTypeNotEnabledException", "*")
	root := get[organizationsapi.EnablePolicyTypeResponse](m, &organizationsapi.EnablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(tagPolicy)}).Root
	if len(root.PolicyTypes) != 2 || *root.PolicyTypes[1].Type != tagPolicy || *root.PolicyTypes[1].Status != "ENABLED" {
		t.Errorf("root %+v", root)
	}
	on := func(target string) (names []string) {
		for _, p := range get[organizationsapi.ListPoliciesForTargetResponse](m, &organizationsapi.ListPoliciesForTargetRequest{TargetId: &target, Filter: new(tagPolicy)}).Policies {
			names = append(names, *p.Name)
		}
		return names
	}
	if got := on(member); got != nil {
		t.Errorf("%q hang from the start", got)
	}
	m.attach(id, member)
	m.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &id, TargetId: new(member)}, "DuplicatePolicyAttachmentException", "A policy with the specified name and type already exists.")
	if diff := cmp.Diff([]string{"p"}, on(member)); diff != "" {
		t.Error(diff)
	}
	m.refused(&organizationsapi.DeletePolicyRequest{PolicyId: &id}, "PolicyInUseException", "*")
	m.must(&organizationsapi.DetachPolicyRequest{PolicyId: &id, TargetId: new(member)})
	m.must(&organizationsapi.DeletePolicyRequest{PolicyId: &id})
	for i := range 10 {
		m.attach(m.management(tagPolicy, string(rune('a'+i)), empty), member)
	}
	over := m.management(tagPolicy, "over", empty)
	m.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &over, TargetId: new(member)}, "ConstraintViolationException", "You have attached the maximum number of policies to the specified target.")
	w.as(member+"ADMIN").refused(&organizationsapi.CreateOrganizationRequest{}, "AlreadyInOrganizationException", "*")
}

func TestResourcePolicy(t *testing.T) {
	w := newWorld(t)
	m, them := w.manager(), w.as(member+"ADMIN")
	content := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + member + `:root"},"Action":"organizations:List*","Resource":"*"}]}`
	describe, remove := &organizationsapi.DescribeResourcePolicyRequest{}, &organizationsapi.DeleteResourcePolicyRequest{}
	m.refused(describe, "ResourcePolicyNotFoundException", "*")
	m.refused(remove, "ResourcePolicyNotFoundException", "*")
	m.refused(&organizationsapi.PutResourcePolicyRequest{Content: new("{")}, "InvalidInputException", "*")
	tags := []organizationsapi.Tag{{Key: new("team"), Value: new("red")}}
	put := get[organizationsapi.PutResourcePolicyResponse](m, &organizationsapi.PutResourcePolicyRequest{Content: &content, Tags: tags}).ResourcePolicy
	id := *put.ResourcePolicySummary.Id
	if *put.ResourcePolicySummary.Arn != "arn:aws:organizations::000000000000:resourcepolicy/o-kagimori00/"+id || *put.Content != content {
		t.Errorf("policy %+v", put)
	}
	m.refused(&organizationsapi.PutResourcePolicyRequest{Content: &content, Tags: tags}, "InvalidInputException", "*")
	again := get[organizationsapi.PutResourcePolicyResponse](m, &organizationsapi.PutResourcePolicyRequest{Content: new(content + " ")}).ResourcePolicy
	if *again.ResourcePolicySummary.Id != id {
		t.Errorf("the id became %s", *again.ResourcePolicySummary.Id)
	}
	if got := get[organizationsapi.DescribeResourcePolicyResponse](m, describe).ResourcePolicy; *got.Content != content+" " {
		t.Errorf("content %q", *got.Content)
	}
	m.must(&organizationsapi.TagResourceRequest{ResourceId: &id, Tags: []organizationsapi.Tag{{Key: new("cost"), Value: new("1")}}})
	m.must(&organizationsapi.UntagResourceRequest{ResourceId: &id, TagKeys: []string{"team"}})
	if got := get[organizationsapi.ListTagsForResourceResponse](m, &organizationsapi.ListTagsForResourceRequest{ResourceId: &id}).Tags; len(got) != 1 || *got[0].Key != "cost" {
		t.Errorf("tags %+v", got)
	}
	them.refused(describe, "AccessDeniedException", "*")
	them.refused(remove, "AccessDeniedException", "*")
	m.must(remove)
	m.refused(&organizationsapi.ListTagsForResourceRequest{ResourceId: &id}, "TargetNotFoundException", "*")
}
