package kms_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/trail"
)

// The key of EBS is made on first use by the service, or when somebody describes it, once in each
// account and region.
func TestManagedKeyIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	first := root.describe("alias/aws/ebs")
	if *first.KeyManager != "AWS" || *first.KeyState != "Enabled" || *first.KeySpec != "SYMMETRIC_DEFAULT" || *first.AWSAccountId != owner {
		t.Errorf("managed key: %+v", first)
	}
	again := root.describe(arn.KMSAlias(region, owner, "alias/aws/ebs"))
	abroad, theirs := root.in("eu-central-1").describe("alias/aws/ebs"), w.root(other).describe("alias/aws/ebs")
	if *again.Arn != *first.Arn || *abroad.KeyId == *first.KeyId || *theirs.KeyId == *first.KeyId || w.size("kms/key") != 3 {
		t.Errorf("keys %s %s %s %s of %d", *first.Arn, *again.Arn, *abroad.Arn, *theirs.Arn, w.size("kms/key"))
	}
	recs := w.records(trail.Filter{Account: owner, EventName: "CreateKey"})
	if len(recs) != 2 || recs[1].UserIdentity.InvokedBy != "ebs.amazonaws.com" || !strings.Contains(string(recs[1].ResponseElements), *first.KeyId) {
		t.Errorf("records: %+v", recs)
	}
	// Somebody else's alias makes no key.
	wantErr(t, root.try(&kmsapi.DescribeKeyRequest{KeyId: new(arn.KMSAlias(region, third, "alias/aws/ebs"))}), "AccessDeniedException", "*")
	if n := w.size("kms/key"); n != 3 {
		t.Errorf("%d keys", n)
	}
}

func TestManagedKeyIsMadeOnceByMany(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner).via("ec2.amazonaws.com")
	arns := make([]string, 8)
	var wg sync.WaitGroup
	for i := range arns {
		wg.Go(func() {
			out, _, err := root.do(t.Context(), &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: new("alias/aws/ebs"), NumberOfBytes: new(int32(64))})
			if err != nil {
				t.Error(err)
				return
			}
			arns[i] = *out.(*kmsapi.GenerateDataKeyWithoutPlaintextResponse).KeyId
		})
	}
	wg.Wait()
	for _, a := range arns {
		if a != arns[0] {
			t.Errorf("keys %s and %s", a, arns[0])
		}
	}
	if k, a := w.size("kms/key"), w.size("kms/alias"); k != 1 || a != 1 {
		t.Errorf("%d keys and %d aliases", k, a)
	}
	made := 0
	for _, r := range w.records(trail.Filter{EventName: "CreateKey"}) {
		if r.ErrorCode == "" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d records of the key being made", made)
	}
}

// Nobody manages the key but AWS; whoever may use EBS uses it through EC2.
func TestManagedKeyIsNotTheCustomers(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := *root.describe("alias/aws/ebs").Arn
	user := w.user(owner, "u")
	grant := attachGrant(user, key)
	denied := map[string]any{
		"kms:PutKeyPolicy":         &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(document(rootStatement(owner)))},
		"kms:ScheduleKeyDeletion":  &kmsapi.ScheduleKeyDeletionRequest{KeyId: &key},
		"kms:DisableKey":           &kmsapi.DisableKeyRequest{KeyId: &key},
		"kms:EnableKey":            &kmsapi.EnableKeyRequest{KeyId: &key},
		"kms:UpdateKeyDescription": &kmsapi.UpdateKeyDescriptionRequest{KeyId: &key, Description: new("mine")},
		"kms:TagResource":          &kmsapi.TagResourceRequest{KeyId: &key, Tags: tags("a", "b")},
		"kms:CreateAlias":          &kmsapi.CreateAliasRequest{AliasName: new("alias/mine"), TargetKeyId: &key},
		"kms:CreateGrant":          &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(user.arn()), Operations: []string{"Decrypt"}},
		"kms:Encrypt":              &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")},
	}
	for action, in := range denied {
		wantDenied(t, root.try(in), root, action, key, noResource(action))
	}
	wantErr(t, root.try(&kmsapi.DeleteAliasRequest{AliasName: new("alias/aws/ebs")}), "NotAuthorizedException", "")
	wantErr(t, root.try(&kmsapi.UpdateAliasRequest{AliasName: new("alias/aws/ebs"), TargetKeyId: new(root.newKey())}), "NotAuthorizedException", "")
	for _, in := range []any{
		&kmsapi.GetKeyPolicyRequest{KeyId: &key}, &kmsapi.ListResourceTagsRequest{KeyId: &key}, &kmsapi.ListGrantsRequest{KeyId: &key},
		&kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: &grant},
	} {
		root.must(in)
	}
	for _, service := range []string{"rds.amazonaws.com", "autoscaling.amazonaws.com"} {
		c := user.via(service)
		wantDenied(t, c.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), c, "kms:Encrypt", key, noResource("kms:Encrypt"))
	}
}

// Who may not describe the key does not make it either.
func TestManagedKeyIsNotMadeForWhoMayNotDescribeIt(t *testing.T) {
	w := newWorld(t)
	u := w.user(owner, "u")
	in := &kmsapi.DescribeKeyRequest{KeyId: new("alias/aws/ebs")}
	_, id, err := u.do(t.Context(), in)
	wantErr(t, err, "AccessDeniedException", "*")
	if n := w.size("kms/key"); n != 0 {
		t.Errorf("%d keys", n)
	}
	if recs := w.records(trail.Filter{}); len(recs) != 1 || recs[0].RequestID != id || recs[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("records: %+v", recs)
	}
	may := w.user(owner, "may", iam("*", "kms:DescribeKey"))
	may.must(in)
	if n := w.size("kms/key"); n != 1 {
		t.Errorf("%d keys", n)
	}
}
