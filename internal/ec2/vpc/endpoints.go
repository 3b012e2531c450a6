package vpc

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An endpointRecord is a VPC endpoint: a gateway one has route tables, an interface one network interfaces.
type endpointRecord struct {
	own
	VPC        string            `json:"vpc"`
	Service    string            `json:"service"`
	Kind       string            `json:"kind"`
	Policy     string            `json:"policy"`
	Tables     []string          `json:"tables,omitempty"`
	Faces      map[string]string `json:"faces,omitempty"` // by subnet
	Zones      map[string]string `json:"zones,omitempty"` // of the subnets
	Groups     []string          `json:"groups,omitempty"`
	GroupsBy   []string          `json:"groupsBy,omitempty"`
	PrivateDNS bool              `json:"privateDns,omitempty"`
	DNS        *dnsRecord        `json:"dns,omitempty"`
	Family     string            `json:"family,omitempty"` // of its addresses; "": ipv4
	Created    time.Time         `json:"created"`
}

// endpointTable is keyed by (region, account, id).
var endpointTable = store.Table[endpointRecord]{Bucket: "ec2/vpc-endpoint", Version: 1}

// Kinds of endpoints.
const (
	gatewayKind   = "Gateway"
	interfaceKind = "Interface"
)

// serviceDefined are the DNS records of gateway endpoints.
const serviceDefined = "service-defined"

func (s *Service) endpointOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateVpcEndpoint":               guard.Handle(s.CreateVpcEndpoint),
		"ModifyVpcEndpoint":               guard.Handle(s.ModifyVpcEndpoint),
		"DeleteVpcEndpoints":              guard.Handle(s.DeleteVpcEndpoints),
		"DescribeVpcEndpoints":            guard.Handle(s.DescribeVpcEndpoints),
		"DescribeVpcEndpointAssociations": guard.Handle(s.DescribeVpcEndpointAssociations),
		"DescribeVpcEndpointServices":     guard.Handle(s.DescribeVpcEndpointServices),
		"DescribePrefixLists":             guard.Handle(s.DescribePrefixLists),
	}
}

func errEndpoint(id string) error {
	return apierr.Newf("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
}

// anyAccess is the policy of endpoints that are made without one. Source: AWS PrivateLink Guide, "Control access to VPC
// endpoints using endpoint policies", default endpoint policy.
func anyAccess(kind string) string {
	const statement = `"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}`
	if kind == gatewayKind {
		return `{"Version":"2008-10-17",` + statement
	}
	return "{" + statement
}

func (e *endpointRecord) wire() ec2api.VpcEndpoint {
	w := ec2api.VpcEndpoint{
		VpcEndpointId: &e.ID, VpcEndpointType: &e.Kind, VpcId: &e.VPC, ServiceName: &e.Service, State: new("available"), PolicyDocument: &e.Policy,
		OwnerId: &e.Account, RequesterManaged: new(false), PrivateDnsEnabled: new(e.PrivateDNS), CreationTimestamp: &e.Created, IpAddressType: new(cmp.Or(e.Family, fourFamily)),
		ServiceRegion: &e.Region, RouteTableIds: slices.Clone(e.Tables), SubnetIds: []string{}, NetworkInterfaceIds: []string{},
		Groups: []ec2api.SecurityGroupIdentifier{}, DnsEntries: []ec2api.DnsEntry{},
	}
	if w.RouteTableIds == nil {
		w.RouteTableIds = []string{}
	}
	if e.Kind == gatewayKind {
		w.DnsOptions = e.DNS.wire(serviceDefined)
		return w
	}
	w.DnsOptions = e.DNS.wire(cmp.Or(e.Family, fourFamily))
	for subnet := range e.Faces {
		w.SubnetIds = append(w.SubnetIds, subnet)
	}
	slices.Sort(w.SubnetIds)
	for _, subnet := range w.SubnetIds {
		w.NetworkInterfaceIds = append(w.NetworkInterfaceIds, e.Faces[subnet])
	}
	for n := range e.Groups {
		w.Groups = append(w.Groups, ec2api.SecurityGroupIdentifier{GroupId: &e.Groups[n], GroupName: &e.GroupsBy[n]})
	}
	w.DnsEntries = e.names(w.SubnetIds)
	return w
}

// names are the Regional name of an interface endpoint, that of each zone, and the service's own; none without subnets.
// Source: AWS PrivateLink Guide, "Access an AWS service using an interface VPC endpoint", DNS hostnames; AWS CLI Command
// Reference, examples of create-vpc-endpoint.
func (e *endpointRecord) names(subnets []string) []ec2api.DnsEntry {
	out := []ec2api.DnsEntry{}
	if len(subnets) == 0 {
		return out
	}
	entry := func(name, zone string) {
		id := idiom.FixedID("Z", e.Region, "", zone)
		out = append(out, ec2api.DnsEntry{DnsName: &name, HostedZoneId: new("Z" + strings.ToUpper(id[len(id)-13:]))})
	}
	label, _ := strings.CutPrefix(e.Service, "com.amazonaws."+e.Region+".")
	const shared = "vpce.amazonaws.com"
	unique := idiom.FixedID("", e.Region, e.Account, e.ID)
	first, rest := e.ID+"-"+unique[len(unique)-8:], "."+label+"."+e.Region+"."+shared
	if label == "s3" { // buckets are in front
		first = "*." + first
	}
	entry(first+rest, shared)
	for _, subnet := range subnets {
		if zone := e.Zones[subnet]; zone != "" {
			entry(first+"-"+zone+rest, shared)
		}
	}
	if e.PrivateDNS {
		own := label + "." + e.Region + ".amazonaws.com"
		entry(own, own)
	}
	return out
}

// wire are DNS options with the type of records that an endpoint has by itself.
func (d *dnsRecord) wire(records string) *ec2api.DnsOptions {
	w := &ec2api.DnsOptions{DnsRecordIpType: &records}
	if d == nil {
		return w
	}
	if d.Records != "" {
		w.DnsRecordIpType = &d.Records
	}
	if d.InboundOnly {
		w.PrivateDnsOnlyForInboundResolverEndpoint = &d.InboundOnly
	}
	w.PrivateDnsPreference, w.PrivateDnsSpecifiedDomains = api.Opt(d.Preference), d.Domains
	return w
}

var endpointFields = idiom.Fields[ec2api.VpcEndpoint]{
	"vpc-endpoint-id":    func(e ec2api.VpcEndpoint) []string { return idiom.One(*e.VpcEndpointId) },
	"vpc-endpoint-type":  func(e ec2api.VpcEndpoint) []string { return idiom.One(*e.VpcEndpointType) },
	"vpc-endpoint-state": func(e ec2api.VpcEndpoint) []string { return idiom.One(*e.State) },
	"vpc-id":             func(e ec2api.VpcEndpoint) []string { return idiom.One(*e.VpcId) },
	"service-name":       func(e ec2api.VpcEndpoint) []string { return idiom.One(*e.ServiceName) },
	"service-region":     func(e ec2api.VpcEndpoint) []string { return idiom.One(*e.ServiceRegion) },
	"ip-address-type":    func(e ec2api.VpcEndpoint) []string { return idiom.One(*e.IpAddressType) },
}

// DescribeVpcEndpoints lists the caller's VPC endpoints.
func (s *Service) DescribeVpcEndpoints(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcEndpointsRequest) (*ec2api.DescribeVpcEndpointsResult, error) {
	out := new(ec2api.DescribeVpcEndpointsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := all(tx, c, endpointTable, nil)
		if err != nil {
			return err
		}
		var items []ec2api.VpcEndpoint
		for i := range have {
			items = append(items, have[i].wire())
		}
		out.VpcEndpoints, out.NextToken, err = idiom.Query[ec2api.VpcEndpoint]{
			IDs: in.VpcEndpointIds, Missing: errEndpoint, Fields: endpointFields, Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Described: func(e *ec2api.VpcEndpoint) (string, *[]ec2api.Tag) { return *e.VpcEndpointId, &e.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// associationFields are the filters of DescribeVpcEndpointAssociations.
var associationFields = idiom.Fields[string]{
	"vpc-endpoint-id": idiom.Fixed[string](), "associated-resource-accessibility": idiom.Fixed[string](), "association-id": idiom.Fixed[string](),
	"associated-resource-id": idiom.Fixed[string](), "service-network-arn": idiom.Fixed[string](), "resource-configuration-group-arn": idiom.Fixed[string](),
}

// DescribeVpcEndpointAssociations tells no associations: only endpoints of resources and service networks have some, and
// there are none of these. Source: EC2 API Reference, DescribeVpcEndpointAssociations.
func (s *Service) DescribeVpcEndpointAssociations(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcEndpointAssociationsRequest) (*ec2api.DescribeVpcEndpointAssociationsResult, error) {
	out := &ec2api.DescribeVpcEndpointAssociationsResult{VpcEndpointAssociations: []ec2api.VpcEndpointAssociation{}}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := all(tx, c, endpointTable, nil)
		if err != nil {
			return err
		}
		for _, id := range in.VpcEndpointIds {
			if _, err := find(have, id, errEndpoint); err != nil {
				return err
			}
		}
		if _, err := associationFields.Filter(in.Filters); err != nil {
			return err
		}
		_, _, err = idiom.Page(c.Operation, []string{}, func(id string) string { return id }, idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// goneEndpoint is the code about an endpoint to be deleted that does not exist; other operations have another. Seen in
// hashicorp/terraform-provider-aws pull request 16656.
const goneEndpoint = "InvalidVpcEndpoint.NotFound"

// DeleteVpcEndpoints deletes VPC endpoints with their network interfaces and routes. Those that do not exist are
// told in the answer. Source: EC2 API Reference, DeleteVpcEndpoints.
func (s *Service) DeleteVpcEndpoints(ctx context.Context, c *guard.Call, in *ec2api.DeleteVpcEndpointsRequest) (*ec2api.DeleteVpcEndpointsResult, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(in.VpcEndpointIds)))
	if len(ids) > 10 {
		return nil, idiom.InvalidValue("You can delete up to 10 VPC endpoints in a single request.")
	}
	out := new(ec2api.DeleteVpcEndpointsResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		out.Unsuccessful = []ec2api.UnsuccessfulItem{}
		have, err := all(tx, c, endpointTable, nil)
		if err != nil {
			return err
		}
		var refs []idiom.Ref
		for _, id := range ids {
			if _, err := find(have, id, errEndpoint); err != nil {
				out.Unsuccessful = append(out.Unsuccessful, ec2api.UnsuccessfulItem{ResourceId: new(id), Error: &ec2api.UnsuccessfulItemError{
					Code: new(goneEndpoint), Message: new("The Vpc Endpoint Id '" + id + "' does not exist"),
				}})
				continue
			}
			refs = append(refs, idiom.On("vpc-endpoint", id))
		}
		if len(refs) == 0 {
			refs = []idiom.Ref{idiom.On("vpc-endpoint", "*")}
		}
		if err := s.desk.Allow(tx, c, in.DryRun, nil, refs...); err != nil {
			return err
		}
		for _, e := range have {
			if !slices.Contains(ids, e.ID) {
				continue
			}
			for _, face := range e.Faces {
				if err := s.nets.DropFace(tx, c, face); err != nil {
					return err
				}
			}
			if err := drop(tx, c, endpointTable, e, e.ID, nil); err != nil {
				return err
			}
		}
		return nil
	})
}
