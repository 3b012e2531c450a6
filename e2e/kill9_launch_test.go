package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// TestKill9_LaunchesEndTheSameAndLeaveNothing kills a server while a group launches or ends its
// instances: after a restart the group gets where it should, with no volume or grant too many.
func TestKill9_LaunchesEndTheSameAndLeaveNothing(t *testing.T) {
	t.Parallel()
	const rounds = 8
	dir := t.TempDir() + "/data"
	s := run9(t, dir)
	c := adminOf(s.URL, seed.NewAccount())
	c.serviceRole(t)
	key := c.seedKey(t)
	keys := map[string]string{"/dev/xvda": key, "/dev/sdf": key}
	c.template(t, "web", rootDevice(key), dataDevice(key))
	must(c.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 0)))(t)
	for round := range rounds {
		want := 2 - 2*(round%2) // 2, 0, 2, 0, ...
		g := group{c, "web"}
		must(g.asg.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &g.name, DesiredCapacity: new(int32(want))}))(t)
		<-time.After(time.Duration(rand.IntN(3500)) * time.Millisecond) // a random moment is the test
		s.Kill()
		for _, line := range s.Trouble() {
			t.Errorf("round %d: server: %s", round, line)
		}
		s = run9(t, dir)
		c = adminOf(s.URL, c.account)
		g = group{c, "web"}
		g.running(t, want)
		eventually(t, fmt.Sprintf("round %d: %d volumes and grants", round, 2*want), func() (bool, string) {
			volumes, grants := len(c.volumes(t)), len(c.grants(t, key))
			return volumes == 2*want && grants == 2*want, fmt.Sprintf("%d volumes, %d grants, %s", volumes, grants, g.state(t))
		})
		if want > 0 {
			for _, id := range g.running(t, want) {
				c.checkVolumes(t, id, keys)
			}
		}
		if t.Failed() {
			t.Fatalf("round %d failed; the end of the server's log:\n%s", round, s.Tail(4000))
		}
	}
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
