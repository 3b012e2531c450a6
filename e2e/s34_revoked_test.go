package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// A dependent is everything in an account that hangs on a key of another account: a group, and an
// operator's instances and volume. Both use the key by grants alone.
type dependent struct {
	example2
	group
	operator *client // with rights in EC2 and none for KMS
	role     string  // of the operator
	grants   []string
	running  string // instance of the group
	stopped  string // instance of the operator, which is stopped
	host     string // instance of the operator without anything encrypted
	volume   string // of the operator, under the key, attached to host
	snapshot string // of a volume under the key
}

func newDependent(t *testing.T) *dependent {
	t.Helper()
	d := &dependent{example2: newExample2(t, p3, p4)}
	d.role, d.operator = d.user.role(t, "operator", mayEC2)
	d.admit(t)
	d.group = d.user.group(t, 1, dataDevice(d.key))
	d.host = d.operator.runInstance(t)
	d.stopped = d.operator.runInstance(t, ec2types.BlockDeviceMapping{
		DeviceName: new("/dev/sdf"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &d.key, VolumeSize: new(int32(1))},
	})
	d.volume = d.operator.createVolume(t, d.key)
	d.operator.attach(t, d.volume, d.host)
	d.snapshot = d.operator.snapshotOf(t, d.volume)
	d.running = d.group.running(t, 1)[0]
	must(d.operator.ec2.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{d.stopped}}))(t)
	d.user.awaitInstance(t, d.stopped, ec2types.InstanceStateNameStopped)
	return d
}

// admit makes the page's grant for the group's role, and another for the operator.
func (d *dependent) admit(t *testing.T) {
	t.Helper()
	d.grants = nil
	for _, who := range []string{seed.Role(d.user.account), d.role} {
		in := d.grantInput()
		in.GranteePrincipal = &who
		d.grants = append(d.grants, *must(d.user.kms.CreateGrant(t.Context(), in))(t).GrantId)
	}
}

// lost checks everything that no longer works without the key. What an instance reads and writes is
// not to be seen from outside; package ec2 tests it.
func (d *dependent) lost(t *testing.T) {
	t.Helper()
	// What runs goes on: its data key is in memory.
	must(d.operator.ec2.RebootInstances(t.Context(), &ec2.RebootInstancesInput{InstanceIds: []string{d.running}}))(t)
	if i := d.user.instance(t, d.running); i.State.Name != ec2types.InstanceStateNameRunning {
		t.Errorf("the running instance is %s", i.State.Name)
	}
	d.user.checkVolumes(t, d.running, map[string]string{"/dev/sdf": d.key})
	for id := range d.group.attachments(t, []string{d.running}, d.key) {
		d.operator.snapshotOf(t, id)
	}

	d.group.scale(t, 2)
	eventually(t, "failed launch", func() (bool, string) {
		return slices.ContainsFunc(d.group.activities(t), func(a activity) bool { return str(a.StatusMessage) == diedText && a.EndTime != nil }), d.group.state(t)
	})
	must(d.operator.ec2.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{d.stopped}}))(t)
	eventually(t, "start refused", func() (bool, string) {
		i := d.user.instance(t, d.stopped)
		return i.State.Name == ec2types.InstanceStateNameStopped && i.StateReason != nil &&
			str(i.StateReason.Code) == keyCode && str(i.StateReason.Message) == keyReason, string(i.State.Name)
	})
	must(d.operator.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: &d.volume}))(t) // needs no key
	d.user.available(t, d.volume)
	attach, err := d.operator.ec2.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: &d.volume, InstanceId: &d.host, Device: new("/dev/sdg")})
	refused(attach, err)(t, "CustomerKeyHasBeenRevoked", "Volume "+d.volume+" cannot be attached. The encrypted volume was unable to access the KMS key.")
	made := *must(d.operator.ec2.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: new(seed.Region), SourceSnapshotId: &d.snapshot}))(t).SnapshotId
	if s := d.user.completed(t, made, ec2types.SnapshotStateError); str(s.StateMessage) != "Given key ID is not accessible" {
		t.Errorf("the copy's state message is %q", str(s.StateMessage))
	}
	vol := *must(d.operator.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), SnapshotId: &d.snapshot}))(t).VolumeId
	d.user.vanishes(t, vol)
}

// restored checks that all of it works again.
func (d *dependent) restored(t *testing.T) {
	t.Helper()
	must(d.operator.ec2.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{d.stopped}}))(t)
	d.user.awaitInstance(t, d.stopped, ec2types.InstanceStateNameRunning)
	d.operator.attach(t, d.volume, d.host)
	made := *must(d.operator.ec2.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: new(seed.Region), SourceSnapshotId: &d.snapshot}))(t).SnapshotId
	d.user.completed(t, made, ec2types.SnapshotStateCompleted)
	vol := *must(d.operator.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), SnapshotId: &d.snapshot}))(t).VolumeId
	d.user.available(t, vol)
	ids := d.group.running(t, 2)
	if !slices.Contains(ids, d.running) {
		t.Errorf("the instance that ran all the time is not among %v", ids)
	}
	d.owner.checkGrants(t, d.key, d.group.attachments(t, append(ids, d.stopped, d.host), d.key))
}

func TestS34_ARevokedGrantStopsAllThatIsNewUntilThereIsAnother(t *testing.T) {
	d := newDependent(t)
	for _, id := range d.grants {
		must(d.owner.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &d.key, GrantId: &id}))(t)
	}
	d.lost(t)
	failed := ""
	for _, a := range d.group.activities(t) {
		if m := launching.FindStringSubmatch(str(a.Description)); m != nil && a.EndTime != nil {
			failed = m[1]
		}
	}
	d.user.why(t, failed).denied(t, seed.Session(d.user.account), "kms:GenerateDataKeyWithoutPlaintext", d.key, "aws kms create-grant")
	d.admit(t)
	d.restored(t)
}

func TestS34_ADisabledKeyIsLikeARevokedGrant(t *testing.T) {
	d := newDependent(t)
	must(d.owner.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &d.key}))(t)
	d.lost(t)
	must(d.owner.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &d.key}))(t)
	d.restored(t)
}

// A group whose instance ends while the grant is gone shrinks, and gets its instance back with
// another grant.
func TestS34_AReplacementWaitsForTheGrant(t *testing.T) {
	e := newExample2(t, p3, p4)
	made := e.delegate(t)
	g := e.user.group(t, 1, dataDevice(e.key))
	first := g.launchOK(t, 1, e.owner, map[string]string{"/dev/sdf": e.key})[0]
	must(e.owner.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &e.key, GrantId: made.GrantId}))(t)
	must(e.user.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{first}}))(t)
	eventually(t, "failed replacement", func() (bool, string) {
		return slices.ContainsFunc(g.activities(t), func(a activity) bool {
			return str(a.StatusMessage) == diedText && strings.Contains(str(a.Cause), "an instance was launched in response to an unhealthy instance needing to be replaced.")
		}), g.state(t)
	})
	must(e.user.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	if ids := g.launchOK(t, 1, e.owner, map[string]string{"/dev/sdf": e.key}); ids[0] == first {
		t.Error("the terminated instance came back")
	}
}

// A key that was really deleted takes the data with it: on a server whose clock is moved.
func TestS34_ADeletedKeyIsTheEndOfTheData(t *testing.T) {
	t.Parallel()
	s := server.Start(t, t.TempDir()+"/data")
	c := adminOf(s.URL, seed.NewAccount())
	key := c.key(t, "")
	id, vol := c.runInstance(t), c.createVolume(t, key)
	c.attach(t, vol, id)
	snap := c.snapshotOf(t, vol)
	spare := c.createVolume(t, key)
	must(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: new(int32(7))}))(t)
	attach := func() (any, error) {
		return c.ec2.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: &spare, InstanceId: &id, Device: new("/dev/sdh")})
	}
	out, err := attach()
	refused(out, err)(t, "CustomerKeyHasBeenRevoked")
	if why := c.why(t, spare); why.ErrorCode != "KMSInvalidStateException" || why.ErrorMessage != key+" is pending deletion." {
		t.Errorf("the explanation is %s", why.text())
	}
	s.Advance(t, 8*24*time.Hour)
	eventually(t, "key gone", func() (bool, string) {
		_, err := c.kms.DescribeKey(t.Context(), &kmsDescribe{KeyId: &key})
		return err != nil && strings.Contains(err.Error(), "NotFoundException"), "it is there"
	})
	// Nothing brings it back.
	cancel, err := c.kms.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: &key})
	refused(cancel, err)(t, "NotFoundException")
	must(c.ec2.RebootInstances(t.Context(), &ec2.RebootInstancesInput{InstanceIds: []string{id}}))(t)
	if i := c.instance(t, id); i.State.Name != ec2types.InstanceStateNameRunning {
		t.Errorf("the running instance is %s", i.State.Name)
	}
	c.checkVolumes(t, id, map[string]string{"/dev/sdg": key})
	c.snapshotOf(t, vol)
	out, err = attach()
	refused(out, err)(t, "CustomerKeyHasBeenRevoked")
	restored := *must(c.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), SnapshotId: &snap}))(t).VolumeId
	c.vanishes(t, restored)
	must(c.ec2.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
	c.awaitInstance(t, id, ec2types.InstanceStateNameStopped)
	must(c.ec2.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}))(t)
	eventually(t, "start refused", func() (bool, string) {
		i := c.instance(t, id)
		return i.State.Name == ec2types.InstanceStateNameStopped && i.StateReason != nil && str(i.StateReason.Message) == keyReason, string(i.State.Name)
	})
	keys := must(c.kms.ListKeys(t.Context(), &kms.ListKeysInput{}))(t).Keys
	if slices.ContainsFunc(keys, func(k kmstypes.KeyListEntry) bool { return *k.KeyArn == key }) {
		t.Error("ListKeys shows the deleted key")
	}
}
