package ec2_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/secret"
)

// blocks is how many blocks the snapshots have together, and fails if one belongs to none.
func (h *house) blocks() (n int) {
	h.T.Helper()
	h.Must(h.objects.List(h.T.Context(), "block/", func(objects.Object) error { n++; return nil }))
	orphans, err := blockdev.NewChecker(h.folder).Orphans(h.T.Context())
	h.Must(err)
	if len(orphans) > 0 {
		h.T.Errorf("blocks that belong to no snapshot: %v", orphans)
	}
	return n
}

func (h *house) snap(volume string) string {
	h.T.Helper()
	id := *ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &volume}).SnapshotId
	h.Advance(time.Second)
	return id
}

func (h *house) deleteSnapshot(id string) {
	h.T.Helper()
	_, err := h.try(h.owner(), &ec2api.DeleteSnapshotRequest{SnapshotId: &id})
	h.Must(err)
}

func (h *house) write(volume, text string, block int64) {
	h.T.Helper()
	h.attached(h.owner(), volume, func(disk io.WriterAt) error {
		_, err := disk.WriteAt([]byte(text), block<<19)
		return err
	})
}

// TestSnapshotsOfAVolumeAreAChain: each takes what changed, its full size is that of all its blocks, and any of
// them can go.
func TestSnapshotsOfAVolumeAreAChain(t *testing.T) {
	h := newHouse(t)
	v := h.filled(h.owner(), h.key(""), "text") // in block 2
	var chain []string
	for n, block := range []int64{2, 5, 6, 2} {
		h.write(v, "text", block)
		if n == 2 {
			h.restart()
			h.Advance(time.Second)
		}
		chain = append(chain, h.snap(v))
		if n == 3 {
			continue // block 2 has the same text: it is shared
		}
		if got := h.blocks(); got != n+1 {
			t.Errorf("%d snapshots take %d blocks", n+1, got)
		}
	}
	if got := h.blocks(); got != 3 {
		t.Errorf("a snapshot after no change takes a block: %d", got)
	}
	for n, want := range []int64{1, 2, 3, 3} {
		if s := h.snapshotNow(h.owner(), chain[n]); *s.FullSnapshotSizeInBytes != want<<19 || *s.VolumeSize != 1 {
			t.Errorf("snapshot %d has a full size of %d", n, *s.FullSnapshotSizeInBytes)
		}
	}
	copied := *ask[ec2api.CopySnapshotResult](h.desk, h.owner(), &ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &chain[1], Encrypted: new(true), KmsKeyId: new(h.key(""))}).SnapshotId
	h.Advance(time.Second)
	if s := h.snapshotNow(h.owner(), copied); *s.State != "completed" || *s.FullSnapshotSizeInBytes != 2<<19 {
		t.Errorf("the copy: %+v", s)
	}
	for _, id := range []string{chain[1], chain[0], copied} {
		h.deleteSnapshot(id)
		h.Advance(time.Minute)
		h.blocks()
	}
	made := *h.create(&ec2api.CreateVolumeRequest{SnapshotId: &chain[3]}).VolumeId
	h.Advance(time.Second)
	h.wantText(h.owner(), made, "text")
	for _, id := range []string{chain[3], chain[2]} {
		h.deleteSnapshot(id)
		h.Advance(time.Minute)
	}
	if n := h.blocks(); n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}

// TestThePresignedURLIsNotFetched: it is a parameter of old clients, and says nothing that is not in the request.
func TestThePresignedURLIsNotFetched(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer srv.Close()
	h := newHouse(t)
	snap := h.snap(h.filled(h.owner(), "", "text"))
	out := ask[ec2api.CopySnapshotResult](h.desk, h.owner(), &ec2api.CopySnapshotRequest{
		SourceRegion: new(region), SourceSnapshotId: &snap, DestinationRegion: new(region), PresignedUrl: new(secret.String(srv.URL + "/?Action=CopySnapshot")),
	})
	h.Advance(time.Second)
	if s := h.snapshotNow(h.owner(), *out.SnapshotId); *s.State != "completed" {
		t.Errorf("the copy is %s", *s.State)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the URL was fetched %d times", n)
	}
}
