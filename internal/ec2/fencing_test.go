package ec2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/blockdev"
)

// TestAHostObeysTheLatestLease: who lost it is refused, whatever it asks for, and what it began is given up; a
// request for an earlier life of the host is refused too.
func TestAHostObeysTheLatestLease(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		var requests [][]byte
		c.hook = func(name, _ string, request []byte) error {
			if name == "b" {
				requests = append(requests, bytes.Clone(request))
			}
			return nil
		}
		instance, volume := c.on("b", c.key(""))
		b := c.nodes["b"]
		held := func() map[string][]string {
			return b.asks(fmt.Sprintf(`{"op":"attend","token":%d,"keep":[%q,%q]}`, c.token, volume, *c.volumeOn(instance, rootDevice).VolumeId)).Held
		}
		again := func(op, fault, text string) {
			t.Helper()
			n := 0
			for _, r := range requests {
				if asked(r).Op != op {
					continue
				}
				n++
				if got := b.asks(string(r)); got.Fault != fault || !strings.Contains(got.Text, text) {
					t.Errorf("%s: %+v, want %s: %s", op, got, fault, text)
				}
			}
			if n == 0 {
				t.Errorf("nobody asked for %s", op)
			}
		}
		again("hold", "", "") // it can be done twice
		begun := fmt.Sprintf(`{"op":"begin","token":%d,"life":%q,"id":%q,"snapshot":"snap-1"}`, c.token, b.asks(fmt.Sprintf(`{"op":"attend","token":%d}`, c.token-1)).Life, volume)
		if got := b.asks(begun); got.Fault != "away" {
			t.Errorf("a snapshot was begun for a life that nobody was told: %+v", got)
		}

		before := held()
		old := c.ec2
		c.term("b") // a new lease, of another node
		c.wait(2 * time.Second)
		for _, op := range []string{"create", "fill", "hold"} {
			again(op, "away", "another node works")
		}
		if now := held(); !slices.Equal(now[volume], before[volume]) || len(now) != len(before) {
			t.Errorf("a change of lease took keys away: %v, and before %v", now, before)
		}
		c.wantState(instance, "running")
		old.Stop()
		c.wantState(instance, "running")

		b.cut(true)
		c.wait(hostsPatience/2 + hostsPatience/6 + 2*time.Second)
		b.cut(false)
		c.wait(hostsPatience / 3)
		life := b.asks(fmt.Sprintf(`{"op":"attend","token":%d,"keep":[%q,%q]}`, c.token, volume, *c.volumeOn(instance, rootDevice).VolumeId)).Life
		for _, bad := range []string{"", "another", strings.ToLower(life)} {
			got := b.asks(fmt.Sprintf(`{"op":"hold","token":%d,"life":%q,"id":%q,"instance":%q}`, c.token, bad, volume, instance))
			if got.Fault != "away" || !strings.Contains(got.Text, "it is another one now") {
				t.Errorf("a request for the life %q: %+v", bad, got)
			}
		}
		for in, text := range map[string]string{
			`{`: "unexpected end of JSON input", `[]`: "cannot unmarshal",
			fmt.Sprintf(`{"op":"dance","token":%d,"life":%q}`, c.token, life): "something that it does not know: dance",
		} {
			if got := b.asks(in); got.Fault != "error" || !strings.Contains(got.Text, text) {
				t.Errorf("%s: %+v", in, got)
			}
		}
	}, "a", "b")
}

// TestAVolumeGoesToItsInstance when it is attached, with its data, and leaves nothing behind. If that fails it
// is where it was; a file that a failure left is removed when its host is taken up again.
// copyBeginning makes a file as long as one of another folder, with the first 2 MiB of it and a hole: volumes are
// sparse, and as large as they say only to who reads all of them.
func copyBeginning(to, from *os.Root, name string) (err error) {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, 2<<20)
	return errors.Join(err, out.Truncate(info.Size()), out.Close())
}

func TestAVolumeGoesToItsInstance(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		key := c.key("")
		near, volume := c.on("a", key)
		far, _ := c.on("b", key)
		const text = "what the volume has"
		_, err := c.disk(volume).WriteAt([]byte(text), 1<<20)
		c.Must(err)
		detach := func() {
			t.Helper()
			ask[ec2api.VolumeAttachment](c.desk, c.owner(), &ec2api.DetachVolumeRequest{VolumeId: &volume})
			c.wait(2 * time.Second)
			c.wantVolume(volume, "available", "ok")
		}
		attach := func(to string) error {
			_, err := c.try(c.owner(), &ec2api.AttachVolumeRequest{InstanceId: &to, VolumeId: &volume, Device: new("/dev/sdz")})
			c.wait(2 * time.Second)
			return err
		}
		_, err = c.try(c.owner(), &ec2api.AttachVolumeRequest{InstanceId: &far, VolumeId: &volume, Device: new("/dev/sdz")})
		if err == nil {
			t.Error("a volume in use was attached elsewhere")
		}
		detach()

		for _, op := range []string{"fill", "remove"} {
			c.hook = func(_, got string, r []byte) error {
				if got == op && asked(r).ID == volume || got == op && op == "fill" {
					return errors.New("the line is dead")
				}
				return nil
			}
			if err := attach(far); err == nil {
				t.Errorf("%s fails, and the volume is attached", op)
			}
			c.hook = nil
			if at := c.at(volume); at != "a" {
				t.Errorf("%s failed: the volume is on %s", op, at)
			}
			c.wantVolume(volume, "available", "ok")
		}
		// A crash of the node that works after the file was made and before the volume's record says so.
		_, err = blockdev.ReadInfo(c.nodes["a"].shelf, volume)
		c.Must(err)
		c.Must(copyBeginning(c.nodes["b"].volumes, c.nodes["a"].volumes, volume+".kvol"))
		old := c.ec2
		c.term("a")
		old.Stop()
		c.wait(3 * time.Second)
		if at := c.at(volume); at != "a" {
			t.Errorf("a file that nobody knows stays: %s", at)
		}

		c.Must(attach(far))
		if at := c.at(volume); at != "b" {
			t.Errorf("the volume is on %s", at)
		}
		c.wantVolume(volume, "in-use", "ok")
		detach()
		c.Must(attach(near))
		if at := c.at(volume); at != "a" {
			t.Errorf("the volume is on %s", at)
		}
		got := make([]byte, len(text))
		_, err = c.disk(volume).ReadAt(got, 1<<20)
		if err != nil || string(got) != text {
			t.Errorf("after two moves it has %q, %v", got, err)
		}
		c.wait(time.Minute)
		c.noJobs()
		for _, name := range c.names() {
			ids, err := blockdev.List(c.nodes[name].shelf)
			c.Must(err)
			for _, id := range ids {
				if strings.HasPrefix(id, "snap-") {
					t.Errorf("%s of a move stays on %s", id, name)
				}
			}
		}
	}, "a", "b")
}
