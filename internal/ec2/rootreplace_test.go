package ec2_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (h *house) replaceRoot(in ec2api.CreateReplaceRootVolumeTaskRequest) string {
	h.T.Helper()
	return *ask[ec2api.CreateReplaceRootVolumeTaskResult](h.desk, h.owner(), &in).ReplaceRootVolumeTask.ReplaceRootVolumeTaskId
}

func (h *house) task(id string) ec2api.ReplaceRootVolumeTask {
	h.T.Helper()
	return ask[ec2api.DescribeReplaceRootVolumeTasksResult](h.desk, h.owner(), &ec2api.DescribeReplaceRootVolumeTasksRequest{ReplaceRootVolumeTaskIds: []string{id}}).ReplaceRootVolumeTasks[0]
}

// mark writes a text on a root volume that the host holds.
func (h *house) mark(volume, text string) {
	h.T.Helper()
	d, err := h.ec2.Disk(h.T.Context(), mine, region, volume)
	h.Must(err)
	_, err = d.WriteAt([]byte(text), 700<<20)
	h.Must(err)
}

func (h *house) marked(volume string, n int) string {
	h.T.Helper()
	d, err := h.ec2.Disk(h.T.Context(), mine, region, volume)
	h.Must(err)
	got := make([]byte, n)
	if _, err = d.ReadAt(got, 700<<20); err != io.EOF {
		h.Must(err)
	}
	return string(got)
}

// TestARootVolumeIsReplaced: from a snapshot of it, to what it was launched with, and from an image; a restart
// in between changes nothing.
func TestARootVolumeIsReplaced(t *testing.T) {
	h := newHouse(t)
	i := h.run(h.owner())
	h.Advance(2 * time.Second)
	first := *h.volumeOn(i, rootDevice).VolumeId
	h.mark(first, "first")
	snap := h.snap(first)
	h.mark(first, "later")

	id := h.replaceRoot(ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i, SnapshotId: &snap, TagSpecifications: []ec2api.TagSpecification{
		{ResourceType: new("replace-root-volume-task"), Tags: tagList("a", "b")},
	}})
	if s := h.task(id); *s.TaskState != "pending" || *s.SnapshotId != snap || s.CompleteTime != nil || len(s.Tags) != 1 || *s.DeleteReplacedRootVolume {
		t.Errorf("the task begins as %+v", s)
	}
	h.refuse(h.owner(), &ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i}, "IncorrectState", "*")
	h.restart()
	h.Advance(10 * time.Second)
	if s := h.task(id); *s.TaskState != "succeeded" || s.CompleteTime == nil {
		t.Fatalf("the task ends as %s", *s.TaskState)
	}
	second := *h.volumeOn(i, rootDevice).VolumeId
	if got := h.marked(second, 5); second == first || got != "first" {
		t.Errorf("the new root volume %s reads %q", second, got)
	}
	old := h.volumes(filter("volume-id", first))[0]
	if *old.State != "available" || len(old.Attachments) != 0 {
		t.Errorf("the old one is %+v", old)
	}

	id = h.replaceRoot(ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i, DeleteReplacedRootVolume: new(true)})
	h.Advance(10 * time.Second)
	third := *h.volumeOn(i, rootDevice).VolumeId
	if got := h.marked(third, 5); *h.task(id).TaskState != "succeeded" || got != "\x00\x00\x00\x00\x00" {
		t.Errorf("as it was launched it reads %q", got)
	}
	if all := h.volumes(); slices.ContainsFunc(all, func(v ec2api.Volume) bool { return *v.VolumeId == second }) {
		t.Error("the replaced volume is there, and was to be deleted")
	}
	if v := h.volumeOn(i, rootDevice); !*v.Attachments[0].DeleteOnTermination {
		t.Error("the new root volume stays when the instance ends")
	}

	// A snapshot of an earlier root volume is one of the instance's, one of another volume is not.
	other := h.snap(h.filled(h.owner(), "", "text"))
	h.refuse(h.owner(), &ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i, SnapshotId: &other}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i, SnapshotId: &snap, ImageId: new("ami-0123456789abcdef0")}, "InvalidParameterCombination", "*")
	h.replaceRoot(ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i, SnapshotId: &snap})
	h.Advance(10 * time.Second)
	list := ask[ec2api.DescribeReplaceRootVolumeTasksResult](h.desk, h.owner(), &ec2api.DescribeReplaceRootVolumeTasksRequest{
		Filters: []ec2api.Filter{{Name: new("instance-id"), Values: []string{i}}},
	}).ReplaceRootVolumeTasks
	if len(list) != 3 {
		t.Errorf("%d tasks", len(list))
	}
	h.refuse(h.owner(), &ec2api.DescribeReplaceRootVolumeTasksRequest{ReplaceRootVolumeTaskIds: []string{"replacevol-0123456789abcdef0"}}, "InvalidReplaceRootVolumeTaskId.NotFound", "*")
	_, err := h.try(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{i}})
	h.Must(err)
	h.Advance(2 * time.Second)
	h.refuse(h.owner(), &ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i}, "IncorrectInstanceState", "*")
}

// TestARootVolumeOfAnInstanceThatEndsIsNotReplaced, and no volume is left.
func TestARootVolumeOfAnInstanceThatEndsIsNotReplaced(t *testing.T) {
	h := newHouse(t)
	i := h.run(h.owner())
	h.Advance(2 * time.Second)
	first := *h.volumeOn(i, rootDevice).VolumeId
	snap := h.snap(first)
	id := h.replaceRoot(ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &i, SnapshotId: &snap})
	_, err := h.try(h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{i}})
	h.Must(err)
	h.Advance(20 * time.Second)
	if s := h.task(id); *s.TaskState != "failed" && *s.TaskState != "failed-detached" {
		t.Errorf("the task of an instance that ended is %s", *s.TaskState)
	}
	if all := h.volumes(); len(all) != 0 {
		t.Errorf("%d volumes are left", len(all))
	}
}
