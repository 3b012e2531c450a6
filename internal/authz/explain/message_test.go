package explain_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
)

const (
	keyG   = "arn:aws:kms:us-west-2:123456789012:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	keyK   = "arn:aws:kms:us-west-2:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	slrG   = "arn:aws:sts::123456789012:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"
	userG  = "arn:aws:iam::123456789012:user/ana"
	prefix = "User: " + userG + " is not authorized to perform: "
)

// denial is a decision of one part.
func denial(action, resource string, outcome authz.Outcome, by authz.Layer) authz.Decision {
	return authz.Decision{Outcome: outcome, Parts: []authz.PartDecision{{Action: action, Resource: resource, Outcome: outcome, By: by}}}
}

// Texts of the IAM User Guide, "Troubleshoot access denied error messages".
func TestMessage(t *testing.T) {
	tests := []struct {
		name, want, action, resource string
		outcome                      authz.Outcome
		by                           authz.Layer
	}{
		{"no identity policy", prefix + "kms:Decrypt on resource: " + keyG + " because no identity-based policy allows the kms:Decrypt action",
			"kms:Decrypt", keyG, authz.ImplicitDeny, authz.LayerIdentity},
		{"no key policy", prefix + "kms:CreateGrant on resource: " + keyG + " because no resource-based policy allows the kms:CreateGrant action",
			"kms:CreateGrant", keyG, authz.ImplicitDeny, authz.LayerResource},
		{"no grant reads as no key policy", prefix + "kms:CreateGrant on resource: " + keyG + " because no resource-based policy allows the kms:CreateGrant action",
			"kms:CreateGrant", keyG, authz.ImplicitDeny, authz.LayerGrant},
		{"silent boundary", prefix + "kms:Decrypt on resource: " + keyG + " because no permissions boundary allows the kms:Decrypt action",
			"kms:Decrypt", keyG, authz.ImplicitDeny, authz.LayerBoundary},
		{"silent session policy", prefix + "kms:Decrypt on resource: " + keyG + " because no session policy allows the kms:Decrypt action",
			"kms:Decrypt", keyG, authz.ImplicitDeny, authz.LayerSession},
		{"silent SCP", prefix + "kms:Decrypt on resource: " + keyG + " because no service control policy allows the kms:Decrypt action",
			"kms:Decrypt", keyG, authz.ImplicitDeny, authz.LayerSCP},
		{"silent endpoint policy", prefix + "kms:Decrypt on resource: " + keyG + " because no VPC endpoint policy allows the kms:Decrypt action",
			"kms:Decrypt", keyG, authz.ImplicitDeny, authz.LayerEndpoint},
		{"silent trust policy", prefix + "sts:AssumeRole on resource: arn:aws:iam::123456789012:role/r because no role trust policy allows the sts:AssumeRole action",
			"sts:AssumeRole", "arn:aws:iam::123456789012:role/r", authz.ImplicitDeny, authz.LayerTrust},
		{"identity denies", prefix + "kms:Decrypt on resource: " + keyG + " with an explicit deny in an identity-based policy",
			"kms:Decrypt", keyG, authz.ExplicitDeny, authz.LayerIdentity},
		{"key policy denies", prefix + "kms:Decrypt on resource: " + keyG + " with an explicit deny in a resource-based policy",
			"kms:Decrypt", keyG, authz.ExplicitDeny, authz.LayerResource},
		{"boundary denies", prefix + "kms:Decrypt on resource: " + keyG + " with an explicit deny in a permissions boundary",
			"kms:Decrypt", keyG, authz.ExplicitDeny, authz.LayerBoundary},
		{"session policy denies", prefix + "kms:Decrypt on resource: " + keyG + " with an explicit deny in a session policy",
			"kms:Decrypt", keyG, authz.ExplicitDeny, authz.LayerSession},
		{"SCP denies", prefix + "kms:Decrypt on resource: " + keyG + " with an explicit deny in a service control policy",
			"kms:Decrypt", keyG, authz.ExplicitDeny, authz.LayerSCP},
		{"RCP denies", prefix + "kms:Decrypt on resource: " + keyG + " with an explicit deny in a resource control policy",
			"kms:Decrypt", keyG, authz.ExplicitDeny, authz.LayerRCP},
		{"endpoint policy denies", prefix + "kms:Decrypt on resource: " + keyG + " with an explicit deny in a VPC endpoint policy",
			"kms:Decrypt", keyG, authz.ExplicitDeny, authz.LayerEndpoint},
		{"trust policy denies", prefix + "sts:AssumeRole on resource: arn:aws:iam::123456789012:role/r with an explicit deny in the role trust policy",
			"sts:AssumeRole", "arn:aws:iam::123456789012:role/r", authz.ExplicitDeny, authz.LayerTrust},
		{"KMS names the resource *", prefix + "kms:CreateKey on resource: * because no identity-based policy allows the kms:CreateKey action",
			"kms:CreateKey", "*", authz.ImplicitDeny, authz.LayerIdentity},
		{"EC2 leaves the resource * out", prefix + "ec2:DescribeVolumes because no identity-based policy allows the ec2:DescribeVolumes action",
			"ec2:DescribeVolumes", "*", authz.ImplicitDeny, authz.LayerIdentity},
		{"undetermined has no reason", prefix + "kms:Decrypt on resource: " + keyG,
			"kms:Decrypt", keyG, authz.Undetermined, authz.LayerNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := explain.Message(denial(tt.action, tt.resource, tt.outcome, tt.by), &authz.Principal{Type: authz.User, ARN: userG})
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestMessageAcrossAccounts(t *testing.T) {
	const hidden = prefix + "kms:Decrypt on this resource because the resource does not exist in this Region," +
		" no resource-based policies allow access, or a resource-based policy explicitly denies access"
	tests := []struct {
		name, want, action, resource string
		outcome                      authz.Outcome
		by                           authz.Layer
		silent                       []authz.Layer
	}{
		{"a foreign key that is silent does not tell whether it exists", hidden,
			"kms:Decrypt", keyK, authz.ImplicitDeny, authz.LayerResource, []authz.Layer{authz.LayerResource}},
		{"a foreign key that denies reads the same", hidden,
			"kms:Decrypt", keyK, authz.ExplicitDeny, authz.LayerResource, nil},
		{"both sides silent reads the same", hidden,
			"kms:Decrypt", keyK, authz.ImplicitDeny, authz.LayerIdentity, []authz.Layer{authz.LayerIdentity, authz.LayerResource}},
		{"only the own identity policies are silent", prefix + "kms:Decrypt on resource: " + keyK + " because no identity-based policy allows the kms:Decrypt action",
			"kms:Decrypt", keyK, authz.ImplicitDeny, authz.LayerIdentity, []authz.Layer{authz.LayerIdentity}},
		{"the own identity policy denies", prefix + "kms:Decrypt on resource: " + keyK + " with an explicit deny in an identity-based policy",
			"kms:Decrypt", keyK, authz.ExplicitDeny, authz.LayerIdentity, nil},
		{"a foreign trust policy gives no reason", prefix + "sts:AssumeRole on resource: arn:aws:iam::444455556666:role/r",
			"sts:AssumeRole", "arn:aws:iam::444455556666:role/r", authz.ImplicitDeny, authz.LayerTrust, []authz.Layer{authz.LayerTrust}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := denial(tt.action, tt.resource, tt.outcome, tt.by)
			d.Parts[0].CrossAccount, d.Parts[0].Silent = true, tt.silent
			if got := explain.Message(d, &authz.Principal{Type: authz.User, ARN: userG}); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestMessageNamesThePartThatDecided(t *testing.T) {
	d := authz.Decision{Part: 1, Parts: []authz.PartDecision{
		{Action: "ec2:RunInstances", Resource: "a", Outcome: authz.Allowed},
		{Action: "iam:PassRole", Resource: "arn:aws:iam::123456789012:role/r", By: authz.LayerIdentity},
		{Action: "ec2:CreateTags", Resource: "b", By: authz.LayerIdentity},
	}}
	want := prefix + "iam:PassRole on resource: arn:aws:iam::123456789012:role/r because no identity-based policy allows the iam:PassRole action"
	p := &authz.Principal{Type: authz.User, ARN: userG}
	for _, part := range []int{1, -1, 7} { // an index that means nothing finds the first that is not allowed
		d.Part = part
		if got := explain.Message(d, p); got != want {
			t.Errorf("Part %d: %s", part, got)
		}
	}
	if got := explain.Message(authz.Decision{Part: -1}, &authz.Principal{Type: authz.Anonymous}); got != "User: anonymous is not authorized to perform this operation" {
		t.Errorf("without evidence: %s", got)
	}
}
