package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// internalReason is the reason of an instance that failed on something else than a key.
const internalReason = "Server.InternalError"

// TestAHostThatCannotReadDoesNotRun: the key that KMS gives for opening is not the one that the
// volume was filled under.
func TestAHostThatCannotReadDoesNotRun(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	h.wire.mu.Lock()
	h.wire.forge = func(n int, out any) {
		if d, ok := out.(*kmsapi.DecryptResponse); ok && n > 3 {
			d.Plaintext[0] ^= 1
		}
	}
	h.wire.mu.Unlock()
	id := h.run(h.owner(), encrypted(rootDevice, key))
	h.wantState(id, "terminated")
	if got := *h.instance(id).StateReason.Code; got != internalReason {
		t.Error(got)
	}
	h.clean(key)
}

// TestPlaintextKeysAreWiped: nobody but the cipher has them once a volume is open.
func TestPlaintextKeysAreWiped(t *testing.T) {
	h := newHouse(t)
	var keys []*kmsapi.DecryptResponse
	h.wire.mu.Lock()
	h.wire.forge = func(_ int, out any) {
		if d, ok := out.(*kmsapi.DecryptResponse); ok {
			keys = append(keys, d)
		}
	}
	h.wire.mu.Unlock()
	h.wantState(h.run(h.owner(), encrypted(rootDevice, h.key(""))), "running")
	if len(keys) != 2 { // to fill the volume, to open it
		t.Fatalf("%d data keys", len(keys))
	}
	for _, k := range keys {
		if len(k.Plaintext) != 64 {
			t.Errorf("a data key of %d bytes", len(k.Plaintext))
		}
		for _, b := range k.Plaintext {
			if b != 0 {
				t.Fatal("a data key is still in memory")
			}
		}
	}
}

// TestALostVolumeIsNotTheKeysFault: the file is gone when the instance starts again.
func TestALostVolumeIsNotTheKeysFault(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key))
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Second)
	h.Must(h.folder.Remove(*h.volumeOn(id, "/dev/sdf").VolumeId + ".kvol"))
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(2 * time.Second)
	h.wantState(id, "stopped")
	if got := *h.instance(id).StateReason.Code; got != internalReason {
		t.Error(got)
	}
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("%d grants", len(g))
	}
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Second)
	h.wantState(id, "terminated")
	h.clean(key)
}
