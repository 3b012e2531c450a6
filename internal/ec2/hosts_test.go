package ec2_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2"
)

// TestWorkComesToAHostThroughTheStore: two processes over one store are two hosts. What one accepts for an
// instance of the other, the other does: it has the files, and the keys.
func TestWorkComesToAHostThroughTheStore(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	root, err := os.OpenRoot(t.TempDir())
	h.Must(err)
	t.Cleanup(func() { h.Must(root.Close()) })
	told := make(chan string, 100)
	far := ec2.New(ec2.Config{
		Guard: h.Guard, Clock: h.Clock, Keys: h.wire, Volumes: blockdev.NewShelf(root, h.objects), Logger: h.Logger, Host: "far", Watch: h.Store.Watch,
		Changed: func(_ context.Context, _, _, instance string) { told <- instance },
	})
	h.Must(far.Start(t.Context()))
	near := h.Ops
	h.Ops = far.Operations()
	id := h.run(h.owner(), encrypted(rootDevice, key))
	h.wantState(id, "running")
	v := *h.volumeOn(id, rootDevice).VolumeId
	if _, err := far.Disk(t.Context(), mine, region, v); err != nil {
		t.Errorf("the far host does not hold its volume: %v", err)
	}
	if _, err := h.ec2.Disk(t.Context(), mine, region, v); err == nil {
		t.Error("the near host holds a volume that is not its own")
	}
	await := func(state string) {
		t.Helper()
		for deadline := time.After(time.Minute); *h.instance(id).State.Name != state; {
			h.Advance(time.Second)
			select {
			case <-told:
			case <-deadline:
				t.Fatalf("the instance is %s, not %s", *h.instance(id).State.Name, state)
			case <-time.After(5 * time.Millisecond): // for the far host to see the store
			}
		}
	}
	h.Ops = near
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	await("stopped")
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("%d grants", len(g))
	}
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	await("running")
	if _, err := far.Disk(t.Context(), mine, region, v); err != nil {
		t.Errorf("the far host does not hold its volume: %v", err)
	}
	h.refuse(h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &v}, "UnsupportedOperation", "*")

	// A restart of one host leaves what is on the other alone.
	h.restart()
	h.wantState(id, "running")
	far.Stop()
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.Advance(5 * time.Second)
	h.wantState(id, "shutting-down")

	// A host that was away does what waited for it.
	far = ec2.New(ec2.Config{Guard: h.Guard, Clock: h.Clock, Keys: h.wire, Volumes: blockdev.NewShelf(root, h.objects), Logger: h.Logger, Host: "far", Watch: h.Store.Watch})
	h.Must(far.Start(t.Context()))
	t.Cleanup(far.Stop)
	h.Advance(5 * time.Second)
	h.wantState(id, "terminated")
	h.clean(key)
}
