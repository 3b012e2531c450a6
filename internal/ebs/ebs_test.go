package ebs_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/testkit"
)

const account = "111122223333"

// A bench is a server with a clock of its own.
type bench struct {
	*testkit.Server
	testkit.Clients
	t *testing.T
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := testkit.Start(t, testkit.Options{})
	return &bench{s, s.As(testkit.Admin(account)), t}
}

func (b *bench) start(in ebsapi.StartSnapshotRequest) string {
	b.t.Helper()
	if in.VolumeSize == nil {
		in.VolumeSize = new(int64(1))
	}
	return *testkit.Call[ebsapi.StartSnapshotResponse](b.EBS, "StartSnapshot", &in).SnapshotId
}

func put(id string, block int32, text string) *ebsapi.PutSnapshotBlockRequest {
	data := bytes.Repeat([]byte(text), 1<<19)[:1<<19]
	sum := sha256.Sum256(data)
	return &ebsapi.PutSnapshotBlockRequest{
		SnapshotId: &id, BlockIndex: &block, BlockData: data, DataLength: new(int32(len(data))), Checksum: new(base64.StdEncoding.EncodeToString(sum[:])),
		ChecksumAlgorithm: new("SHA256"),
	}
}

func (b *bench) put(id string, block int32, text string) {
	b.t.Helper()
	testkit.Call[ebsapi.PutSnapshotBlockResponse](b.EBS, "PutSnapshotBlock", put(id, block, text))
}

func (b *bench) complete(id string, blocks int32) {
	b.t.Helper()
	testkit.Call[ebsapi.CompleteSnapshotResponse](b.EBS, "CompleteSnapshot", &ebsapi.CompleteSnapshotRequest{SnapshotId: &id, ChangedBlocksCount: &blocks})
}

func (b *bench) refuse(op string, in any, code, text string) {
	b.t.Helper()
	err := b.EBS.Do(b.t.Context(), op, in, nil)
	if apierr.Code(err) != code || !strings.Contains(err.Error(), text) {
		b.t.Errorf("%s: %v, want %s with %q", op, err, code, text)
	}
}

func (b *bench) snapshot(id string) ec2api.Snapshot {
	b.t.Helper()
	return testkit.Call[ec2api.DescribeSnapshotsResult](b.EC2, "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}}).Snapshots[0]
}

func (b *bench) key() string {
	b.t.Helper()
	return *testkit.Call[kmsapi.CreateKeyResponse](b.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.Arn
}

// read is the first byte of each block that has data.
func (b *bench) read(id string) string {
	b.t.Helper()
	var out []string
	for _, blk := range testkit.Call[ebsapi.ListSnapshotBlocksResponse](b.EBS, "ListSnapshotBlocks", &ebsapi.ListSnapshotBlocksRequest{SnapshotId: &id}).Blocks {
		got := testkit.Call[ebsapi.GetSnapshotBlockResponse](b.EBS, "GetSnapshotBlock", &ebsapi.GetSnapshotBlockRequest{
			SnapshotId: &id, BlockIndex: blk.BlockIndex, BlockToken: blk.BlockToken,
		})
		out = append(out, fmt.Sprintf("%d%c", *blk.BlockIndex, got.BlockData[0]))
	}
	return strings.Join(out, " ")
}

func TestASnapshotThatNobodyWritesToEndsInError(t *testing.T) {
	b := newBench(t)
	id := b.start(ebsapi.StartSnapshotRequest{Timeout: new(int32(10))})
	b.Advance(9 * time.Minute)
	b.put(id, 0, "a")
	b.Advance(9 * time.Minute)
	if s := b.snapshot(id); *s.State != "pending" {
		t.Errorf("nine minutes after a write the snapshot is %s", *s.State)
	}
	b.Advance(2 * time.Minute)
	if s := b.snapshot(id); *s.State != "error" || s.StateMessage == nil {
		t.Errorf("after its timeout the snapshot is %s", *s.State)
	}
	b.refuse("PutSnapshotBlock", put(id, 1, "b"), "ValidationException", "cancelled")
	testkit.Must(b.EC2, "DeleteSnapshot", &ec2api.DeleteSnapshotRequest{SnapshotId: &id})
}

func TestBlockTokensExpire(t *testing.T) {
	b := newBench(t)
	id := b.start(ebsapi.StartSnapshotRequest{})
	b.put(id, 3, "a")
	b.complete(id, 1)
	list := testkit.Call[ebsapi.ListSnapshotBlocksResponse](b.EBS, "ListSnapshotBlocks", &ebsapi.ListSnapshotBlocksRequest{SnapshotId: &id})
	get := &ebsapi.GetSnapshotBlockRequest{SnapshotId: &id, BlockIndex: new(int32(3)), BlockToken: list.Blocks[0].BlockToken}
	testkit.Call[ebsapi.GetSnapshotBlockResponse](b.EBS, "GetSnapshotBlock", get)
	b.Advance(7*24*time.Hour + time.Minute)
	b.refuse("GetSnapshotBlock", get, "ValidationException", "expired")
}

func TestTheParentsKeyAndDataKeyAreInherited(t *testing.T) {
	b := newBench(t)
	key := b.key()
	first := b.start(ebsapi.StartSnapshotRequest{Encrypted: new(true), KmsKeyArn: new(secret.String(key))})
	b.put(first, 0, "a")
	b.put(first, 1, "b")
	b.complete(first, 2)
	second := b.start(ebsapi.StartSnapshotRequest{ParentSnapshotId: &first})
	b.put(second, 1, "c")
	if s := b.snapshot(second); *s.Progress != "0%" {
		t.Errorf("progress is %s", *s.Progress)
	}
	in := put(second, 2, "d")
	in.Progress = new(int32(42))
	testkit.Call[ebsapi.PutSnapshotBlockResponse](b.EBS, "PutSnapshotBlock", in)
	if s := b.snapshot(second); *s.Progress != "42%" {
		t.Errorf("progress is %s, want that of the writer", *s.Progress)
	}
	b.complete(second, 2)
	if got, want := b.read(second), "0a 1c 2d"; got != want {
		t.Errorf("the second snapshot has %s, want %s", got, want)
	}
	if got := b.read(first); got != "0a 1b" {
		t.Errorf("the first snapshot changed to %s", got)
	}
	x, y := b.snapshot(first), b.snapshot(second)
	if *x.DataEncryptionKeyId != *y.DataEncryptionKeyId || *y.KmsKeyId != key {
		t.Error("the second snapshot has another data key")
	}
	changed := testkit.Call[ebsapi.ListChangedBlocksResponse](b.EBS, "ListChangedBlocks", &ebsapi.ListChangedBlocksRequest{FirstSnapshotId: &first, SecondSnapshotId: &second})
	if len(changed.ChangedBlocks) != 2 || changed.ChangedBlocks[1].FirstBlockToken != nil {
		t.Errorf("%d blocks changed", len(changed.ChangedBlocks))
	}
}

func TestARootDiskOfThePublicCatalogueIsReadAndContinued(t *testing.T) {
	b := newBench(t)
	public := testkit.Call[ec2api.DescribeSnapshotsResult](b.EC2, "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"amazon"}}).Snapshots[0]
	want := b.read(*public.SnapshotId)
	if want == "" {
		t.Fatal("a public snapshot has no blocks")
	}
	id := b.start(ebsapi.StartSnapshotRequest{ParentSnapshotId: public.SnapshotId, VolumeSize: new(int64(*public.VolumeSize))})
	b.complete(id, 0)
	if got := b.read(id); got != want {
		t.Errorf("the continuation has %.60s, want %.60s", got, want)
	}
}

func TestPendingSnapshotsOutliveARestart(t *testing.T) {
	b := newBench(t)
	key := b.key()
	id := b.start(ebsapi.StartSnapshotRequest{Encrypted: new(true), KmsKeyArn: new(secret.String(key))})
	b.put(id, 0, "a")
	b.Restart()
	b.Clients = b.As(testkit.Admin(account))
	b.put(id, 5, "b")
	b.complete(id, 2)
	if got := b.read(id); got != "0a 5b" {
		t.Errorf("after a restart the snapshot has %s", got)
	}
	b.refuse("CompleteSnapshot", &ebsapi.CompleteSnapshotRequest{SnapshotId: new("snap-00000000000000000"), ChangedBlocksCount: new(int32(0))}, "ResourceNotFoundException", "")
}
