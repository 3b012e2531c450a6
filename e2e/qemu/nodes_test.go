package qemu_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/kagimori/kagimori/e2e/internal/members"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// nodePatience is how long the nodes of these tests may be silent: several machines are emulated meanwhile.
const nodePatience = 20 * time.Second

// A rackLab is nodes over one store that run machines.
type rackLab struct {
	*lab
	store string
	all   []*server.Server
}

// newRack starts nodes, and makes the image that they boot.
func newRack(t *testing.T, n int) *rackLab {
	t.Helper()
	dir := t.TempDir()
	r := &rackLab{lab: &lab{t: t, dir: dir, account: seed.NewAccount()}, store: members.Start(t, 1).Store + "/machines", all: make([]*server.Server, n)}
	disk := filepath.Join(t.TempDir(), "disk.img")
	if out, err := exec.CommandContext(t.Context(), "./mkimage.sh", disk).CombinedOutput(); err != nil {
		t.Fatalf("mkimage.sh: %v\n%s", err, out)
	}
	must(t, os.Mkdir(filepath.Join(dir, "shared"), 0o700))
	t.Cleanup(func() {
		for i, s := range r.all {
			if s.Stop(); t.Failed() {
				t.Logf("end of the log of node %d:\n%s", i, s.Tail(4000))
			}
		}
	})
	for i := range r.all {
		r.startNode(i)
	}
	r.poll("hosts", func() (bool, string) {
		found := 0
		for _, s := range r.all {
			found = max(found, strings.Count(s.Log(), "a host is there"))
		}
		return found >= n, fmt.Sprint(found)
	})
	r.ask(0)
	key, err := kms.NewFromConfig(r.config()).CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	r.key = *key.KeyMetadata.Arn
	r.register(disk)
	return r
}

func (r *rackLab) node(i int) string { return filepath.Join(r.dir, fmt.Sprint("node", i)) }

func (r *rackLab) startNode(i int) {
	r.t.Helper()
	s, err := server.Run(r.node(i), "--store", r.store, "--snapshots", "file://"+filepath.Join(r.dir, "shared"),
		"--host-patience", nodePatience.String(), "--machine", "qemu-tcg")
	must(r.t, err)
	r.all[i] = s
}

// ask has requests go to a node.
func (r *rackLab) ask(i int) {
	r.server = r.all[i]
	r.ec2, r.ebs = ec2.NewFromConfig(r.config()), ebs.NewFromConfig(r.config())
}

// hostOf is the node that has the file of a volume, -1 if none has.
func (r *rackLab) hostOf(volume string) int {
	for i := range r.all {
		if _, err := os.Stat(filepath.Join(r.node(i), "volumes", volume+".kvol")); err == nil {
			return i
		}
	}
	return -1
}

// on is the node that an instance runs on.
func (r *rackLab) on(id string) int {
	r.t.Helper()
	i := r.await(id, "running")
	for _, m := range i.BlockDeviceMappings {
		if *m.DeviceName == *i.RootDeviceName {
			return r.hostOf(*m.Ebs.VolumeId)
		}
	}
	return -1
}

// machines are the processes of an instance.
func (r *rackLab) machines(id string) (n int) {
	r.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(r.t, err)
	for _, path := range dirs {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), "-name\x00"+id+"\x00") {
			n++
		}
	}
	return n
}

// last is the end of an instance's console after the last line that begins with a text.
func (r *rackLab) last(id, text string) string {
	r.t.Helper()
	out, err := r.ec2.GetConsoleOutput(r.t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &id, Latest: new(true)})
	must(r.t, err)
	data, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
	must(r.t, err)
	_, after, _ := strings.Cut(string(data[max(0, strings.LastIndex(string(data), text)):]), text)
	line, _, _ := strings.Cut(after, "\r\n")
	return line
}

func (r *rackLab) volume(id string) (ec2types.VolumeState, ec2types.VolumeStatusInfoStatus) {
	r.t.Helper()
	v, err := r.ec2.DescribeVolumes(r.t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
	must(r.t, err)
	s, err := r.ec2.DescribeVolumeStatus(r.t.Context(), &ec2.DescribeVolumeStatusInput{VolumeIds: []string{id}})
	must(r.t, err)
	return v.Volumes[0].State, s.VolumeStatuses[0].VolumeStatus.Status
}

// TestNodesRunMachines: instances boot on the hosts of several nodes. Two of them share a volume, of which one host
// has the file. That node is killed: its machines are gone, the guest elsewhere runs on with a disk that errs, and
// has it again with all that was written when the node is there again. A node that is stopped in good order shuts
// its guests down, and boots them again.
func TestNodesRunMachines(t *testing.T) {
	r := newRack(t, 3)
	ctx := t.Context()
	nitro := func(in *ec2.RunInstancesInput) { in.InstanceType = ec2types.InstanceTypeM5Large }
	ids := []string{r.run("share 0", nitro), r.run("share 1", nitro)}
	at := []int{r.on(ids[0]), r.on(ids[1])}
	if at[0] == at[1] || at[0] < 0 || at[1] < 0 {
		t.Fatalf("the instances are on the nodes %v", at)
	}
	for _, id := range ids {
		r.console(id, "guest: ready")
	}
	v, err := r.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: r.await(ids[0], "running").Placement.AvailabilityZone, Size: new(int32(4)), Encrypted: new(true), KmsKeyId: &r.key,
		VolumeType: ec2types.VolumeTypeIo2, Iops: new(int32(100)), MultiAttachEnabled: new(true),
	})
	must(t, err)
	must(t, ec2.NewVolumeAvailableWaiter(r.ec2).Wait(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}}, time.Minute))
	for _, id := range ids {
		_, err = r.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{InstanceId: &id, VolumeId: v.VolumeId, Device: new("/dev/sdf")})
		must(t, err)
	}
	r.console(ids[0], "guest: hears guest 1 boot 1 says")
	r.console(ids[1], "guest: hears guest 0 boot 1 says")
	r.console(ids[1], "guest: vdb is good")
	if host := r.hostOf(*v.VolumeId); host != at[0] {
		t.Fatalf("the volume is on node %d, and the first instance on %d", host, at[0])
	}

	heard := r.last(ids[1], "guest: hears ")
	r.all[at[0]].Kill()
	r.ask(at[1])
	r.poll("the end of the machine of a node that was killed", func() (bool, string) { n := r.machines(ids[0]); return n == 0, fmt.Sprint(n) })
	r.console(ids[1], "guest: vdb is bad")
	r.poll("the volume is reported", func() (bool, string) {
		state, health := r.volume(*v.VolumeId)
		return state == ec2types.VolumeStateError && health == ec2types.VolumeStatusInfoStatusImpaired, fmt.Sprint(state, " ", health)
	})
	if i := r.await(ids[0], "terminated"); aws.ToString(i.StateReason.Code) != "Server.InternalError" {
		t.Errorf("the reason is %+v", i.StateReason)
	}
	r.await(ids[1], "running")
	if n := r.machines(ids[1]); n != 1 {
		t.Errorf("the other instance has %d machines", n)
	}

	r.startNode(at[0])
	r.poll("the volume is there again", func() (bool, string) {
		state, health := r.volume(*v.VolumeId)
		return state == ec2types.VolumeStateInUse && health == ec2types.VolumeStatusInfoStatusOk, fmt.Sprint(state, " ", health)
	})
	r.poll("the guest has it again", func() (bool, string) {
		is := r.last(ids[1], "guest: vdb is ")
		return is == "good", is
	})
	if now := r.last(ids[1], "guest: hears "); !strings.HasPrefix(now, "guest 0 boot 1 says") || len(now) < len(heard) {
		t.Errorf("it hears %q, and heard %q before", now, heard)
	}

	r.ask(at[0])
	r.all[at[1]].Stop()
	if n := r.machines(ids[1]); n != 0 {
		t.Errorf("a node that has ended left %d machines", n)
	}
	r.startNode(at[1])
	r.console(ids[1], "guest: boot 2")
	r.console(ids[1], "guest: vdb is good")
	if n := r.machines(ids[1]); n != 1 {
		t.Errorf("the instance has %d machines", n)
	}
	_, err = r.ec2.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: ids[1:]})
	must(t, err)
	r.console(ids[1], "guest: boot 3")
	_, err = r.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids[1:]})
	must(t, err)
	r.await(ids[1], "stopped")
	r.console(ids[1], "guest: power button")
	if n := r.machines(ids[1]); n != 0 {
		t.Errorf("a stopped instance has %d machines", n)
	}
	if r.inFiles("a secret that the guest wrote") || r.inFiles("boot 1 says") {
		t.Error("what a guest wrote is in a file in plaintext")
	}
}

// TestGroupsReplaceMachines: a guest that shuts down by itself, on whichever node, and a node that is killed: the
// group boots others.
func TestGroupsReplaceMachines(t *testing.T) {
	r := newRack(t, 2)
	ctx := t.Context()
	_, err := r.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: new("boots"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &r.image, InstanceType: ec2types.InstanceTypeT3Micro},
	})
	must(t, err)
	groups := autoscaling.NewFromConfig(r.config())
	_, err = groups.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new("boots"), MinSize: new(int32(2)), MaxSize: new(int32(2)), AvailabilityZones: []string{seed.Region + "a"},
		LaunchTemplate: &autoscalingtypes.LaunchTemplateSpecification{LaunchTemplateName: new("boots")},
	})
	must(t, err)
	whole := func() (ids []string) {
		t.Helper()
		r.poll("a whole group", func() (bool, string) {
			ids = nil
			out, err := groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"boots"}})
			must(t, err)
			for _, i := range out.AutoScalingGroups[0].Instances {
				if i.LifecycleState == autoscalingtypes.LifecycleStateInService && r.machines(*i.InstanceId) == 1 {
					ids = append(ids, *i.InstanceId)
				}
			}
			return len(ids) == 2, fmt.Sprint(ids)
		})
		for _, id := range ids {
			r.console(id, "guest: boot 1\r\n")
		}
		return ids
	}
	first := whole()
	at := map[int]string{r.on(first[0]): first[0], r.on(first[1]): first[1]}
	if len(at) != 2 {
		t.Fatalf("the instances are on the nodes %v", at)
	}
	p, err := os.FindProcess(r.process(at[1]))
	must(t, err)
	must(t, p.Kill())
	r.await(at[1], "terminated")
	second := whole()
	victim := r.on(second[0])
	r.ask(1 - victim)
	groups = autoscaling.NewFromConfig(r.config())
	r.all[victim].Kill()
	if i := r.await(second[0], "terminated"); aws.ToString(i.StateReason.Code) != "Server.InternalError" {
		t.Errorf("the reason is %+v", i.StateReason)
	}
	for _, id := range whole() {
		if id == second[0] || r.on(id) != 1-victim {
			t.Errorf("%s is on node %d", id, r.on(id))
		}
	}
}
