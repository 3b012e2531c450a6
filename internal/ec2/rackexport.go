package ec2

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

// An exportSpec is an export as it is asked of a host, and told by it.
type exportSpec struct {
	Volume    string    `json:"volume"`
	Region    string    `json:"region"`
	Account   string    `json:"account"`
	Principal string    `json:"principal,omitempty"` // who asked for it
	Made      time.Time `json:"made,omitzero"`
	ReadOnly  bool      `json:"readOnly,omitempty"`
}

// An exportMade is what clients need.
type exportMade struct {
	Name      string   `json:"name"` // a secret
	Size      int64    `json:"size"`
	Addresses []string `json:"addresses"`
}

var (
	errNoExports   = errors.New("ec2: the host exports no volumes")
	errManyExports = errors.New("ec2: the volume has too many exports")
)

func (h *host) exportOf(in exportSpec) (exportMade, error) {
	if len(h.addresses) == 0 {
		return exportMade{}, errNoExports
	}
	e := &export{volume: in.Volume, region: in.Region, account: in.Account, principal: in.Principal, made: in.Made}
	name, held, ok := h.export(e, in.ReadOnly)
	switch {
	case !held:
		return exportMade{}, ErrNotHeld
	case !ok:
		return exportMade{}, errManyExports
	}
	return exportMade{name, e.served.Device.Size(), h.addresses}, nil
}

func (h *host) exportsOf(region, account string) (out []exportSpec) {
	for _, e := range h.exports.list(region, account) {
		out = append(out, exportSpec{e.volume, e.region, e.account, e.principal, e.made, e.served.ReadOnly})
	}
	return out
}

func (r localRack) export(_ context.Context, in exportSpec) (exportMade, error) {
	return r.exportOf(in)
}

func (r localRack) exports(_ context.Context, region, account string) ([]exportSpec, error) {
	return r.exportsOf(region, account), nil
}

func (r localRack) endExports(_ context.Context, volume string) error {
	r.host.exports.end(volume)
	return nil
}

func (r remoteRack) export(ctx context.Context, in exportSpec) (exportMade, error) {
	out, err := r.ask(ctx, hostRequest{Op: askExport, Export: &in}, true)
	if err != nil || out.Export == nil {
		return exportMade{}, cmp.Or(err, errNoExports)
	}
	return *out.Export, nil
}

func (r remoteRack) exports(ctx context.Context, region, account string) ([]exportSpec, error) {
	out, err := r.ask(ctx, hostRequest{Op: askExports, Export: &exportSpec{Region: region, Account: account}}, true)
	return out.Exports, err
}

func (r remoteRack) endExports(ctx context.Context, volume string) error {
	_, err := r.ask(ctx, hostRequest{Op: askEndExports, ID: volume}, true)
	return err
}

// What a host that is not there exported has ended, or ends before it is there again.

func (r emptyRack) export(context.Context, exportSpec) (exportMade, error) {
	return exportMade{}, r.why
}
func (r emptyRack) exports(context.Context, string, string) ([]exportSpec, error) { return nil, nil }
func (r emptyRack) endExports(context.Context, string) error                      { return nil }

// Exported is an export of this node's host with a name, for a server of NBD.
func (a *Agent) Exported(name string) (nbd.Export, bool) { return a.host.exports.find(name) }

// allExports are those of an account in a Region on all hosts that can be asked, oldest first.
func (s *Service) allExports(ctx context.Context, region, account string) ([]exportSpec, error) {
	if s.room == nil {
		return s.host.exportsOf(region, account), nil
	}
	var all []exportSpec
	for _, name := range s.room.names() {
		some, err := s.rack(name).exports(ctx, region, account)
		if err != nil && !errors.Is(err, errHostAway) {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b exportSpec) int { return a.Made.Compare(b.Made) })
	return all, nil
}
