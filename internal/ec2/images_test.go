package ec2_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func imageIDs(out *ec2api.DescribeImagesResult) (ids []string) {
	for _, i := range out.Images {
		ids = append(ids, *i.ImageId)
	}
	return ids
}

func TestImagesByOwnerAndFilter(t *testing.T) {
	d := newDesk(t)
	all := len(ask[ec2api.DescribeImagesResult](d, d.root(mine), &ec2api.DescribeImagesRequest{IncludeDeprecated: new(true)}).Images)
	tests := []struct {
		name string
		in   ec2api.DescribeImagesRequest
		want int
	}{
		{"owner alias", ec2api.DescribeImagesRequest{Owners: []string{"amazon"}, IncludeDeprecated: new(true)}, all},
		{"owner account", ec2api.DescribeImagesRequest{Owners: []string{"099720109477"}, Filters: []ec2api.Filter{filter("architecture", "arm64")}}, 3},
		{"owner accounts", ec2api.DescribeImagesRequest{Owners: []string{"137112412989", "136693071363", "099720109477"}, IncludeDeprecated: new(true)}, all},
		{"own images", ec2api.DescribeImagesRequest{Owners: []string{"self"}}, 0},
		{"everybody may use them", ec2api.DescribeImagesRequest{ExecutableUsers: []string{"all"}, IncludeDeprecated: new(true)}, all},
		{"nobody named the caller", ec2api.DescribeImagesRequest{ExecutableUsers: []string{"self"}, IncludeDeprecated: new(true)}, 0},
		{"deprecated ones are hidden", ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("name", "amzn-ami-hvm-*")}}, 0},
		{"unless asked for", ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("name", "amzn-ami-hvm-*")}, IncludeDeprecated: new(true)}, 4},
		{"or named", ec2api.DescribeImagesRequest{ImageIds: []string{"ami-12c6146b"}}, 1},
		{"name and architecture", ec2api.DescribeImagesRequest{Owners: []string{"amazon"}, Filters: []ec2api.Filter{
			filter("name", "al2023-ami-2023.*-kernel-6.1-*"), filter("architecture", "arm64"),
			filter("virtualization-type", "hvm"), filter("root-device-type", "ebs"), filter("state", "available"),
		}}, 2},
		{"two values", ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("architecture", "arm64", "x86_64"), filter("name", "al2023-ami-2023*")}}, 4},
		{"case matters", ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("name", "AL2023-*")}}, 0},
		{"encrypted device", ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("block-device-mapping.encrypted", "true")}}, 0},
	}
	for _, tt := range tests {
		if got := imageIDs(ask[ec2api.DescribeImagesResult](d, d.root(mine), &tt.in)); len(got) != tt.want {
			t.Errorf("%s: got %v, want %d", tt.name, got, tt.want)
		}
	}
}

func TestImageErrors(t *testing.T) {
	d := newDesk(t)
	d.refuse(d.root(mine), &ec2api.DescribeImagesRequest{ImageIds: []string{"ami-00000000"}}, "InvalidAMIID.NotFound", "The image id '[ami-00000000]' does not exist")
	d.refuse(d.root(mine), &ec2api.DescribeImagesRequest{ImageIds: []string{"linux"}}, "InvalidAMIID.Malformed", `Invalid id: "linux" (expecting "ami-...")`)
	d.refuse(d.root(mine), &ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("colour", "red")}}, "InvalidParameterValue", "The filter 'colour' is invalid")
	d.refuse(d.root(mine), &ec2api.DescribeImagesRequest{NextToken: new("x")}, "InvalidNextToken", "The token 'x' is invalid")
}

func TestImageHasARootDiskWithASnapshot(t *testing.T) {
	d := newDesk(t)
	i := ask[ec2api.DescribeImagesResult](d, d.root(mine), &ec2api.DescribeImagesRequest{ImageIds: []string{"ami-03cf127a"}}).Images[0]
	if *i.RootDeviceName != "/dev/xvda" || *i.BlockDeviceMappings[0].DeviceName != "/dev/xvda" || *i.State != "available" || *i.OwnerId != "137112412989" ||
		*i.CreationDate != "2017-08-12T00:00:00.000Z" || *i.DeprecationTime != "2019-08-12T00:00:00.000Z" {
		t.Errorf("got %+v", i)
	}
	ebs := i.BlockDeviceMappings[0].Ebs
	if *ebs.Encrypted || !*ebs.DeleteOnTermination || *ebs.VolumeSize != 8 {
		t.Errorf("got %+v", ebs)
	}
	snaps := ask[ec2api.DescribeSnapshotsResult](d, d.root(mine), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{*ebs.SnapshotId}}).Snapshots
	if len(snaps) != 1 || *snaps[0].State != "completed" || *snaps[0].Progress != "100%" || *snaps[0].Encrypted || *snaps[0].VolumeSize != 8 {
		t.Errorf("got %+v", snaps)
	}
}

func TestImagesOfTodayAreDeprecatedInYears(t *testing.T) {
	d := newDesk(t)
	for _, i := range ask[ec2api.DescribeImagesResult](d, d.root(mine), &ec2api.DescribeImagesRequest{Owners: []string{"137112412989"}}).Images {
		at, err := time.Parse(time.RFC3339, *i.DeprecationTime)
		if err != nil || at.Before(time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s is deprecated at %s", *i.Name, *i.DeprecationTime)
		}
		if !strings.HasPrefix(*i.Description, "Amazon Linux 2") || !strings.Contains(*i.Description, " AMI ") {
			t.Errorf("%s is described as %q", *i.Name, *i.Description)
		}
	}
}

// Sources: what AWS shows of Canonical's images; Cluster API's provider looks for the last of these.
func TestUbuntuIsDescribedAsCanonicalDoes(t *testing.T) {
	d := newDesk(t)
	for _, pattern := range []string{"Canonical, Ubuntu, 20.04, arm64 focal image*", "Canonical, Ubuntu, 22.04, amd64 jammy image*", "Canonical??Ubuntu??24.04??amd64?noble?image*"} {
		got := ask[ec2api.DescribeImagesResult](d, d.root(mine), &ec2api.DescribeImagesRequest{
			Owners: []string{"099720109477"}, Filters: []ec2api.Filter{{Name: new("description"), Values: []string{pattern}}},
		}).Images
		if len(got) != 1 {
			t.Errorf("%s: %+v", pattern, got)
		}
	}
}

func TestSnapshotsByOwner(t *testing.T) {
	d := newDesk(t)
	all := len(ask[ec2api.DescribeSnapshotsResult](d, d.root(mine), &ec2api.DescribeSnapshotsRequest{}).Snapshots)
	tests := []struct {
		name string
		in   ec2api.DescribeSnapshotsRequest
		want int
	}{
		{"own", ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}}, 0},
		{"of an alias", ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"amazon"}}, all},
		{"for everybody", ec2api.DescribeSnapshotsRequest{RestorableByUserIds: []string{"all"}}, all},
		{"for the caller by name", ec2api.DescribeSnapshotsRequest{RestorableByUserIds: []string{"self"}}, 0},
		{"encrypted", ec2api.DescribeSnapshotsRequest{Filters: []ec2api.Filter{filter("encrypted", "true")}}, 0},
		{"status and size", ec2api.DescribeSnapshotsRequest{Filters: []ec2api.Filter{filter("status", "completed"), filter("volume-size", "2", "8")}}, all},
	}
	for _, tt := range tests {
		if got := len(ask[ec2api.DescribeSnapshotsResult](d, d.root(mine), &tt.in).Snapshots); got != tt.want || all == 0 {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	d.refuse(d.root(mine), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{"snap-00000000"}}, "InvalidSnapshot.NotFound", "The snapshot 'snap-00000000' does not exist.")
	d.refuse(d.root(mine), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{"vol-1"}}, "InvalidParameterValue", "Value (vol-1) for parameter snapshotId is invalid. Expected: 'snap-...'.")
	d.refuse(d.root(mine), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{""}}, "InvalidParameterValue", "Value () for parameter snapshotId is invalid. Parameter may not be null or empty")
	d.refuse(d.root(mine), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{"snap-1x"}}, "InvalidSnapshotID.Malformed", `Invalid id: "snap-1x" (expecting "snap-...")`)
	d.refuse(d.root(mine), &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"me"}}, "InvalidParameterValue", "*")
}

func TestPagesAddUp(t *testing.T) {
	d := newDesk(t)
	want := imageIDs(ask[ec2api.DescribeImagesResult](d, d.root(mine), &ec2api.DescribeImagesRequest{IncludeDeprecated: new(true)}))
	var got []string
	in := &ec2api.DescribeImagesRequest{IncludeDeprecated: new(true), MaxResults: new(int32(3))}
	for {
		out := ask[ec2api.DescribeImagesResult](d, d.root(mine), in)
		if len(out.Images) > 3 {
			t.Fatalf("a page of %d", len(out.Images))
		}
		got = append(got, imageIDs(out)...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if !slices.Equal(got, want) || len(want) < 4 {
		t.Errorf("got %v, want %v", got, want)
	}
	token := ask[ec2api.DescribeImagesResult](d, d.root(mine), &ec2api.DescribeImagesRequest{IncludeDeprecated: new(true), MaxResults: new(int32(3))}).NextToken
	d.refuse(d.root(mine), &ec2api.DescribeSnapshotsRequest{NextToken: token}, "InvalidNextToken", "*")
}
