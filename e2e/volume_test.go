package e2e_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func volumeInput(key, token string) *ec2.CreateVolumeInput {
	return &ec2.CreateVolumeInput{
		AvailabilityZone: new("us-west-2a"), Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key, ClientToken: &token,
	}
}

func TestARequestWithAClientTokenIsServedOnce(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	first := must(c.ec2.CreateVolume(t.Context(), volumeInput(key, "one")))(t)
	if again := must(c.ec2.CreateVolume(t.Context(), volumeInput(key, "one")))(t); *again.VolumeId != *first.VolumeId {
		t.Errorf("the same request made %s and %s", *first.VolumeId, *again.VolumeId)
	}
	other := volumeInput(key, "one")
	other.Size = new(int32(2))
	out, err := c.ec2.CreateVolume(t.Context(), other)
	refused(out, err)(t, "IdempotentParameterMismatch")

	run := &ec2.RunInstancesInput{ImageId: new(c.plainImage(t)), MinCount: new(int32(2)), MaxCount: new(int32(2)), ClientToken: new("run")}
	a, b := must(c.ec2.RunInstances(t.Context(), run))(t), must(c.ec2.RunInstances(t.Context(), run))(t)
	if len(a.Instances) != 2 || len(b.Instances) != 2 || *a.Instances[0].InstanceId != *b.Instances[0].InstanceId {
		t.Errorf("the same request started %d and %d instances", len(a.Instances), len(b.Instances))
	}
	ids := []string{*a.Instances[0].InstanceId, *a.Instances[1].InstanceId}
	for _, id := range ids {
		c.awaitInstance(t, id, ec2types.InstanceStateNameRunning)
	}
	must(c.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids}))(t)

	concurrent := race(t, 8, func(ctx context.Context, _ int) error {
		_, err := c.ec2.CreateVolume(ctx, volumeInput(key, "many"))
		return err
	})
	if concurrent["ok"] != 8 || len(c.volumesUnder(t, key)) != 2 {
		t.Errorf("concurrent requests with one token: %v, %d volumes", concurrent, len(c.volumesUnder(t, key)))
	}
}

func (c *client) volumesUnder(t *testing.T, key string) []string {
	t.Helper()
	var ids []string
	for _, v := range c.volumes(t) {
		if str(v.KmsKeyId) == key {
			ids = append(ids, *v.VolumeId)
		}
	}
	return ids
}

func TestAVolumeWhoseKeyRefusesVanishesAndItsTokenIsSpent(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
	id := *must(c.ec2.CreateVolume(t.Context(), volumeInput(key, "one")))(t).VolumeId
	c.vanishes(t, id)
	if why := c.why(t, id); why.ErrorCode != "DisabledException" {
		t.Errorf("the explanation is %s", why.text())
	}
	out, err := c.ec2.CreateVolume(t.Context(), volumeInput(key, "one"))
	refused(out, err)(t, "IdempotentParameterMismatch")
	must(c.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key}))(t)
	if got := c.keyOf(t, c.createVolume(t, key)); got != key {
		t.Errorf("after EnableKey a volume is under %s", got)
	}
}

func TestAnAttachedVolumeIsNotGivenAway(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	first, second := c.runInstance(t), c.runInstance(t)
	vol := c.createVolume(t, key)
	c.attach(t, vol, first)
	again, err := c.ec2.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: &vol, InstanceId: &second, Device: new("/dev/sdg")})
	refused(again, err)(t, "VolumeInUse", vol)
	del, err := c.ec2.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: &vol})
	refused(del, err)(t, "VolumeInUse", vol)
	if n := len(c.volumeGrants(t, key)); n != 1 {
		t.Errorf("there are %d grants", n)
	}
	// Terminating the instance frees the volume, which was attached afterwards and so stays.
	must(c.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{first}}))(t)
	c.awaitInstance(t, first, ec2types.InstanceStateNameTerminated)
	eventually(t, "volume free", func() (bool, string) {
		v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{vol}}))(t).Volumes[0]
		return v.State == ec2types.VolumeStateAvailable && len(c.grants(t, key)) == 0, string(v.State)
	})
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
	disabled, err := c.ec2.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: &vol, InstanceId: &second, Device: new("/dev/sdg")})
	refused(disabled, err)(t, "CustomerKeyHasBeenRevoked", "Volume "+vol+" cannot be attached. The encrypted volume was unable to access the KMS key.")
	must(c.ec2.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: &vol}))(t)
	c.vanishes(t, vol)
}

func TestWhatAUserMayNotDoIsRefusedWithTheEncodedReason(t *testing.T) {
	c := admin(t)
	u := c.user(t, "reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]}`)
	run := &ec2.RunInstancesInput{ImageId: new(c.plainImage(t)), MinCount: new(int32(1)), MaxCount: new(int32(1))}
	out, err := u.ec2.RunInstances(t.Context(), run)
	refused(out, err)(t, "UnauthorizedOperation", "You are not authorized to perform this operation.", "ec2:RunInstances",
		"arn:aws:iam::"+c.account+":user/reader", "Encoded authorization failure message: ")
	run.DryRun = new(true)
	out, err = u.ec2.RunInstances(t.Context(), run)
	refused(out, err)(t, "UnauthorizedOperation")
	out, err = c.ec2.RunInstances(t.Context(), run)
	refused(out, err)(t, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	vol, err := u.ec2.CreateVolume(t.Context(), volumeInput("alias/aws/ebs", "x"))
	refused(vol, err)(t, "UnauthorizedOperation", "ec2:CreateVolume")
	if n := len(c.volumes(t)); n != 0 {
		t.Errorf("refused requests left %d volumes", n)
	}
	for id, code := range map[string]string{"i-0123456789abcdef0": "InvalidInstanceID.NotFound", "nonsense": "InvalidInstanceID.Malformed"} {
		desc, err := u.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		refused(desc, err)(t, code, id)
	}
	// Another account's volume is no volume here.
	other := adminOf(c.url, seed.NewAccount())
	foreign := other.createVolume(t, "")
	desc, err := c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{foreign}})
	refused(desc, err)(t, "InvalidVolume.NotFound")
	del, err := c.ec2.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: &foreign})
	refused(del, err)(t, "InvalidVolume.NotFound")
}

func TestARunningInstanceKeepsItsVolumesWhenTheKeyIsDisabled(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	id := c.runInstance(t, ec2types.BlockDeviceMapping{
		DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &key},
	})
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
	must(c.ec2.RebootInstances(t.Context(), &ec2.RebootInstancesInput{InstanceIds: []string{id}}))(t)
	if i := c.instance(t, id); i.State.Name != ec2types.InstanceStateNameRunning {
		t.Errorf("the instance is %s", i.State.Name)
	}
	// What a user without any right to the key sees of it stays, and terminating needs none.
	u := c.user(t, "janitor", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","ec2:TerminateInstances"],"Resource":"*"}]}`)
	must(u.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	u.awaitInstance(t, id, ec2types.InstanceStateNameTerminated)
	eventually(t, "nothing left", func() (bool, string) { return len(c.volumes(t)) == 0 && len(c.grants(t, key)) == 0, "" })
	reason := c.instance(t, id).StateReason
	if reason == nil || !strings.HasPrefix(str(reason.Code), "Client.UserInitiatedShutdown") {
		t.Errorf("the state reason is %+v", reason)
	}
}
