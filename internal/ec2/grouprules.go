package ec2

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ec2/prefixlist"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A groupRule is one rule of a security group: one peer and one range of ports.
type groupRule struct {
	ID          string `json:"id"`
	Egress      bool   `json:"egress,omitempty"`
	Protocol    string `json:"protocol"`
	From        *int32 `json:"from,omitempty"`
	To          *int32 `json:"to,omitempty"`
	CIDR        string `json:"cidr,omitempty"`
	CIDR6       string `json:"cidr6,omitempty"`
	PrefixList  string `json:"prefixList,omitempty"`
	Group       string `json:"group,omitempty"`
	GroupOwner  string `json:"groupOwner,omitempty"`
	GroupVPC    string `json:"groupVpc,omitempty"` // of a group of a peer; "": the rule's own
	Peering     string `json:"peering,omitempty"`  // the connection with GroupVPC
	Description string `json:"description,omitempty"`
	peered      string // state of Peering, once somebody asked for it
}

// maxGroupRules is how many rules a security group has in each direction.
// Source: VPC User Guide, "Amazon VPC quotas".
const maxGroupRules = 60

// same reports whether two rules say the same, whatever their ids and descriptions.
func (r *groupRule) same(o *groupRule) bool {
	return r.Egress == o.Egress && r.Protocol == o.Protocol && api.Val(r.From) == api.Val(o.From) && api.Val(r.To) == api.Val(o.To) &&
		(r.From == nil) == (o.From == nil) && r.CIDR == o.CIDR && r.CIDR6 == o.CIDR6 && r.PrefixList == o.PrefixList && r.Group == o.Group
}

func (r *groupRule) peer() string { return cmp.Or(r.CIDR, r.CIDR6, r.PrefixList, r.Group) }

// protocols that have names. Source: EC2 API Reference, IpPermission.
var protocols = map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}

// rulesOf reads permissions as rules, in their order. Old ones are those that the group has: what they refer to may be gone.
func (s *Service) rulesOf(tx store.Tx, c *guard.Call, g *groupRecord, permissions []ec2api.IpPermission, egress, old bool) ([]groupRule, error) {
	var rules []groupRule
	for n := range permissions {
		p := &permissions[n]
		base, err := ruleBase(p)
		if err != nil {
			return nil, err
		}
		base.Egress = egress
		add := func(change func(*groupRule), description *string) error {
			r := base
			change(&r)
			r.Description = api.Val(description)
			if !ruleDescription(r.Description) {
				return errRuleDescription()
			}
			if slices.ContainsFunc(rules, func(o groupRule) bool { return o.same(&r) }) {
				return invalidValue("The same permission must not appear multiple times")
			}
			rules = append(rules, r)
			return nil
		}
		before := len(rules)
		for _, v := range p.IpRanges {
			cidr, err := ruleCIDR(api.Val(v.CidrIp), true)
			if err != nil {
				return nil, err
			}
			if err := add(func(r *groupRule) { r.CIDR = cidr }, v.Description); err != nil {
				return nil, err
			}
		}
		for _, v := range p.Ipv6Ranges {
			cidr, err := ruleCIDR(api.Val(v.CidrIpv6), false)
			if err != nil {
				return nil, err
			}
			if err := add(func(r *groupRule) { r.CIDR6 = cidr }, v.Description); err != nil {
				return nil, err
			}
		}
		for _, v := range p.PrefixListIds {
			list, err := prefixlist.Find(tx, c, api.Val(v.PrefixListId))
			if err != nil {
				return nil, err
			}
			if err := add(func(r *groupRule) { r.PrefixList = list.ID }, v.Description); err != nil {
				return nil, err
			}
		}
		for _, v := range p.UserIdGroupPairs {
			other, err := s.otherGroup(tx, c, g, &v, old)
			if err != nil {
				return nil, err
			}
			if err := add(func(r *groupRule) { r.refer(&other) }, v.Description); err != nil {
				return nil, err
			}
		}
		if len(rules) == before {
			return nil, apierr.New("MissingParameter", "Missing source specification: include source security group or CIDR information")
		}
	}
	return rules, nil
}

// ruleBase reads protocol and ports of a permission.
func ruleBase(p *ec2api.IpPermission) (groupRule, error) {
	name := strings.ToLower(api.Val(p.IpProtocol))
	if name == "" {
		return groupRule{}, apierr.New("MissingParameter", "The request must contain the parameter ipProtocol")
	}
	if known, ok := protocols[name]; ok {
		name = known
	}
	r := groupRule{Protocol: name, From: p.FromPort, To: p.ToPort}
	switch name {
	case "-1":
		r.From, r.To = nil, nil
		return r, nil
	case "tcp", "udp":
		switch {
		case r.From == nil || r.To == nil:
			return r, invalidValue("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		case *r.From < 0 || *r.From > 65535 || *r.To < 0 || *r.To > 65535 || *r.From > *r.To:
			return r, invalidValue("Invalid %s port range (%d-%d)", strings.ToUpper(name), *r.From, *r.To)
		}
	case "icmp", "icmpv6":
		if r.From == nil {
			r.From = new(int32(-1))
		}
		if r.To == nil {
			r.To = new(int32(-1))
		}
		if *r.From < -1 || *r.From > 255 || *r.To < -1 || *r.To > 255 || *r.From == -1 && *r.To != -1 {
			return r, invalidValue("ICMP code (%d) and type (%d) are invalid", *r.To, *r.From)
		}
	default:
		if n, err := strconv.Atoi(name); err != nil || n < 0 || n > 255 {
			return r, invalidValue("Invalid value '%s' for IP protocol. Unknown protocol.", name)
		}
		r.From, r.To = nil, nil // no ports: all traffic of the protocol
	}
	return r, nil
}

// ruleCIDR checks an address range and sets the bits of the host to zero.
func ruleCIDR(text string, four bool) (string, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() != four {
		return "", invalidValue("CIDR block %s is malformed", text)
	}
	return p.Masked().String(), nil
}

// duplicate is the error of a rule that a group has already.
func (r *groupRule) duplicate() error {
	text := "ALL"
	if r.Protocol != "-1" {
		text = strings.ToUpper(r.Protocol)
	}
	if r.From != nil {
		text += fmt.Sprintf(", from port: %d, to port: %d", *r.From, *r.To)
	}
	return apierr.Newf("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, ALLOW\" already exists", r.peer(), text)
}

// wire is a rule as answers carry it.
func (r *groupRule) wire(g *groupRecord, tags map[string]string) ec2api.SecurityGroupRule {
	out := ec2api.SecurityGroupRule{
		SecurityGroupRuleId: &r.ID, GroupId: &g.ID, GroupOwnerId: &g.Account, IsEgress: &r.Egress, IpProtocol: &r.Protocol,
		FromPort: r.port(r.From), ToPort: r.port(r.To), CidrIpv4: api.Opt(r.CIDR), CidrIpv6: api.Opt(r.CIDR6), PrefixListId: api.Opt(r.PrefixList),
		Description: api.Opt(r.Description), Tags: listed(tags),
		SecurityGroupRuleArn: new(arn.EC2(g.Region, g.Account, "security-group-rule/"+r.ID)),
	}
	if r.Group != "" {
		out.ReferencedGroupInfo = &ec2api.ReferencedSecurityGroup{
			GroupId: &r.Group, UserId: &r.GroupOwner, VpcId: new(cmp.Or(r.GroupVPC, g.VPC)), VpcPeeringConnectionId: api.Opt(r.Peering), PeeringStatus: api.Opt(r.peered),
		}
	}
	return out
}

// port of a rule about one, -1 where there is none.
func (r *groupRule) port(n *int32) *int32 {
	if n == nil {
		return new(int32(-1))
	}
	return n
}

// permissions are the rules of one direction, as answers about groups carry them: together by
// protocol and ports.
func permissions(rules []groupRule, egress bool) []ec2api.IpPermission {
	out := []ec2api.IpPermission{}
	for n := range rules {
		r := &rules[n]
		if r.Egress != egress {
			continue
		}
		at := slices.IndexFunc(out, func(p ec2api.IpPermission) bool {
			return *p.IpProtocol == r.Protocol && (p.FromPort == nil) == (r.From == nil) &&
				api.Val(p.FromPort) == api.Val(r.From) && api.Val(p.ToPort) == api.Val(r.To)
		})
		if at < 0 {
			at = len(out)
			out = append(out, ec2api.IpPermission{
				IpProtocol: &r.Protocol, FromPort: r.From, ToPort: r.To, IpRanges: []ec2api.IpRange{}, Ipv6Ranges: []ec2api.Ipv6Range{},
				UserIdGroupPairs: []ec2api.UserIdGroupPair{}, PrefixListIds: []ec2api.PrefixListId{},
			})
		}
		p, about := &out[at], api.Opt(r.Description)
		switch {
		case r.CIDR != "":
			p.IpRanges = append(p.IpRanges, ec2api.IpRange{CidrIp: &r.CIDR, Description: about})
		case r.CIDR6 != "":
			p.Ipv6Ranges = append(p.Ipv6Ranges, ec2api.Ipv6Range{CidrIpv6: &r.CIDR6, Description: about})
		case r.PrefixList != "":
			p.PrefixListIds = append(p.PrefixListIds, ec2api.PrefixListId{PrefixListId: &r.PrefixList, Description: about})
		default:
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, r.pair())
		}
	}
	return out
}
