package vpc

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Limits of VPC endpoints. Sources: AWS PrivateLink Guide, "AWS PrivateLink quotas"; ModifyVpcEndpoint.
const (
	maxEndpoints = 50 // of a VPC
	maxPolicy    = 20480
)

func errParameter(format string, args ...any) error {
	return apierr.Newf("InvalidParameter", format, args...)
}

// checkEndpoint refuses what a request for an endpoint must not have, and what there is none of here.
func checkEndpoint(in *ec2api.CreateVpcEndpointRequest, region, kind string) error {
	service := api.Val(in.ServiceName)
	switch {
	case kind != gatewayKind && kind != interfaceKind:
		return apierr.Newf("UnsupportedOperation", "This server does not support VPC endpoints of the type %s.", kind)
	case api.Val(in.ServiceNetworkArn) != "" || api.Val(in.ResourceConfigurationArn) != "":
		return errParameter("Endpoints of the type %s have no service network and no resource configuration.", kind)
	case service == "":
		return apierr.New("MissingParameter", "The request must contain the parameter serviceName")
	case api.Val(in.ServiceRegion) != "" && *in.ServiceRegion != region:
		return apierr.New("UnsupportedOperation", "This server does not support VPC endpoints for services of other Regions.")
	case !offers(region, service, ""):
		return apierr.Newf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", service)
	case !offers(region, service, kind):
		return errParameter("Endpoint type (%s) does not match available service types for %s.", kind, service)
	case kind == gatewayKind && len(in.SubnetIds)+len(in.SecurityGroupIds)+len(in.SubnetConfigurations) > 0:
		return errParameter("Gateway endpoints have no subnets and security groups.")
	case kind == gatewayKind && api.Val(in.PrivateDnsEnabled):
		return errParameter("Private DNS can't be enabled for gateway endpoints.")
	case kind == interfaceKind && len(in.RouteTableIds) > 0:
		return errParameter("Interface endpoints have no route tables.")
	}
	if err := checkFamily(kind, in.IpAddressType); err != nil {
		return err
	}
	if _, err := dnsOptions(kind, nil, in.DnsOptions); err != nil {
		return err
	}
	return checkPolicy(in.PolicyDocument)
}

// Families of an endpoint's addresses. Source: EC2 API Reference, CreateVpcEndpoint, IpAddressType.
const (
	fourFamily = "ipv4"
	dualFamily = "dualstack"
	sixFamily  = "ipv6"
)

// checkFamily refuses families of addresses that endpoints of a kind do not have: interfaces with IPv6 alone are in subnets of
// IPv6 alone, which there are none of here.
func checkFamily(kind string, family *string) error {
	switch f := api.Val(family); {
	case f == "" || f == fourFamily || f == dualFamily || f == sixFamily && kind == gatewayKind:
		return nil
	case f == sixFamily:
		return apierr.New("UnsupportedOperation", "This server does not support subnets of IPv6 alone, nor endpoints in them.")
	default:
		return errParameter("IpAddressType %s is not valid.", f)
	}
}

// hasSix reports whether the endpoint has addresses of IPv6.
func (e *endpointRecord) hasSix() bool { return e.Family == dualFamily || e.Family == sixFamily }

// setFamily changes the family of the addresses, if a request says one, and refuses DNS records and addresses of another.
func (e *endpointRecord) setFamily(family *string, configured []ec2api.SubnetConfiguration) error {
	if f := api.Val(family); f != "" {
		e.Family = f
	}
	switch {
	case e.hasSix():
		return nil
	case e.DNS != nil && (e.DNS.Records == dualFamily || e.DNS.Records == sixFamily):
		return errParameter("DnsRecordIpType %s is not valid for an endpoint of the IP address type ipv4.", e.DNS.Records)
	case slices.ContainsFunc(configured, func(s ec2api.SubnetConfiguration) bool { return api.Val(s.Ipv6) != "" }):
		return errParameter("An endpoint of the IP address type ipv4 has no IPv6 addresses.")
	}
	return nil
}

// A dnsRecord is what an endpoint's DNS options are besides the ordinary ones.
type dnsRecord struct {
	Records     string   `json:"records,omitempty"` // DnsRecordIpType
	InboundOnly bool     `json:"inboundOnly,omitempty"`
	Preference  string   `json:"preference,omitempty"`
	Domains     []string `json:"domains,omitempty"`
}

// dnsOptions are those of an endpoint of a kind, as a request changes them.
// Source: EC2 API Reference, DnsOptionsSpecification.
func dnsOptions(kind string, was *dnsRecord, in *ec2api.DnsOptionsSpecification) (*dnsRecord, error) {
	if in == nil {
		return was, nil
	}
	d := dnsRecord{}
	if was != nil {
		d = *was
	}
	if t := api.Val(in.DnsRecordIpType); t != "" {
		if !slices.Contains([]string{fourFamily, dualFamily, sixFamily, serviceDefined}, t) {
			return nil, errParameter("DnsRecordIpType %s is not valid.", t)
		}
		d.Records = t
	}
	if p := api.Val(in.PrivateDnsPreference); p != "" {
		if !slices.Contains([]string{"VERIFIED_DOMAINS_ONLY", "ALL_DOMAINS", "VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS", "SPECIFIED_DOMAINS_ONLY"}, p) {
			return nil, errParameter("PrivateDnsPreference %s is not valid.", p)
		}
		d.Preference = p
	}
	if in.PrivateDnsOnlyForInboundResolverEndpoint != nil {
		d.InboundOnly = *in.PrivateDnsOnlyForInboundResolverEndpoint
	}
	if d.InboundOnly && kind == gatewayKind {
		return nil, errParameter("PrivateDnsOnlyForInboundResolverEndpoint is for interface endpoints only.")
	}
	if len(in.PrivateDnsSpecifiedDomains) > 0 {
		d.Domains = in.PrivateDnsSpecifiedDomains
	}
	return &d, nil
}

func checkPolicy(text *string) error {
	if api.Val(text) != "" && (len(*text) > maxPolicy || !json.Valid([]byte(*text))) {
		return apierr.New("InvalidPolicyDocument", "The policy is not in the valid JSON format.")
	}
	return nil
}

// refs are what a request names besides an endpoint.
func named(tables, subnets, groups []string) (refs []idiom.Ref) {
	for kind, ids := range map[string][]string{"route-table": tables, "subnet": subnets, "security-group": groups} {
		for _, id := range ids {
			refs = append(refs, idiom.On(kind, id))
		}
	}
	slices.SortFunc(refs, func(a, b idiom.Ref) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	return refs
}

// CreateVpcEndpoint makes a VPC endpoint for a service of AWS.
// Source: EC2 API Reference, CreateVpcEndpoint.
func (s *Service) CreateVpcEndpoint(ctx context.Context, c *guard.Call, in *ec2api.CreateVpcEndpointRequest) (*ec2api.CreateVpcEndpointResult, error) {
	kind := cmp.Or(api.Val(in.VpcEndpointType), gatewayKind)
	if err := checkEndpoint(in, c.Region, kind); err != nil {
		return nil, err
	}
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, "vpc-endpoint")
	if err != nil {
		return nil, err
	}
	tags := specs["vpc-endpoint"]
	fresh := endpointRecord{
		own: newOwn(c, "vpce"), VPC: *in.VpcId, Service: *in.ServiceName, Kind: kind, Policy: cmp.Or(api.Val(in.PolicyDocument), anyAccess(kind)), Created: s.g.Now(),
		PrivateDNS: kind == interfaceKind && (in.PrivateDnsEnabled == nil || *in.PrivateDnsEnabled),
	}
	fresh.DNS, _ = dnsOptions(kind, nil, in.DnsOptions) // checked before
	if err := fresh.setFamily(in.IpAddressType, in.SubnetConfigurations); err != nil {
		return nil, err
	}
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(plain))
	out := new(ec2api.CreateVpcEndpointResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		e := fresh
		e.Faces = map[string]string{}
		m := &idiom.Made{Kind: "vpc-endpoint", ID: e.ID, Tags: tags, Describe: func(p *authz.Part) {
			p.Context.Set("ec2:vpceservicename", e.Service)
			p.Context.Set("ec2:vpceserviceowner", "amazon")
		}}
		subnets := subnetsOf(in.SubnetIds, in.SubnetConfigurations)
		if err := s.desk.Allow(tx, c, in.DryRun, m, append([]idiom.Ref{idiom.On("vpc", e.VPC)}, named(in.RouteTableIds, subnets, in.SecurityGroupIds)...)...); err != nil {
			return err
		}
		have, err := all(tx, c, endpointTable, nil)
		if err != nil {
			return err
		}
		known, was, made, err := before(tx, c, token, have, errEndpoint)
		if err != nil {
			return err
		}
		if made {
			out.VpcEndpoint, out.ClientToken = new(known.wire()), in.ClientToken
			out.VpcEndpoint.Tags = was
			return nil
		}
		if count(have, func(o *endpointRecord) bool { return o.VPC == e.VPC }) >= maxEndpoints {
			return apierr.New("VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached.")
		}
		if e.Kind == interfaceKind {
			if e.Groups, e.GroupsBy, err = s.nets.GroupNames(tx, c, e.VPC, in.SecurityGroupIds); err != nil {
				return err
			}
		}
		if err := s.extend(tx, c, &e, have, in.RouteTableIds, subnets, in.SubnetConfigurations); err != nil {
			return err
		}
		if err := s.checkDNS(tx, c, &e, have); err != nil {
			return err
		}
		out.VpcEndpoint, out.ClientToken = new(e.wire()), in.ClientToken
		out.VpcEndpoint.Tags = idiom.MadeWith(tags)
		if e.Kind == interfaceKind {
			out.VpcEndpoint.State = new("pending")
		}
		return keep(tx, c, token, s.g.Now(), endpointTable, e, tags)
	})
}

func subnetsOf(ids []string, configured []ec2api.SubnetConfiguration) []string {
	out := slices.Clone(ids)
	for _, s := range configured {
		if id := api.Val(s.SubnetId); id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// addressesFor are the addresses that a request wants for an endpoint in a subnet.
func addressesFor(subnet string, configured []ec2api.SubnetConfiguration) (four, six string) {
	for _, s := range configured {
		if api.Val(s.SubnetId) == subnet {
			four, six = api.Val(s.Ipv4), api.Val(s.Ipv6)
		}
	}
	return four, six
}

// checkDNS refuses private names that the VPC cannot have, and that two endpoints would have.
// Source: AWS PrivateLink Guide, "Access an AWS service using an interface VPC endpoint", private DNS.
func (s *Service) checkDNS(tx store.Tx, c *guard.Call, e *endpointRecord, have []endpointRecord) error {
	if !e.PrivateDNS {
		return nil
	}
	v, err := s.vpc(tx, c, e.VPC)
	if err != nil {
		return err
	}
	if !v.DNS {
		return errParameter("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", e.VPC)
	}
	for i := range have {
		if o := &have[i]; o.ID != e.ID && o.VPC == e.VPC && o.Service == e.Service && o.PrivateDNS {
			return errParameter("private-dns-enabled cannot be set because there is already a conflicting DNS domain for the service in the VPC %s", e.VPC)
		}
	}
	return nil
}

// extend adds route tables and subnets to an endpoint. Where it has other addresses than those that are wanted for a
// subnet, its network interface there is replaced.
func (s *Service) extend(tx store.Tx, c *guard.Call, e *endpointRecord, have []endpointRecord, tables, subnets []string, configured []ec2api.SubnetConfiguration) error {
	known, err := s.tables(tx, c)
	if err != nil {
		return err
	}
	for _, id := range tables {
		t, err := find(known, id, errRouteTable)
		if err != nil {
			return err
		}
		if t.VPC != e.VPC {
			return errParameter("Route table %s and VPC %s belong to different networks", id, e.VPC)
		}
		taken := slices.ContainsFunc(have, func(o endpointRecord) bool {
			return o.ID != e.ID && o.Service == e.Service && slices.Contains(o.Tables, id)
		})
		if taken {
			return apierr.Newf("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", id, prefixList(c.Region, e.Service))
		}
		if !slices.Contains(e.Tables, id) {
			e.Tables = append(e.Tables, id)
		}
	}
	for _, id := range subnets {
		n, err := s.subnet(tx, c, id)
		if err != nil {
			return err
		}
		if n.VPC != e.VPC {
			return errParameter("Subnet %s and VPC %s belong to different networks", id, e.VPC)
		}
		four, six := addressesFor(id, configured)
		if face := e.Faces[id]; face != "" {
			wasFour, wasSix, err := s.nets.AddressesOf(tx, c, face)
			if err != nil {
				return err
			}
			if four, six = cmp.Or(four, wasFour), cmp.Or(six, wasSix); !e.hasSix() {
				six = ""
			}
			if four == wasFour && six == wasSix && e.hasSix() == (wasSix != "") {
				continue
			}
			if err := s.nets.DropFace(tx, c, face); err != nil {
				return err
			}
			delete(e.Faces, id)
		}
		for other := range e.Faces {
			if o, err := s.subnet(tx, c, other); err == nil && o.Zone == n.Zone {
				return apierr.Newf("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of %s", id)
			}
		}
		f := Face{Subnet: id, Kind: "vpc_endpoint", Description: "VPC Endpoint Interface " + e.ID, Groups: e.Groups, Address: four, Six: six, Dual: e.hasSix()}
		if f, err = s.nets.AddFace(tx, c, f); err != nil {
			return err
		}
		e.Faces[id] = f.ID
		zones := map[string]string{id: n.Zone}
		maps.Copy(zones, e.Zones)
		e.Zones = zones
	}
	return nil
}

// ModifyVpcEndpoint changes a VPC endpoint. Source: EC2 API Reference, ModifyVpcEndpoint.
func (s *Service) ModifyVpcEndpoint(ctx context.Context, c *guard.Call, in *ec2api.ModifyVpcEndpointRequest) (*ec2api.ModifyVpcEndpointResult, error) {
	if err := checkPolicy(in.PolicyDocument); err != nil {
		return nil, err
	}
	return &ec2api.ModifyVpcEndpointResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		added := subnetsOf(in.AddSubnetIds, in.SubnetConfigurations)
		refs := named(slices.Concat(in.AddRouteTableIds, in.RemoveRouteTableIds), slices.Concat(added, in.RemoveSubnetIds),
			slices.Concat(in.AddSecurityGroupIds, in.RemoveSecurityGroupIds))
		if err := s.desk.Allow(tx, c, in.DryRun, nil, append([]idiom.Ref{idiom.On("vpc-endpoint", *in.VpcEndpointId)}, refs...)...); err != nil {
			return err
		}
		have, err := all(tx, c, endpointTable, nil)
		if err != nil {
			return err
		}
		e, err := find(have, *in.VpcEndpointId, errEndpoint)
		if err != nil {
			return err
		}
		if e.Kind == gatewayKind && len(added)+len(in.RemoveSubnetIds)+len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds) > 0 {
			return errParameter("Gateway endpoints have no subnets and security groups.")
		}
		if e.Kind == interfaceKind && len(in.AddRouteTableIds)+len(in.RemoveRouteTableIds) > 0 {
			return errParameter("Interface endpoints have no route tables.")
		}
		switch {
		case api.Val(in.ResetPolicy):
			e.Policy = anyAccess(e.Kind)
		case api.Val(in.PolicyDocument) != "":
			e.Policy = *in.PolicyDocument
		}
		if e.DNS, err = dnsOptions(e.Kind, e.DNS, in.DnsOptions); err != nil {
			return err
		}
		if err := checkFamily(e.Kind, in.IpAddressType); err != nil {
			return err
		}
		if err := e.setFamily(in.IpAddressType, in.SubnetConfigurations); err != nil {
			return err
		}
		if in.PrivateDnsEnabled != nil && e.Kind == interfaceKind {
			e.PrivateDNS = *in.PrivateDnsEnabled
			if err := s.checkDNS(tx, c, &e, have); err != nil {
				return err
			}
		}
		if err := s.reduce(tx, c, &e, in); err != nil {
			return err
		}
		subnets := slices.Compact(slices.Sorted(slices.Values(slices.Concat(added, slices.Collect(maps.Keys(e.Faces))))))
		if err := s.extend(tx, c, &e, have, in.AddRouteTableIds, subnets, in.SubnetConfigurations); err != nil {
			return err
		}
		return put(tx, endpointTable, e)
	})
}

// reduce takes from an endpoint what a request says, and changes its security groups.
func (s *Service) reduce(tx store.Tx, c *guard.Call, e *endpointRecord, in *ec2api.ModifyVpcEndpointRequest) error {
	faces := map[string]string{}
	for subnet, face := range e.Faces {
		if !slices.Contains(in.RemoveSubnetIds, subnet) {
			faces[subnet] = face
			continue
		}
		if err := s.nets.DropFace(tx, c, face); err != nil {
			return err
		}
	}
	e.Faces, e.Zones = faces, maps.Clone(e.Zones)
	maps.DeleteFunc(e.Zones, func(subnet, _ string) bool { return faces[subnet] == "" })
	e.Tables = slices.DeleteFunc(slices.Clone(e.Tables), func(id string) bool { return slices.Contains(in.RemoveRouteTableIds, id) })
	if e.Kind == gatewayKind || len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds) == 0 {
		return nil
	}
	ids := slices.DeleteFunc(slices.Clone(e.Groups), func(id string) bool { return slices.Contains(in.RemoveSecurityGroupIds, id) })
	for _, id := range in.AddSecurityGroupIds {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return errParameter("An interface endpoint has at least one security group.")
	}
	var err error
	if e.Groups, e.GroupsBy, err = s.nets.GroupNames(tx, c, e.VPC, ids); err != nil {
		return err
	}
	for _, face := range e.Faces {
		if err := s.nets.GuardFace(tx, c, face, e.Groups, e.GroupsBy); err != nil {
			return err
		}
	}
	return nil
}
