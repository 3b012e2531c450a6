package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// A snapshotStorm makes, copies and deletes snapshots and volumes of one chain until its server is killed, and
// knows what was acknowledged.
type snapshotStorm struct {
	dir, account, key, farKey string
	base, volume              string

	mu      sync.Mutex
	made    []string // snapshots with the content of the base
	far     []string // in the other Region
	volumes []string
	deleted map[string]bool // acknowledged
	trying  map[string]bool // to be deleted, without an answer
	size    int32           // of volume, as acknowledged
}

const farRegion = "eu-central-1"

// run calls the operations over and over until the server does not answer.
func (st *snapshotStorm) run(ctx context.Context, c *client) {
	far := c.in(farRegion)
	add := func(list *[]string, id *string) {
		st.mu.Lock()
		defer st.mu.Unlock()
		*list = append(*list, *id)
	}
	ops := []func() error{
		func() error {
			out, err := c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &st.volume})
			if err == nil {
				add(&st.made, out.SnapshotId)
			}
			return err
		},
		func() error {
			out, err := c.ec2.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: new(seed.Region), SourceSnapshotId: &st.base})
			if err == nil {
				add(&st.made, out.SnapshotId)
			}
			return err
		},
		func() error {
			out, err := far.ec2.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: new(seed.Region), SourceSnapshotId: &st.base, Encrypted: new(true), KmsKeyId: &st.farKey})
			if err == nil {
				add(&st.far, out.SnapshotId)
			}
			return err
		},
		func() error {
			out, err := c.ec2.CopyVolumes(ctx, &ec2.CopyVolumesInput{SourceVolumeId: &st.volume})
			if err == nil {
				add(&st.volumes, out.Volumes[0].VolumeId)
			}
			return err
		},
		func() error { return st.delete(ctx, c) },
	}
	var wait sync.WaitGroup
	for _, op := range ops {
		wait.Go(func() {
			for ctx.Err() == nil {
				if err := op(); err != nil && ctx.Err() != nil {
					return
				}
				time.Sleep(20 * time.Millisecond) // clients pause, too
			}
		})
	}
	wait.Wait()
}

// delete deletes the oldest snapshot that was made and is completed.
func (st *snapshotStorm) delete(ctx context.Context, c *client) error {
	st.mu.Lock()
	id := ""
	for _, m := range st.made {
		if !st.deleted[m] && !st.trying[m] && len(st.made) > 3 {
			id = m
			break
		}
	}
	if id != "" {
		st.trying[id] = true
	}
	st.mu.Unlock()
	if id == "" {
		return nil
	}
	_, err := c.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &id})
	if err == nil {
		st.mu.Lock()
		st.deleted[id] = true
		st.mu.Unlock()
	}
	return err
}

// TestKill9KeepsChainsOfSnapshots: the server is killed while snapshots of one chain are made, copied, copied to
// another Region and deleted, and its volume is copied and grows. What was acknowledged is there, with its
// content, what was deleted is not, and nothing is left that belongs to nobody.
func TestKill9KeepsChainsOfSnapshots(t *testing.T) {
	dir := t.TempDir() + "/data"
	s := server.Start(t, dir)
	st := &snapshotStorm{dir: dir, account: seed.NewAccount(), deleted: map[string]bool{}, trying: map[string]bool{}, size: 1}
	c := adminOf(s.URL, st.account)
	st.key = c.key(t, "")
	st.farKey = *must(c.in(farRegion).kms.CreateKey(t.Context(), &kms.CreateKeyInput{}))(t).KeyMetadata.Arn
	want := map[int32]string{}
	st.base = *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(1)), Encrypted: new(true), KmsKeyArn: &st.key}))(t).SnapshotId
	for n := range int32(5) {
		want[n*3] = fmt.Sprintf("%04d", n)
		c.putBlock(t, st.base, n*3, want[n*3])
	}
	c.complete(t, st.base, 5)
	st.volume = *must(c.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), SnapshotId: &st.base}))(t).VolumeId
	eventually(t, "the volume", func() (bool, string) {
		v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{st.volume}}))(t).Volumes[0]
		return v.State == ec2types.VolumeStateAvailable, string(v.State)
	})
	for round := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			st.run(ctx, c)
		}()
		if round == 1 {
			st.size = 3
			must(c.ec2.ModifyVolume(t.Context(), &ec2.ModifyVolumeInput{VolumeId: &st.volume, Size: &st.size}))(t)
		}
		time.Sleep(time.Duration(700+400*round) * time.Millisecond) // the storm takes its time
		s.Kill()
		cancel()
		<-done
		s = server.Start(t, dir)
		c = adminOf(s.URL, st.account)
		st.verify(t, c, want)
	}
	st.end(t, c)
	s.Stop()
	out, err := exec.Command(os.Getenv(server.BinaryEnv), "volume", "check", "--data", dir).CombinedOutput()
	if err != nil {
		t.Errorf("in the end: %v\n%s", err, out)
	}
}

func (st *snapshotStorm) verify(t *testing.T, c *client, want map[int32]string) {
	t.Helper()
	far := c.in(farRegion)
	for _, id := range append([]string{st.base}, st.made...) {
		switch {
		case st.deleted[id]:
			if _, err := c.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}); err == nil {
				t.Errorf("%s is there, and was deleted", id)
			}
			continue
		case st.trying[id]:
			continue
		}
		c.completed(t, id, ec2types.SnapshotStateCompleted)
		if got := c.content(t, id); !maps.Equal(got, want) {
			t.Errorf("%s holds %v", id, got)
		}
	}
	for _, id := range st.far {
		far.completed(t, id, ec2types.SnapshotStateCompleted)
		if got := far.content(t, id); !maps.Equal(got, want) {
			t.Errorf("the far %s holds %v", id, got)
		}
	}
	for _, id := range st.volumes {
		eventually(t, "a copied volume", func() (bool, string) {
			v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}}))(t).Volumes[0]
			return v.State == ec2types.VolumeStateAvailable, string(v.State)
		})
	}
	if v := must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{st.volume}}))(t).Volumes[0]; *v.Size != st.size {
		t.Errorf("the volume has %d GiB, want %d", *v.Size, st.size)
	}
}

// end checks a copied volume by a snapshot of it, and deletes the middle of what there is.
func (st *snapshotStorm) end(t *testing.T, c *client) {
	t.Helper()
	if len(st.made) == 0 || len(st.far) == 0 || len(st.volumes) == 0 || len(st.deleted) == 0 {
		t.Fatalf("the storm made %d snapshots, %d far ones, %d volumes, deleted %d", len(st.made), len(st.far), len(st.volumes), len(st.deleted))
	}
	copied := *must(c.ec2.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: &st.volumes[0]}))(t).SnapshotId
	c.completed(t, copied, ec2types.SnapshotStateCompleted)
	want := c.content(t, copied)
	if got := c.content(t, st.base); !maps.Equal(got, want) {
		t.Errorf("a copied volume holds %v", want)
	}
	must(c.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &st.base}))(t)
	if got := c.content(t, copied); !maps.Equal(got, want) {
		t.Errorf("without the first of the chain the last holds %v", got)
	}
}
