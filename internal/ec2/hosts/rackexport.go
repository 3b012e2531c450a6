package hosts

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

// An ExportSpec is an export as it is asked of a host, and told by it.
type ExportSpec struct {
	Volume    string    `json:"volume"`
	Region    string    `json:"region"`
	Account   string    `json:"account"`
	Principal string    `json:"principal,omitempty"` // who asked for it
	Made      time.Time `json:"made,omitzero"`
	ReadOnly  bool      `json:"readOnly,omitempty"`
}

// An ExportMade is what clients need.
type ExportMade struct {
	Name      string   `json:"name"` // a secret
	Size      int64    `json:"size"`
	Addresses []string `json:"addresses"`
}

var (
	ErrNoExports   = errors.New("ec2: the host exports no volumes")
	ErrManyExports = errors.New("ec2: the volume has too many exports")
)

func (h *Host) exportOf(in ExportSpec) (ExportMade, error) {
	if len(h.addresses) == 0 {
		return ExportMade{}, ErrNoExports
	}
	e := &export{volume: in.Volume, region: in.Region, account: in.Account, principal: in.Principal, made: in.Made}
	name, held, ok := h.export(e, in.ReadOnly)
	switch {
	case !held:
		return ExportMade{}, ErrNotHeld
	case !ok:
		return ExportMade{}, ErrManyExports
	}
	return ExportMade{name, e.served.Device.Size(), h.addresses}, nil
}

func (h *Host) ExportsOf(region, account string) (out []ExportSpec) {
	for _, e := range h.exports.list(region, account) {
		out = append(out, ExportSpec{e.volume, e.region, e.account, e.principal, e.made, e.served.ReadOnly})
	}
	return out
}

func (r localRack) Export(_ context.Context, in ExportSpec) (ExportMade, error) {
	return r.exportOf(in)
}

func (r localRack) Exports(_ context.Context, region, account string) ([]ExportSpec, error) {
	return r.ExportsOf(region, account), nil
}

func (r localRack) EndExports(_ context.Context, volume string) error {
	r.Host.exports.end(volume)
	return nil
}

func (r Remote) Export(ctx context.Context, in ExportSpec) (ExportMade, error) {
	out, err := r.ask(ctx, order{Op: askExport, Export: &in}, true)
	if err != nil || out.Export == nil {
		return ExportMade{}, cmp.Or(err, ErrNoExports)
	}
	return *out.Export, nil
}

func (r Remote) Exports(ctx context.Context, region, account string) ([]ExportSpec, error) {
	out, err := r.ask(ctx, order{Op: askExports, Export: &ExportSpec{Region: region, Account: account}}, true)
	return out.Exports, err
}

func (r Remote) EndExports(ctx context.Context, volume string) error {
	_, err := r.ask(ctx, order{Op: askEndExports, ID: volume}, true)
	return err
}

// What a host that is not there exported has ended, or ends before it is there again.

func (r Empty) Export(context.Context, ExportSpec) (ExportMade, error) {
	return ExportMade{}, r.Why
}
func (r Empty) Exports(context.Context, string, string) ([]ExportSpec, error) { return nil, nil }
func (r Empty) EndExports(context.Context, string) error                      { return nil }

// Exported is an export of this node's host with a name, for a server of NBD.
func (a *Agent) Exported(name string) (nbd.Export, bool) { return a.host.exports.find(name) }
