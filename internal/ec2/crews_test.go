package ec2_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// inCrews runs a test with hosts that run machines.
func inCrews(t *testing.T, test func(t *testing.T, c *cluster), names ...string) {
	t.Helper()
	inClusterOf(t, true, test, names...)
}

// runsOn are the hosts on which an instance has a machine.
func (c *cluster) runsOn(instance string) (on string) {
	for _, name := range c.names() {
		if c.nodes[name].crew.runs(instance) {
			on += name
		}
	}
	return on
}

func (c *cluster) wantOn(instance, want string) {
	c.T.Helper()
	if got := c.runsOn(instance); got != want {
		c.T.Errorf("%s runs on %q, want %q", instance, got, want)
	}
}

// console is what an instance's machine wrote, as GetConsoleOutput tells.
func (c *cluster) console(instance string) string {
	c.T.Helper()
	out := ask[ec2api.GetConsoleOutputResult](c.desk, c.owner(), &ec2api.GetConsoleOutputRequest{InstanceId: &instance})
	text, err := base64.StdEncoding.DecodeString(api.Val(out.Output))
	c.Must(err)
	return string(text)
}

func (c *cluster) stop(instance string) {
	c.T.Helper()
	ask[ec2api.StopInstancesResult](c.desk, c.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{instance}})
}

func (c *cluster) begin(instance string) {
	c.T.Helper()
	ask[ec2api.StartInstancesResult](c.desk, c.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{instance}})
}

// TestMachinesRunOnTheirHosts, whoever works: with their disks and user data, stopped in good order before their
// volumes are closed; consoles are seen through every node.
func TestMachinesRunOnTheirHosts(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		instance, volume := c.on("b", key)
		crew := c.nodes["b"].crew
		c.wantOn(instance, "b")
		root := *c.volumeOn(instance, rootDevice).VolumeId
		if m := crew.machine(instance); m.spec.VCPUs != 2 || m.spec.MemoryMiB != 1024 || len(m.spec.Disks) != 2 || m.spec.Disks[0].Volume != root || m.spec.Disks[1].Volume != volume {
			t.Errorf("%+v", m.spec)
		}
		c.Must(crew.write(instance, volume, "from the guest", 512))
		more := c.volumeIn("b", key)
		c.attach(more, instance, "/dev/sdg")
		c.Must(crew.write(instance, more, "more", 0))
		ask[ec2api.VolumeAttachment](c.desk, c.owner(), &ec2api.DetachVolumeRequest{VolumeId: &more})
		c.wait(2 * time.Second)
		c.done(&ec2api.RebootInstancesRequest{InstanceIds: []string{instance}})
		if got, want := c.console(instance), "boot \nattach "+more+"\ndetach "+more+"\nreboot\n"; got != want {
			t.Errorf("the console is %q, want %q", got, want)
		}
		c.stop(instance)
		c.wait(2 * time.Second)
		c.wantState(instance, "stopped")
		c.wantOn(instance, "")
		if !strings.HasSuffix(c.console(instance), "reboot\nhalt\n") {
			t.Errorf("the console is %q", c.console(instance))
		}
		old := c.ec2
		c.term("b")
		old.Stop()
		c.wait(2 * time.Second)
		c.begin(instance)
		c.wait(3 * time.Second)
		c.wantState(instance, "running")
		c.wantOn(instance, "b")
		if got, err := crew.read(instance, volume, 512); got != "from the guest" || err != nil {
			t.Errorf("after a start the guest reads %q, %v", got, err)
		}
		old = c.ec2
		c.term("a")
		old.Stop()
		c.wait(2 * time.Second)
		c.wantOn(instance, "b") // a change of who works changes nothing
		if n := strings.Count(c.console(instance), "boot \n"); n != 2 {
			t.Errorf("it booted %d times", n)
		}
		ask[ec2api.TerminateInstancesResult](c.desk, c.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{instance}})
		c.wait(2 * time.Second)
		c.wantState(instance, "terminated")
		c.wantOn(instance, "")
		if _, ok := crew.Console(instance); !ok {
			t.Error("the console is gone before the instance is")
		}
		c.Advance(2 * time.Hour)
		c.wait(2 * time.Second)
		if _, ok := crew.Console(instance); ok {
			t.Error("the console outlives the instance")
		}
		c.noJobs()
	}, "a", "b")
}

// TestInstancesGoWhereMachinesRun, if any host runs some.
func TestInstancesGoWhereMachinesRun(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		c.crewed = false
		c.join("b")
		c.wait(2 * time.Second)
		for range 3 {
			instance := *ask[ec2api.Reservation](c.desk, c.owner(), runRequest()).Instances[0].InstanceId
			c.wait(6 * time.Second)
			if !c.nodes["a"].crew.runs(instance) {
				t.Error("an instance has no machine, and could have one")
			}
		}
		if len(c.nodes["b"].files()) != 0 {
			t.Error("volumes of instances are on the host without machines")
		}
	}, "a")
}

// TestAMachineOfAnotherHostEnds by itself: the node that works learns of it, if not that one then the next. An
// instance that was started again meanwhile runs on.
func TestAMachineOfAnotherHostEnds(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		instance, _ := c.on("b", key)
		crew := c.nodes["b"].crew
		crew.end(instance, true)
		c.wait(4 * time.Second)
		c.wantState(instance, "stopped")
		if got := *c.instance(instance).StateReason.Code; got != "Client.InstanceInitiatedShutdown" {
			t.Errorf("the reason is %s", got)
		}
		c.begin(instance)
		c.wait(5 * time.Second)
		c.wantState(instance, "running")
		c.wantOn(instance, "b")

		old := c.ec2
		old.Stop()
		crew.end(instance, false) // while nobody works
		c.term("a")
		c.wait(4 * time.Second)
		c.wantState(instance, "stopped")
		if got := *c.instance(instance).StateReason.Code; got != internalReason {
			t.Errorf("the reason is %s", got)
		}
		c.begin(instance)
		c.wait(10 * time.Second)
		c.wantState(instance, "running")
		c.wantOn(instance, "b")
		c.noJobs()
	}, "a", "b")
}

// TestAHostThatIsCutOffSwitchesItsMachinesOff in half of the time after which it is given up, and does not wait for
// guests: nobody is asked to.
func TestAHostThatIsCutOffSwitchesItsMachinesOff(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		instance, _ := c.on("b", c.key(""))
		b := c.nodes["b"]
		b.crew.deaf = map[string]bool{instance: true}
		b.cut(true)
		c.wait(hostsPatience/2 - hostsPatience/6 - time.Second)
		c.wantOn(instance, "b")
		c.wait(hostsPatience/6 + hostsPatience/24 + 2*time.Second)
		c.wantOn(instance, "")
		c.wantState(instance, "running")
		c.wait(hostsPatience/2 + time.Second)
		c.wantSystem(instance, "impaired")
		c.wait(15 * time.Second)
		c.wantState(instance, "terminated")
		b.cut(false)
		c.wait(hostsPatience)
		c.wantOn(instance, "")
		if got := b.asks(`{"op":"halt","token":999,"life":""}`); got.Fault != "away" {
			t.Errorf("%+v", got)
		}
		c.noJobs()
	}, "a", "b")
}

// TestANodeThatIsRestartedBootsItsMachinesAgain, and shuts their guests down before it ends. Those of one that
// crashed boot too. A guest that hears nothing does not keep the node until it is given up.
func TestANodeThatIsRestartedBootsItsMachinesAgain(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		instance, volume := c.on("b", key)
		other, _ := c.on("b", key)
		b := c.nodes["b"]
		c.Must(b.crew.write(instance, volume, "kept", 0))
		was := b.crew
		was.deaf = map[string]bool{other: true}
		begun := time.Now()
		b.agent.Stop()
		if out, _ := was.Console(instance); !strings.HasSuffix(string(out.Output), "halt\n") {
			t.Errorf("the console is %q", out.Output)
		}
		if out, _ := was.Console(other); !strings.HasSuffix(string(out.Output), "switched off\n") {
			t.Errorf("the console of a deaf guest is %q", out.Output)
		}
		if took := time.Since(begun); took < hostsPatience || took > 6*hostsPatience {
			t.Errorf("the guests had %s", took)
		}
		c.wantState(instance, "running")
		b.start()
		c.wait(5 * time.Second)
		c.wantOn(instance, "b")
		c.wantOn(other, "b")
		c.wantSystem(instance, "ok")
		if got, err := b.crew.read(instance, volume, 0); got != "kept" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		b.crew.Cut()
		b.crash()
		c.wait(2 * time.Second)
		b.back()
		c.wait(hostsPatience / 2)
		c.wantOn(instance, "b")
		c.wantState(instance, "running")
		c.noJobs()
	}, "a", "b")
}

// TestMachinesBootWhoseNodeDidNotComeToIt: the node that works died between opening volumes and booting.
func TestMachinesBootWhoseNodeDidNotComeToIt(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		instance, _ := c.on("b", c.key(""))
		b := c.nodes["b"]
		b.crash()
		dead := errors.New("the line is dead")
		c.hooks(func(_, op string, _ []byte) error {
			if op == "boot" {
				return dead
			}
			return nil
		})
		b.back()
		c.wait(4 * time.Second)
		c.wantOn(instance, "")
		c.wantState(instance, "running")
		c.hooks(nil)
		old := c.ec2
		c.term("a")
		old.Stop()
		c.wait(4 * time.Second)
		c.wantOn(instance, "b")
		b.crash()
		c.hooks(func(_, op string, _ []byte) error {
			if op == "boot" {
				return dead
			}
			return nil
		})
		b.back()
		c.wait(4 * time.Second)
		c.wantOn(instance, "")
		c.hooks(nil)
		c.wait(10 * time.Second) // it is tried again
		c.wantOn(instance, "b")
		// One of an earlier version releases volumes and knows of no machines.
		c.hooks(func(_, op string, _ []byte) error {
			if op == "halt" {
				return dead
			}
			return nil
		})
		c.stop(instance)
		c.wait(4 * time.Second)
		c.wantState(instance, "stopping")
		root := *c.volumeOn(instance, rootDevice).VolumeId
		held := b.asks(`{"op":"attend","token":2,"keep":["` + strings.Join(b.files(), `","`) + `"]}`)
		if !slices.Contains(held.Held[root], instance) {
			t.Errorf("a volume was closed under its machine: %+v", held)
		}
		b.asks(`{"op":"release","token":2,"life":"` + held.Life + `","id":"` + root + `","instance":"` + instance + `"}`)
		c.wantOn(instance, "")
		c.hooks(nil)
		c.wait(15 * time.Second)
		c.wantState(instance, "stopped")
	}, "a", "b")
}

// TestAMachineThatIsAboutToBootIsHalted: who stops it, or takes its volume, waits for it. Booting twice boots once.
func TestAMachineThatIsAboutToBootIsHalted(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		instance, volume := c.on("b", c.key(""))
		b := c.nodes["b"]
		root := *c.volumeOn(instance, rootDevice).VolumeId
		life := b.asks(fmt.Sprintf(`{"op":"attend","token":%d,"keep":["%s"]}`, c.token, strings.Join(b.files(), `","`))).Life
		for _, way := range []string{`"op":"halt"`, `"op":"release","id":"` + volume + `"`} {
			b.crew.off(instance, "for the test")
			b.asks(fmt.Sprintf(`{"op":"halt","token":%d,"life":%q,"instance":%q}`, c.token, life, instance))
			slow := make(chan struct{})
			b.crew.slow = slow
			boot := fmt.Sprintf(`{"op":"boot","token":%d,"life":%q,"machine":{"instance":%q,"disks":[{"volume":%q},{"volume":%q}]}}`, c.token, life, instance, root, volume)
			answers := make(chan hostSays, 3)
			for range 2 {
				go func() { answers <- b.asks(boot) }()
			}
			synctest.Wait()
			go func() {
				answers <- b.asks(fmt.Sprintf(`{%s,"token":%d,"life":%q,"instance":%q}`, way, c.token, life, instance))
			}()
			synctest.Wait()
			if len(answers) != 0 {
				t.Errorf("%s: somebody is answered before the machine has booted: %+v", way, <-answers)
			}
			close(slow)
			for range 3 {
				if got := <-answers; got.Fault != "" {
					t.Errorf("%s: %+v", way, got)
				}
			}
			c.wantOn(instance, "")
			b.crew.slow = nil
		}
		if got := strings.Count(c.console(instance), "boot"); got != 3 {
			t.Errorf("it booted %d times", got)
		}
	}, "a", "b")
}
