package s3test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
)

// etcd runs a member, whose module is not one of these tests', and gives what --store is to be but for the prefix.
func etcd(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "member")
	build := exec.Command("go", "build", "-o", bin, "./member")
	build.Dir = "../etcdtest"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(bin, "-n", "1", "-dir", t.TempDir())
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() }) // it ends with its input
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return "etcd://" + strings.TrimSpace(line)
}

// blocks counts what is in the bucket below a prefix, of snapshots that are whole.
func blocks(t *testing.T, prefix string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(gw.dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it went meanwhile
			return nil
		}
		if err == nil && !e.IsDir() && strings.Contains(path, "/"+bucket+"/"+prefix+"/") && strings.Contains(path, "/block/") {
			n++
		}
		return err
	}))
	return n
}

// holds counts the blocks of a snapshot that have what [server.written] wrote.
func (s *server) holds(t *testing.T, snapshot string) (n int) {
	t.Helper()
	in := &ebsapi.ListSnapshotBlocksRequest{SnapshotId: &snapshot, MaxResults: new(int32(100))}
	for _, b := range call[ebsapi.ListSnapshotBlocksResponse](t, s.ebs, "ListSnapshotBlocks", in).Blocks {
		got := call[ebsapi.GetSnapshotBlockResponse](t, s.ebs, "GetSnapshotBlock", &ebsapi.GetSnapshotBlockRequest{
			SnapshotId: &snapshot, BlockIndex: b.BlockIndex, BlockToken: b.BlockToken,
		}).BlockData
		if len(got) == blockdev.BlockSize && got[0] == byte(*b.BlockIndex+1) && got[len(got)-1] == got[0] {
			n++
		}
	}
	return n
}

// TestTwoNodesShareABucket: a snapshot that is made through one node is restored through the other, whichever
// host has the volumes; one that is deleted while volumes are made of it gives each of them all of it, or is
// not found. When all is deleted nothing is left in the bucket.
func TestTwoNodesShareABucket(t *testing.T) {
	const prefix, many = "among", 12
	store, dir := etcd(t)+"/two", t.TempDir()
	args := []string{"--store", store, "--snapshots", "s3://" + bucket + "/" + prefix, "--snapshots-endpoint", gw.url, "--snapshots-ca", trusted(t), "--drain", "1ms"}
	a := serve(t, filepath.Join(dir, "a"), args...)
	b := serve(t, filepath.Join(dir, "b"), args...)
	within(t, "two hosts", func() bool { return strings.Count(a.log.String()+b.log.String(), "a host is there") >= 2 })

	base := a.written(t, many)
	on := map[string]string{} // a volume by its host
	for range 8 {
		v := b.volume(t, base)
		for _, host := range []string{"a", "b"} {
			if files, _ := filepath.Glob(filepath.Join(dir, host, "volumes", v+".*")); len(files) > 0 {
				on[host] = v
			}
		}
	}
	if len(on) != 2 {
		t.Fatalf("volumes are on %v only", on)
	}
	var snapshots []string
	for host, v := range on {
		snap := a.take(t, v)
		snapshots = append(snapshots, snap)
		b.wait(t, snap, "completed")
		if got := b.holds(t, snap); got != many {
			t.Errorf("through the other node the snapshot of %s has %d blocks of %d", host, got, many)
		}
		restored := []string{b.volume(t, snap), b.volume(t, snap)} // one on each host
		for _, r := range restored {
			again := b.take(t, r)
			a.wait(t, again, "completed")
			if got := a.holds(t, again); got != many {
				t.Errorf("a volume that was restored of the snapshot of %s has %d blocks of %d", host, got, many)
			}
		}
	}

	var (
		mu   sync.Mutex
		made []string
		work sync.WaitGroup
	)
	victim := snapshots[0]
	began := make(chan struct{}, 2*many)
	for n := range 6 {
		for k, s := range []*server{a, b} {
			work.Go(func() {
				out := new(ec2api.Volume)
				began <- struct{}{}
				err := surely(t, s.ec2, "CreateVolume", &ec2api.CreateVolumeRequest{
					AvailabilityZone: new(region + "a"), SnapshotId: &victim, ClientToken: new(fmt.Sprint("volume-", n, "-", k)),
				}, out)
				if e, ok := errors.AsType[*apierr.Error](err); ok && e.Code == "InvalidSnapshot.NotFound" {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				made = append(made, *out.VolumeId)
			})
		}
	}
	for range 4 {
		<-began
	}
	call[struct{}](t, b.ec2, "DeleteSnapshot", &ec2api.DeleteSnapshotRequest{SnapshotId: &victim})
	work.Wait()
	t.Logf("%d of 12 volumes were made of a snapshot that was deleted meanwhile", len(made))
	for _, v := range made {
		within(t, v, func() bool {
			return *call[ec2api.DescribeVolumesResult](t, a.ec2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{VolumeIds: []string{v}}).Volumes[0].State == "available"
		})
		snap := a.take(t, v)
		b.wait(t, snap, "completed")
		if got := b.holds(t, snap); got != many {
			t.Errorf("a volume of the deleted snapshot has %d blocks of %d", got, many)
		}
	}

	for _, v := range call[ec2api.DescribeVolumesResult](t, b.ec2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{}).Volumes {
		call[struct{}](t, a.ec2, "DeleteVolume", &ec2api.DeleteVolumeRequest{VolumeId: v.VolumeId})
	}
	for _, snap := range call[ec2api.DescribeSnapshotsResult](t, a.ec2, "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}}).Snapshots {
		call[struct{}](t, b.ec2, "DeleteSnapshot", &ec2api.DeleteSnapshotRequest{SnapshotId: snap.SnapshotId})
	}
	within(t, "an empty bucket", func() bool { return blocks(t, prefix) == 0 })
	for host, s := range map[string]*server{"a": a, "b": b} {
		s.end(syscall.SIGINT)
		if files, _ := filepath.Glob(filepath.Join(dir, host, "volumes", "vol-*")); len(files) > 0 {
			t.Errorf("files are left on %s: %v", host, files)
		}
		if strings.Contains(s.log.String(), "level=ERROR") {
			t.Errorf("the log of %s has errors: %s", host, s.log)
		}
	}
}
