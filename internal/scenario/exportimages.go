package scenario

import (
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (x *exporter) snapshots(ctx context.Context, account string) error {
	return pages(func(next *string) (*string, error) {
		var list ec2api.DescribeSnapshotsResult
		err := x.s.ask(ctx, x.at(account), "ec2", "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}, NextToken: next}, &list)
		if err != nil {
			return nil, err
		}
		for _, s := range list.Snapshots {
			if api.Val(s.Description) == standInSnapshot {
				continue
			}
			if state := api.Val(s.State); state != "completed" {
				x.note("the snapshot %s is %s", api.Val(s.SnapshotId), state)
				continue
			}
			var attr ec2api.DescribeSnapshotAttributeResult
			err := x.s.ask(ctx, x.at(account), "ec2", "DescribeSnapshotAttribute", &ec2api.DescribeSnapshotAttributeRequest{
				SnapshotId: s.SnapshotId, Attribute: new("createVolumePermission"),
			}, &attr)
			if err != nil {
				return nil, err
			}
			out := Snapshot{ID: api.Val(s.SnapshotId), Owner: account, Encrypted: api.Val(s.Encrypted), SharedWith: []string{}}
			if out.Encrypted {
				out.Key = s.KmsKeyId
			}
			for _, p := range attr.CreateVolumePermissions {
				if p.UserId != nil {
					out.SharedWith = append(out.SharedWith, *p.UserId)
				} else {
					x.note("the snapshot %s is public", out.ID)
				}
			}
			x.sc.Snapshots = append(x.sc.Snapshots, out)
		}
		return list.NextToken, nil
	})
}

func (x *exporter) images(ctx context.Context, account string) error {
	return pages(func(next *string) (*string, error) {
		var list ec2api.DescribeImagesResult
		err := x.s.ask(ctx, x.at(account), "ec2", "DescribeImages", &ec2api.DescribeImagesRequest{Owners: []string{"self"}, NextToken: next}, &list)
		if err != nil {
			return nil, err
		}
		for _, m := range list.Images {
			if strings.HasSuffix(api.Val(m.Name), " "+standInImage) {
				x.standIn = api.Val(m.ImageId)
				continue
			}
			if err := x.image(ctx, account, m); err != nil {
				return nil, err
			}
		}
		return list.NextToken, nil
	})
}

func (x *exporter) image(ctx context.Context, account string, m ec2api.Image) error {
	out := Image{ID: api.Val(m.ImageId), Owner: account, SharedWith: []string{}, Devices: []ImageDevice{}}
	var attr ec2api.ImageAttribute
	err := x.s.ask(ctx, x.at(account), "ec2", "DescribeImageAttribute", &ec2api.DescribeImageAttributeRequest{
		ImageId: m.ImageId, Attribute: new("launchPermission"),
	}, &attr)
	if err != nil {
		return err
	}
	for _, p := range attr.LaunchPermissions {
		if p.UserId != nil {
			out.SharedWith = append(out.SharedWith, *p.UserId)
		} else {
			x.note("the image %s is open to more than accounts", out.ID)
		}
	}
	for _, root := range []bool{true, false} { // the root device comes first
		for _, d := range m.BlockDeviceMappings {
			name := api.Val(d.DeviceName)
			switch {
			case (name == api.Val(m.RootDeviceName)) != root:
			case d.Ebs == nil || d.Ebs.SnapshotId == nil:
				x.note("the device %s of the image %s has no snapshot", name, out.ID)
			default:
				out.Devices = append(out.Devices, ImageDevice{Device: name, SnapshotID: *d.Ebs.SnapshotId})
			}
		}
	}
	x.sc.Images = append(x.sc.Images, out)
	return nil
}
