package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/members"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// hostPatience is how long the nodes of these tests may be silent.
const hostPatience = 10 * time.Second

// startHosts runs nodes that share a folder for snapshots.
func startHosts(t *testing.T, n int) *nodes {
	t.Helper()
	c := &nodes{store: members.Start(t, 1).Store + "/" + strings.ToLower(t.Name()), dir: t.TempDir(), all: make([]*server.Server, n)}
	c.startHosts(t)
	return c
}

// startHosts runs all nodes.
func (c *nodes) startHosts(t *testing.T) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(c.dir, "shared"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range c.all {
		c.startHost(t, i)
	}
	t.Cleanup(func() {
		for i, s := range c.all {
			s.Stop()
			if t.Failed() {
				t.Logf("end of the log of node %d:\n%s", i, s.Tail(4000))
			}
		}
	})
}

func (c *nodes) socket(i int) string { return filepath.Join(c.sockets, fmt.Sprint("node", i)) }

func (c *nodes) startHost(t *testing.T, i int) {
	t.Helper()
	by, args := (*exec.Cmd).Start, []string{"--store", c.store, "--snapshots", "file://" + filepath.Join(c.dir, "shared"), "--host-patience", hostPatience.String()}
	if c.by != nil {
		by = c.by
	}
	if c.sockets != "" {
		args = append(args, "--nbd", "unix:"+c.socket(i))
	}
	s, err := server.RunBy(filepath.Join(c.dir, fmt.Sprint("node", i)), by, args...)
	if err != nil {
		t.Fatal(err)
	}
	c.all[i] = s
}

// hostsOf are the nodes that have the file of a volume.
func (c *nodes) hostsOf(volume string) (at []int) {
	for i := range c.all {
		if _, err := os.Stat(filepath.Join(c.dir, fmt.Sprint("node", i), "volumes", volume+".kvol")); err == nil {
			at = append(at, i)
		}
	}
	return at
}

// hostOf is the first of them, -1 if there is none.
func (c *nodes) hostOf(volume string) int {
	for _, i := range c.hostsOf(volume) {
		return i
	}
	return -1
}

// inService are the volumes of instances of a group that are in service, by instance.
func (c *client) inService(t *testing.T, group string) map[string]string {
	t.Helper()
	out := map[string]string{}
	groups := must(c.asg.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}}))(t).AutoScalingGroups
	for _, i := range groups[0].Instances {
		if i.LifecycleState != autoscalingtypes.LifecycleStateInService || *i.HealthStatus != "Healthy" {
			continue
		}
		found := must(c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{*i.InstanceId}}))(t).Reservations[0].Instances[0]
		if found.State.Name == ec2types.InstanceStateNameRunning && len(found.BlockDeviceMappings) == 1 {
			out[*i.InstanceId] = *found.BlockDeviceMappings[0].Ebs.VolumeId
		}
	}
	return out
}

func (c *client) volumeState(t *testing.T, id string) (state ec2types.VolumeState, health ec2types.VolumeStatusInfoStatus) {
	t.Helper()
	v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}}))(t).Volumes[0]
	s := must(c.ec2.DescribeVolumeStatus(t.Context(), &ec2.DescribeVolumeStatusInput{VolumeIds: []string{id}}))(t).VolumeStatuses[0]
	return v.State, s.VolumeStatus.Status
}

// TestGroupsOutliveTheirHosts: a group is spread over three nodes. One of them is killed: its volumes are reported,
// and the group is whole again on the others, where the dead node's snapshots are read. When the node is there again
// its own volumes are, and can be attached to instances elsewhere.
func TestGroupsOutliveTheirHosts(t *testing.T) {
	n := startHosts(t, 3)
	boss := n.works(t)
	eventuallyLong(t, "three hosts", func() (bool, string) {
		found := strings.Count(n.all[boss].Log(), "a host is there")
		return found == 3, fmt.Sprint(found)
	})
	c := n.at(boss, adminOf(n.all[boss].URL, seed.NewAccount()))
	ctx, zone := t.Context(), new(seed.Region+"a")
	must(c.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: new("spread"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: new("ami-12c6146b"), InstanceType: "t3.micro",
			BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{{
				DeviceName: new("/dev/xvda"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(true), DeleteOnTermination: new(true)},
			}},
		},
	}))(t)
	for what, pass := range map[string]string{"nothing": "", "no seal": "AAAA", "no base64": "!"} {
		strangers(t, n.all[0].URL, what, pass)
	}
	const group = "spread"
	must(c.asg.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new(group), MinSize: new(int32(4)), MaxSize: new(int32(8)), AvailabilityZones: []string{*zone},
		LaunchTemplate: &autoscalingtypes.LaunchTemplateSpecification{LaunchTemplateName: new(group)},
	}))(t)
	whole := func(without int) (volumes map[string]string) {
		t.Helper()
		eventuallyLong(t, "a whole group", func() (bool, string) {
			volumes = c.inService(t, group)
			for _, v := range volumes {
				if at := n.hostOf(v); at < 0 || at == without {
					return false, fmt.Sprintf("%s is on node %d", v, at)
				}
			}
			return len(volumes) == 4, fmt.Sprintf("%d instances", len(volumes))
		})
		return volumes
	}
	first := whole(-1)
	perNode := make([]int, 3)
	victim := (boss + 1) % 3
	source := ""
	for _, v := range first {
		perNode[n.hostOf(v)]++
		if n.hostOf(v) == victim {
			source = v
		}
	}
	for i, many := range perNode {
		if many == 0 || many == 4 {
			t.Fatalf("node %d has %d of 4 instances", i, many)
		}
	}
	snapshot := *must(c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &source}))(t).SnapshotId
	c.completed(t, snapshot, ec2types.SnapshotStateCompleted)
	want := c.content(t, snapshot)
	if len(want) == 0 {
		t.Error("the snapshot is empty")
	}
	lone := map[int]string{} // volumes that nobody has, by node
	for tries := 0; len(lone) < 3 && tries < 12; tries++ {
		id := *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: zone, SnapshotId: &snapshot}))(t).VolumeId
		eventually(t, "a volume", func() (bool, string) {
			state, _ := c.volumeState(t, id)
			return state == ec2types.VolumeStateAvailable, string(state)
		})
		lone[n.hostOf(id)] = id
	}
	if len(lone) < 3 {
		t.Fatalf("new volumes are on %d nodes only", len(lone))
	}

	n.all[victim].Kill()
	killed := time.Now()
	eventuallyLong(t, "the volume of the dead node is reported", func() (bool, string) {
		state, health := c.volumeState(t, lone[victim])
		return state == ec2types.VolumeStateError && health == ec2types.VolumeStatusInfoStatusImpaired, string(state) + " " + string(health)
	})
	if took := time.Since(killed); took < hostPatience/2 {
		t.Errorf("the node was given up after %s, when it may have had its keys still", took)
	}
	if state, health := c.volumeState(t, lone[boss]); state != ec2types.VolumeStateAvailable || health != ec2types.VolumeStatusInfoStatusOk {
		t.Errorf("the volume of a living node is %s, %s", state, health)
	}
	for id, v := range first {
		if n.hostOf(v) != victim {
			continue
		}
		found := must(c.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}, IncludeAllInstances: new(true)}))(t).InstanceStatuses
		if len(found) == 1 && found[0].InstanceState.Name == ec2types.InstanceStateNameRunning && found[0].SystemStatus.Status != ec2types.SummaryStatusImpaired {
			t.Errorf("an instance of the dead node is %s", found[0].SystemStatus.Status)
		}
	}
	second := whole(victim)
	for id, v := range first {
		if n.hostOf(v) != victim {
			if second[id] == "" {
				t.Errorf("%s on a living node was replaced", id)
			}
			continue
		}
		gone := must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))(t).Reservations[0].Instances[0]
		if gone.State.Name != ec2types.InstanceStateNameTerminated && gone.State.Name != ec2types.InstanceStateNameShuttingDown || *gone.StateReason.Code != "Server.InternalError" {
			t.Errorf("%s is %s: %+v", id, gone.State.Name, gone.StateReason)
		}
	}
	if got := c.content(t, snapshot); len(got) != len(want) {
		t.Errorf("the dead node's snapshot has %d blocks, and had %d", len(got), len(want))
	}
	for range 2 {
		id := *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: zone, SnapshotId: &snapshot}))(t).VolumeId
		eventually(t, "a volume of the dead node's snapshot", func() (bool, string) {
			state, _ := c.volumeState(t, id)
			return state == ec2types.VolumeStateAvailable && n.hostOf(id) != victim, fmt.Sprint(state, " on ", n.hostOf(id))
		})
	}

	n.startHost(t, victim)
	eventuallyLong(t, "the node's volume is there again", func() (bool, string) {
		state, health := c.volumeState(t, lone[victim])
		return state == ec2types.VolumeStateAvailable && health == ec2types.VolumeStatusInfoStatusOk, string(state) + " " + string(health)
	})
	for _, v := range first {
		if _, kept := valueOf(second, v); !kept && n.hostOf(v) >= 0 {
			t.Errorf("the file of %s, which was deleted, is on node %d", v, n.hostOf(v))
		}
	}
	// A volume goes to the host of the instance that it is attached to.
	for id, v := range second {
		if n.hostOf(v) != boss {
			continue
		}
		must(c.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{InstanceId: &id, VolumeId: new(lone[victim]), Device: new("/dev/sdf")}))(t)
		eventually(t, "the volume is attached", func() (bool, string) {
			state, _ := c.volumeState(t, lone[victim])
			return state == ec2types.VolumeStateInUse && n.hostOf(lone[victim]) == boss, fmt.Sprint(state, " on ", n.hostOf(lone[victim]))
		})
		moved := *must(c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: new(lone[victim])}))(t).SnapshotId
		c.completed(t, moved, ec2types.SnapshotStateCompleted)
		if got := c.content(t, moved); len(got) != len(want) {
			t.Errorf("the volume that moved has %d blocks, and had %d", len(got), len(want))
		}
		return
	}
	t.Error("the node that works has no instance")
}

func valueOf(m map[string]string, value string) (key string, ok bool) {
	for k, v := range m {
		if v == value {
			return k, true
		}
	}
	return "", false
}

// eventuallyLong is eventually for what takes the patience with a host, and more.
func eventuallyLong(t *testing.T, what string, ask func() (done bool, state string)) {
	t.Helper()
	var state string
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		done := false
		if done, state = ask(); done {
			return
		}
	}
	t.Fatalf("%s: %s", what, state)
}

// strangers asks a host for something without knowing the seal: it is refused before a word of the body comes.
func strangers(t *testing.T, url, what, pass string) {
	t.Helper()
	body, write := io.Pipe()
	defer write.Close()
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/_kagimori/host", body))(t)
	req.Header.Set("X-Kagimori-Pass", pass)
	resp := must(http.DefaultTransport.RoundTrip(req))(t)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("%s: a stranger is answered %s", what, resp.Status)
	}
}
