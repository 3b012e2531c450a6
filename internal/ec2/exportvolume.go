package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
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
func (s *Service) Exported(name string) (nbd.Export, bool) { return s.host.exports.find(name) }

// ExportVolume lets whoever knows the name in the answer read and write a volume of the caller's account
// that is attached to a running instance, until it is detached, the instance stops, or the server
// does. Errors: ResourceNotFoundException, ConflictException, LimitExceededException.
func (s *Service) ExportVolume(ctx context.Context, c *guard.Call, in *kagimoriapi.ExportVolumeRequest) (*kagimoriapi.ExportVolumeResponse, error) {
	var v volumeRecord
	err := s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		if v, err = s.allowExport(tx, c, api.Val(in.VolumeId)); err != nil {
			return err
		}
		if len(s.exportAddresses) == 0 {
			return apierr.New("ConflictException", "This server does not export volumes: it was started without --nbd.")
		}
		if s.room != nil && v.Host != s.name && s.rack(v.Host).holds(v.ID, "") {
			return apierr.Newf("ConflictException", "Volume %s is on the host %s, which does not export volumes while another node works.", v.ID, v.Host)
		}
		if !s.host.holds(v.ID, "") {
			return errNotHeld(&v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e := &export{volume: v.ID, region: v.Region, account: v.Account, principal: c.Caller.Principal.ARN, made: s.g.Now()}
	name, held, ok := s.host.export(e, api.Val(in.ReadOnly))
	switch {
	case !held:
		return nil, errNotHeld(&v)
	case !ok:
		return nil, apierr.Newf("LimitExceededException", "Volume %s has %d exports already.", v.ID, maxExports)
	}
	return &kagimoriapi.ExportVolumeResponse{
		Export: new(e.wire()), ExportName: new(secret.String(name)), Size: new(e.served.Device.Size()), Addresses: s.exportAddresses,
	}, nil
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
	p := authz.Part{Action: "kagimori:" + c.Operation, Resource: authz.Resource{ARN: v.arn(), Account: v.Account, Tags: tags}}
	if _, err := s.g.Allow(tx, c, p); err != nil {
		return v, err
	}
	found, ok, err := volumeTable.Get(tx, v.Region, v.Account, v.ID)
	if err == nil && !ok {
		err = apierr.Newf("ResourceNotFoundException", "The volume '%s' does not exist.", id)
	}
	return found, err
}

func (e *export) wire() kagimoriapi.VolumeExport {
	return kagimoriapi.VolumeExport{
		VolumeId: &e.volume, ReadOnly: &e.served.ReadOnly, Principal: &e.principal, CreationDate: &e.made,
	}
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
	for _, e := range s.host.exports.list(c.Region, c.Account()) {
		out.Exports = append(out.Exports, e.wire())
	}
	return out, nil
}

// EndVolumeExports ends all exports of a volume of the caller's account: its clients are disconnected.
// It is no error that there are none.
func (s *Service) EndVolumeExports(ctx context.Context, c *guard.Call, in *kagimoriapi.EndVolumeExportsRequest) error {
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		_, err := s.allowExport(tx, c, api.Val(in.VolumeId))
		return err
	})
	if err == nil {
		s.host.exports.end(api.Val(in.VolumeId))
	}
	return err
}
