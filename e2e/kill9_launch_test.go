package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// TestKill9_LaunchesEndTheSameAndLeaveNothing kills a server while a group launches or ends its
// instances: after a restart the group gets where it should, with no instance, volume, grant, file
// or activity too many.
func TestKill9_LaunchesEndTheSameAndLeaveNothing(t *testing.T) {
	t.Parallel()
	const rounds, many = 8, 6
	dir := t.TempDir() + "/data"
	s := run9(t, dir)
	c := adminOf(s.URL, seed.NewAccount())
	c.serviceRole(t)
	key := c.seedKey(t)
	keys := map[string]string{"/dev/xvda": key, "/dev/sdf": key}
	c.template(t, "web", rootDevice(key), dataDevice(key))
	must(c.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 0)))(t)
	for round := range rounds {
		want := many - many*(round%2) // many, 0, many, 0, ...
		g := group{c, "web"}
		must(g.asg.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &g.name, DesiredCapacity: new(int32(want))}))(t)
		<-time.After(time.Duration(rand.IntN(3500)) * time.Millisecond) // a random moment is the test
		s = restart9(t, s, dir)
		c = adminOf(s.URL, c.account)
		g = group{c, "web"}
		g.running(t, want)
		eventually(t, fmt.Sprintf("round %d: %d volumes and grants", round, 2*want), func() (bool, string) {
			volumes, grants, files := len(c.volumes(t)), len(c.grants(t, key)), volumeFiles(t, dir)
			return volumes == 2*want && grants == 2*want && files == 2*want,
				fmt.Sprintf("%d volumes, %d grants, %d files, %s", volumes, grants, files, g.state(t))
		})
		eventually(t, fmt.Sprintf("round %d: no instance and activity left over", round), func() (bool, string) {
			open := slices.DeleteFunc(g.activities(t), func(a activity) bool { return a.EndTime != nil })
			return len(open) == 0 && len(c.living(t)) == want, fmt.Sprintf("%d instances, %s", len(c.living(t)), g.state(t))
		})
		for _, id := range g.running(t, want) {
			c.checkVolumes(t, id, keys)
		}
		if t.Failed() {
			t.Fatalf("round %d failed; the end of the server's log:\n%s", round, s.Tail(4000))
		}
	}
}

// TestKill9_LaunchesThatFailLeaveNothing kills a server while launches fail on their key, halfway: the
// data key is there and the grant is refused.
func TestKill9_LaunchesThatFailLeaveNothing(t *testing.T) {
	t.Parallel()
	const rounds, many = 6, 4
	dir := t.TempDir() + "/data"
	s := run9(t, dir)
	c := adminOf(s.URL, seed.NewAccount())
	c.serviceRole(t)
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(seed.Role(c.account))))
	c.template(t, "web", dataDevice(key))
	must(c.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 0)))(t)
	for round := range rounds {
		group{c, "web"}.scale(t, many)
		<-time.After(time.Duration(rand.IntN(2500)) * time.Millisecond) // a random moment is the test
		s = restart9(t, s, dir)
		c = adminOf(s.URL, c.account)
		g := group{c, "web"}
		g.scale(t, 0)
		eventually(t, fmt.Sprintf("round %d: nothing left", round), func() (bool, string) {
			open := slices.DeleteFunc(g.activities(t), func(a activity) bool { return a.EndTime != nil })
			left := fmt.Sprintf("%d activities, %d instances, %d members, %d volumes, %d grants, %d files", len(open), len(c.living(t)),
				len(g.describe(t).Instances), len(c.volumes(t)), len(c.grants(t, key)), volumeFiles(t, dir))
			return left == "0 activities, 0 instances, 0 members, 0 volumes, 0 grants, 0 files", left
		})
		if t.Failed() {
			t.Fatalf("round %d failed; the end of the server's log:\n%s", round, s.Tail(4000))
		}
	}
	for _, a := range (group{c, "web"}).activities(t) {
		if a.StatusCode != astypes.ScalingActivityStatusCodeCancelled && a.StatusCode != astypes.ScalingActivityStatusCodeSuccessful &&
			a.StatusCode != astypes.ScalingActivityStatusCodeFailed {
			t.Errorf("an activity ended %s: %s", a.StatusCode, str(a.StatusMessage))
		}
	}
}

// TestKill9_ALaunchOfManyHappensOrDoesNot kills a server while one call launches many instances: after
// a restart there are all of them or none, and the same call with the same token gets them all.
func TestKill9_ALaunchOfManyHappensOrDoesNot(t *testing.T) {
	t.Parallel()
	const rounds, many = 6, 200
	dir := t.TempDir() + "/data"
	s := run9(t, dir)
	account := seed.NewAccount()
	none := 0
	for round := range rounds {
		c := adminOf(s.URL, account)
		in := &ec2.RunInstancesInput{
			ImageId: new(c.plainImage(t)), MinCount: new(int32(many)), MaxCount: new(int32(many)), ClientToken: new(fmt.Sprint("round-", round)),
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = c.ec2.RunInstances(t.Context(), in, func(o *ec2.Options) { o.RetryMaxAttempts = 1 }) // fails if the server dies first
		}()
		<-time.After(time.Duration(rand.IntN(400)) * time.Millisecond) // a random moment is the test
		s = restart9(t, s, dir)
		<-done
		c = adminOf(s.URL, account)
		switch n := len(c.living(t)); n {
		case 0:
			none++
		case many:
		default:
			t.Errorf("round %d: %d instances of %d", round, n, many)
		}
		out := must(c.ec2.RunInstances(t.Context(), in))(t)
		var ids []string
		for _, i := range out.Instances {
			ids = append(ids, *i.InstanceId)
		}
		if len(ids) != many || len(c.living(t)) != many {
			t.Errorf("round %d: %d instances answered, %d there", round, len(ids), len(c.living(t)))
		}
		must(c.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids}))(t)
		eventually(t, fmt.Sprintf("round %d: nothing left", round), func() (bool, string) {
			left := fmt.Sprintf("%d instances, %d volumes, %d files", len(c.living(t)), len(c.volumes(t)), volumeFiles(t, dir))
			return left == "0 instances, 0 volumes, 0 files", left
		})
		if t.Failed() {
			t.Fatalf("round %d failed; the end of the server's log:\n%s", round, s.Tail(4000))
		}
	}
	t.Logf("the launch had not happened in %d of %d rounds", none, rounds)
}

// restart9 kills a server, which must not have been in trouble, and starts another on its data.
func restart9(t *testing.T, s *server.Server, dir string) *server.Server {
	t.Helper()
	s.Kill()
	for _, line := range s.Trouble() {
		t.Errorf("server: %s", line)
	}
	return run9(t, dir)
}

// living are the instances that are not terminated.
func (c *client) living(t *testing.T) map[string]ec2types.Instance {
	t.Helper()
	out := map[string]ec2types.Instance{}
	for p := ec2.NewDescribeInstancesPaginator(c.ec2, &ec2.DescribeInstancesInput{}); p.HasMorePages(); {
		for _, r := range must(p.NextPage(t.Context()))(t).Reservations {
			for _, i := range r.Instances {
				if i.State.Name != ec2types.InstanceStateNameTerminated {
					out[*i.InstanceId] = i
				}
			}
		}
	}
	return out
}

// volumeFiles counts the files of volumes and snapshots in a data directory.
func volumeFiles(t *testing.T, dir string) int {
	t.Helper()
	return len(must(filepath.Glob(filepath.Join(dir, "volumes", "vol-*")))(t)) + len(must(filepath.Glob(filepath.Join(dir, "volumes", "snap-*")))(t))
}

// run9 starts a server that is killed at the end of the test if it was not before.
func run9(t *testing.T, dir string) *server.Server {
	t.Helper()
	s, err := server.Run(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}
