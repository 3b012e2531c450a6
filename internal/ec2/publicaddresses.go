package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// opensPublic reports whether the instances of a launch get a public address by themselves: as the launch
// says, or else as the subnet does.
// Source: EC2 User Guide, "Amazon EC2 instance IP addressing", "Public IPv4 addresses".
func (pl *launchPlan) opensPublic() bool {
	if pl.faces.first != nil || len(pl.faces.others) > 0 {
		return false
	}
	if pl.public != nil {
		return *pl.public
	}
	return pl.subnet.mapsPublic()
}

// mapsPublic is MapPublicIpOnLaunch, which default subnets have until it is changed.
func (n *subnet) mapsPublic() bool {
	if n.MapPublic != nil {
		return *n.MapPublic
	}
	return n.Default
}

// openPublic gives an instance its own public address, if it is to have one and has no Elastic IP address:
// when it starts, and when its Elastic IP address is taken away. It is another one than before.
// Source: EC2 User Guide, "Amazon EC2 instance IP addressing".
func (i *instanceRecord) openPublic() {
	if !i.AutoPublic || i.PublicBy != "" {
		return
	}
	i.PublicTurn = !i.PublicTurn
	i.PublicIP = publicAddress(i.VPC, i.Address, i.PublicTurn)
}

// closePublic takes an instance's own public address away, as stopping does; an Elastic IP address stays.
func (i *instanceRecord) closePublic() {
	if i.PublicBy == "" {
		i.PublicIP = ""
	}
}

// publicAddress is one of two addresses of the range for benchmarks (RFC 2544) for a private address: in a
// VPC, which has 65,536 addresses at most, no other instance has it.
func publicAddress(vpc, private string, turn bool) string {
	a, err := netip.ParseAddr(private)
	if err != nil || !a.Is4() {
		return ""
	}
	b := a.As4()
	host := uint32(binary.BigEndian.Uint16(b[2:])) << 1
	if turn {
		host |= 1
	}
	sum := sha256.Sum256([]byte(vpc))
	const first, size = 198<<24 | 18<<16, 1 << 17
	at := first + (host+binary.BigEndian.Uint32(sum[:]))%size
	var out [4]byte
	binary.BigEndian.PutUint32(out[:], at)
	return netip.AddrFrom4(out).String()
}

// DisassociateAddress takes an Elastic IP address from its instance. Naming an address that no instance has is
// no error. Source: EC2 API Reference, DisassociateAddress.
func (s *Service) DisassociateAddress(ctx context.Context, c *guard.Call, in *ec2api.DisassociateAddressRequest) error {
	association, ip := api.Val(in.AssociationId), api.Val(in.PublicIp)
	switch {
	case association == "" && ip == "":
		return apierr.New("MissingParameter", "Either public IP or association id must be specified")
	case association != "" && ip != "":
		return apierr.New("InvalidParameterCombination", "You may specify public IP or association id, but not both in the same call")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		all, _, err := s.addresses(tx, c)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(e elasticRecord) bool {
			return association != "" && e.Association == association || ip != "" && e.IP == ip
		})
		if at < 0 {
			missing := apierr.Newf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", association)
			if ip != "" {
				missing = apierr.Newf("InvalidAddress.NotFound", "Address '%s' not found.", ip)
			}
			if _, err := s.g.Allow(tx, c, s.part(c, "ec2:DisassociateAddress", "elastic-ip/*", nil)); err != nil {
				return err
			}
			return missing
		}
		e := all[at]
		p, err := s.addressPart(tx, c, &e, nil)
		if err != nil {
			return err
		}
		parts := []authz.Part{p}
		f, held, err := s.holder(tx, c, &e)
		if err != nil {
			return err
		}
		if held {
			from, err := s.holderPart(tx, c, &f)
			if err != nil {
				return err
			}
			parts = append(parts, from)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil || !held {
			return err
		}
		if f.managed() {
			return apierr.New("AuthFailure", "You do not have permission to access the specified resource.")
		}
		if err := f.unplug(tx, &e); err != nil {
			return err
		}
		e.Instance, e.Interface, e.Association, e.Private = "", "", "", ""
		return elasticTable.Put(tx, e, e.Region, e.Account, e.ID)
	})
}
