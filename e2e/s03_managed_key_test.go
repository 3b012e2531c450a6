package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// ebsKey is the ARN behind alias/aws/ebs.
func (c *client) ebsKey(t *testing.T) string {
	t.Helper()
	m := must(c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: new("alias/aws/ebs")}))(t).KeyMetadata
	if m.KeyManager != kmstypes.KeyManagerTypeAws {
		t.Errorf("the manager of alias/aws/ebs is %s", m.KeyManager)
	}
	return *m.Arn
}

func TestS3_EncryptedTemplateWithoutAKeyUsesTheManagedKeyAndNeedsNothingMore(t *testing.T) {
	c := admin(t)
	g := c.group(t, 1, rootDevice(""), dataDevice(""))
	g.running(t, 1)
	key := c.ebsKey(t)
	id := g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key, "/dev/sdf": key})[0]
	// The reason is the key's own policy, which nobody had to touch.
	for _, action := range []string{"kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"} {
		c.because(t, id, action, key, statement{
			PolicyType: "RESOURCE_BASED_POLICY", Sid: "Allow access through EBS for all principals in the account that are authorized to use EBS",
		})
	}
}

func TestS3_EncryptionByDefaultUsesTheManagedKeyAndNeedsNothingMore(t *testing.T) {
	c := admin(t)
	on := must(c.ec2.EnableEbsEncryptionByDefault(t.Context(), &ec2.EnableEbsEncryptionByDefaultInput{}))(t)
	if !*on.EbsEncryptionByDefault {
		t.Error("EnableEbsEncryptionByDefault answers false")
	}
	g := c.group(t, 1)
	g.running(t, 1)
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": c.ebsKey(t)})
}

func TestS3_TheManagedKeyIsNotForDirectUse(t *testing.T) {
	c := admin(t)
	key := c.ebsKey(t)
	for name, who := range map[string]*client{"administrator": c, "root user": rootOf(c.url, c.account)} {
		out, err := who.kms.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256})
		e := refused(out, err)(t, "AccessDeniedException", "kms:GenerateDataKey", key)
		if !strings.Contains(e.ErrorMessage(), "no resource-based policy allows") {
			t.Errorf("%s: %s", name, e.ErrorMessage())
		}
	}
	// Nobody outside the account may use it, whatever their own policies say.
	other := adminOf(c.url, seed.NewAccount())
	out, err := other.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
	refused(out, err)(t, "AccessDeniedException", "kms:DescribeKey")
	id := *must(other.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{
		AvailabilityZone: new("us-west-2a"), Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key,
	}))(t).VolumeId
	other.vanishes(t, id)
}

func TestS4_ACustomerKeyWithItsDefaultPolicyIsNotForTheServiceLinkedRole(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	g := c.group(t, 1, dataDevice(key))
	id := g.launchFail(t, c, key)
	why := c.why(t, id)
	why.denied(t, seed.Session(c.account), "kms:GenerateDataKeyWithoutPlaintext", key,
		"key-policy", seed.Role(c.account), "names the account, which leaves the decision to the account's identity policies",
		"no identity-based policy allows the kms:GenerateDataKeyWithoutPlaintext action")
	if why.Evaluations[0].CrossAccount {
		t.Error("a refusal in one account is shown as cross-account")
	}
}

func TestS4_RootDeviceFailsAtItsFirstRequest(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	id := c.group(t, 1, rootDevice(key)).launchFail(t, c, key)
	c.why(t, id).denied(t, seed.Session(c.account), "kms:CreateGrant", key, "key-policy", seed.Role(c.account))
}

func TestS6_TheManagedKeyIsCreatedOnFirstUseAndIsTheDefault(t *testing.T) {
	c := admin(t)
	if has := c.ebsAlias(t); has != "" {
		t.Errorf("a new account has alias/aws/ebs -> %s", has)
	}
	def := must(c.ec2.GetEbsDefaultKmsKeyId(t.Context(), &ec2.GetEbsDefaultKmsKeyIdInput{}))(t)
	if *def.KmsKeyId != "alias/aws/ebs" {
		t.Errorf("the default key is %q", *def.KmsKeyId)
	}
	if by := must(c.ec2.GetEbsEncryptionByDefault(t.Context(), &ec2.GetEbsEncryptionByDefaultInput{}))(t); *by.EbsEncryptionByDefault {
		t.Error("encryption by default is on in a new account")
	}
	first := c.createVolume(t, "")
	key := c.ebsKey(t)
	if id := c.ebsAlias(t); !strings.HasSuffix(key, "/"+id) {
		t.Errorf("alias/aws/ebs points to %q, its key is %s", id, key)
	}
	if got := c.keyOf(t, first); got != key {
		t.Errorf("the first encrypted volume is under %s, want %s", got, key)
	}
}

func (c *client) ebsAlias(t *testing.T) string {
	t.Helper()
	for _, a := range must(c.kms.ListAliases(t.Context(), &kms.ListAliasesInput{}))(t).Aliases {
		if *a.AliasName == "alias/aws/ebs" {
			return str(a.TargetKeyId)
		}
	}
	return ""
}

func (c *client) keyOf(t *testing.T, volume string) string {
	t.Helper()
	return str(must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{volume}}))(t).Volumes[0].KmsKeyId)
}

func TestS6_NobodyManagesTheManagedKey(t *testing.T) {
	c := admin(t)
	key := c.ebsKey(t)
	for name, who := range map[string]*client{"administrator": c, "root user": rootOf(c.url, c.account)} {
		t.Run(name, func(t *testing.T) {
			put, err := who.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: new(seed.Policy(seed.Full(seed.Root(c.account))))})
			refused(put, err)(t, "AccessDeniedException", "kms:PutKeyPolicy")
			sched, err := who.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key})
			refused(sched, err)(t, "AccessDeniedException", "kms:ScheduleKeyDeletion")
			disable, err := who.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key})
			refused(disable, err)(t, "AccessDeniedException", "kms:DisableKey")
			grant, err := who.kms.CreateGrant(t.Context(), &kms.CreateGrantInput{
				KeyId: &key, GranteePrincipal: new(seed.Root(c.account)), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
			})
			refused(grant, err)(t, "AccessDeniedException", "kms:CreateGrant")
		})
	}
	if m := must(c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t).KeyMetadata; m.KeyState != kmstypes.KeyStateEnabled {
		t.Errorf("the key is %s", m.KeyState)
	}
}

func TestS6_ModifyAndResetTheDefaultKey(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	mod := must(c.ec2.ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: &key}))(t)
	if *mod.KmsKeyId != key {
		t.Errorf("ModifyEbsDefaultKmsKeyId answers %q", *mod.KmsKeyId)
	}
	if def := must(c.ec2.GetEbsDefaultKmsKeyId(t.Context(), &ec2.GetEbsDefaultKmsKeyIdInput{}))(t); *def.KmsKeyId != key {
		t.Errorf("the default key is %q, want %s", *def.KmsKeyId, key)
	}
	if got := c.keyOf(t, c.createVolume(t, "")); got != key {
		t.Errorf("a volume without a key is under %s, want %s", got, key)
	}
	other := c.key(t, "")
	if got := c.keyOf(t, c.createVolume(t, other)); got != other {
		t.Errorf("a volume with a key is under %s, want %s", got, other)
	}
	if def := must(c.ec2.ResetEbsDefaultKmsKeyId(t.Context(), &ec2.ResetEbsDefaultKmsKeyIdInput{}))(t); *def.KmsKeyId != c.ebsKey(t) {
		t.Errorf("ResetEbsDefaultKmsKeyId answers %q", *def.KmsKeyId)
	}
	if got := c.keyOf(t, c.createVolume(t, "")); got != c.ebsKey(t) {
		t.Errorf("after the reset a volume without a key is under %s", got)
	}
	// The setting is of one region.
	if def := must(c.in("us-east-1").ec2.GetEbsDefaultKmsKeyId(t.Context(), &ec2.GetEbsDefaultKmsKeyIdInput{}))(t); *def.KmsKeyId != "alias/aws/ebs" {
		t.Errorf("the default key of another region is %q", *def.KmsKeyId)
	}
}

func TestS6_WithoutEncryptionNoKeyIsUsed(t *testing.T) {
	c := admin(t)
	id := c.runInstance(t)
	for _, v := range c.volumesOf(t, id) {
		if *v.Encrypted || v.KmsKeyId != nil {
			t.Errorf("volume %s is encrypted: %t, key %q", *v.VolumeId, *v.Encrypted, str(v.KmsKeyId))
		}
	}
	if has := c.ebsAlias(t); has != "" {
		t.Errorf("an unencrypted launch made alias/aws/ebs -> %s", has)
	}
	vol, err := c.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{
		AvailabilityZone: new("us-west-2a"), Size: new(int32(1)), KmsKeyId: new("alias/aws/ebs"),
	})
	refused(vol, err)(t, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	run, err := c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), MinCount: new(int32(1)), MaxCount: new(int32(1)),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{KmsKeyId: new("alias/aws/ebs")}}},
	})
	refused(run, err)(t, "InvalidParameterDependency")
}

func TestS7_ACustomerManagedKeyIsManagedByItsPolicy(t *testing.T) {
	c := admin(t)
	policy := seed.Policy(seed.Full(seed.Root(c.account)))
	m := must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: &policy, Description: new("mine")}))(t).KeyMetadata
	if m.KeyManager != kmstypes.KeyManagerTypeCustomer || m.KeyState != kmstypes.KeyStateEnabled || m.KeySpec != kmstypes.KeySpecSymmetricDefault {
		t.Errorf("the key is %s, %s, %s", m.KeyManager, m.KeyState, m.KeySpec)
	}
	if got := must(c.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: m.KeyId}))(t); *got.Policy != policy {
		t.Errorf("GetKeyPolicy gives %s", *got.Policy)
	}
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: m.KeyId}))(t)
	enc, err := c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: m.KeyId, Plaintext: []byte("x")})
	refused(enc, err)(t, "DisabledException", *m.Arn+" is disabled.")
	must(c.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: m.KeyId}))(t)
	must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: m.KeyId, Plaintext: []byte("x")}))(t)
	del := must(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: m.KeyId, PendingWindowInDays: new(int32(7))}))(t)
	if del.KeyState != kmstypes.KeyStatePendingDeletion || del.DeletionDate == nil {
		t.Errorf("ScheduleKeyDeletion answers %+v", del)
	}
	enc, err = c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: m.KeyId, Plaintext: []byte("x")})
	refused(enc, err)(t, "KMSInvalidStateException", *m.Arn+" is pending deletion.")
	must(c.kms.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: m.KeyId}))(t)
	if s := must(c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: m.KeyId}))(t).KeyMetadata.KeyState; s != kmstypes.KeyStateDisabled {
		t.Errorf("after CancelKeyDeletion the key is %s", s)
	}
}

func TestS7_AKeyIsForThoseItsPolicyNames(t *testing.T) {
	c := admin(t)
	u := c.user(t, "nobody")
	u2 := c.user(t, "owner", seed.Identity("kms:CreateKey", "*"))
	me := u2.arn(t)
	key := u2.key(t, seed.Policy(seed.Full(me)))
	must(u2.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t)
	// Not even the account's administrator and root user: the policy does not name the account.
	for _, who := range []*client{u, c, rootOf(c.url, c.account)} {
		out, err := who.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		refused(out, err)(t, "AccessDeniedException", "no resource-based policy allows the kms:DescribeKey action")
	}
	lockout, err := u2.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: new(seed.Policy(seed.Use(me)))})
	refused(lockout, err)(t, "MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	created, err := c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: new(seed.Policy(seed.Use(seed.Root(c.account))))})
	refused(created, err)(t, "MalformedPolicyDocumentException", "will not allow you to update the key policy")
	if got := must(u2.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key}))(t); *got.Policy != seed.Policy(seed.Full(me)) {
		t.Errorf("a refused PutKeyPolicy changed the policy: %s", *got.Policy)
	}
}
