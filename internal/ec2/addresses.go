package ec2

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An elasticRecord is an Elastic IP address.
type elasticRecord struct {
	Region      string `json:"region"`
	Account     string `json:"account"`
	ID          string `json:"id"` // eipalloc-...
	IP          string `json:"ip"`
	Association string `json:"association,omitempty"` // eipassoc-...
	Instance    string `json:"instance,omitempty"`
	Interface   string `json:"interface,omitempty"` // that has it, if it is not the first one of an instance
	Private     string `json:"private,omitempty"`   // secondary address of the interface that has it, if it is not the first one
	Name        string `json:"name,omitempty"`      // of the domain, for reverse look-ups
}

// elasticTable is keyed by (region, account, allocation id).
var elasticTable = store.Table[elasticRecord]{Bucket: "ec2/elastic-ip", Version: 1}

// elasticOperations are the handlers of Elastic IP addresses.
func (s *Service) elasticOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"AllocateAddress":            guard.Handle(s.AllocateAddress),
		"ReleaseAddress":             guard.HandleVoid(s.ReleaseAddress),
		"AssociateAddress":           guard.Handle(s.AssociateAddress),
		"DisassociateAddress":        guard.HandleVoid(s.DisassociateAddress),
		"DescribeAddresses":          guard.Handle(s.DescribeAddresses),
		"DescribeAddressesAttribute": guard.Handle(s.DescribeAddressesAttribute),
		"ModifyAddressAttribute":     guard.Handle(s.ModifyAddressAttribute),
		"ResetAddressAttribute":      guard.Handle(s.ResetAddressAttribute),
	}
}

func errAllocation(id string) error {
	return apierr.Newf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
}

// randomPublic is an address of the range for benchmarks, which no host of the internet has.
// Source: RFC 2544.
func randomPublic() string {
	var b [3]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("198.%d.%d.%d", 18+b[0]%2, b[1], b[2])
}

// describe puts an address's condition keys into a part.
func (e *elasticRecord) describe(p *authz.Part) {
	p.Context.Set("ec2:allocationid", e.ID)
	p.Context.Set("ec2:domain", "vpc")
	p.Context.Set("ec2:publicipaddress", e.IP)
}

// AllocateAddress gives the account an Elastic IP address. Source: EC2 API Reference, AllocateAddress.
func (s *Service) AllocateAddress(ctx context.Context, c *guard.Call, in *ec2api.AllocateAddressRequest) (*ec2api.AllocateAddressResult, error) {
	switch domain := api.Val(in.Domain); {
	case domain != "" && domain != "vpc" && domain != "standard": // "standard" is a vpc one since EC2-Classic is gone
		return nil, invalidValue("Invalid value '%s' for domain.", domain)
	case in.CustomerOwnedIpv4Pool != nil || in.IpamPoolId != nil || api.Val(in.PublicIpv4Pool) != "" && *in.PublicIpv4Pool != "amazon":
		return nil, apierr.New("UnsupportedOperation", "This server does not support address pools.")
	case api.Val(in.NetworkBorderGroup) != "" && *in.NetworkBorderGroup != c.Region:
		return nil, invalidValue("Value (%s) for parameter networkBorderGroup is invalid.", *in.NetworkBorderGroup)
	case api.Val(in.Address) != "":
		return nil, apierr.Newf("InvalidAddress.NotFound", "Address '%s' not found.", *in.Address)
	}
	specs, err := tagSpecs(c, in.TagSpecifications, "elastic-ip")
	if err != nil {
		return nil, err
	}
	tags := specs["elastic-ip"]
	e := elasticRecord{Region: c.Region, Account: c.Account(), ID: randomID("eipalloc")}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		p := s.part(c, "ec2:AllocateAddress", "elastic-ip/*", nil)
		p.Context.Set("ec2:domain", "vpc")
		addRequestTags(&p, tags)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: s.withTags(c, []authz.Part{p}, "elastic-ip", tags)}); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		used, count := map[string]bool{}, 0
		for r, err := range elasticTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			used[r.Value.IP] = true
			count++
		}
		if count >= s.nets.Quotas.Addresses {
			return apierr.New("AddressLimitExceeded", "The maximum number of addresses has been reached.")
		}
		for e.IP == "" || used[e.IP] {
			e.IP = randomPublic()
		}
		c.Touch(arn.EC2(c.Region, c.Account(), "elastic-ip/"+e.ID), c.Account(), "AWS::EC2::EIP")
		if err := elasticTable.Put(tx, e, e.Region, e.Account, e.ID); err != nil {
			return err
		}
		return putTags(tx, e.Region, e.Account, e.ID, tags)
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.AllocateAddressResult{
		AllocationId: &e.ID, PublicIp: &e.IP, Domain: new("vpc"), PublicIpv4Pool: new("amazon"), NetworkBorderGroup: new(c.Region),
	}, nil
}

// addresses are the caller's addresses. One whose instance is gone is free.
func (s *Service) addresses(tx store.Tx, c *guard.Call) ([]elasticRecord, map[string]instanceRecord, error) {
	var all []elasticRecord
	instances := map[string]instanceRecord{}
	for r, err := range elasticTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, nil, err
		}
		e := r.Value
		if e.Instance != "" {
			i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), e.Instance)
			if err != nil {
				return nil, nil, err
			}
			if !ok || i.gone() {
				e.Instance, e.Association = "", ""
			} else {
				instances[i.ID] = i
			}
		}
		if e.Interface != "" {
			f, err := lookupFace(tx, c, e.Interface)
			if err != nil && apierr.Code(err) == "" {
				return nil, nil, err
			}
			if err != nil || !f.has(&e) {
				e.Interface, e.Association, e.Private = "", "", ""
			}
		}
		all = append(all, e)
	}
	return all, instances, nil
}

// findAddress finds an address by its allocation id or itself.
func (s *Service) findAddress(tx store.Tx, c *guard.Call, id, ip *string) (elasticRecord, error) {
	if api.Val(id) == "" && api.Val(ip) == "" {
		return elasticRecord{}, apierr.New("MissingParameter", "Either public IP or allocation id must be specified")
	}
	all, _, err := s.addresses(tx, c)
	if err != nil {
		return elasticRecord{}, err
	}
	for _, e := range all {
		if api.Val(id) == e.ID || api.Val(id) == "" && api.Val(ip) == e.IP {
			return e, nil
		}
	}
	if api.Val(id) != "" {
		return elasticRecord{ID: *id}, errAllocation(*id)
	}
	return elasticRecord{ID: *ip}, apierr.Newf("InvalidAddress.NotFound", "Address '%s' not found.", *ip)
}

// addressPart is the evaluation of the call's action on an address, which may be missing.
func (s *Service) addressPart(tx store.Tx, c *guard.Call, e *elasticRecord, missing error) (authz.Part, error) {
	tags, err := tagsOf(tx, c.Region, c.Account(), e.ID)
	p := s.part(c, "ec2:"+c.Operation, "elastic-ip/"+e.ID, tags)
	if missing == nil {
		e.describe(&p)
	}
	c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::EIP")
	return p, err
}

// ReleaseAddress gives an Elastic IP address back. One of an instance in the default VPC is
// disassociated first. Source: EC2 API Reference, ReleaseAddress.
func (s *Service) ReleaseAddress(ctx context.Context, c *guard.Call, in *ec2api.ReleaseAddressRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		e, missing := s.findAddress(tx, c, in.AllocationId, in.PublicIp)
		if missing != nil && e.ID == "" {
			return missing
		}
		if group := api.Val(in.NetworkBorderGroup); missing == nil && group != "" && group != c.Region { // Source: EC2 API Reference, ReleaseAddress
			missing = apierr.Newf("InvalidAddress.NotFound", "The address '%s' does not belong to the network border group %s.", e.IP, group)
		}
		p, err := s.addressPart(tx, c, &e, missing)
		if err != nil {
			return err
		}
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if e.Name != "" { // Source: EC2 API Reference, "Error codes"
			return apierr.Newf("InvalidAddress.Locked", "The address with allocation id '%s' cannot be released because it is locked to your account.", e.ID)
		}
		if e.Interface != "" {
			return apierr.Newf("InvalidIPAddress.InUse", "Address %s is in use.", e.IP)
		}
		if e.Instance != "" {
			i, _, err := instanceTable.Get(tx, c.Region, c.Account(), e.Instance)
			if err != nil {
				return err
			}
			if vpc, ok, err := s.defaultVPC(tx, c); err != nil {
				return err
			} else if !ok || vpc.ID != i.VPC {
				return apierr.Newf("InvalidIPAddress.InUse", "Address %s is in use.", e.IP)
			}
			if err := unplugAddress(tx, &i); err != nil {
				return err
			}
		}
		if err := dropTags(tx, e.Region, e.Account, e.ID); err != nil {
			return err
		}
		return elasticTable.Delete(tx, e.Region, e.Account, e.ID)
	})
}

// unplugAddress takes the Elastic IP address of an instance away.
func unplugAddress(tx store.Tx, i *instanceRecord) error {
	i.PublicIP, i.PublicBy = "", ""
	if i.State == running || i.State == pending {
		i.openPublic()
	}
	return putInstance(tx, *i)
}

// AssociateAddress gives a private address of an instance or a network interface an Elastic IP address; the primary one
// if none is named. Source: EC2 API Reference, AssociateAddress.
func (s *Service) AssociateAddress(ctx context.Context, c *guard.Call, in *ec2api.AssociateAddressRequest) (*ec2api.AssociateAddressResult, error) {
	if api.Val(in.InstanceId) == "" && api.Val(in.NetworkInterfaceId) == "" {
		return nil, apierr.New("MissingParameter", "Either instance ID or network interface id must be specified")
	}
	id := randomID("eipassoc")
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		e, missing := s.findAddress(tx, c, in.AllocationId, in.PublicIp)
		if missing != nil && e.ID == "" {
			return missing
		}
		f, err := s.addressee(tx, c, in)
		if err != nil {
			return err
		}
		p, err := s.addressPart(tx, c, &e, missing)
		if err != nil {
			return err
		}
		to, err := s.holderPart(tx, c, &f)
		if err != nil {
			return err
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p, to}}); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		i, private := f.instance, cmp.Or(api.Val(in.PrivateIpAddress), f.Address)
		switch {
		case i != nil && i.State != running && i.State != stopped && i.State != pending && i.State != stopping:
			return apierr.Newf("InvalidInstanceID", "The instance '%s' is not in a valid state for this operation.", i.ID)
		case f.managed():
			return errManagedFace()
		case private != f.Address && !slices.Contains(f.Secondary, private):
			return invalidValue("The private IP address '%s' is not assigned to the interface", private)
		case f.elasticOf(private) == e.ID:
			id = e.Association
			return nil
		case e.Association != "" && in.AllowReassociation != nil && !*in.AllowReassociation:
			return apierr.Newf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", e.ID, e.Association)
		}
		return s.plugAddress(tx, c, e, f, private, id)
	})
	return &ec2api.AssociateAddressResult{AssociationId: &id}, err
}

// holder is the network interface that has an address; ok is false if none has.
func (s *Service) holder(tx store.Tx, c *guard.Call, e *elasticRecord) (f heldFace, ok bool, err error) {
	switch {
	case e.Interface != "":
		f, err = lookupFace(tx, c, e.Interface)
		return f, err == nil, err
	case e.Instance != "":
		i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), e.Instance)
		if err != nil || !ok {
			return f, false, err
		}
		return heldFace{i.first(), &i}, true, nil
	}
	return f, false, nil
}

// holderPart is the evaluation of the call's action on what has an address or is to have it: the instance, or the
// network interface without one.
func (s *Service) holderPart(tx store.Tx, c *guard.Call, f *heldFace) (authz.Part, error) {
	if f.instance == nil {
		tags, err := tagsOf(tx, c.Region, c.Account(), f.ID)
		p := s.part(c, "ec2:"+c.Operation, "network-interface/"+f.ID, tags)
		f.describe(&p)
		return p, err
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), f.instance.ID)
	return s.instancePart(c, "ec2:"+c.Operation, f.instance, tags), err
}

// unplug takes an Elastic IP address of a network interface away.
func (f *heldFace) unplug(tx store.Tx, e *elasticRecord) error {
	switch {
	case e.Private != "":
		f.closeSecondary(e.Private)
	case f.instance != nil && f.ID == f.instance.ENI:
		return unplugAddress(tx, f.instance)
	default:
		f.PublicIP, f.PublicBy = "", ""
	}
	return f.put(tx)
}

// plugAddress moves an address to a private address of a network interface, in place of the one that it has.
func (s *Service) plugAddress(tx store.Tx, c *guard.Call, e elasticRecord, f heldFace, private, id string) error {
	old, ok, err := s.holder(tx, c, &e)
	if err != nil {
		return err
	}
	if ok {
		if old.managed() {
			return apierr.New("AuthFailure", "You do not have permission to access the specified resource.")
		}
		if err := old.unplug(tx, &e); err != nil {
			return err
		}
		if f, err = lookupFace(tx, c, f.ID); err != nil { // as it is now: it may be the same one, or of the same instance
			return err
		}
	}
	if by := f.elasticOf(private); by != "" {
		other, ok, err := elasticTable.Get(tx, c.Region, c.Account(), by)
		if err != nil {
			return err
		}
		if ok {
			other.Instance, other.Interface, other.Association, other.Private = "", "", "", ""
			if err := elasticTable.Put(tx, other, other.Region, other.Account, other.ID); err != nil {
				return err
			}
		}
	}
	e.Instance, e.Interface, e.Association, e.Private = "", f.ID, id, ""
	switch {
	case private != f.Address:
		e.Private = private
		f.closeSecondary(private)
		f.openSecondary(private, &e)
	case f.instance != nil && f.ID == f.instance.ENI:
		e.Instance, e.Interface = f.instance.ID, ""
		fallthrough
	default:
		f.PublicIP, f.PublicBy = e.IP, e.ID
	}
	if err := f.put(tx); err != nil {
		return err
	}
	return elasticTable.Put(tx, e, e.Region, e.Account, e.ID)
}

// addressee is the network interface that is to have an address: the one that is named, or that of the instance. Of
// both, which a request should not name, the instance counts: Terraform's provider goes on to name the interface that
// had the address before.
func (s *Service) addressee(tx store.Tx, c *guard.Call, in *ec2api.AssociateAddressRequest) (heldFace, error) {
	id := api.Val(in.NetworkInterfaceId)
	if api.Val(in.InstanceId) == "" {
		return lookupFace(tx, c, id)
	}
	found, err := s.lookupInstances(tx, c, []string{*in.InstanceId})
	if err != nil {
		return heldFace{}, err
	}
	for _, f := range found[0].faces() {
		if f.ID == id {
			return heldFace{f, &found[0]}, nil
		}
	}
	if len(found[0].Faces) > 0 {
		return heldFace{}, apierr.Newf("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID "+
			"for the operation instead.", *in.InstanceId)
	}
	return heldFace{found[0].first(), &found[0]}, nil
}

var elasticFields = fields[ec2api.Address]{
	"allocation-id":              func(a ec2api.Address) []string { return oneOf(*a.AllocationId) },
	"association-id":             func(a ec2api.Address) []string { return oneOf(api.Val(a.AssociationId)) },
	"domain":                     func(a ec2api.Address) []string { return oneOf(*a.Domain) },
	"instance-id":                func(a ec2api.Address) []string { return oneOf(api.Val(a.InstanceId)) },
	"network-border-group":       func(a ec2api.Address) []string { return oneOf(*a.NetworkBorderGroup) },
	"network-interface-id":       func(a ec2api.Address) []string { return oneOf(api.Val(a.NetworkInterfaceId)) },
	"network-interface-owner-id": func(a ec2api.Address) []string { return oneOf(api.Val(a.NetworkInterfaceOwnerId)) },
	"private-ip-address":         func(a ec2api.Address) []string { return oneOf(api.Val(a.PrivateIpAddress)) },
	"public-ip":                  func(a ec2api.Address) []string { return oneOf(*a.PublicIp) },
}

// DescribeAddresses lists the caller's Elastic IP addresses.
func (s *Service) DescribeAddresses(ctx context.Context, c *guard.Call, in *ec2api.DescribeAddressesRequest) (*ec2api.DescribeAddressesResult, error) {
	out := &ec2api.DescribeAddressesResult{}
	err := s.viewList(ctx, c, "ec2:DescribeAddresses", in.DryRun, func(tx store.Tx) error {
		all, instances, err := s.addresses(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.Address
		for _, e := range all {
			a := ec2api.Address{
				AllocationId: &e.ID, PublicIp: &e.IP, Domain: new("vpc"), PublicIpv4Pool: new("amazon"), NetworkBorderGroup: new(c.Region),
			}
			if i, ok := instances[e.Instance]; ok {
				a.InstanceId, a.AssociationId, a.NetworkInterfaceId, a.NetworkInterfaceOwnerId = &i.ID, &e.Association, &i.ENI, &i.Account
				a.PrivateIpAddress = &i.Address
			} else if f, ok, err := s.holder(tx, c, &e); err != nil {
				return err
			} else if ok {
				a.AssociationId, a.NetworkInterfaceId, a.NetworkInterfaceOwnerId, a.PrivateIpAddress = &e.Association, &f.ID, &f.Account, new(cmp.Or(e.Private, f.Address))
				if f.instance != nil {
					a.InstanceId = &f.instance.ID
				}
			}
			items = append(items, a)
		}
		items, err = pick(items, in.AllocationIds, func(a ec2api.Address) string { return *a.AllocationId }, errAllocation)
		if err != nil {
			return err
		}
		items, err = pick(items, in.PublicIps, func(a ec2api.Address) string { return *a.PublicIp }, func(ip string) error {
			return apierr.Newf("InvalidAddress.NotFound", "Address '%s' not found.", ip)
		})
		if err != nil {
			return err
		}
		out.Addresses, err = sift(tx, c, elasticFields, in.Filters, items,
			func(a *ec2api.Address) (string, *[]ec2api.Tag) { return *a.AllocationId, &a.Tags })
		return err
	})
	return out, err
}
