package kms_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
)

// operators of the condition keys that are no strings. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for AWS Key Management Service".
var operators = map[string]string{
	"kms:BypassPolicyLockoutSafetyCheck": "Bool", "kms:GrantIsForAWSResource": "Bool", "kms:MultiRegion": "Bool",
	"kms:ReEncryptOnSameKey": "Bool", "kms:ScheduleKeyDeletionPendingWindowInDays": "NumericEquals", "kms:RotationPeriodInDays": "NumericEquals",
	"kms:GrantConstraintSourceArn": "ArnEquals", "kms:EncryptionContextKeys": "ForAnyValue:StringEquals",
	"kms:GrantOperations": "ForAnyValue:StringEquals", "kms:ResourceAliases": "ForAnyValue:StringEquals", "aws:TagKeys": "ForAnyValue:StringEquals",
}

func condition(key, value string) string {
	op := operators[key]
	if op == "" {
		op = "StringEquals"
	}
	return `{"` + op + `":{"` + key + `":"` + value + `"}}`
}

// wrong is a value of the same type that the request does not have.
func wrong(key, value string) string {
	switch operators[key] {
	case "Bool":
		return map[string]string{"true": "false", "false": "true"}[value]
	case "NumericEquals":
		return "1" + value
	case "ArnEquals":
		return "arn:aws:ec2:us-west-2:444455556666:volume/vol-other"
	}
	return value + "x"
}

// A scene is a key with everything that a request may need.
type scene struct {
	w                *world
	root, user       *who
	key, other, peer string
	blob             []byte
	grant            string
}

func newScene(w *world, region string) *scene {
	s := &scene{w: w, root: w.root(owner).in(region), user: w.user(owner, "u").in(region)}
	s.key = *s.root.createKey(&kmsapi.CreateKeyRequest{Tags: tags("team", "blue")}).Arn
	s.other = s.root.newKey(allow(s.user.arn(), "", "kms:*"))
	s.peer = w.user(owner, "peer").arn()
	s.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &s.key})
	s.blob = s.root.encrypt(s.key, "x", map[string]string{"Ctx": "v"})
	s.grant = *s.root.grant(&kmsapi.CreateGrantRequest{KeyId: &s.key, GranteePrincipal: &s.peer, Operations: []string{"Decrypt"}}).GrantId
	return s
}

// onEveryKey are the condition keys that each operation on a key carries.
var onEveryKey = map[string]string{
	"kms:CallerAccount": owner, "kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT", "kms:KeyOrigin": "AWS_KMS",
	"kms:CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "kms:CustomerMasterKeyUsage": "ENCRYPT_DECRYPT", "kms:MultiRegion": "false",
	"kms:ResourceAliases": "alias/app", "aws:ResourceTag/team": "blue",
}

// ofContext are those of the encryption context {Ctx: v} in cryptography.
var ofContext = map[string]string{
	"kms:EncryptionContext:Ctx": "v", "kms:EncryptionContext:cTX": "v", "kms:EncryptionContextKeys": "Ctx", "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
}

func and(parts ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range parts {
		maps.Copy(all, m)
	}
	return all
}

// conditions are actions with a request for each and the condition keys that it carries.
var conditions = map[string]struct {
	in   func(*scene) any
	keys map[string]string
}{
	"kms:Encrypt": {func(s *scene) any {
		return &kmsapi.EncryptRequest{KeyId: new("alias/app"), Plaintext: []byte("x"), EncryptionContext: map[string]string{"Ctx": "v"}}
	}, and(ofContext, map[string]string{"kms:RequestAlias": "alias/app"})},
	"kms:Decrypt": {func(s *scene) any {
		return &kmsapi.DecryptRequest{KeyId: new(arn.KMSAlias(s.root.region, owner, "alias/app")), CiphertextBlob: s.blob, EncryptionContext: map[string]string{"Ctx": "v"}}
	}, and(ofContext, map[string]string{"kms:RequestAlias": "alias/app"})},
	"kms:GenerateDataKey": {func(s *scene) any {
		return &kmsapi.GenerateDataKeyRequest{KeyId: new("alias/app"), KeySpec: new("AES_256"), EncryptionContext: map[string]string{"Ctx": "v"}}
	}, and(ofContext, map[string]string{"kms:RequestAlias": "alias/app"})},
	"kms:GenerateDataKeyWithoutPlaintext": {func(s *scene) any {
		return &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &s.key, KeySpec: new("AES_256"), EncryptionContext: map[string]string{"Ctx": "v"}}
	}, ofContext},
	"kms:ReEncryptFrom": {func(s *scene) any {
		return &kmsapi.ReEncryptRequest{CiphertextBlob: s.blob, SourceEncryptionContext: map[string]string{"Ctx": "v"}, DestinationKeyId: &s.other,
			DestinationEncryptionContext: map[string]string{"Ctx": "other"}}
	}, and(ofContext, map[string]string{"kms:ReEncryptOnSameKey": "false"})},
	"kms:ReEncryptTo": {func(s *scene) any {
		return &kmsapi.ReEncryptRequest{CiphertextBlob: s.root.encrypt(s.other, "x", nil), DestinationKeyId: new("alias/app"),
			DestinationEncryptionContext: map[string]string{"Ctx": "v"}}
	}, and(ofContext, map[string]string{"kms:ReEncryptOnSameKey": "false", "kms:RequestAlias": "alias/app"})},
	"kms:GenerateDataKeyPair": {func(s *scene) any {
		return &kmsapi.GenerateDataKeyPairRequest{KeyId: new("alias/app"), KeyPairSpec: new("ECC_NIST_P256"), EncryptionContext: map[string]string{"Ctx": "v"}}
	}, and(ofContext, map[string]string{"kms:RequestAlias": "alias/app", "kms:DataKeyPairSpec": "ECC_NIST_P256"})},
	"kms:GenerateDataKeyPairWithoutPlaintext": {func(s *scene) any {
		return &kmsapi.GenerateDataKeyPairWithoutPlaintextRequest{KeyId: &s.key, KeyPairSpec: new("ECC_NIST_P384"), EncryptionContext: map[string]string{"Ctx": "v"}}
	}, and(ofContext, map[string]string{"kms:DataKeyPairSpec": "ECC_NIST_P384"})},
	"kms:DescribeKey": {func(s *scene) any { return &kmsapi.DescribeKeyRequest{KeyId: new("alias/app")} },
		map[string]string{"kms:RequestAlias": "alias/app"}},
	"kms:CreateGrant": {func(s *scene) any {
		return &kmsapi.CreateGrantRequest{KeyId: &s.key, GranteePrincipal: &s.peer, RetiringPrincipal: new(s.root.arn()), Operations: []string{"Decrypt", "Encrypt"},
			Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"Ctx": "v"}, SourceArn: new("arn:aws:ec2:us-west-2:444455556666:volume/vol-1")}}
	}, map[string]string{
		"kms:GrantIsForAWSResource": "false", "kms:GrantOperations": "Encrypt", "kms:GrantConstraintType": "EncryptionContextSubset",
		"kms:GranteePrincipal": "arn:aws:iam::444455556666:user/peer", "kms:RetiringPrincipal": "arn:aws:iam::444455556666:root",
		"kms:GrantConstraintSourceArn": "arn:aws:ec2:us-west-2:444455556666:volume/vol-1",
		"kms:EncryptionContext:Ctx":    "v", "kms:EncryptionContextKeys": "Ctx",
	}},
	"kms:ListGrants": {func(s *scene) any { return &kmsapi.ListGrantsRequest{KeyId: &s.key} }, map[string]string{"kms:GrantIsForAWSResource": "false"}},
	"kms:RevokeGrant": {func(s *scene) any { return &kmsapi.RevokeGrantRequest{KeyId: &s.key, GrantId: &s.grant} },
		map[string]string{"kms:GrantIsForAWSResource": "false"}},
	"kms:PutKeyPolicy": {func(s *scene) any {
		return &kmsapi.PutKeyPolicyRequest{KeyId: &s.key, Policy: new(document(rootStatement(owner))), BypassPolicyLockoutSafetyCheck: new(true)}
	}, map[string]string{"kms:BypassPolicyLockoutSafetyCheck": "true"}},
	"kms:ScheduleKeyDeletion": {func(s *scene) any {
		return &kmsapi.ScheduleKeyDeletionRequest{KeyId: &s.key, PendingWindowInDays: new(int32(8))}
	}, map[string]string{"kms:ScheduleKeyDeletionPendingWindowInDays": "8"}},
	"kms:TagResource": {func(s *scene) any { return &kmsapi.TagResourceRequest{KeyId: &s.key, Tags: tags("Env", "test")} },
		map[string]string{"aws:RequestTag/Env": "test", "aws:TagKeys": "Env"}},
	"kms:UntagResource": {func(s *scene) any { return &kmsapi.UntagResourceRequest{KeyId: &s.key, TagKeys: []string{"Env"}} },
		map[string]string{"aws:TagKeys": "Env"}},
	"kms:DisableKey":       {func(s *scene) any { return &kmsapi.DisableKeyRequest{KeyId: &s.key} }, nil},
	"kms:EnableKey":        {func(s *scene) any { return &kmsapi.EnableKeyRequest{KeyId: &s.key} }, nil},
	"kms:GetKeyPolicy":     {func(s *scene) any { return &kmsapi.GetKeyPolicyRequest{KeyId: &s.key} }, nil},
	"kms:ListKeyPolicies":  {func(s *scene) any { return &kmsapi.ListKeyPoliciesRequest{KeyId: &s.key} }, nil},
	"kms:ListResourceTags": {func(s *scene) any { return &kmsapi.ListResourceTagsRequest{KeyId: &s.key} }, nil},
	"kms:EnableKeyRotation": {func(s *scene) any {
		return &kmsapi.EnableKeyRotationRequest{KeyId: &s.key, RotationPeriodInDays: new(int32(180))}
	}, map[string]string{"kms:RotationPeriodInDays": "180"}},
	"kms:DisableKeyRotation":   {func(s *scene) any { return &kmsapi.DisableKeyRotationRequest{KeyId: &s.key} }, nil},
	"kms:RotateKeyOnDemand":    {func(s *scene) any { return &kmsapi.RotateKeyOnDemandRequest{KeyId: &s.key} }, nil},
	"kms:ListKeyRotations":     {func(s *scene) any { return &kmsapi.ListKeyRotationsRequest{KeyId: &s.key} }, nil},
	"kms:GetKeyRotationStatus": {func(s *scene) any { return &kmsapi.GetKeyRotationStatusRequest{KeyId: &s.key} }, nil},
	"kms:UpdateKeyDescription": {func(s *scene) any {
		return &kmsapi.UpdateKeyDescriptionRequest{KeyId: &s.key, Description: new("d")}
	}, nil},
}

// Each condition key of each action on a key holds what the request has: a statement with that
// value allows, one with another does not.
func TestConditionKeysOfKeys(t *testing.T) {
	w, n := newWorld(t), 0
	for action, tt := range conditions {
		for key, value := range and(onEveryKey, tt.keys) {
			n++
			region := fmt.Sprintf("region-%d", n) // each with its own aliases
			w.run(action+"/"+strings.ReplaceAll(key, "/", ":"), func(t *testing.T) {
				s := newScene(w, region)
				only := func(value string) *kmsapi.PutKeyPolicyRequest {
					return &kmsapi.PutKeyPolicyRequest{KeyId: &s.key, Policy: new(document(rootStatement(owner), allow(s.user.arn(), condition(key, value), action)))}
				}
				s.root.must(only(wrong(key, value)))
				wantDenied(t, s.user.try(tt.in(s)), s.user, action, s.key, noIdentity(action))
				s.root.must(only(value))
				if err := s.user.try(tt.in(s)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Condition keys that a request does not have are absent, not empty.
func TestAbsentConditionKeys(t *testing.T) {
	requests := map[string]struct {
		in   func(*scene) any
		keys []string
	}{
		"kms:Encrypt": {func(s *scene) any { return &kmsapi.EncryptRequest{KeyId: &s.key, Plaintext: []byte("x")} },
			[]string{"kms:RequestAlias", "kms:EncryptionContextKeys", "kms:EncryptionContext:Ctx", "kms:ViaService", "aws:CalledVia", "kms:GrantIsForAWSResource"}},
		"kms:PutKeyPolicy": {func(s *scene) any {
			return &kmsapi.PutKeyPolicyRequest{KeyId: &s.key, Policy: new(document(rootStatement(owner), allow(s.user.arn(), "", "kms:PutKeyPolicy")))}
		}, []string{"kms:BypassPolicyLockoutSafetyCheck"}},
		"kms:EnableKeyRotation": {func(s *scene) any { return &kmsapi.EnableKeyRotationRequest{KeyId: &s.key} }, []string{"kms:RotationPeriodInDays"}},
		"kms:CreateGrant": {func(s *scene) any {
			return &kmsapi.CreateGrantRequest{KeyId: &s.key, GranteePrincipal: &s.peer, Operations: []string{"Decrypt"}}
		}, []string{"kms:GrantConstraintType", "kms:RetiringPrincipal", "kms:GrantConstraintSourceArn", "kms:GranteeServicePrincipal", "kms:RetiringServicePrincipal", "kms:EncryptionContextKeys"}},
	}
	for action, tt := range requests {
		for _, key := range tt.keys {
			t.Run(action+"/"+key, func(t *testing.T) {
				s := newScene(newWorld(t), region)
				s.root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &s.key, Policy: new(document(rootStatement(owner),
					allow(s.user.arn(), `{"Null":{"`+key+`":"true"}}`, action)))})
				if err := s.user.try(tt.in(s)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// What only calls through a service carry.
func TestConditionKeysOfForwardedCalls(t *testing.T) {
	for key, value := range map[string]string{
		"kms:ViaService": "ec2." + region + ".amazonaws.com", "kms:GrantIsForAWSResource": "true", "kms:CallerAccount": owner,
		"kms:RetiringPrincipal": "ec2." + region + ".amazonaws.com", "kms:GranteePrincipal": arn.InfrastructureSession(owner, "i-1"),
	} {
		t.Run(key, func(t *testing.T) {
			s := newScene(newWorld(t), region)
			s.root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &s.key, Policy: new(document(rootStatement(owner), allow(s.user.arn(), condition(key, value), "kms:CreateGrant")))})
			attachGrant(s.user, s.key)
		})
	}
}

func TestConditionKeysOfServiceGrants(t *testing.T) {
	for key, value := range map[string]string{"kms:GranteeServicePrincipal": "ebs.amazonaws.com", "kms:RetiringServicePrincipal": "ec2.amazonaws.com"} {
		t.Run(key, func(t *testing.T) {
			s := newScene(newWorld(t), region)
			s.root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &s.key, Policy: new(document(rootStatement(owner), allow(s.user.arn(), condition(key, value), "kms:CreateGrant")))})
			in := &kmsapi.CreateGrantRequest{KeyId: &s.key, GranteeServicePrincipal: new("ebs.amazonaws.com"), RetiringServicePrincipal: new("ec2.amazonaws.com"),
				Operations: []string{"Decrypt"}, Constraints: &kmsapi.GrantConstraints{SourceArn: new("arn:aws:ec2:us-west-2:444455556666:volume/vol-1")}}
			s.user.must(in)
		})
	}
}

func TestReEncryptOnSameKey(t *testing.T) {
	s := newScene(newWorld(t), region)
	s.root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &s.key, Policy: new(document(rootStatement(owner),
		allow(s.user.arn(), condition("kms:ReEncryptOnSameKey", "true"), "kms:ReEncrypt*")))})
	in := &kmsapi.ReEncryptRequest{CiphertextBlob: s.blob, SourceEncryptionContext: map[string]string{"Ctx": "v"}, DestinationKeyId: new("alias/app")}
	s.user.must(in)
	in.DestinationKeyId = &s.other
	wantDenied(t, s.user.try(in), s.user, "kms:ReEncryptFrom", s.key, noIdentity("kms:ReEncryptFrom"))
}

// The condition keys of CreateKey, which only IAM policies can allow.
func TestConditionKeysOfCreateKey(t *testing.T) {
	for key, value := range map[string]string{
		"kms:KeySpec": "HMAC_256", "kms:KeyUsage": "GENERATE_VERIFY_MAC", "kms:KeyOrigin": "AWS_KMS", "kms:MultiRegion": "false",
		"kms:CustomerMasterKeySpec": "HMAC_256", "kms:CustomerMasterKeyUsage": "GENERATE_VERIFY_MAC",
		"kms:BypassPolicyLockoutSafetyCheck": "true", "kms:CallerAccount": owner, "aws:RequestTag/Env": "test", "aws:TagKeys": "Env",
	} {
		t.Run(strings.ReplaceAll(key, "/", ":"), func(t *testing.T) {
			w := newWorld(t)
			in := &kmsapi.CreateKeyRequest{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC"), Tags: tags("Env", "test"), BypassPolicyLockoutSafetyCheck: new(true)}
			tag := statement("Allow", "", "", "kms:TagResource")
			w.user(owner, "right", document(tag, statement("Allow", "", condition(key, value), "kms:CreateKey"))).must(in)
			c := w.user(owner, "wrong", document(tag, statement("Allow", "", condition(key, wrong(key, value)), "kms:CreateKey")))
			wantDenied(t, c.try(in), c, "kms:CreateKey", "*", noIdentity("kms:CreateKey"))
		})
	}
	t.Run("tags need kms:TagResource", func(t *testing.T) {
		w := newWorld(t)
		c := w.user(owner, "u", iam("*", "kms:CreateKey"))
		c.must(&kmsapi.CreateKeyRequest{})
		wantErr(t, c.try(&kmsapi.CreateKeyRequest{Tags: tags("a", "b")}), "AccessDeniedException", "*")
	})
}

// RetireGrant in IAM policies can at least deny, by the grant's constraint too.
func TestConditionKeysOfRetireGrant(t *testing.T) {
	for key, value := range map[string]string{"kms:GrantConstraintType": "EncryptionContextEquals", "kms:EncryptionContext:Ctx": "v", "kms:EncryptionContextKeys": "Ctx"} {
		t.Run(key, func(t *testing.T) {
			w := newWorld(t)
			root := w.root(owner)
			k := root.newKey()
			stop := w.user(owner, "stop", document(statement("Deny", "", condition(key, value), "kms:RetireGrant")))
			other := w.user(owner, "other", document(statement("Deny", "", condition(key, wrong(key, value)), "kms:RetireGrant")))
			for _, c := range []*who{stop, other} {
				g := root.grant(&kmsapi.CreateGrantRequest{KeyId: &k, GranteePrincipal: new(c.arn()), RetiringPrincipal: new(c.arn()), Operations: []string{"Decrypt"},
					Constraints: &kmsapi.GrantConstraints{EncryptionContextEquals: map[string]string{"Ctx": "v"}}})
				err := c.try(&kmsapi.RetireGrantRequest{GrantToken: g.GrantToken})
				if c == other && err != nil {
					t.Error(err)
				} else if c == stop {
					wantErr(t, err, "AccessDeniedException", "User: "+c.arn()+" is not authorized to perform: kms:RetireGrant on resource: "+k+
						" with an explicit deny in an identity-based policy")
				}
			}
		})
	}
}
