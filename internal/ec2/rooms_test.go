package ec2_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
)

// TestNewThingsGoWhereTheLeastIs, and not to hosts that leave, whose snapshots others cannot read, or that are
// not there.
func TestNewThingsGoWhereTheLeastIs(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		create := func(n int) map[string]int {
			t.Helper()
			got := map[string]int{}
			for range n {
				id := *ask[ec2api.Volume](c.desk, c.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), Size: new(int32(1))}).VolumeId
				c.wait(time.Second)
				got[c.at(id)]++
			}
			return got
		}
		want := func(what string, got map[string]int, want string) {
			t.Helper()
			if text := fmt.Sprint(got); text != want {
				t.Errorf("%s: %s, want %s", what, text, want)
			}
		}
		want("two hosts", create(4), "map[a:2 b:2]")
		c.join("c")
		c.wait(2 * time.Second)
		want("a third one that is empty", create(2), "map[c:2]")
		want("all are even", create(3), "map[a:1 b:1 c:1]")

		lone := c.joinAlone("d")
		c.wait(2 * time.Second)
		want("one whose snapshots nobody can read", create(3), "map[a:1 b:1 c:1]")
		if n := len(lone.files()); n != 0 {
			t.Errorf("%d volumes are on it", n)
		}

		c.nodes["c"].agent.Stop() // it says that it will be back
		c.wait(2 * time.Second)
		want("one that leaves", create(2), "map[a:1 b:1]")
		c.wait(3 * hostsPatience)
		for _, v := range c.volumes() {
			if *v.State != "available" {
				t.Errorf("a volume of a host that will be back is %s", *v.State)
			}
		}
		c.nodes["c"].start()
		c.wait(2 * time.Second)
		want("it is back, and has less", create(1), "map[c:1]")

		for _, name := range []string{"a", "b", "c"} {
			c.nodes[name].agent.Stop()
		}
		c.wait(2 * time.Second)
		c.refuse(c.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), Size: new(int32(1))}, "InsufficientInstanceCapacity", "*")
	}, "a", "b")
}

// joinAlone adds a host without a place that others can read.
func (c *cluster) joinAlone(name string) *clusterNode {
	c.T.Helper()
	n := c.join(name)
	n.agent.Stop()
	n.alone = true
	n.start()
	return n
}

// TestAHostWithoutALeaseDropsItsKeys by itself, in half of the time after which it is given up; before that it
// serves on.
func TestAHostWithoutALeaseDropsItsKeys(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		instance, volume := c.on("b", c.key(""))
		b := c.nodes["b"]
		held := func() hostSays {
			return b.asks(fmt.Sprintf(`{"op":"attend","token":%d,"keep":[%q,%q]}`, c.token, volume, *c.volumeOn(instance, rootDevice).VolumeId))
		}
		before := held()
		if !slices.Contains(before.Held[volume], instance) {
			t.Fatalf("it holds %v", before.Held)
		}
		b.cut(true)
		c.wait(hostsPatience/2 - hostsPatience/6 - time.Second)
		if now := held(); now.Life != before.Life || len(now.Held) != len(before.Held) {
			t.Errorf("it let go too early: %+v", now)
		}
		c.wait(hostsPatience/6 + hostsPatience/24 + 2*time.Second)
		if now := held(); now.Fault != "away" || len(now.Held) != 0 {
			t.Errorf("it serves on without a lease: %+v", now)
		}
		c.wantState(instance, "running")
		c.wantSystem(instance, "ok") // nobody has given it up
		b.cut(false)
		c.wait(hostsPatience / 3)
		now := held()
		if now.Life == before.Life || !slices.Contains(now.Held[volume], instance) {
			t.Errorf("when it is there again it is another one, and volumes of running instances are open again: %+v", now)
		}
		c.wantState(instance, "running")
		c.wantVolume(volume, "in-use", "ok")
	}, "a", "b")
}

// TestALostHost is reported: volumes in error, running instances impaired and then terminated, of which groups
// are told; stopped ones stay. When it is there again files of deleted volumes go, and its volumes are good.
func TestALostHost(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		runs, gone := c.on("b", key)
		rests, kept := c.on("b", key)
		ends, _ := c.on("b", key)
		lone := c.volumeIn("b", key)
		other, fine := c.on("a", key)
		ask[ec2api.StopInstancesResult](c.desk, c.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{rests, ends}})
		c.wait(3 * time.Second)
		c.wantState(rests, "stopped")

		c.nodes["b"].crash()
		c.wait(hostsPatience - 3*time.Second)
		c.wantVolume(lone, "available", "ok")
		c.wait(6 * time.Second)
		for _, v := range []string{gone, kept, lone} {
			c.wantVolume(v, "error", "impaired")
		}
		c.wantVolume(fine, "in-use", "ok")
		c.wantState(runs, "running")
		c.wantSystem(runs, "impaired")
		c.wantSystem(other, "ok")
		c.refuse(c.owner(), &ec2api.AttachVolumeRequest{InstanceId: &other, VolumeId: &lone, Device: new("/dev/sdg")}, "IncorrectState", "*")
		c.mu.Lock()
		c.changes = nil
		c.mu.Unlock()
		c.wait(15 * time.Second)
		c.wantState(runs, "terminated")
		if got := *c.instance(runs).StateReason.Code; got != internalReason {
			t.Errorf("the reason is %s", got)
		}
		c.mu.Lock()
		told := slices.Contains(c.changes, runs)
		c.mu.Unlock()
		if !told {
			t.Error("groups are not told that the instance ended")
		}
		c.wantState(rests, "stopped")
		c.wantState(other, "running")
		_, err := c.try(c.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{rests}})
		c.Must(err)
		c.wait(5 * time.Second)
		if got := *c.instance(rests).State.Name; got == "running" {
			t.Error("an instance runs on a host that is lost")
		}
		_, err = c.try(c.owner(), &ec2api.DeleteVolumeRequest{VolumeId: &lone})
		c.Must(err)
		ask[ec2api.TerminateInstancesResult](c.desk, c.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{ends}})
		c.wait(3 * time.Second)
		c.wantState(ends, "terminated")
		if !slices.Contains(c.nodes["b"].files(), lone) {
			t.Error("the file of a host that is away went")
		}

		c.nodes["b"].back()
		c.wait(15 * time.Second)
		if left := c.nodes["b"].files(); slices.Contains(left, lone) || slices.Contains(left, gone) || !slices.Contains(left, kept) {
			t.Errorf("files are %v; %s and %s were deleted", left, lone, gone)
		}
		c.wantVolume(kept, "in-use", "ok")
		for range 3 {
			if *c.instance(rests).State.Name == "running" {
				break
			}
			if *c.instance(rests).State.Name == "stopped" {
				ask[ec2api.StartInstancesResult](c.desk, c.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{rests}})
			}
			c.wait(11 * time.Second)
		}
		c.wantState(rests, "running")
		c.wantState(runs, "terminated")
		c.noJobs()
	}, "a", "b")
}

// TestAHostThatIsBackInTime has the volumes of its instances opened again, for which KMS is asked.
func TestAHostThatIsBackInTime(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		instance, volume := c.on("b", c.key(""))
		decrypts := func() (n int) {
			c.wire.mu.Lock()
			defer c.wire.mu.Unlock()
			for _, call := range c.wire.calls {
				if strings.HasPrefix(call, "Decrypt") {
					n++
				}
			}
			return n
		}
		before := decrypts()
		c.nodes["b"].crash()
		c.wait(hostsPatience / 3)
		c.nodes["b"].back()
		c.wait(hostsPatience / 3)
		if got := decrypts() - before; got != 1 { // the root volume is plain
			t.Errorf("%d data keys were asked for", got)
		}
		c.wantState(instance, "running")
		c.wantVolume(volume, "in-use", "ok")
		c.wantSystem(instance, "ok")
		c.wait(2 * hostsPatience)
		c.wantState(instance, "running")
	}, "a", "b")
}

// TestAClockThatIsMovedLosesNoHost: hosts are missed by time that passes, not by what a clock shows.
func TestAClockThatIsMovedLosesNoHost(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		instance, volume := c.on("b", c.key(""))
		for range 3 {
			c.Advance(7 * 24 * time.Hour)
			c.wait(2 * time.Second)
		}
		c.wantVolume(volume, "in-use", "ok")
		c.wantSystem(instance, "ok")
		c.wantState(instance, "running")
		c.nodes["b"].crash()
		c.wait(hostsPatience + 3*time.Second)
		c.wantSystem(instance, "impaired")
	}, "a", "b")
}

// TestTheHostOfAVolumeExportsIt: its node serves the export, whoever works, until the host lets go of the volume.
func TestTheHostOfAVolumeExportsIt(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		instance, volume := c.on("b", key)
		_, near := c.on("a", key)
		export := func(volume string) *kagimoriapi.ExportVolumeResponse {
			t.Helper()
			out, err := c.tryKagimori(c.owner(), "ExportVolume", &kagimoriapi.ExportVolumeRequest{VolumeId: &volume, ReadOnly: new(true)})
			c.Must(err)
			return out.(*kagimoriapi.ExportVolumeResponse)
		}
		serves := func(name string) (on string) {
			for _, n := range c.names() {
				if _, ok := c.nodes[n].agent.Exported(name); ok {
					on += n
				}
			}
			return on
		}
		list := func() (out []string) {
			t.Helper()
			got, err := c.tryKagimori(c.owner(), "ListVolumeExports", &kagimoriapi.ListVolumeExportsRequest{})
			c.Must(err)
			for _, e := range got.(*kagimoriapi.ListVolumeExportsResponse).Exports {
				out = append(out, *e.VolumeId)
			}
			return out
		}
		out := export(volume)
		name := out.ExportName.Reveal()
		if got := fmt.Sprint(out.Addresses); got != "[tcp:b:10809]" || serves(name) != "b" || *out.Size != 8<<30 {
			t.Errorf("it is served on %q, and told to be at %s with %d bytes", serves(name), got, *out.Size)
		}
		c.wait(time.Second)
		other := export(near)
		if got := serves(other.ExportName.Reveal()); got != "a" {
			t.Errorf("that of the near volume is served on %q", got)
		}
		if got := list(); !slices.Equal(got, []string{volume, near}) {
			t.Errorf("exports are of %v", got)
		}
		old := c.ec2
		c.term("a")
		old.Stop()
		c.wait(2 * time.Second)
		if serves(name) != "b" || len(list()) != 2 {
			t.Error("an export ended with the term of who works")
		}
		_, err := c.tryKagimori(c.owner(), "EndVolumeExports", &kagimoriapi.EndVolumeExportsRequest{VolumeId: &near})
		c.Must(err)
		if got := list(); !slices.Equal(got, []string{volume}) {
			t.Errorf("exports are of %v", got)
		}
		for range 15 {
			export(volume)
		}
		c.wantNoExport(c.owner(), volume, "LimitExceededException", "has 16 exports already")
		ask[ec2api.StopInstancesResult](c.desk, c.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{instance}})
		c.wait(3 * time.Second)
		if got := serves(name); got != "" || len(list()) != 0 {
			t.Errorf("exports of a stopped instance's volume are served on %q", got)
		}
		c.wantNoExport(c.owner(), volume, "ConflictException", "does not run with it")
		c.nodes["b"].crash()
		c.wait(hostsPatience + 3*time.Second)
		c.wantNoExport(c.owner(), volume, "ConflictException", "is on the host b, which is not there")
	}, "a", "b")
}
