package e2e_test

import (
	"bytes"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func TestS16_TheFirstStatementAllowsDirectUseAndNothingElse(t *testing.T) {
	c := admin(t)
	arn, r := c.role(t, "app")
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(arn)))
	second := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(arn)))
	other := c.key(t, "")
	ectx := map[string]string{"purpose": "test"}
	plain := []byte("0123456789abcdef")

	enc := must(r.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: plain, EncryptionContext: ectx}))(t)
	dec := must(r.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: ectx}))(t)
	if !bytes.Equal(dec.Plaintext, plain) || *dec.KeyId != key {
		t.Errorf("Decrypt gives %q under %s", dec.Plaintext, *dec.KeyId)
	}
	re := must(r.kms.ReEncrypt(t.Context(), &kms.ReEncryptInput{
		CiphertextBlob: enc.CiphertextBlob, SourceEncryptionContext: ectx, DestinationKeyId: &second,
	}))(t)
	if *re.SourceKeyId != key || *re.KeyId != second {
		t.Errorf("ReEncrypt went from %s to %s", *re.SourceKeyId, *re.KeyId)
	}
	dec = must(r.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: re.CiphertextBlob}))(t)
	if !bytes.Equal(dec.Plaintext, plain) {
		t.Errorf("Decrypt after ReEncrypt gives %q", dec.Plaintext)
	}
	dk := must(r.kms.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256}))(t)
	dec = must(r.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: dk.CiphertextBlob}))(t)
	if len(dk.Plaintext) != 32 || !bytes.Equal(dec.Plaintext, dk.Plaintext) {
		t.Errorf("a data key of %d bytes does not decrypt to itself", len(dk.Plaintext))
	}
	must(r.kms.GenerateDataKeyWithoutPlaintext(t.Context(), &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: &key, NumberOfBytes: new(int32(64))}))(t)
	must(r.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t)

	because := "because no identity-based policy allows the "
	put, err := r.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: new(seed.Policy(seed.Full(arn)))})
	refused(put, err)(t, "AccessDeniedException", r.arn(t), "kms:PutKeyPolicy", key, because+"kms:PutKeyPolicy action")
	grant, err := r.kms.CreateGrant(t.Context(), &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: &arn, Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
	})
	refused(grant, err)(t, "AccessDeniedException", because+"kms:CreateGrant action")
	del, err := r.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key})
	refused(del, err)(t, "AccessDeniedException", because+"kms:ScheduleKeyDeletion action")
	list, err := r.kms.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
	refused(list, err)(t, "AccessDeniedException", because+"kms:ListGrants action")

	// Resource "*" of a key policy is the key itself.
	enc2, err := r.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &other, Plaintext: plain})
	refused(enc2, err)(t, "AccessDeniedException", "kms:Encrypt", other)
	re2, err := r.kms.ReEncrypt(t.Context(), &kms.ReEncryptInput{
		CiphertextBlob: enc.CiphertextBlob, SourceEncryptionContext: ectx, DestinationKeyId: &other,
	})
	refused(re2, err)(t, "AccessDeniedException", "kms:ReEncryptTo", other)
	// A ciphertext belongs to its context.
	wrong, err := r.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob})
	refused(wrong, err)(t, "InvalidCiphertextException")
}

func TestS17_OneGrantPerVolumeForTheInstanceGoneWithIt(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 1, rootDevice(key), dataDevice(key))
	id := g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key, "/dev/sdf": key})[0]
	if all := c.grants(t, key); len(all) != 2 {
		t.Errorf("there are %d grants, want one for each of 2 volumes: %+v", len(all), all)
	}
	infra := "arn:aws:sts::" + c.account + ":assumed-role/aws:ec2-infrastructure/" + id
	for _, v := range c.volumesOf(t, id) {
		r := c.record(t, "Decrypt", func(r record) bool {
			return r.UserIdentity.ARN == infra && bytes.Contains(r.RequestParameters, []byte(*v.VolumeId))
		})
		if r.ErrorCode != "" || r.UserIdentity.InvokedBy != "AWS Internal" {
			t.Errorf("Decrypt for %s is recorded as %+v", *v.VolumeId, r)
		}
	}
	for _, r := range c.recordsOf(t, "CreateGrant") {
		if r.UserIdentity.ARN != seed.Session(c.account) || r.UserIdentity.InvokedBy != "ec2.amazonaws.com" {
			t.Errorf("CreateGrant is recorded as %s, invoked by %q", r.UserIdentity.ARN, r.UserIdentity.InvokedBy)
		}
	}
	g.scale(t, 0)
	g.running(t, 0)
	eventually(t, "no grant and no volume left", func() (bool, string) {
		return len(c.grants(t, key)) == 0 && len(c.volumes(t)) == 0, g.state(t)
	})
}

func TestS17_TheGrantComesAndGoesWithAttachAndStop(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	id, vol := c.runInstance(t), c.createVolume(t, key)
	if n := len(c.grants(t, key)); n != 0 {
		t.Errorf("an available volume has %d grants", n)
	}
	c.attach(t, vol, id)
	g := group{c, ""}
	c.checkGrants(t, key, g.attachments(t, []string{id}, key))

	must(c.ec2.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
	c.awaitInstance(t, id, ec2types.InstanceStateNameStopped)
	if n := len(c.grants(t, key)); n != 0 {
		t.Errorf("a stopped instance has %d grants", n)
	}
	must(c.ec2.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}))(t)
	c.awaitInstance(t, id, ec2types.InstanceStateNameRunning)
	c.checkGrants(t, key, g.attachments(t, []string{id}, key))

	must(c.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: &vol}))(t)
	eventually(t, "volume detached and its grant gone", func() (bool, string) {
		v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{vol}}))(t).Volumes[0]
		return v.State == ec2types.VolumeStateAvailable && len(c.grants(t, key)) == 0, string(v.State)
	})
}

func (c *client) attach(t *testing.T, volume, instance string) {
	t.Helper()
	must(c.ec2.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &instance, Device: new("/dev/sdg")}))(t)
	eventually(t, volume+" attached", func() (bool, string) {
		v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{volume}}))(t).Volumes[0]
		return len(v.Attachments) == 1 && v.Attachments[0].State == ec2types.VolumeAttachmentStateAttached, string(v.State)
	})
}

func TestS17_AStartWithoutTheKeyGoesBackToStopped(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	id, vol := c.runInstance(t), c.createVolume(t, key)
	c.attach(t, vol, id)
	must(c.ec2.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
	c.awaitInstance(t, id, ec2types.InstanceStateNameStopped)
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
	must(c.ec2.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}))(t)
	eventually(t, "start refused", func() (bool, string) {
		i := c.instance(t, id)
		return i.State.Name == ec2types.InstanceStateNameStopped && i.StateReason != nil && str(i.StateReason.Message) == keyReason, string(i.State.Name)
	})
	must(c.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key}))(t)
	must(c.ec2.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}))(t)
	c.awaitInstance(t, id, ec2types.InstanceStateNameRunning)
}

func TestS18_TheDelegationIsForAWSResourcesOnly(t *testing.T) {
	t.Parallel()
	for value, direct := range map[string]bool{"true": false, `"true"`: false, "false": true, `"false"`: true} {
		t.Run(value, func(t *testing.T) {
			c := admin(t)
			arn, r := c.role(t, "operator", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`)
			key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.AttachIf(arn, value)))
			id, vol := c.runInstance(t), c.createVolume(t, key)

			grant, err := r.kms.CreateGrant(t.Context(), &kms.CreateGrantInput{
				KeyId: &key, GranteePrincipal: &arn, Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
			})
			attach, attachErr := r.ec2.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: &vol, InstanceId: &id, Device: new("/dev/sdg")})
			if direct {
				must(grant, err)(t)
				refused(attach, attachErr)(t, "CustomerKeyHasBeenRevoked",
					"Volume "+vol+" cannot be attached. The encrypted volume was unable to access the KMS key.")
				c.why(t, vol).denied(t, r.arn(t), "kms:CreateGrant", key, "kms:GrantIsForAWSResource")
				if n := len(c.volumeGrants(t, key)); n != 0 {
					t.Errorf("the refused attachment left %d grants", n)
				}
				return
			}
			refused(grant, err)(t, "AccessDeniedException", "kms:CreateGrant", key)
			must(attach, attachErr)(t)
			eventually(t, "volume attached", func() (bool, string) {
				return len(c.volumeGrants(t, key)) == 1 && len(c.volumesOf(t, id)) == 2, ""
			})
		})
	}
}
