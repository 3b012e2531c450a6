package vpc

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxEntries is how many rules a network ACL has each way. Source: VPC User Guide, "Amazon VPC quotas".
const maxEntries = 40

// An aclEntry is a rule of a network ACL.
type aclEntry struct {
	Egress   bool   `json:"egress,omitempty"`
	Number   int32  `json:"number"`
	Protocol string `json:"protocol"` // number; -1: all
	Action   string `json:"action"`
	CIDR     string `json:"cidr"`
	From     *int32 `json:"from,omitempty"`
	To       *int32 `json:"to,omitempty"`
	ICMPType *int32 `json:"icmpType,omitempty"`
	ICMPCode *int32 `json:"icmpCode,omitempty"`
}

// wireEntries are the rules as answers carry them: outgoing ones first, each way by number, the last deny all.
func wireEntries(entries []aclEntry, six bool) []ec2api.NetworkAclEntry {
	list := slices.Concat(entries, lastEntries(six))
	slices.SortFunc(list, func(a, b aclEntry) int {
		if a.Egress != b.Egress {
			return map[bool]int{true: -1, false: 1}[a.Egress]
		}
		return cmp.Compare(a.Number, b.Number)
	})
	var out []ec2api.NetworkAclEntry
	for _, e := range list {
		w := ec2api.NetworkAclEntry{Egress: new(e.Egress), Protocol: new(e.Protocol), RuleAction: new(e.Action), RuleNumber: new(e.Number)}
		if isIPv6(e.CIDR) {
			w.Ipv6CidrBlock = new(e.CIDR)
		} else {
			w.CidrBlock = new(e.CIDR)
		}
		if e.From != nil {
			w.PortRange = &ec2api.PortRange{From: e.From, To: e.To}
		}
		if e.ICMPType != nil {
			w.IcmpTypeCode = &ec2api.IcmpTypeCode{Type: e.ICMPType, Code: e.ICMPCode}
		}
		out = append(out, w)
	}
	return out
}

// protocols are those that have names. Source: IANA, "Protocol Numbers".
var protocols = map[string]string{"all": "-1", "icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58"}

// readEntry is the rule that a request describes. Source: EC2 API Reference, CreateNetworkAclEntry.
func readEntry(in *ec2api.CreateNetworkAclEntryRequest) (aclEntry, error) {
	e := aclEntry{Egress: *in.Egress, Number: *in.RuleNumber, Protocol: cmp.Or(protocols[*in.Protocol], *in.Protocol), Action: *in.RuleAction}
	if n, err := strconv.Atoi(e.Protocol); err != nil || n < -1 || n > 255 {
		return e, idiom.InvalidValue("Invalid value '%s' for protocol", *in.Protocol)
	}
	if e.Number < 1 || e.Number >= lastEntry {
		return e, idiom.InvalidValue("Value (%d) for parameter ruleNumber is invalid. It is from 1 to %d.", e.Number, lastEntry-1)
	}
	v4, v6 := api.Val(in.CidrBlock), api.Val(in.Ipv6CidrBlock)
	if (v4 == "") == (v6 == "") {
		return e, apierr.New("MissingParameter", "The request must contain exactly one of cidrBlock or ipv6CidrBlock")
	}
	p, err := netip.ParsePrefix(v4 + v6)
	if err != nil || p.Addr().Is4() != (v6 == "") {
		return e, idiom.InvalidValue("Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", v4+v6)
	}
	e.CIDR = p.Masked().String()
	switch e.Protocol {
	case "6", "17":
		if in.PortRange == nil || in.PortRange.From == nil || in.PortRange.To == nil {
			return e, apierr.New("MissingParameter", "The request must contain the parameter portRange")
		}
		if e.From, e.To = in.PortRange.From, in.PortRange.To; *e.From < 0 || *e.To > 65535 || *e.From > *e.To {
			return e, idiom.InvalidValue("Invalid value for portRange. Must specify both from and to ports, from 0 to 65535.")
		}
	case "1", "58":
		e.ICMPType, e.ICMPCode = new(int32(-1)), new(int32(-1))
		if t := in.IcmpTypeCode; t != nil {
			e.ICMPType, e.ICMPCode = new(api.Val(t.Type)), new(api.Val(t.Code))
		}
	}
	return e, nil
}

// same reports whether two rules have the same place.
func (e aclEntry) same(egress bool, number int32) bool {
	return e.Egress == egress && e.Number == number
}

func errEntry(number int32) error {
	return apierr.Newf("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by %d does not exist.", number)
}

// change decides the call's action on a network ACL and puts a change of its rules in place.
func (s *Service) change(ctx context.Context, c *guard.Call, dry *bool, id string, fn func(entries []aclEntry) ([]aclEntry, error)) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		a, err := s.theACL(tx, c, dry, id)
		if err != nil {
			return err
		}
		if a.Entries, err = fn(slices.Clone(a.Entries)); err != nil {
			return err
		}
		return put(tx, aclTable, a)
	})
}

// CreateNetworkAclEntry adds a rule to a network ACL.
func (s *Service) CreateNetworkAclEntry(ctx context.Context, c *guard.Call, in *ec2api.CreateNetworkAclEntryRequest) error {
	e, err := readEntry(in)
	if err != nil {
		return err
	}
	return s.change(ctx, c, in.DryRun, *in.NetworkAclId, func(entries []aclEntry) ([]aclEntry, error) {
		count := 0
		for _, o := range entries {
			if o.same(e.Egress, e.Number) {
				return nil, apierr.Newf("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", e.Number)
			}
			if o.Egress == e.Egress {
				count++
			}
		}
		if count >= maxEntries {
			return nil, apierr.New("NetworkAclEntryLimitExceeded", "The maximum number of network ACL entries has been reached.")
		}
		return append(entries, e), nil
	})
}

// ReplaceNetworkAclEntry changes a rule of a network ACL.
func (s *Service) ReplaceNetworkAclEntry(ctx context.Context, c *guard.Call, in *ec2api.ReplaceNetworkAclEntryRequest) error {
	e, err := readEntry(&ec2api.CreateNetworkAclEntryRequest{
		RuleNumber: in.RuleNumber, Protocol: in.Protocol, RuleAction: in.RuleAction, Egress: in.Egress, CidrBlock: in.CidrBlock,
		Ipv6CidrBlock: in.Ipv6CidrBlock, IcmpTypeCode: in.IcmpTypeCode, PortRange: in.PortRange,
	})
	if err != nil {
		return err
	}
	return s.change(ctx, c, in.DryRun, *in.NetworkAclId, func(entries []aclEntry) ([]aclEntry, error) {
		at := slices.IndexFunc(entries, func(o aclEntry) bool { return o.same(e.Egress, e.Number) })
		if at < 0 {
			return nil, errEntry(e.Number)
		}
		entries[at] = e
		return entries, nil
	})
}

// DeleteNetworkAclEntry removes a rule from a network ACL.
func (s *Service) DeleteNetworkAclEntry(ctx context.Context, c *guard.Call, in *ec2api.DeleteNetworkAclEntryRequest) error {
	return s.change(ctx, c, in.DryRun, *in.NetworkAclId, func(entries []aclEntry) ([]aclEntry, error) {
		at := slices.IndexFunc(entries, func(o aclEntry) bool { return o.same(*in.Egress, *in.RuleNumber) })
		if at < 0 {
			return nil, errEntry(*in.RuleNumber)
		}
		return slices.Delete(entries, at, at+1), nil
	})
}
