package org_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

func TestPolicies(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	out := get[organizationsapi.CreatePolicyResponse](m, newPolicy(scp, "guard", statement("Deny", "kms:CreateGrant"))).Policy
	id := *out.PolicySummary.Id
	if !strings.HasPrefix(id, "p-") || *out.PolicySummary.AwsManaged ||
		*out.PolicySummary.Arn != "arn:aws:organizations::000000000000:policy/o-kagimori00/service_control_policy/"+id {
		t.Errorf("policy = %+v", out.PolicySummary)
	}
	m.refused(newPolicy(scp, "guard", statement("Deny", "kms:*")), "DuplicatePolicyException", "A policy with the specified name and type already exists.")
	m.refused(newPolicy(scp, "FullAWSAccess", statement("Deny", "kms:*")), "DuplicatePolicyException", "*")
	m.policy(rcp, "guard", denyAll("kms:*")) // the name is free among another type
	names := func(kind string) (out []string) {
		t.Helper()
		for _, p := range get[organizationsapi.ListPoliciesResponse](m, &organizationsapi.ListPoliciesRequest{Filter: &kind}).Policies {
			out = append(out, fmt.Sprint(*p.Name, " ", *p.AwsManaged))
		}
		slices.Sort(out)
		return out
	}
	for kind, want := range map[string][]string{
		scp: {"FullAWSAccess true", "guard false"}, rcp: {"RCPFullAWSAccess true", "guard false"}, "TAG_POLICY": nil,
	} {
		if diff := cmp.Diff(want, names(kind)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	next := document(statement("Deny", "kms:RevokeGrant"))
	m.must(&organizationsapi.UpdatePolicyRequest{PolicyId: &id, Name: new("guard2"), Content: &next})
	read := get[organizationsapi.DescribePolicyResponse](m, &organizationsapi.DescribePolicyRequest{PolicyId: &id}).Policy
	if *read.Content != next || *read.PolicySummary.Name != "guard2" {
		t.Errorf("after UpdatePolicy: %+v", read)
	}
	other := m.policy(scp, "other", statement("Deny", "kms:*"))
	m.refused(&organizationsapi.UpdatePolicyRequest{PolicyId: &other, Name: new("guard2")}, "DuplicatePolicyException", "*")
	m.must(&organizationsapi.DeletePolicyRequest{PolicyId: &id})
	m.refused(&organizationsapi.DescribePolicyRequest{PolicyId: &id}, "PolicyNotFoundException", "You specified a policy that doesn't exist.")
}

func TestPoliciesOfAWS(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	for id, arn := range map[string]string{
		"p-FullAWSAccess":    "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess",
		"p-RCPFullAWSAccess": "arn:aws:organizations::aws:policy/resource_control_policy/p-RCPFullAWSAccess",
	} {
		p := get[organizationsapi.DescribePolicyResponse](m, &organizationsapi.DescribePolicyRequest{PolicyId: &id}).Policy.PolicySummary
		if *p.Arn != arn || !*p.AwsManaged {
			t.Errorf("%s = %+v", id, p)
		}
		m.refused(&organizationsapi.UpdatePolicyRequest{PolicyId: &id, Name: new("x")}, "InvalidInputException", "*")
		m.refused(&organizationsapi.DeletePolicyRequest{PolicyId: &id}, "InvalidInputException", "*")
	}
}

func TestDocuments(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	const malformed = "MalformedPolicyDocumentException"
	tests := []struct {
		name, kind, content, code string
	}{
		{"conditions, NotAction and resources in an SCP", scp, document(
			`{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:s3:::*","Condition":{"StringEquals":{"aws:PrincipalTag/a":"b"}}}`), ""},
		{"a Principal in an SCP", scp, document(`{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}`), malformed},
		{"no Resource", scp, document(`{"Effect":"Deny","Action":"kms:*"}`), malformed},
		{"no JSON", scp, `{`, malformed},
		{"an unknown element", scp, document(`{"Effect":"Deny","Action":"kms:*","Resource":"*","Why":"x"}`), malformed},
		{"the old version", scp, strings.Replace(document(statement("Deny", "kms:*")), "2012-10-17", "2008-10-17", 1), malformed},
		{"too long an SCP", scp, document(statement("Deny", "kms:*")) + strings.Repeat(" ", 10240), "ConstraintViolationException"},
		{"too long an RCP", rcp, document(denyAll("kms:*")) + strings.Repeat(" ", 5120), "ConstraintViolationException"},
		{"an RCP with a condition", rcp, document(
			`{"Effect":"Deny","Principal":"*","Action":["kms:*","sts:*"],"NotResource":"arn:aws:kms:*:*:key/a","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}}`), ""},
		{"an RCP for everybody by name", rcp, document(`{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}`), ""},
		{"an Allow in an RCP", rcp, document(`{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}`), malformed},
		{"one principal in an RCP", rcp, document(`{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}`), malformed},
		{"no principal in an RCP", rcp, document(`{"Effect":"Deny","Action":"kms:*","Resource":"*"}`), malformed},
		{"NotPrincipal in an RCP", rcp, document(`{"Effect":"Deny","NotPrincipal":"*","Action":"kms:*","Resource":"*"}`), malformed},
		{"NotAction in an RCP", rcp, document(`{"Effect":"Deny","Principal":"*","NotAction":"kms:*","Resource":"*"}`), malformed},
		{"another type's member", "TAG_POLICY", `{"plans":{}}`, "MalformedPolicyDocumentException"},
		{"no JSON", "BACKUP_POLICY", `plans`, "MalformedPolicyDocumentException"},
		{"null", "BACKUP_POLICY", `null`, "MalformedPolicyDocumentException"},
		{"a value without an operator", "TAG_POLICY", `{"tags":{"team":{"tag_key":"Team"}}}`, "MalformedPolicyDocumentException"},
		{"an operator that is none", "TAG_POLICY", `{"tags":{"team":{"tag_key":{"@@set":"Team"}}}}`, "MalformedPolicyDocumentException"},
		{"an object assigned", "TAG_POLICY", `{"tags":{"team":{"tag_key":{"@@assign":{}}}}}`, "MalformedPolicyDocumentException"},
		{"a number appended", "TAG_POLICY", `{"tags":{"team":{"tag_value":{"@@append":["x",1]}}}}`, "MalformedPolicyDocumentException"},
		{"children may what is not", "TAG_POLICY", `{"tags":{"@@operators_allowed_for_child_policies":["@@some"]}}`, "MalformedPolicyDocumentException"},
		{"a deep document", "S3_POLICY", strings.Repeat(`{"a":`, 40) + `{}` + strings.Repeat("}", 40), "MalformedPolicyDocumentException"},
		{"a long document", "AISERVICES_OPT_OUT_POLICY", `{"services":{}}` + strings.Repeat(" ", 2500), "ConstraintViolationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &organizationsapi.CreatePolicyRequest{Type: &tt.kind, Name: &tt.name, Description: new(""), Content: &tt.content}
			_, err := m.do(in)
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			guardtest.WantError(t, err, tt.code, "*")
		})
	}
	id := m.policy(scp, "p", statement("Deny", "kms:*"))
	m.refused(&organizationsapi.UpdatePolicyRequest{PolicyId: &id, Content: new("{}")}, malformed, "The provided policy document does not meet the requirements of the specified policy type.")
	m.refused(&organizationsapi.UpdatePolicyRequest{PolicyId: &id, Content: new(strings.Repeat(" ", 10241))}, "ConstraintViolationException", "You have exceeded the maximum policy size.")
}

func TestAttachments(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	apps := m.unit(rootID, "apps")
	guard := m.policy(scp, "guard", statement("Deny", "kms:CreateGrant"))
	for _, target := range []string{rootID, apps, member} {
		if diff := cmp.Diff([]string{"FullAWSAccess"}, m.policiesOn(target, scp)); diff != "" {
			t.Errorf("%s at first: %s", target, diff)
		}
		m.attach(guard, target)
		if names := m.policiesOn(target, scp); !slices.Contains(names, "guard") || len(names) != 2 {
			t.Errorf("%s: %v", target, names)
		}
	}
	want := []string{member, apps, rootID}
	if diff := cmp.Diff(want, m.targetsOf(guard)); diff != "" {
		t.Error(diff)
	}
	m.refused(&organizationsapi.DeletePolicyRequest{PolicyId: &guard}, "PolicyInUseException", "*")
	m.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &guard, TargetId: &apps}, "DuplicatePolicyAttachmentException", "*")
	m.detach("p-FullAWSAccess", member)
	if diff := cmp.Diff([]string{management, apps, rootID}, m.targetsOf("p-FullAWSAccess")); diff != "" {
		t.Error(diff)
	}
	m.refused(&organizationsapi.DetachPolicyRequest{PolicyId: &guard, TargetId: new(member)}, "ConstraintViolationException", "You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
	m.attach("p-FullAWSAccess", member)
	for _, target := range []string{rootID, apps, member} {
		m.detach(guard, target)
	}
	m.refused(&organizationsapi.DetachPolicyRequest{PolicyId: &guard, TargetId: &apps}, "PolicyNotAttachedException", "*")
	m.must(&organizationsapi.DeletePolicyRequest{PolicyId: &guard})

	m.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &guard, TargetId: &apps}, "PolicyNotFoundException", "*")
	some := m.policy(scp, "some", statement("Deny", "kms:*"))
	m.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &some, TargetId: new("ou-kgmr-00000000")}, "TargetNotFoundException", "*")
	for i := range 4 {
		m.attach(m.policy(scp, fmt.Sprint("n", i), statement("Deny", "kms:*")), apps)
	}
	m.refused(&organizationsapi.AttachPolicyRequest{PolicyId: &some, TargetId: &apps}, "ConstraintViolationException", "You have attached the maximum number of policies to the specified target.")
}

func TestDeletedUnitTakesItsAttachmentsAlong(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	apps := m.unit(rootID, "apps")
	guard := m.policy(scp, "guard", statement("Deny", "kms:*"))
	m.attach(guard, apps)
	m.must(&organizationsapi.DeleteOrganizationalUnitRequest{OrganizationalUnitId: &apps})
	if targets := m.targetsOf(guard); len(targets) != 0 {
		t.Errorf("targets = %v", targets)
	}
	m.must(&organizationsapi.DeletePolicyRequest{PolicyId: &guard})
}

func TestPolicyTypes(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	id := m.policy(rcp, "guard", denyAll("kms:*")) // may be made before its type is enabled
	attach := &organizationsapi.AttachPolicyRequest{PolicyId: &id, TargetId: new(rootID)}
	m.refused(attach, "PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
	if names := m.policiesOn(rootID, rcp); len(names) != 0 {
		t.Errorf("policies of a type that is not enabled: %v", names)
	}
	m.enable(rcp)
	m.must(attach)
	m.refused(&organizationsapi.DetachPolicyRequest{PolicyId: new("p-RCPFullAWSAccess"), TargetId: new(rootID)}, "InvalidInputException", "*")
	m.refused(&organizationsapi.EnablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(rcp)}, "PolicyTypeAlreadyEnabledException", "*")
	disable := &organizationsapi.DisablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(rcp)}
	if types := get[organizationsapi.DisablePolicyTypeResponse](m, disable).Root.PolicyTypes; len(types) != 1 || *types[0].Type != scp {
		t.Errorf("types left = %+v", types)
	}
	m.refused(disable, "PolicyTypeNotEnabledException", "*")
	if targets := m.targetsOf(id); len(targets) != 0 {
		t.Errorf("targets of a disabled type = %v", targets)
	}
	m.enable(rcp)
	if diff := cmp.Diff([]string{"RCPFullAWSAccess"}, m.policiesOn(rootID, rcp)); diff != "" {
		t.Errorf("after disabling and enabling again: %s", diff)
	}
	m.refused(&organizationsapi.EnablePolicyTypeRequest{RootId: new("r-none"), PolicyType: new(rcp)}, "RootNotFoundException", "*")
	m.refused(&organizationsapi.DisablePolicyTypeRequest{RootId: new(rootID), PolicyType: new("BACKUP_POLICY")}, "PolicyTypeNotEnabledException", "*")
}
