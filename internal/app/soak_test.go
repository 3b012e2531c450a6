package app_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/testkit"
)

// soakTime is how long the soak lasts: a moment with the other tests, SOAKTIME in a long run.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAKTIME")
	if text == "" {
		return 2 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// complaints keeps the lines of a log that are warnings or worse.
type complaints struct {
	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

// Write keeps a line.
func (c *complaints) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(line)
}

func (c *complaints) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (c *complaints) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log.Len() > 0 {
		t.Errorf("the server complained:\n%s", c.log.String())
	}
}

const soakGroups = 5

// TestSoakGroupsSettleWhateverHappens scales groups up and down, terminates their instances and
// restarts the server in the middle of it, takes their key away for a while, and has hooks, warm pools
// and instance refreshes move their instances. In the end each group has what it is to have, and
// nothing is left of what is gone: no volume, no file, no grant.
func TestSoakGroupsSettleWhateverHappens(t *testing.T) {
	var log complaints
	s := testkit.Start(t, testkit.Options{Logger: log.logger()})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	role := serviceRole(account)
	policy, locked := keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)), keyPolicy(owner(account))
	key := newKey(c, policy)
	createTemplate(c, group, key)
	for i := range soakGroups {
		createGroupOf(c, soakGroup(i), group, 0)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	want := make([]int, soakGroups)
	steps, restarts := 0, 0
	for end := time.Now().Add(soakTime(t)); time.Now().Before(end); steps++ {
		switch i := rnd.IntN(soakGroups); rnd.IntN(13) {
		case 8, 9, 10, 11:
			disturb(c, soakGroup(i), rnd)
		case 12: // the key is out of reach for a while, or for the next minutes
			testkit.Must(c.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: locked})
			s.Advance(time.Duration(rnd.IntN(20_000)) * time.Millisecond)
			testkit.Must(c.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: policy})
		case 0:
			restarts++
			s.Restart()
			c = s.As(testkit.Admin(account))
		case 1:
			s.Advance(time.Duration(rnd.IntN(20_000)) * time.Millisecond)
		case 2, 3:
			terminateOne(t, c, soakGroup(i), rnd)
		default:
			want[i] = rnd.IntN(4)
			testkit.Must(c.AutoScaling, "SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{
				AutoScalingGroupName: new(soakGroup(i)), DesiredCapacity: new(int32(want[i])),
			})
		}
	}
	for i := range soakGroups { // what holds instances elsewhere ends
		name := soakGroup(i)
		_ = c.AutoScaling.Do(t.Context(), "CancelInstanceRefresh", &autoscalingapi.CancelInstanceRefreshType{AutoScalingGroupName: &name}, nil)
		_ = c.AutoScaling.Do(t.Context(), "DeleteWarmPool", &autoscalingapi.DeleteWarmPoolType{AutoScalingGroupName: &name, ForceDelete: new(true)}, nil)
		_ = c.AutoScaling.Do(t.Context(), "DeleteLifecycleHook", &autoscalingapi.DeleteLifecycleHookType{AutoScalingGroupName: &name, LifecycleHookName: new("h")}, nil)
	}
	s.Advance(20 * time.Minute)
	total := 0
	for i, n := range want {
		if got := len(instancesOf(t, c, soakGroup(i), "InService")); got != n {
			t.Errorf("%s has %d instances in service, want %d", soakGroup(i), got, n)
		}
		total += n
	}
	t.Logf("%d steps, %d restarts, %d instances in the end", steps, restarts, total)
	nothingLeftOver(t, s, c, key, 2*total)
	log.check(t)
}

// disturb asks for something of a group that changes how its instances come and go; it may be refused.
func disturb(c testkit.Clients, name string, rnd *rand.Rand) {
	ask := func(op string, in any) { _ = c.AutoScaling.Do(context.Background(), op, in, nil) }
	switch rnd.IntN(6) {
	case 0:
		ask("PutWarmPool", &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: &name, MaxGroupPreparedCapacity: new(int32(2)),
			InstanceReusePolicy: &autoscalingapi.InstanceReusePolicy{ReuseOnScaleIn: new(rnd.IntN(2) == 0)}})
	case 1:
		ask("DeleteWarmPool", &autoscalingapi.DeleteWarmPoolType{AutoScalingGroupName: &name, ForceDelete: new(true)})
	case 2:
		ask("PutLifecycleHook", &autoscalingapi.PutLifecycleHookType{AutoScalingGroupName: &name, LifecycleHookName: new("h"),
			LifecycleTransition: new("autoscaling:EC2_INSTANCE_TERMINATING"), HeartbeatTimeout: new(int32(30))})
	case 3:
		ask("DeleteLifecycleHook", &autoscalingapi.DeleteLifecycleHookType{AutoScalingGroupName: &name, LifecycleHookName: new("h")})
	case 4:
		ask("StartInstanceRefresh", &autoscalingapi.StartInstanceRefreshType{AutoScalingGroupName: &name,
			Preferences: &autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(0))}})
	case 5:
		ask("CancelInstanceRefresh", &autoscalingapi.CancelInstanceRefreshType{AutoScalingGroupName: &name})
	}
}

func soakGroup(i int) string { return fmt.Sprintf("soak-%d", i) }

// terminateOne terminates an instance of a group, if it has one.
func terminateOne(t *testing.T, c testkit.Clients, name string, rnd *rand.Rand) {
	t.Helper()
	ids := instancesOf(t, c, name, "")
	if len(ids) == 0 {
		return
	}
	id := ids[rnd.IntN(len(ids))]
	testkit.Call[ec2api.TerminateInstancesResult](c.EC2, "TerminateInstances", &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
}

// nothingLeftOver checks that there are n volumes, all in use, each with its file and its grant.
func nothingLeftOver(t *testing.T, s *testkit.Server, c testkit.Clients, key string, n int) {
	t.Helper()
	out := testkit.Call[ec2api.DescribeVolumesResult](c.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{})
	if len(out.Volumes) != n {
		t.Errorf("%d volumes, want %d", len(out.Volumes), n)
	}
	ids := map[string]bool{}
	for _, v := range out.Volumes {
		ids[*v.VolumeId] = true
		if *v.State != "in-use" {
			t.Errorf("%s is %s", *v.VolumeId, *v.State)
		}
	}
	if files := volumeFiles(t, s); files != n {
		t.Errorf("%d volume files, want %d", files, n)
	}
	granted := 0
	for _, g := range grants(c, key) {
		if g.Constraints == nil || !ids[g.Constraints.EncryptionContextSubset["aws:ebs:id"]+g.Constraints.EncryptionContextEquals["aws:ebs:id"]] {
			t.Errorf("grant %s to %s belongs to no volume", *g.GrantId, api.Val(g.GranteePrincipal))
		}
		granted++
	}
	if granted != n {
		t.Errorf("%d grants, want %d", granted, n)
	}
}

// instancesOf are the instances of a group in a lifecycle state, or in any for "".
func instancesOf(t *testing.T, c testkit.Clients, name, state string) []string {
	t.Helper()
	out := testkit.Call[autoscalingapi.AutoScalingGroupsType](c.AutoScaling, "DescribeAutoScalingGroups",
		&autoscalingapi.AutoScalingGroupNamesType{AutoScalingGroupNames: []string{name}})
	if len(out.AutoScalingGroups) != 1 {
		t.Fatalf("%d groups are called %s", len(out.AutoScalingGroups), name)
	}
	var ids []string
	for _, i := range out.AutoScalingGroups[0].Instances {
		if state == "" || strings.EqualFold(*i.LifecycleState, state) {
			ids = append(ids, *i.InstanceId)
		}
	}
	return ids
}
