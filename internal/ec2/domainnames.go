package ec2

import (
	"context"
	"regexp"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// notDomain is a character that labels do not have.
var notDomain = regexp.MustCompile(`[^0-9A-Za-z_-]`)

// domainName is a name of the DNS as PTR records have it, with the point of the root at its end.
// Source: RFC 1123, section 2.1.
func domainName(given string) (string, error) {
	name := strings.TrimSuffix(given, ".")
	labels := strings.Split(name, ".")
	good := len(labels) > 1 && len(name) <= 253
	for _, l := range labels {
		good = good && l != "" && len(l) <= 63 && !strings.HasPrefix(l, "-") && !strings.HasSuffix(l, "-") && !notDomain.MatchString(l)
	}
	if !good {
		return "", invalidValue("Value (%s) for parameter DomainName is invalid.", given)
	}
	return name + ".", nil
}

// named is an address with its domain name, which an update may be about to make another.
func (e elasticRecord) named(update *ec2api.PtrUpdateStatus) ec2api.AddressAttribute {
	out := ec2api.AddressAttribute{AllocationId: &e.ID, PublicIp: &e.IP, PtrRecordUpdate: update}
	if e.Name != "" {
		out.PtrRecord = &e.Name
	}
	return out
}

// rename gives an address a domain name, "" for none, and tells what it was before: AWS's update takes a while, ours none.
func (s *Service) rename(ctx context.Context, c *guard.Call, allocation *string, dry *bool, name string) (*ec2api.AddressAttribute, error) {
	var out ec2api.AddressAttribute
	return &out, s.g.Update(ctx, c, func(tx store.Tx) error {
		e, missing := s.findAddress(tx, c, allocation, nil)
		if missing != nil && e.ID == "" {
			return missing
		}
		p, err := s.addressPart(tx, c, &e, missing)
		if err != nil {
			return err
		}
		setAttribute(&p, "DomainName", name)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}}); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if err := dryRun(dry); err != nil {
			return err
		}
		out = e.named(&ec2api.PtrUpdateStatus{Value: &name, Status: new("PENDING")})
		e.Name = name
		return elasticTable.Put(tx, e, e.Region, e.Account, e.ID)
	})
}

// ModifyAddressAttribute gives an Elastic IP address a domain name for reverse look-ups; whether the name leads to the
// address is not looked at: nothing here asks the DNS. Source: EC2 API Reference, ModifyAddressAttribute.
func (s *Service) ModifyAddressAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifyAddressAttributeRequest) (*ec2api.ModifyAddressAttributeResult, error) {
	if api.Val(in.DomainName) == "" {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter DomainName")
	}
	name, err := domainName(*in.DomainName)
	if err != nil {
		return nil, err
	}
	a, err := s.rename(ctx, c, in.AllocationId, in.DryRun, name)
	return &ec2api.ModifyAddressAttributeResult{Address: a}, err
}

// ResetAddressAttribute takes the domain name of an Elastic IP address away. Source: EC2 API Reference, ResetAddressAttribute.
func (s *Service) ResetAddressAttribute(ctx context.Context, c *guard.Call, in *ec2api.ResetAddressAttributeRequest) (*ec2api.ResetAddressAttributeResult, error) {
	if err := knownAddressAttribute(in.Attribute); err != nil {
		return nil, err
	}
	a, err := s.rename(ctx, c, in.AllocationId, in.DryRun, "")
	return &ec2api.ResetAddressAttributeResult{Address: a}, err
}

func knownAddressAttribute(name *string) error {
	if a := api.Val(name); a != "" && a != ec2api.AddressAttributeNameDomainName {
		return invalidValue("Value (%s) for parameter attribute is invalid.", a)
	}
	return nil
}

// DescribeAddressesAttribute lists the domain names of Elastic IP addresses that have one.
// Source: EC2 API Reference, DescribeAddressesAttribute.
func (s *Service) DescribeAddressesAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeAddressesAttributeRequest) (*ec2api.DescribeAddressesAttributeResult, error) {
	if err := knownAddressAttribute(in.Attribute); err != nil {
		return nil, err
	}
	out := &ec2api.DescribeAddressesAttributeResult{}
	return out, s.viewList(ctx, c, "ec2:DescribeAddressesAttribute", in.DryRun, func(tx store.Tx) error {
		all, _, err := s.addresses(tx, c)
		if err != nil {
			return err
		}
		all, err = pick(all, in.AllocationIds, func(e elasticRecord) string { return e.ID }, errAllocation)
		if err != nil {
			return err
		}
		named := []ec2api.AddressAttribute{}
		for n := range all {
			if all[n].Name != "" {
				named = append(named, all[n].named(nil))
			}
		}
		id := func(a ec2api.AddressAttribute) string { return api.Val(a.AllocationId) }
		out.Addresses, out.NextToken, err = paginate(c.Operation, named, id, limits{1, 1000}, in.MaxResults, in.NextToken)
		return err
	})
}
