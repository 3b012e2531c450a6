package ec2_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/store"
)

// heirs are what hosts are to inherit.
func (c *cluster) heirs() (out []string) {
	c.T.Helper()
	c.View(func(tx store.Tx) error {
		for p, err := range tx.Scan("ec2/heir", store.Range{}) {
			if err != nil {
				return err
			}
			out = append(out, store.SplitKey(p.Key)...)
		}
		return nil
	})
	return out
}

// TestADiskUnderAnotherName: what was on a host is on the one that inherits it, and no file goes.
func TestADiskUnderAnotherName(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		instance, volume := c.on("a", key)
		rests, kept := c.on("a", key)
		lone := c.volumeIn("a", key)
		_, other := c.on("b", key)
		ask[ec2api.StopInstancesResult](c.desk, c.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{rests}})
		c.wait(3 * time.Second)
		a := c.nodes["a"]
		before := a.files()
		c.ec2.Stop()
		a.agent.Stop()
		delete(c.nodes, "a")
		a.name = "z"
		c.nodes["z"] = a
		c.Update(func(tx store.Tx) error { return ec2.Inherit(tx, "a", "z") })
		a.start()
		c.term("z")
		c.wait(5 * time.Second)
		if after := a.files(); !slices.Equal(after, before) {
			t.Errorf("files were %v and are %v", before, after)
		}
		if left := c.heirs(); len(left) != 0 {
			t.Errorf("it is inherited still: %v", left)
		}
		c.wantState(instance, "running")
		for _, v := range []string{volume, kept, other} {
			c.wantVolume(v, "in-use", "ok")
		}
		if _, err := c.ec2.Disk(t.Context(), mine, region, volume); err != nil {
			t.Errorf("the volume of the running instance: %v", err)
		}
		ask[ec2api.StartInstancesResult](c.desk, c.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{rests}})
		ask[ec2api.VolumeAttachment](c.desk, c.owner(), &ec2api.AttachVolumeRequest{InstanceId: &instance, VolumeId: &lone, Device: new("/dev/sdz")})
		c.wait(5 * time.Second)
		c.wantState(rests, "running")
		c.wantVolume(lone, "in-use", "ok")
		c.wait(2 * hostsPatience) // nobody misses a host that is another one now
		c.wantState(instance, "running")
		c.noJobs()
	}, "a", "b")
}

// TestWhoInheritsFromAnHeir that has not started yet, and back.
func TestWhoInheritsFromAnHeir(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.ec2.Stop()
		for _, step := range []struct{ from, to, want string }{
			{"", "x", "[local]"},
			{"x", "y", "[local x]"},
			{"y", "", "[x y]"},
		} {
			c.Update(func(tx store.Tx) error { return ec2.Inherit(tx, step.from, step.to) })
			if got := fmt.Sprint(c.heirs()); got != step.want {
				t.Errorf("%s to %s: %s, want %s", step.from, step.to, got, step.want)
			}
		}
	}, "a")
}
