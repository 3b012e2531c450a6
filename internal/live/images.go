package live

import (
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// nobody stands for the account of an image that the account of the launch cannot see.
const nobody = "000000000000"

// errUnseen says that nobody sees an image or snapshot.
var errUnseen = reason("it is not visible to the account of the launch")

// image reads an image with the snapshots of its devices. It returns nil if the template names none
// that can be told; path is the place of the identifier. dropped are devices that the template takes
// out.
func (r *reader) image(id *string, path string, dropped []string) (*string, error) {
	if api.Val(id) == "" {
		r.note("%s names no image: whoever launches names it", path)
		return nil, nil
	}
	if slices.ContainsFunc(r.sc.Images, func(m format.Image) bool { return m.ID == *id }) {
		return id, nil
	}
	for i, a := range r.accounts {
		out, err := ask[ec2api.DescribeImagesResult](r.ctx, r.Session, a, "ec2", "DescribeImages", &ec2api.DescribeImagesRequest{ImageIds: []string{*id}})
		switch {
		case is(err, "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable") || err == nil && len(out.Images) == 0:
			continue
		case err != nil && i == 0:
			return nil, r.unread(err, path)
		case err != nil:
			if err := r.unread(err); err != nil {
				return nil, err
			}
			continue
		}
		return r.addImage(&out.Images[0], i == 0, path, dropped)
	}
	return r.missingImage(*id)
}

// missingImage lists an image that the account of the launch does not see: with it, a launch is
// refused.
func (r *reader) missingImage(id string) (*string, error) {
	r.note("the image %s is not visible to account %s", id, r.home().id)
	if !slices.ContainsFunc(r.sc.Accounts, func(a format.Account) bool { return a.ID == nobody }) {
		r.sc.Accounts = append(r.sc.Accounts, format.Account{ID: nobody, Name: "nobody knows"})
	}
	if !slices.ContainsFunc(r.sc.Snapshots, func(s format.Snapshot) bool { return s.Owner == nobody }) {
		r.sc.Snapshots = append(r.sc.Snapshots, format.Snapshot{ID: "snap-unseen", Owner: nobody})
	}
	r.sc.Images = append(r.sc.Images, format.Image{ID: id, Owner: nobody, Devices: []format.ImageDevice{{Device: "/dev/xvda", SnapshotID: "snap-unseen"}}})
	return &id, nil
}

// addImage lists an image, its root device first.
func (r *reader) addImage(m *ec2api.Image, visible bool, path string, dropped []string) (*string, error) {
	out := format.Image{ID: api.Val(m.ImageId), Owner: api.Val(m.OwnerId)}
	if err := r.account(out.Owner); err != nil {
		return nil, err
	}
	if visible && out.Owner != r.home().id {
		out.SharedWith = []string{r.home().id}
	}
	for _, root := range []bool{true, false} {
		for _, d := range m.BlockDeviceMappings {
			name := api.Val(d.DeviceName)
			if (name == api.Val(m.RootDeviceName)) != root || d.Ebs == nil || api.Val(d.Ebs.SnapshotId) == "" || slices.Contains(dropped, name) {
				continue
			}
			if err := r.snapshot(*d.Ebs.SnapshotId, out.Owner, d.Ebs.Encrypted); err != nil {
				return nil, err
			}
			out.Devices = append(out.Devices, format.ImageDevice{Device: name, SnapshotID: *d.Ebs.SnapshotId})
		}
	}
	if len(out.Devices) == 0 {
		r.note("%s: the image %s has no volumes", path, out.ID)
		return nil, nil
	}
	r.sc.Images = append(r.sc.Images, out)
	return &r.sc.Images[len(r.sc.Images)-1].ID, nil
}

// snapshot reads a snapshot. owner and encrypted are what is known of one that is not shared itself,
// for it belongs to an image that is; nil is nothing.
func (r *reader) snapshot(id, owner string, encrypted *bool) error {
	if slices.ContainsFunc(r.sc.Snapshots, func(s format.Snapshot) bool { return s.ID == id }) {
		return nil
	}
	var why error = errUnseen
	asked := []*account{r.home()}
	if a := r.access(owner); a != nil && a != r.home() {
		asked = append(asked, a)
	}
	for _, a := range asked {
		out, err := ask[ec2api.DescribeSnapshotsResult](r.ctx, r.Session, a, "ec2", "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}})
		switch {
		case is(err, "InvalidSnapshot.NotFound") || err == nil && len(out.Snapshots) == 0:
			continue
		case err != nil:
			if why = err; r.unread(err) != nil {
				return err
			}
			continue
		}
		return r.addSnapshot(&out.Snapshots[0])
	}
	if owner == "" {
		owner = nobody
	}
	if err := r.account(owner); err != nil {
		return err
	}
	s := format.Snapshot{ID: id, Owner: owner, Encrypted: encrypted == nil || *encrypted}
	path := fmt.Sprintf("/snapshots/%d", len(r.sc.Snapshots))
	if s.Encrypted {
		why = fmt.Errorf("the key of snapshot %s: %w", id, why)
		name, err := r.unseenKey(owner, why)
		if err != nil {
			return err
		}
		s.Key = &name
		if err := r.unread(why, path+"/key"); err != nil {
			return err
		}
	}
	if encrypted == nil {
		if err := r.unread(fmt.Errorf("whether snapshot %s is encrypted: %w", id, why), path+"/encrypted"); err != nil {
			return err
		}
	}
	r.sc.Snapshots = append(r.sc.Snapshots, s)
	return nil
}

func (r *reader) addSnapshot(s *ec2api.Snapshot) error {
	out := format.Snapshot{ID: api.Val(s.SnapshotId), Owner: api.Val(s.OwnerId), Encrypted: api.Val(s.Encrypted)}
	if err := r.account(out.Owner); err != nil {
		return err
	}
	if out.Owner != r.home().id {
		out.SharedWith = []string{r.home().id}
	}
	if out.Encrypted {
		if err := r.listed(api.Val(s.KmsKeyId)); err != nil {
			return err
		}
		out.Key = s.KmsKeyId
	}
	r.sc.Snapshots = append(r.sc.Snapshots, out)
	return nil
}

// everybody is a key policy with which only the state of a key matters.
const everybody = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`

// listed reads the key of something that is encrypted already. One that is gone is listed as pending
// deletion: it cannot be used any more either.
func (r *reader) listed(name string) error {
	if err := r.keyOf(name, nil); err != nil || r.sc.Key(name) != nil {
		return err
	}
	a, err := arn.Parse(name)
	if err != nil {
		return fmt.Errorf("live: %q is not the ARN of a key: %w", name, err)
	}
	if err := r.account(a.Account); err != nil {
		return err
	}
	r.note("the key %s does not exist any more; it is told as one that is pending deletion", name)
	r.sc.Keys = append(r.sc.Keys, format.Key{
		ARN: name, Account: a.Account, Region: a.Region, Manager: format.ManagerCustomer, Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT", State: "PendingDeletion",
		Tags: map[string]string{}, Policy: format.Document(everybody),
	})
	return nil
}
