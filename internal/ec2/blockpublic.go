package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// States of block public access.
// Source: EC2 API Reference, EnableSnapshotBlockPublicAccess and EnableImageBlockPublicAccess.
const (
	blockAll  = "block-all-sharing"
	blockNew  = "block-new-sharing"
	unblocked = "unblocked"
)

// managedByAccount says who set block public access.
const managedByAccount = "account"

// publicBlocks are an account's settings in a region: of snapshots and of images; "" is unblocked.
func publicBlocks(tx store.Tx, region, account string) (snapshots, images string, err error) {
	rec, _, err := settingTable.Get(tx, region, account)
	return rec.SnapshotsBlocked, rec.ImagesBlocked, err
}

func blockState(state string) *string {
	if state == "" {
		state = unblocked
	}
	return &state
}

// EnableSnapshotBlockPublicAccess forbids to share snapshots with everybody; in the mode block-all-sharing those
// that are shared are private as long as it holds. Source: EC2 API Reference, of that name.
func (s *Service) EnableSnapshotBlockPublicAccess(ctx context.Context, c *guard.Call, in *ec2api.EnableSnapshotBlockPublicAccessRequest) (*ec2api.EnableSnapshotBlockPublicAccessResult, error) {
	state := api.Val(in.State)
	if state != blockAll && state != blockNew {
		return nil, invalidValue("Value (%s) for parameter state is invalid. Expecting 'block-all-sharing' or 'block-new-sharing'.", state)
	}
	out := &ec2api.EnableSnapshotBlockPublicAccessResult{State: &state}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.SnapshotsBlocked = state })
}

// DisableSnapshotBlockPublicAccess takes EnableSnapshotBlockPublicAccess back.
func (s *Service) DisableSnapshotBlockPublicAccess(ctx context.Context, c *guard.Call, in *ec2api.DisableSnapshotBlockPublicAccessRequest) (*ec2api.DisableSnapshotBlockPublicAccessResult, error) {
	out := &ec2api.DisableSnapshotBlockPublicAccessResult{State: new(unblocked)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.SnapshotsBlocked = "" })
}

// GetSnapshotBlockPublicAccessState tells the setting.
func (s *Service) GetSnapshotBlockPublicAccessState(ctx context.Context, c *guard.Call, in *ec2api.GetSnapshotBlockPublicAccessStateRequest) (*ec2api.GetSnapshotBlockPublicAccessStateResult, error) {
	out := &ec2api.GetSnapshotBlockPublicAccessStateResult{ManagedBy: new(managedByAccount)}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		state, _, err := publicBlocks(tx, c.Region, c.Account())
		out.State = blockState(state)
		return err
	})
}

// EnableImageBlockPublicAccess forbids to share images with everybody. Source: EC2 API Reference, of that name.
func (s *Service) EnableImageBlockPublicAccess(ctx context.Context, c *guard.Call, in *ec2api.EnableImageBlockPublicAccessRequest) (*ec2api.EnableImageBlockPublicAccessResult, error) {
	state := api.Val(in.ImageBlockPublicAccessState)
	if state != blockNew {
		return nil, invalidValue("Value (%s) for parameter imageBlockPublicAccessState is invalid. Expecting 'block-new-sharing'.", state)
	}
	out := &ec2api.EnableImageBlockPublicAccessResult{ImageBlockPublicAccessState: &state}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.ImagesBlocked = state })
}

// DisableImageBlockPublicAccess takes EnableImageBlockPublicAccess back.
func (s *Service) DisableImageBlockPublicAccess(ctx context.Context, c *guard.Call, in *ec2api.DisableImageBlockPublicAccessRequest) (*ec2api.DisableImageBlockPublicAccessResult, error) {
	out := &ec2api.DisableImageBlockPublicAccessResult{ImageBlockPublicAccessState: new(unblocked)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.ImagesBlocked = "" })
}

// GetImageBlockPublicAccessState tells the setting.
func (s *Service) GetImageBlockPublicAccessState(ctx context.Context, c *guard.Call, in *ec2api.GetImageBlockPublicAccessStateRequest) (*ec2api.GetImageBlockPublicAccessStateResult, error) {
	out := &ec2api.GetImageBlockPublicAccessStateResult{ManagedBy: new(managedByAccount)}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		_, state, err := publicBlocks(tx, c.Region, c.Account())
		out.ImageBlockPublicAccessState = blockState(state)
		return err
	})
}

// publishable is EC2's refusal to share something with everybody. AWS's text is not published.
func (x *sharing) publishable(state, what string) error {
	if !x.add.all || state == "" {
		return nil
	}
	return apierr.Newf("OperationNotPermitted", "You can't publicly share this %s because block public access for %ss is enabled for this account in this Region.", what, what)
}

// hidden drops snapshots that are public but whose owners block all sharing, for others than the owners and
// those they are shared with by name.
func hidden(tx store.Tx, region, account string, snapshots []snapshotRecord) ([]snapshotRecord, error) {
	blocked := map[string]bool{}
	for r, err := range settingTable.Scan(tx, region) {
		if err != nil {
			return nil, err
		}
		blocked[r.Key[1]] = r.Value.SnapshotsBlocked == blockAll
	}
	return slices.DeleteFunc(snapshots, func(r snapshotRecord) bool { return blocked[r.Owner] && r.onlyPublic(account) }), nil
}

// onlyPublic reports whether an account may use a snapshot for no other reason than that everybody may.
func (r *snapshotRecord) onlyPublic(account string) bool {
	private := *r
	private.Public = false
	return !r.Catalogue && r.Public && !private.usable(account)
}

// visible reports whether block public access lets an account use a snapshot that is shared with it.
func (r *snapshotRecord) visible(tx store.Tx, account string) (bool, error) {
	if !r.onlyPublic(account) {
		return true, nil
	}
	state, _, err := publicBlocks(tx, r.Region, r.Owner)
	return state != blockAll, err
}
