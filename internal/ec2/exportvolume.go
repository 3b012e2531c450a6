package ec2

import (
	"context"
	"errors"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// ExportOperations are the handlers of operations of the service kagimori, which let clients of NBD
// use attached volumes.
func (s *Service) ExportOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"ExportVolume":      guard.Handle(s.ExportVolume),
		"ListVolumeExports": guard.Handle(s.ListVolumeExports),
		"EndVolumeExports":  guard.HandleVoid(s.EndVolumeExports),
	}
}

// Exported is the export with a name, for a server of NBD.
func (s *Service) Exported(name string) (nbd.Export, bool) { return s.host.Exported(name) }

// ExportVolume lets whoever knows the name in the answer read and write a volume of the caller's account
// that is attached to a running instance, until it is detached, the instance stops, or the server
// does. Errors: ResourceNotFoundException, ConflictException, LimitExceededException.
func (s *Service) ExportVolume(ctx context.Context, c *guard.Call, in *kagimoriapi.ExportVolumeRequest) (*kagimoriapi.ExportVolumeResponse, error) {
	var v volumeRecord
	err := s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		if v, err = s.allowExport(tx, c, api.Val(in.VolumeId)); err != nil {
			return err
		}
		switch {
		case s.room == nil && !s.host.Exporting():
			return errExportsNothing("This server")
		case s.absent(v.Host):
			return apierr.Newf("ConflictException", "Volume %s is on the host %s, which is not there.", v.ID, v.Host)
		case !s.rack(v.Host).Holds(v.ID, "") || s.room == nil && !s.ours(v.Host):
			return errNotHeld(&v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e := hosts.ExportSpec{
		Volume: v.ID, Region: v.Region, Account: v.Account, Principal: c.Caller.Principal.ARN, Made: s.g.Now(), ReadOnly: api.Val(in.ReadOnly),
	}
	made, err := s.rack(v.Host).Export(ctx, e)
	switch {
	case errors.Is(err, hosts.ErrNotHeld):
		return nil, errNotHeld(&v)
	case errors.Is(err, hosts.ErrManyExports):
		return nil, apierr.Newf("LimitExceededException", "Volume %s has %d exports already.", v.ID, hosts.MaxExports)
	case errors.Is(err, hosts.ErrNoExports):
		return nil, errExportsNothing("The host " + v.Host)
	case errors.Is(err, hosts.ErrAway), errors.Is(err, hosts.ErrLost):
		return nil, apierr.Newf("ConflictException", "Volume %s is on the host %s, which cannot be reached.", v.ID, v.Host)
	case err != nil:
		return nil, err
	}
	return &kagimoriapi.ExportVolumeResponse{
		Export: new(exportWire(e)), ExportName: new(secret.String(made.Name)), Size: new(made.Size), Addresses: made.Addresses,
	}, nil
}

func errExportsNothing(who string) error {
	return apierr.Newf("ConflictException", "%s does not export volumes: it was started without --nbd.", who)
}

// errNotHeld: no running instance has the volume open.
func errNotHeld(v *volumeRecord) error {
	if len(v.Plugs) == 0 {
		return apierr.Newf("ConflictException", "Volume %s is not attached.", v.ID)
	}
	return apierr.Newf("ConflictException", "Volume %s is attached to %s, which does not run with it.", v.ID, v.Plugs[0].Instance)
}

// allowExport finds a volume of the caller and decides the action of the call on it.
func (s *Service) allowExport(tx store.Tx, c *guard.Call, id string) (volumeRecord, error) {
	v := volumeRecord{Region: c.Region, Account: c.Account(), ID: id} // decided even of one that is not there
	tags, err := tagsOf(tx, v.Region, v.Account, v.ID)
	if err != nil {
		return v, err
	}
	c.Touch(v.arn(), v.Account, "AWS::EC2::Volume")
	p := authz.Part{Action: "kagimori:" + c.Operation, Resource: authz.Resource{ARN: v.arn(), Account: v.Account, Tags: authz.TagsOf(tags)}}
	if _, err := s.g.Allow(tx, c, p); err != nil {
		return v, err
	}
	found, ok, err := volumeTable.Get(tx, v.Region, v.Account, v.ID)
	if err == nil && !ok {
		err = apierr.Newf("ResourceNotFoundException", "The volume '%s' does not exist.", id)
	}
	return found, err
}

func exportWire(e hosts.ExportSpec) kagimoriapi.VolumeExport {
	return kagimoriapi.VolumeExport{VolumeId: &e.Volume, ReadOnly: &e.ReadOnly, Principal: &e.Principal, CreationDate: &e.Made}
}

// ListVolumeExports lists the exports of the caller's account in the Region, without their names.
func (s *Service) ListVolumeExports(ctx context.Context, c *guard.Call, _ *kagimoriapi.ListVolumeExportsRequest) (*kagimoriapi.ListVolumeExportsResponse, error) {
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		_, err := s.g.Allow(tx, c, authz.Part{Action: "kagimori:ListVolumeExports", Resource: authz.Resource{ARN: "*", Account: c.Account()}})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &kagimoriapi.ListVolumeExportsResponse{Exports: []kagimoriapi.VolumeExport{}}
	all, err := s.allExports(ctx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		out.Exports = append(out.Exports, exportWire(e))
	}
	return out, nil
}

// EndVolumeExports ends all exports of a volume of the caller's account: its clients are disconnected.
// It is no error that there are none.
func (s *Service) EndVolumeExports(ctx context.Context, c *guard.Call, in *kagimoriapi.EndVolumeExportsRequest) error {
	host := ""
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		v, err := s.allowExport(tx, c, api.Val(in.VolumeId))
		host = v.Host
		return err
	})
	if err != nil {
		return err
	}
	if err := s.rack(host).EndExports(ctx, api.Val(in.VolumeId)); errors.Is(err, hosts.ErrAway) {
		return apierr.Newf("ConflictException", "Volume %s is on the host %s, which cannot be reached: its exports end when the host is given up.", *in.VolumeId, host)
	} else if err != nil {
		return err
	}
	return nil
}

// Disk is the content of an attached volume, as its instances see it.
func (s *Service) Disk(ctx context.Context, account, region, volumeID string) (hosts.Disk, error) {
	err := s.g.Read(ctx, func(tx store.Tx) error {
		_, ok, err := volumeTable.Get(tx, region, account, volumeID)
		if err == nil && !ok {
			err = errNoVolume(volumeID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.host.Disk(volumeID)
}

// allExports are those of an account in a Region on all hosts that can be asked, oldest first.
func (s *Service) allExports(ctx context.Context, region, account string) ([]hosts.ExportSpec, error) {
	if s.room == nil {
		return s.host.ExportsOf(region, account), nil
	}
	var all []hosts.ExportSpec
	for _, name := range s.room.names() {
		some, err := s.rack(name).Exports(ctx, region, account)
		if err != nil && !errors.Is(err, hosts.ErrAway) {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b hosts.ExportSpec) int { return a.Made.Compare(b.Made) })
	return all, nil
}
