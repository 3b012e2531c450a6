package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// rootVolume is the root volume of an instance.
func (c *client) rootVolume(t *testing.T, instance string) ec2types.Volume {
	t.Helper()
	out := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{
		{Name: new("attachment.instance-id"), Values: []string{instance}}, {Name: new("attachment.device"), Values: []string{"/dev/xvda"}},
	}}))(t)
	if len(out.Volumes) != 1 {
		t.Fatalf("%s has %d root volumes", instance, len(out.Volumes))
	}
	return out.Volumes[0]
}

// replaceRoot replaces a root volume and waits until the task ends.
func (c *client) replaceRoot(t *testing.T, in *ec2.CreateReplaceRootVolumeTaskInput) ec2types.ReplaceRootVolumeTask {
	t.Helper()
	task := *must(c.ec2.CreateReplaceRootVolumeTask(t.Context(), in))(t).ReplaceRootVolumeTask
	if task.TaskState != ec2types.ReplaceRootVolumeTaskStatePending || task.CompleteTime != nil {
		t.Errorf("the task begins as %s", task.TaskState)
	}
	eventually(t, "the task "+*task.ReplaceRootVolumeTaskId, func() (bool, string) {
		task = must(c.ec2.DescribeReplaceRootVolumeTasks(t.Context(), &ec2.DescribeReplaceRootVolumeTasksInput{
			ReplaceRootVolumeTaskIds: []string{*task.ReplaceRootVolumeTaskId},
		}))(t).ReplaceRootVolumeTasks[0]
		return task.CompleteTime != nil, string(task.TaskState)
	})
	return task
}

func TestTheRootVolumeOfARunningInstanceIsReplaced(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	id := c.runInstance(t, ec2types.BlockDeviceMapping{DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &key}})
	old := c.rootVolume(t, id)
	snap := c.snapshotOf(t, *old.VolumeId)
	task := c.replaceRoot(t, &ec2.CreateReplaceRootVolumeTaskInput{InstanceId: &id, SnapshotId: &snap, ClientToken: new("one")})
	if task.TaskState != ec2types.ReplaceRootVolumeTaskStateSucceeded || str(task.SnapshotId) != snap || str(task.InstanceId) != id {
		t.Errorf("the task ends as %+v", task)
	}
	now := c.rootVolume(t, id)
	if *now.VolumeId == *old.VolumeId || str(now.KmsKeyId) != key || str(now.SnapshotId) != snap || now.State != ec2types.VolumeStateInUse {
		t.Errorf("the new root volume is %+v", now)
	}
	if v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{*old.VolumeId}}))(t).Volumes[0]; v.State != ec2types.VolumeStateAvailable {
		t.Errorf("the old one is %s", v.State)
	}
	if n := len(c.grants(t, key)); n != 1 {
		t.Errorf("%d grants", n)
	}
	again := must(c.ec2.CreateReplaceRootVolumeTask(t.Context(), &ec2.CreateReplaceRootVolumeTaskInput{InstanceId: &id, SnapshotId: &snap, ClientToken: new("one")}))(t)
	if *again.ReplaceRootVolumeTask.ReplaceRootVolumeTaskId != *task.ReplaceRootVolumeTaskId {
		t.Error("the same request makes another task")
	}
	task = c.replaceRoot(t, &ec2.CreateReplaceRootVolumeTaskInput{InstanceId: &id, DeleteReplacedRootVolume: new(true)})
	if task.TaskState != ec2types.ReplaceRootVolumeTaskStateSucceeded {
		t.Errorf("back to the launch: %s", task.TaskState)
	}
	c.vanishes(t, *now.VolumeId)
	if i := c.instance(t, id); i.State.Name != ec2types.InstanceStateNameRunning {
		t.Errorf("the instance is %s", i.State.Name)
	}
}

// A key that refuses fails the task: the old root volume stays attached, the instance runs on, and what was made of
// the new one is gone.
func TestAKeyThatRefusesKeepsTheOldRootVolume(t *testing.T) {
	for name, refuse := range map[string]func(t *testing.T, c *client, key string){
		"disabled": func(t *testing.T, c *client, key string) {
			must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
		},
		"to be deleted": func(t *testing.T, c *client, key string) {
			must(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key}))(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			key := c.key(t, "")
			id := c.runInstance(t, ec2types.BlockDeviceMapping{DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &key}})
			old := c.rootVolume(t, id)
			snap := c.snapshotOf(t, *old.VolumeId)
			refuse(t, c, key)
			task := c.replaceRoot(t, &ec2.CreateReplaceRootVolumeTaskInput{InstanceId: &id, SnapshotId: &snap, DeleteReplacedRootVolume: new(true)})
			if task.TaskState != ec2types.ReplaceRootVolumeTaskStateFailed {
				t.Errorf("the task ends as %s", task.TaskState)
			}
			if now := c.rootVolume(t, id); *now.VolumeId != *old.VolumeId || now.Attachments[0].State != ec2types.VolumeAttachmentStateAttached {
				t.Errorf("the root volume is %+v", now)
			}
			if i := c.instance(t, id); i.State.Name != ec2types.InstanceStateNameRunning {
				t.Errorf("the instance is %s", i.State.Name)
			}
			if all := c.volumes(t); len(all) != 1 {
				t.Errorf("%d volumes", len(all))
			}
		})
	}
}
