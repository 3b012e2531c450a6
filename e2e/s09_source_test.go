package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func TestS9_TheKeyIsChosenWithTheSnapshot(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	x, y := c.seedKey(t), c.seedKey(t)
	first := c.filledSnapshot(t, x)
	second := *must(c.ec2.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{
		SourceRegion: new(seed.Region), SourceSnapshotId: &first, Encrypted: new(true), KmsKeyId: &y,
	}))(t).SnapshotId
	a, b := c.snapshot(t, first), c.completed(t, second, ec2types.SnapshotStateCompleted)
	if !*a.Encrypted || str(a.KmsKeyId) != x || !*b.Encrypted || str(b.KmsKeyId) != y {
		t.Errorf("the snapshots are under %s and %s, want %s and %s", str(a.KmsKeyId), str(b.KmsKeyId), x, y)
	}
	if a.DataEncryptionKeyId == nil || b.DataEncryptionKeyId == nil || *a.DataEncryptionKeyId == *b.DataEncryptionKeyId {
		t.Errorf("the data keys are %q and %q", str(a.DataEncryptionKeyId), str(b.DataEncryptionKeyId))
	}
	for name, i := range map[string]struct{ snapshot, key string }{"snapshot": {first, x}, "copy": {second, y}} {
		c.templateOf(t, name, c.image(t, name, i.snapshot)) // no word of encryption
		g := c.groupBy(t, groupInput(name, 1))
		g.launchOK(t, 1, c, map[string]string{"/dev/xvda": i.key})
	}
}

func TestS9_TheKeyOfTheSnapshotNeedsTheStatementsToo(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	old, fresh := c.key(t, ""), c.seedKey(t)
	// The template's key was prepared; the image still carries the old one.
	g := c.groupOf(t, c.imageUnder(t, old), 1, dataDevice(fresh))
	c.why(t, g.launchFail(t, c, old)).denied(t, seed.Session(c.account), "kms:ReEncryptFrom", old, "key-policy", seed.Role(c.account))
	role := seed.Role(c.account)
	c.setPolicy(t, old, seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": old, "/dev/sdf": fresh})
}

func TestS9_ACopyWithoutAccessToAKeyEndsInError(t *testing.T) {
	c := admin(t)
	x, y := c.key(t, ""), c.key(t, "")
	snap := c.filledSnapshot(t, x)
	u := c.user(t, "copier", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`)
	in := &ec2.CopySnapshotInput{SourceRegion: new(seed.Region), SourceSnapshotId: &snap, Encrypted: new(true), KmsKeyId: &y}
	made := *must(u.ec2.CopySnapshot(t.Context(), in))(t).SnapshotId
	if s := c.completed(t, made, ec2types.SnapshotStateError); str(s.StateMessage) != "Given key ID is not accessible" {
		t.Errorf("the state message is %q", str(s.StateMessage))
	}
	c.why(t, made).denied(t, u.arn(t), "kms:DescribeKey", y)
	volume, err := c.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), SnapshotId: &made})
	refused(volume, err)(t, "IncorrectState")
	for _, key := range []string{x, y} {
		if n := len(c.grants(t, key)); n != 0 {
			t.Errorf("%d grants are left on %s", n, key)
		}
	}
	// With the permission on both keys the same copy is made.
	c.allow(t, "copier", "kms", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":["`+x+`","`+y+`"],
"Action":["kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey","kms:Decrypt"]}]}`)
	c.completed(t, *must(u.ec2.CopySnapshot(t.Context(), in))(t).SnapshotId, ec2types.SnapshotStateCompleted)
}

// An image made of a running instance keeps the keys of its volumes. Copies of images belong to a
// later step and are not here.
func TestS9_AnImageOfAnInstanceKeepsTheKeysOfItsVolumes(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	x, y := c.seedKey(t), c.seedKey(t)
	id := c.group(t, 1, rootDevice(x), dataDevice(y)).launchOK(t, 1, c, map[string]string{"/dev/xvda": x, "/dev/sdf": y})[0]
	img := *must(c.ec2.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: &id, Name: new("golden"), NoReboot: new(true)}))(t).ImageId
	eventually(t, img+" available", func() (bool, string) {
		i := must(c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{img}}))(t).Images[0]
		return i.State == ec2types.ImageStateAvailable, string(i.State)
	})
	c.templateOf(t, "golden", img)
	g := c.groupBy(t, groupInput("golden", 1))
	g.checkVolumes(t, g.running(t, 1)[0], map[string]string{"/dev/xvda": x, "/dev/sdf": y})
}
