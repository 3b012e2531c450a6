package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// TestEncryptedCopiesGoToAnotherRegion: a snapshot and an image, with the content, under keys of that Region.
func TestEncryptedCopiesGoToAnotherRegion(t *testing.T) {
	const there = "eu-central-1"
	c := admin(t)
	far := c.in(there)
	key := c.key(t, "")
	id := *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(1)), Encrypted: new(true), KmsKeyArn: &key}))(t).SnapshotId
	c.putBlock(t, id, 3, "kept")
	c.complete(t, id, 1)
	farKey := *must(far.kms.CreateKey(t.Context(), &kms.CreateKeyInput{}))(t).KeyMetadata.Arn
	out := must(far.ec2.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: new(seed.Region), SourceSnapshotId: &id, Encrypted: new(true), KmsKeyId: &farKey}))(t)
	if s := far.completed(t, *out.SnapshotId, ec2types.SnapshotStateCompleted); str(s.KmsKeyId) != farKey || str(s.Progress) != "100%" {
		t.Errorf("the copy is %+v", s)
	}
	if got := far.content(t, *out.SnapshotId); len(got) != 1 || got[3] != "kept" {
		t.Errorf("the copy holds %v", got)
	}
	a, b := c.snapshot(t, id), far.snapshot(t, *out.SnapshotId)
	if str(a.DataEncryptionKeyId) == str(b.DataEncryptionKeyId) {
		t.Error("the copy has the source's data key")
	}
	wrong := must(far.ec2.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: new(seed.Region), SourceSnapshotId: &id, Encrypted: new(true), KmsKeyId: &key}))(t)
	if s := far.completed(t, *wrong.SnapshotId, ec2types.SnapshotStateError); str(s.StateMessage) != "Given key ID is not accessible" {
		t.Errorf("a copy under a key of the source's Region is %+v", s)
	}

	img := c.image(t, "golden", id)
	copied := *must(far.ec2.CopyImage(t.Context(), &ec2.CopyImageInput{SourceRegion: new(seed.Region), SourceImageId: &img, Name: new("copied")}))(t).ImageId
	eventually(t, "the copied image", func() (bool, string) {
		i := must(far.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{copied}}))(t).Images[0]
		return i.State == ec2types.ImageStateAvailable, string(i.State)
	})
	i := must(far.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{copied}}))(t).Images[0]
	s := far.snapshot(t, *i.BlockDeviceMappings[0].Ebs.SnapshotId)
	if k := str(s.KmsKeyId); !strings.Contains(k, there) || k == farKey {
		t.Errorf("the copied image's snapshot is under %s, want the default key there", k)
	}
	if got := far.content(t, *s.SnapshotId); got[3] != "kept" {
		t.Errorf("the copied image holds %v", got)
	}
}
