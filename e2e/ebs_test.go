package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

const ebsBlock = 512 << 10

// blockOf is a block of a repeated text, with its checksum.
func blockOf(text string) ([]byte, string) {
	b := bytes.Repeat([]byte(text), ebsBlock/len(text)+1)[:ebsBlock]
	sum := sha256.Sum256(b)
	return b, base64.StdEncoding.EncodeToString(sum[:])
}

func putInput(snapshot string, index int32, text string) *ebs.PutSnapshotBlockInput {
	b, sum := blockOf(text)
	return &ebs.PutSnapshotBlockInput{
		SnapshotId: &snapshot, BlockIndex: &index, BlockData: bytes.NewReader(b), DataLength: new(int32(len(b))), Checksum: &sum,
		ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	}
}

// putBlock writes a block and gives its checksum.
func (c *client) putBlock(t *testing.T, snapshot string, index int32, text string) string {
	t.Helper()
	in := putInput(snapshot, index, text)
	if out := must(c.ebs.PutSnapshotBlock(t.Context(), in))(t); str(out.Checksum) != *in.Checksum {
		t.Errorf("the checksum of block %d is %s, want %s", index, str(out.Checksum), *in.Checksum)
	}
	return *in.Checksum
}

func (c *client) complete(t *testing.T, snapshot string, blocks int32) {
	t.Helper()
	must(c.ebs.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: &snapshot, ChangedBlocksCount: &blocks}))(t)
	c.completed(t, snapshot, ec2types.SnapshotStateCompleted)
}

// getBlock reads a block whose token a list gave.
func (c *client) getBlock(t *testing.T, snapshot string, index int32, token *string) []byte {
	t.Helper()
	out := must(c.ebs.GetSnapshotBlock(t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: &snapshot, BlockIndex: &index, BlockToken: token}))(t)
	defer out.BlockData.Close()
	data := must(io.ReadAll(out.BlockData))(t)
	sum := sha256.Sum256(data)
	if str(out.Checksum) != base64.StdEncoding.EncodeToString(sum[:]) || *out.DataLength != ebsBlock || out.ChecksumAlgorithm != "SHA256" {
		t.Errorf("block %d comes with %d bytes, checksum %s", index, *out.DataLength, str(out.Checksum))
	}
	return data
}

// content is the whole of a snapshot, by block.
func (c *client) content(t *testing.T, snapshot string) map[int32]string {
	t.Helper()
	out := map[int32]string{}
	for _, b := range must(c.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &snapshot}))(t).Blocks {
		out[*b.BlockIndex] = string(c.getBlock(t, snapshot, *b.BlockIndex, b.BlockToken)[:4])
	}
	return out
}

func TestAnEncryptedSnapshotIsWrittenAndReadInBlocks(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	in := &ebs.StartSnapshotInput{
		VolumeSize: new(int64(1)), Encrypted: new(true), KmsKeyArn: &key, Description: new("by blocks"), ClientToken: new("one"),
		Tags: []ebstypes.Tag{{Key: new("team"), Value: new("red")}},
	}
	started := must(c.ebs.StartSnapshot(t.Context(), in))(t)
	id := *started.SnapshotId
	if started.Status != ebstypes.StatusPending || str(started.KmsKeyArn) != key || *started.BlockSize != ebsBlock || str(started.OwnerId) != c.account ||
		started.SseType != ebstypes.SSETypeSseKms || len(started.Tags) != 1 {
		t.Errorf("StartSnapshot answers %+v", started)
	}
	if again := must(c.ebs.StartSnapshot(t.Context(), in))(t); *again.SnapshotId != id {
		t.Errorf("the same request made %s and %s", id, *again.SnapshotId)
	}
	other := *in
	other.VolumeSize = new(int64(2))
	refused(c.ebs.StartSnapshot(t.Context(), &other))(t, "ConflictException")

	sums := c.putBlock(t, id, 0, "red!") + " " + c.putBlock(t, id, 7, "blue")
	if got := c.snapshot(t, id); got.State != ec2types.SnapshotStatePending || len(got.Tags) != 1 || str(got.VolumeId) != "vol-ffffffff" {
		t.Errorf("a snapshot being written is %+v", got)
	}
	all := sha256.New()
	for s := range strings.FieldsSeq(sums) {
		all.Write(must(base64.StdEncoding.DecodeString(s))(t))
	}
	complete := &ebs.CompleteSnapshotInput{
		SnapshotId: &id, ChangedBlocksCount: new(int32(2)), Checksum: new(base64.StdEncoding.EncodeToString(all.Sum(nil))),
		ChecksumAlgorithm: "SHA256", ChecksumAggregationMethod: "LINEAR",
	}
	wrong := *complete
	wrong.ChangedBlocksCount = new(int32(3))
	refused(c.ebs.CompleteSnapshot(t.Context(), &wrong))(t, "ValidationException", "changed blocks is 2")
	wrong = *complete
	wrong.Checksum = in.ClientToken
	refused(c.ebs.CompleteSnapshot(t.Context(), &wrong))(t, "ValidationException", "checksum")
	must(c.ebs.CompleteSnapshot(t.Context(), complete))(t)
	c.completed(t, id, ec2types.SnapshotStateCompleted)
	refused(c.ebs.PutSnapshotBlock(t.Context(), putInput(id, 1, "late")))(t, "ValidationException", "completed")

	list := must(c.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id}))(t)
	if len(list.Blocks) != 2 || *list.Blocks[1].BlockIndex != 7 || *list.VolumeSize != 1 || list.ExpiryTime == nil {
		t.Fatalf("ListSnapshotBlocks gives %+v", list)
	}
	want, _ := blockOf("blue")
	if got := c.getBlock(t, id, 7, list.Blocks[1].BlockToken); !bytes.Equal(got, want) {
		t.Errorf("block 7 reads %q", got[:8])
	}
	get := &ebs.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: new(int32(0)), BlockToken: list.Blocks[1].BlockToken}
	refused(c.ebs.GetSnapshotBlock(t.Context(), get))(t, "ValidationException", "block token")

	// The volume made of it has the content, and the file has none of it in the clear.
	volume := *must(c.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), SnapshotId: &id}))(t).VolumeId
	eventually(t, "the volume of the snapshot", func() (bool, string) {
		got := c.keyOf(t, volume)
		return got == key, got
	})
	objects := 0
	err := filepath.WalkDir(filepath.Join(shared.Dir, "snapshots"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // another test's, which is over
			return nil
		}
		objects++
		if bytes.Contains(data, []byte("blueblueblue")) {
			t.Errorf("%s has the block in the clear", path)
		}
		return err
	})
	if err != nil || objects == 0 {
		t.Errorf("%d objects of snapshots, %v", objects, err)
	}
	// Whoever may not decrypt the data key reads nothing.
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
	get.BlockToken = list.Blocks[0].BlockToken
	refused(c.ebs.GetSnapshotBlock(t.Context(), get))(t, "ValidationException", "is disabled")
}

func TestChangedBlocksOfAParentAreListed(t *testing.T) {
	c := admin(t)
	first := *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(1))}))(t).SnapshotId
	for i := range int32(4) {
		c.putBlock(t, first, i*3, fmt.Sprintf("a%02d-", i))
	}
	refused(c.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &first}))(t, "ValidationException")
	c.complete(t, first, 4)
	second := *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(2)), ParentSnapshotId: &first}))(t).SnapshotId
	c.putBlock(t, second, 3, "b03-")
	c.putBlock(t, second, 2047, "b99-")
	c.complete(t, second, 2)
	want := map[int32]string{0: "a00-", 3: "b03-", 6: "a02-", 9: "a03-", 2047: "b99-"}
	if got := c.content(t, second); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the second snapshot has %v, want %v", got, want)
	}
	changed := must(c.ebs.ListChangedBlocks(t.Context(), &ebs.ListChangedBlocksInput{FirstSnapshotId: &first, SecondSnapshotId: &second}))(t)
	if n := len(changed.ChangedBlocks); n != 2 || *changed.ChangedBlocks[0].BlockIndex != 3 || *changed.ChangedBlocks[1].BlockIndex != 2047 {
		t.Fatalf("changed are %+v", changed.ChangedBlocks)
	}
	if b := changed.ChangedBlocks[0]; string(c.getBlock(t, first, 3, b.FirstBlockToken)[:3]) != "a01" || string(c.getBlock(t, second, 3, b.SecondBlockToken)[:3]) != "b03" {
		t.Error("the tokens of a changed block lead elsewhere")
	}
	if changed.ChangedBlocks[1].FirstBlockToken != nil {
		t.Error("the first snapshot has no block 2047, and a token for it")
	}
	whole := must(c.ebs.ListChangedBlocks(t.Context(), &ebs.ListChangedBlocksInput{SecondSnapshotId: &second}))(t)
	if len(whole.ChangedBlocks) != len(want) {
		t.Errorf("without a first snapshot %d blocks changed", len(whole.ChangedBlocks))
	}
	stranger := *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(1))}))(t).SnapshotId
	c.complete(t, stranger, 0)
	e := refused(c.ebs.ListChangedBlocks(t.Context(), &ebs.ListChangedBlocksInput{FirstSnapshotId: &stranger, SecondSnapshotId: &second}))(t, "ValidationException")
	if v, ok := e.(*ebstypes.ValidationException); !ok || v.Reason != ebstypes.ValidationExceptionReasonUnrelatedSnapshots {
		t.Errorf("unrelated snapshots are refused with %+v", e)
	}
}

func TestListsOfBlocksHavePages(t *testing.T) {
	c := admin(t)
	id := *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(1))}))(t).SnapshotId
	const n = 103
	for i := range int32(n) {
		c.putBlock(t, id, i*2, "page")
	}
	c.complete(t, id, n)
	seen := 0
	pages := ebs.NewListSnapshotBlocksPaginator(c.ebs, &ebs.ListSnapshotBlocksInput{SnapshotId: &id, MaxResults: new(int32(100))})
	for i := 0; pages.HasMorePages(); i++ {
		out := must(pages.NextPage(t.Context()))(t)
		if i == 0 && (len(out.Blocks) != 100 || out.NextToken == nil) {
			t.Errorf("the first page has %d blocks", len(out.Blocks))
		}
		seen += len(out.Blocks)
	}
	if seen != n {
		t.Errorf("%d blocks in pages, want %d", seen, n)
	}
	out := must(c.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id, StartingBlockIndex: new(int32(201))}))(t)
	if len(out.Blocks) != 2 {
		t.Errorf("from block 201 on there are %d blocks", len(out.Blocks))
	}
	refused(c.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id, NextToken: new("AAAA")}))(t, "ValidationException", "page token")
	refused(c.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id, MaxResults: new(int32(99))}))(t, "ValidationException")
}

func TestBadRequestsToEBSAreRefused(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	size := new(int64(1))
	plain := *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: size}))(t).SnapshotId
	start := func(change func(*ebs.StartSnapshotInput)) (any, error) {
		in := &ebs.StartSnapshotInput{VolumeSize: size}
		change(in)
		return c.ebs.StartSnapshot(t.Context(), in)
	}
	put := func(change func(*ebs.PutSnapshotBlockInput)) (any, error) {
		in := putInput(plain, 0, "data")
		change(in)
		return c.ebs.PutSnapshotBlock(t.Context(), in)
	}
	for name, x := range map[string]struct {
		call func() (any, error)
		code string
	}{
		"key without Encrypted": {func() (any, error) { return start(func(in *ebs.StartSnapshotInput) { in.KmsKeyArn = &key }) }, "ValidationException"},
		"Encrypted with a parent": {func() (any, error) {
			return start(func(in *ebs.StartSnapshotInput) { in.Encrypted, in.ParentSnapshotId = new(true), &plain })
		}, "ValidationException"},
		"pending parent": {func() (any, error) { return start(func(in *ebs.StartSnapshotInput) { in.ParentSnapshotId = &plain }) }, "ValidationException"},
		"no parent": {func() (any, error) {
			return start(func(in *ebs.StartSnapshotInput) { in.ParentSnapshotId = new("snap-0") })
		}, "ResourceNotFoundException"},
		"too large": {func() (any, error) {
			return start(func(in *ebs.StartSnapshotInput) { in.VolumeSize = new(int64(65537)) })
		}, "ValidationException"},
		"timeout": {func() (any, error) { return start(func(in *ebs.StartSnapshotInput) { in.Timeout = new(int32(9)) }) }, "ValidationException"},
		"no such key": {func() (any, error) {
			return start(func(in *ebs.StartSnapshotInput) { in.Encrypted, in.KmsKeyArn = new(true), new(key[:len(key)-4]+"0000") })
		}, "ResourceNotFoundException"},
		"checksum": {func() (any, error) { return put(func(in *ebs.PutSnapshotBlockInput) { in.Checksum = new("AAAA") }) }, "ValidationException"},
		"outside": {func() (any, error) {
			return put(func(in *ebs.PutSnapshotBlockInput) { in.BlockIndex = new(int32(2048)) })
		}, "ValidationException"},
		"half a block": {func() (any, error) {
			return put(func(in *ebs.PutSnapshotBlockInput) { in.DataLength = new(int32(4096)) })
		}, "ValidationException"},
		"no snapshot": {func() (any, error) {
			return put(func(in *ebs.PutSnapshotBlockInput) { in.SnapshotId = new("snap-0123456789abcdef0") })
		}, "ResourceNotFoundException"},
		"not an id": {func() (any, error) { return put(func(in *ebs.PutSnapshotBlockInput) { in.SnapshotId = new("vol-1") }) }, "ValidationException"},
		"complete no one": {func() (any, error) {
			return c.ebs.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: new("snap-0123456789abcdef0"), ChangedBlocksCount: new(int32(0))})
		}, "ResourceNotFoundException"},
	} {
		out, err := x.call()
		t.Log(name)
		refused(out, err)(t, x.code)
	}
	// Permissions: of EBS, then of KMS.
	nobody := c.user(t, "nobody", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ebs:StartSnapshot","Resource":"arn:aws:ec2:*::snapshot/*","Condition":{"NumericLessThan":{"ebs:VolumeSize":"5"}}}}`)
	must(nobody.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: size}))(t)
	refused(nobody.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(5))}))(t, "AccessDeniedException", "ebs:StartSnapshot")
	refused(nobody.ebs.PutSnapshotBlock(t.Context(), putInput(plain, 0, "data")))(t, "AccessDeniedException", "ebs:PutSnapshotBlock")
	e := refused(nobody.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: size, Encrypted: new(true), KmsKeyArn: &key}))(t, "AccessDeniedException")
	if v, ok := e.(*ebstypes.AccessDeniedException); !ok || v.Reason != ebstypes.AccessDeniedExceptionReasonDependencyAccessDenied {
		t.Errorf("without the key's permission: %+v", e)
	}
	// Encryption by default.
	must(c.ec2.EnableEbsEncryptionByDefault(t.Context(), &ec2.EnableEbsEncryptionByDefaultInput{}))(t)
	if out := must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: size}))(t); out.KmsKeyArn == nil {
		t.Error("with encryption by default a snapshot is plain")
	}
	c.complete(t, plain, 0)
	refused(start(func(in *ebs.StartSnapshotInput) { in.ParentSnapshotId = &plain }))(t, "ValidationException", "must be encrypted")
}
