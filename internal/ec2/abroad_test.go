package ec2_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// sharedOn is a volume with Multi-Attach that is attached to an instance on a host, and that instance, and one on
// another host.
func (c *cluster) sharedOn(host, other, key string) (volume, near, far string) {
	c.T.Helper()
	near, far = c.nitro(host), c.nitro(other)
	volume = c.shared(key)
	c.wait(3 * time.Second)
	c.attach(volume, near, "/dev/sdf")
	c.wait(2 * time.Second)
	if at := c.at(volume); at != host {
		c.T.Fatalf("the volume is on %s", at)
	}
	return volume, near, far
}

// nitro launches an instance of the Nitro System that lands on a host.
func (c *cluster) nitro(host string) string {
	c.T.Helper()
	for range 2 * len(c.nodes) {
		in := runRequest()
		in.InstanceType = new("m5.large")
		in.Placement = &ec2api.Placement{AvailabilityZone: new(zoneA)}
		id := *ask[ec2api.Reservation](c.desk, c.owner(), in).Instances[0].InstanceId
		c.wait(6 * time.Second)
		if c.at(*c.volumeOn(id, rootDevice).VolumeId) == host {
			return id
		}
	}
	c.T.Fatalf("no instance lands on %s", host)
	return ""
}

func (c *cluster) holders(host, volume string) string {
	c.T.Helper()
	n := c.nodes[host]
	held := n.asks(fmt.Sprintf(`{"op":"attend","token":%d,"keep":["%s"]}`, c.token, strings.Join(n.files(), `","`))).Held[volume]
	return strings.Join(held, " ")
}

// TestSharedVolumesAcrossHosts: the instances of two hosts see one volume, whose file and key are on one of them.
// What one wrote the other reads, and a flush of either makes all of it durable. Who detaches it, or stops, is
// out at once.
func TestSharedVolumesAcrossHosts(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		volume, near, far := c.sharedOn("a", "b", key)
		a, b := c.nodes["a"].crew, c.nodes["b"].crew
		if got := c.attach(volume, far, "/dev/sdg"); *got.State != "attaching" && *got.State != "attached" {
			t.Errorf("%+v", got)
		}
		c.wait(time.Second)
		if at, n := c.at(volume), len(c.grants(key)); at != "a" || n != 2 {
			t.Errorf("the volume is on %s, with %d grants", at, n)
		}
		c.wantVolume(volume, "in-use", "ok")
		c.wantSystem(far, "ok")
		c.Must(a.write(near, volume, "from a", 0))
		c.Must(b.write(far, volume, "from b", 512))
		for off, want := range map[int64]string{0: "from a", 512: "from b"} {
			if got, err := a.read(near, volume, off); got != want || err != nil {
				t.Errorf("a reads %q, %v", got, err)
			}
			if got, err := b.read(far, volume, off); got != want || err != nil {
				t.Errorf("b reads %q, %v", got, err)
			}
		}
		c.Must(b.flush(far, volume))
		if got := c.holders("b", volume); got != "" {
			t.Errorf("host b has the key, for %s", got)
		}

		disk := b.disk(far, volume)
		c.stop(far)
		c.wait(2 * time.Second)
		c.wantState(far, "stopped")
		if got := c.holders("a", volume); got != near {
			t.Errorf("it is held for %s", got)
		}
		if _, err := disk.do(1, 0, 512, make([]byte, 512)); err == nil {
			t.Error("a stopped machine writes")
		}
		if _, err := c.lineIn("b", "a", volume, far); err == nil {
			t.Error("a line for an instance that does not run")
		}
		c.begin(far)
		c.wait(3 * time.Second)
		c.wantState(far, "running")
		if got, err := b.read(far, volume, 0); got != "from a" || err != nil {
			t.Errorf("after a start b reads %q, %v", got, err)
		}

		// The host that has the volume sees to it, whatever the other one does.
		disk, err := c.lineIn("b", "a", volume, far)
		c.Must(err)
		if _, err := disk.do(1, 1024, 512, make([]byte, 512)); err != nil {
			t.Error(err)
		}
		ask[ec2api.VolumeAttachment](c.desk, c.owner(), &ec2api.DetachVolumeRequest{VolumeId: &volume, InstanceId: &far})
		if _, err := disk.do(1, 0, 512, make([]byte, 512)); err == nil {
			t.Error("a machine writes to a volume that it has no more")
		}
		c.attach(volume, far, "/dev/sdg")
		// The instance of the host that has it goes; the other one keeps it, where it is.
		ask[ec2api.TerminateInstancesResult](c.desk, c.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{near}})
		c.wait(2 * time.Second)
		if got, err := b.read(far, volume, 0); got != "from a" || err != nil || c.at(volume) != "a" {
			t.Errorf("b reads %q, %v", got, err)
		}
		old := c.ec2
		c.term("b")
		old.Stop()
		c.wait(2 * time.Second)
		if got, err := b.read(far, volume, 512); got != "from b" || err != nil {
			t.Errorf("after another node took over b reads %q, %v", got, err)
		}
		ask[ec2api.TerminateInstancesResult](c.desk, c.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{far}})
		c.wait(2 * time.Second)
		c.wantVolume(volume, "available", "ok")
		if got, n := c.holders("a", volume), len(c.grants(key)); got != "" || n != 0 {
			t.Errorf("it is held for %q, with %d grants", got, n)
		}
		c.noJobs()
	}, "a", "b")
}

// lineIn asks for a line as a machine would, and for a sector.
func (c *cluster) lineIn(from, to, volume, instance string) (*crewDisk, error) {
	conn, err := c.nodes[from].dial(c.T.Context(), "http://"+to, volume, instance)
	if err != nil {
		return nil, err
	}
	d := &crewDisk{conn: conn}
	return d, d.choose(volume)
}

// TestAVolumeOutlivesTheHostOfItsReaders: the host of one instance is lost; it is fenced, and the others go on.
func TestAVolumeOutlivesTheHostOfItsReaders(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		volume, near, far := c.sharedOn("a", "b", key)
		c.attach(volume, far, "/dev/sdg")
		b := c.nodes["b"]
		disk := b.crew.disk(far, volume)
		b.cut(true)
		c.wait(hostsPatience/2 + hostsPatience/24 + time.Second)
		if _, err := disk.do(1, 0, 512, make([]byte, 512)); err == nil {
			t.Error("a machine of a host that is cut off writes")
		}
		c.wait(hostsPatience/2 + 15*time.Second)
		c.wantState(far, "terminated")
		c.wantVolume(volume, "in-use", "ok")
		if got := c.holders("a", volume); got != near {
			t.Errorf("it is held for %s", got)
		}
		if _, err := c.lineIn("c", "a", volume, far); err == nil {
			t.Error("a line for an instance that was terminated")
		}
		c.Must(c.nodes["a"].crew.write(near, volume, "goes on", 0))
		b.cut(false)
		c.wait(hostsPatience)
		c.noJobs()
	}, "a", "b", "c")
}

// TestTheHostOfASharedVolumeIsLost: the volume is reported, machines elsewhere run on and have errors of its
// sectors, and when the host is there again they have it again, with all that was flushed. A line that broke by
// itself is made again.
func TestTheHostOfASharedVolumeIsLost(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		volume, near, far := c.sharedOn("a", "b", key)
		c.attach(volume, far, "/dev/sdg")
		old := c.ec2
		c.term("c")
		old.Stop()
		c.wait(2 * time.Second)
		a, b := c.nodes["a"], c.nodes["b"]
		c.Must(b.crew.write(far, volume, "flushed", 0))
		c.Must(b.crew.flush(far, volume))

		_ = b.crew.disk(far, volume).conn.Close() // as when the network between the two breaks
		c.wait(15 * time.Second)
		if got, err := b.crew.read(far, volume, 0); got != "flushed" || err != nil {
			t.Errorf("after a line broke b reads %q, %v", got, err)
		}

		a.crash()
		if got, err := b.crew.read(far, volume, 0); err == nil {
			t.Errorf("b reads %q of a host that is gone", got)
		}
		c.wait(hostsPatience + 3*time.Second)
		c.wantVolume(volume, "error", "impaired")
		c.wantState(far, "running")
		status := ask[ec2api.DescribeInstanceStatusResult](c.desk, c.owner(), &ec2api.DescribeInstanceStatusRequest{InstanceIds: []string{far}}).InstanceStatuses[0]
		if *status.SystemStatus.Status != "ok" || *status.AttachedEbsStatus.Status != "impaired" {
			t.Errorf("the instance is %s, its volumes %s", *status.SystemStatus.Status, *status.AttachedEbsStatus.Status)
		}
		c.wait(15 * time.Second)
		c.wantState(near, "terminated")
		c.wantState(far, "running")
		c.wantOn(far, "b")

		a.back()
		c.wait(25 * time.Second)
		c.wantVolume(volume, "in-use", "ok")
		if got, err := b.crew.read(far, volume, 0); got != "flushed" || err != nil {
			t.Errorf("when the host is there again b reads %q, %v", got, err)
		}
		if got := c.holders("a", volume); got != far {
			t.Errorf("it is held for %s", got)
		}

		a.crash()
		c.wait(hostsPatience + 3*time.Second)
		ask[ec2api.VolumeAttachment](c.desk, c.owner(), &ec2api.DetachVolumeRequest{VolumeId: &volume, InstanceId: &far})
		c.wait(2 * time.Second)
		c.wantVolume(volume, "error", "impaired")
		if n := len(c.volumeOf(volume).Attachments); n != 0 {
			t.Errorf("%d attachments after it was detached from a host that lives", n)
		}
		a.back()
		c.wait(hostsPatience)
		c.wantVolume(volume, "available", "ok")
		c.noJobs()
	}, "a", "b", "c")
}

func (c *cluster) volumeOf(id string) ec2api.Volume {
	c.T.Helper()
	return ask[ec2api.DescribeVolumesResult](c.desk, c.owner(), &ec2api.DescribeVolumesRequest{VolumeIds: []string{id}}).Volumes[0]
}

// TestSharedVolumesWithoutMachines: hosts that run none hold the keys all the same, and instances of a host that
// is restarted have them again.
func TestSharedVolumesWithoutMachines(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		volume, near, far := c.sharedOn("b", "a", key)
		c.attach(volume, far, "/dev/sdg")
		both := near + " " + far
		if far < near {
			both = far + " " + near
		}
		if got := c.holders("b", volume); got != both {
			t.Errorf("it is held for %s", got)
		}
		c.nodes["b"].agent.Stop()
		c.wait(2 * time.Second)
		status := ask[ec2api.DescribeInstanceStatusResult](c.desk, c.owner(), &ec2api.DescribeInstanceStatusRequest{InstanceIds: []string{far}}).InstanceStatuses[0]
		if *status.SystemStatus.Status != "ok" || *status.AttachedEbsStatus.Status != "impaired" {
			t.Errorf("the instance is %s, its volumes %s", *status.SystemStatus.Status, *status.AttachedEbsStatus.Status)
		}
		c.nodes["b"].start()
		c.wait(5 * time.Second)
		if got := c.holders("b", volume); got != both {
			t.Errorf("after a restart it is held for %s", got)
		}
		c.wantVolume(volume, "in-use", "ok")
		c.wantSystem(far, "ok")
		plain := c.volumeIn("a", key)
		c.attach(plain, far, "/dev/sdh")
		c.refuse(c.owner(), &ec2api.AttachVolumeRequest{VolumeId: &plain, InstanceId: &near, Device: new("/dev/sdh")}, "VolumeInUse", "*")
		ask[ec2api.TerminateInstancesResult](c.desk, c.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{near, far}})
		c.wait(3 * time.Second)
		if got, n := c.holders("b", volume), len(c.grants(key)); got != "" || n != 0 {
			t.Errorf("it is held for %q, with %d grants", got, n)
		}
		c.wantVolume(volume, "available", "ok")
		c.noJobs()
	}, "a", "b")
}

// TestSharedVolumesStayOnOneHost while nodes of an earlier version are there: one of them may work next.
func TestSharedVolumesStayOnOneHost(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		volume, _, far := c.sharedOn("a", "b", c.key(""))
		d := c.join("d")
		d.agent.Stop()
		d.earlier = true
		d.start()
		c.wait(2 * time.Second)
		c.refuse(c.owner(), &ec2api.AttachVolumeRequest{VolumeId: &volume, InstanceId: &far, Device: new("/dev/sdg")}, "UnsupportedOperation", "*")
		d.agent.Stop()
		c.wait(2 * time.Second)
		c.refuse(c.owner(), &ec2api.AttachVolumeRequest{VolumeId: &volume, InstanceId: &far, Device: new("/dev/sdg")}, "UnsupportedOperation", "*")
		d.earlier = false
		d.start()
		c.wait(2 * time.Second)
		c.attach(volume, far, "/dev/sdg")
		c.wantVolume(volume, "in-use", "ok")
	}, "a", "b")
}
