package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// allowSubnet decides the call's action on a subnet and finds it; change adds to the decision, and more is decided with it.
func (s *Service) allowSubnet(tx store.Tx, c *guard.Call, id string, change func(*authz.Part), more ...authz.Part) (subnet, error) {
	n, missing := s.lookupSubnet(tx, c, id)
	if missing != nil && apierr.Code(missing) == "" {
		return n, missing
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), id)
	if err != nil {
		return n, err
	}
	p := s.part(c, "ec2:"+c.Operation, "subnet/"+id, tags)
	if missing == nil {
		n.describe(&p)
	}
	if change != nil {
		change(&p)
	}
	c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::Subnet")
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: append([]authz.Part{p}, more...)}); err != nil {
		return n, err
	}
	return n, missing
}

// A subnetChange is one attribute that ModifySubnetAttribute changes.
type subnetChange struct {
	name  string
	value string // as the condition key has it
	apply func(*subnet) error
}

// changesOf are the attributes that a request names.
func changesOf(in *ec2api.ModifySubnetAttributeRequest) []subnetChange {
	var out []subnetChange
	flag := func(name string, v *ec2api.AttributeBooleanValue, apply func(n *subnet, on bool) error) {
		if v != nil {
			on := api.Val(v.Value)
			out = append(out, subnetChange{name, boolOf(on)[0], func(n *subnet) error { return apply(n, on) }})
		}
	}
	refuse := func(text string) func(*subnet, bool) error {
		return func(_ *subnet, on bool) error {
			if on {
				return apierr.New("UnsupportedOperation", text)
			}
			return nil
		}
	}
	flag("MapPublicIpOnLaunch", in.MapPublicIpOnLaunch, func(n *subnet, on bool) error {
		n.MapPublic = &on
		return nil
	})
	flag("EnableResourceNameDnsARecordOnLaunch", in.EnableResourceNameDnsARecordOnLaunch, func(n *subnet, on bool) error {
		n.ResourceA = on
		return nil
	})
	six := func(set func(n *subnet) *bool) func(*subnet, bool) error {
		return func(n *subnet, on bool) error {
			if on && n.Six == nil {
				return apierr.Newf("InvalidParameterValue", "Invalid value for subnet %s: it has no IPv6 CIDR block.", n.ID)
			}
			*set(n) = on
			return nil
		}
	}
	flag("AssignIpv6AddressOnCreation", in.AssignIpv6AddressOnCreation, six(func(n *subnet) *bool { return &n.AssignSix }))
	flag("EnableDns64", in.EnableDns64, six(func(n *subnet) *bool { return &n.DNS64 }))
	flag("EnableResourceNameDnsAAAARecordOnLaunch", in.EnableResourceNameDnsAAAARecordOnLaunch, six(func(n *subnet) *bool { return &n.ResourceAAAA }))
	flag("MapCustomerOwnedIpOnLaunch", in.MapCustomerOwnedIpOnLaunch, refuse("This server does not support Outposts."))
	flag("DisableLniAtDeviceIndex", in.DisableLniAtDeviceIndex, refuse("This server does not support Outposts."))
	if in.CustomerOwnedIpv4Pool != nil {
		out = append(out, subnetChange{"CustomerOwnedIpv4Pool", *in.CustomerOwnedIpv4Pool, func(*subnet) error {
			return apierr.New("UnsupportedOperation", "This server does not support Outposts.")
		}})
	}
	if in.EnableLniAtDeviceIndex != nil {
		out = append(out, subnetChange{"EnableLniAtDeviceIndex", "", func(*subnet) error {
			return apierr.New("UnsupportedOperation", "This server does not support Outposts.")
		}})
	}
	if kind := in.PrivateDnsHostnameTypeOnLaunch; kind != nil {
		out = append(out, subnetChange{"PrivateDnsHostnameTypeOnLaunch", *kind, func(n *subnet) error {
			n.ByResource = *kind == hostByResource
			return nil
		}})
	}
	return out
}

// What instances are named by. Source: EC2 API Reference, PrivateDnsNameOptionsOnLaunch.
const (
	hostByAddress  = "ip-name"
	hostByResource = "resource-name"
)

// hostnameType is what something is named by.
func hostnameType(byResource bool) string {
	if byResource {
		return hostByResource
	}
	return hostByAddress
}

// ModifySubnetAttribute changes one attribute of a subnet; instances that are there keep what they have.
// Source: EC2 API Reference, ModifySubnetAttribute.
func (s *Service) ModifySubnetAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifySubnetAttributeRequest) error {
	changes := changesOf(in)
	if len(changes) != 1 {
		return apierr.New("InvalidParameterCombination", "You must specify exactly one attribute to be modified.")
	}
	change := changes[0]
	if kind := in.PrivateDnsHostnameTypeOnLaunch; kind != nil && *kind != hostByAddress && *kind != hostByResource {
		return invalidValue("Value (%s) for parameter privateDnsHostnameTypeOnLaunch is invalid.", *kind)
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		n, err := s.allowSubnet(tx, c, api.Val(in.SubnetId), func(p *authz.Part) { setAttribute(p, change.name, change.value) })
		if err != nil {
			return err
		}
		if err := change.apply(&n); err != nil {
			return err
		}
		return subnetTable.Put(tx, n, n.Region, n.Account, n.ID)
	})
}
