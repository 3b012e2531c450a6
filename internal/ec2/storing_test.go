package ec2_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/objects"
)

// A gated store writes a block only when somebody lets it.
type gated struct {
	objects.Store
	pass chan error // what becomes of the next block
	// indexed, if not nil, is told that an index was written. Nothing is removed then: the process is as good as dead.
	indexed func()
}

func (g *gated) Put(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "block/") {
		select {
		case err := <-g.pass:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := g.Store.Put(ctx, name, data)
	if g.indexed != nil && strings.HasPrefix(name, "index/") {
		g.indexed()
	}
	return err
}

// Delete implements objects.Store.
func (g *gated) Delete(ctx context.Context, name string) error {
	if g.indexed != nil && !strings.HasPrefix(name, "work/") {
		return errors.New("nobody is there to remove it")
	}
	return g.Store.Delete(ctx, name)
}

// let lets blocks through.
func (g *gated) let(n int) {
	for range n {
		g.pass <- nil
	}
}

// gatedHouse stores nothing before CreateSnapshot answers, and no block before somebody lets it.
func gatedHouse(t *testing.T) (*house, *gated) {
	h := newHouse(t)
	g := &gated{Store: h.objects, pass: make(chan error)}
	h.objects, h.atOnce = g, -1
	h.restart()
	return h, g
}

// until waits for work that this test cannot wait for otherwise.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); runtime.Gosched() {
		if time.Since(begun) > time.Minute {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

func (h *house) untilSnapshot(id, state string) *ec2api.Snapshot {
	h.T.Helper()
	var s *ec2api.Snapshot
	until(h.T, id+" "+state, func() bool { s = new(h.snapshotNow(h.owner(), id)); return *s.State == state })
	return s
}

func (h *house) begun(volume string) string {
	h.T.Helper()
	s := ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &volume})
	if *s.State != "pending" || *s.Progress != "" {
		h.T.Errorf("%s begins as %s, %s", *s.SnapshotId, *s.State, *s.Progress)
	}
	return *s.SnapshotId
}

// TestSnapshotsAreStoredAfterTheAnswer: of the moment of the call, while the volume is changed, detached, attached
// elsewhere and deleted.
func TestSnapshotsAreStoredAfterTheAnswer(t *testing.T) {
	h, g := gatedHouse(t)
	v := h.filled(h.owner(), h.key(""), "first")
	h.attached(h.owner(), v, func(disk io.WriterAt) error {
		for n := range int64(9) {
			if _, err := disk.WriteAt([]byte("text"), (10+n)<<19); err != nil {
				return err
			}
		}
		return nil
	})
	id := h.begun(v)
	h.Advance(time.Minute)
	if s := h.snapshotNow(h.owner(), id); *s.State != "pending" {
		t.Fatalf("nothing is stored, and the snapshot is %s", *s.State)
	}
	h.refuse(h.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), SnapshotId: &id}, "IncorrectState", "*")
	go g.let(5)
	until(t, "progress", func() bool { return *h.snapshotNow(h.owner(), id).Progress == "50%" })
	go g.let(1) // the block that changes is saved before
	h.attached(h.owner(), v, func(disk io.WriterAt) error {
		_, err := disk.WriteAt([]byte("later"), 1<<20)
		return err
	})
	_, err := h.try(h.owner(), &ec2api.DeleteVolumeRequest{VolumeId: &v})
	h.Must(err)
	if all := h.volumes(filter("volume-id", v)); len(all) != 0 {
		t.Errorf("the volume is %s", *all[0].State)
	}
	g.let(4)
	if s := h.untilSnapshot(id, "completed"); *s.Progress != "100%" || *s.FullSnapshotSizeInBytes != 10<<19 {
		t.Errorf("it ends as %s, %d bytes", *s.Progress, *s.FullSnapshotSizeInBytes)
	}
	made := *ask[ec2api.Volume](h.desk, h.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), SnapshotId: &id}).VolumeId
	h.Advance(time.Second)
	h.wantText(h.owner(), made, "first")
	if n := h.blocks(); n != 10 {
		t.Errorf("%d blocks", n)
	}
}

// TestSnapshotsThatAreNotStored: one whose data cannot be stored is in error, and its image fails; one that is
// deleted is not stored to its end; of one volume a few are pending at a time.
func TestSnapshotsThatAreNotStored(t *testing.T) {
	h, g := gatedHouse(t)
	i := h.run(h.owner())
	h.Advance(2 * time.Second)
	v := *h.volumeOn(i, rootDevice).VolumeId
	h.mark(v, "text")
	img := *ask[ec2api.CreateImageResult](h.desk, h.owner(), &ec2api.CreateImageRequest{InstanceId: &i, Name: new("image")}).ImageId
	id := *h.image(h.owner(), img).BlockDeviceMappings[0].Ebs.SnapshotId
	settled := make(chan struct{})
	var full sync.WaitGroup
	full.Go(func() {
		for {
			select {
			case g.pass <- errors.New("no space is left"):
			case <-settled:
				return
			}
		}
	})
	s := h.untilSnapshot(id, "error")
	close(settled)
	full.Wait()
	if *s.StateMessage != "The data of the snapshot could not be stored" {
		t.Errorf("in error: %s", *s.StateMessage)
	}
	if m := h.image(h.owner(), img); *m.State != "failed" || m.StateReason == nil {
		t.Errorf("the image is %s", *m.State)
	}

	deleted := h.begun(v)
	h.deleteSnapshot(deleted)
	h.refuse(h.owner(), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{deleted}}, "InvalidSnapshot.NotFound", "*")
	var ids []string
	until(t, "five at a time", func() bool {
		s, err := h.try(h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &v})
		if err == nil {
			ids = append(ids, *s.(*ec2api.Snapshot).SnapshotId)
		}
		return err != nil
	})
	if len(ids) < 4 || len(ids) > 5 { // the deleted one may not have ended yet
		t.Errorf("%d snapshots are pending", len(ids))
	}
	h.refuse(h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &v}, "ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded.")
	close(g.pass)
	for _, id := range ids {
		until(t, "all", func() bool { h.Advance(time.Second); return *h.snapshotNow(h.owner(), id).State == "completed" })
	}
	h.restart()
	h.blocks()
}

// TestStopWaitsForSnapshotsForAWhile: a snapshot that is stored in time is whole; another is in error after the
// next start, its volume is as it was, and nothing of it is left.
func TestStopWaitsForSnapshotsForAWhile(t *testing.T) {
	h, g := gatedHouse(t)
	v := h.filled(h.owner(), h.key(""), "text")
	first := h.begun(v)
	go g.let(1)
	h.restart()
	h.Advance(time.Second)
	h.untilSnapshot(first, "completed")

	h.stopWait = time.Millisecond
	h.restart()
	h.attached(h.owner(), v, func(disk io.WriterAt) error {
		_, err := disk.WriteAt([]byte("more"), 8<<19)
		return err
	})
	blocks := h.blocks()
	late := h.begun(v)
	h.restart()
	if s := h.untilSnapshot(late, "error"); *s.StateMessage != "The server ended before the data of the snapshot was stored" {
		t.Errorf("%+v", s)
	}
	if n := h.blocks(); n != blocks {
		t.Errorf("%d blocks, and there were %d", n, blocks)
	}
	h.wantText(h.owner(), v, "text")
	h.noJobs()
}
