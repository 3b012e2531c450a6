// Package vpc is what a VPC has besides subnets, security groups and network interfaces: internet and NAT gateways,
// route tables, network ACLs, DHCP options and endpoints. They are records with EC2's rules about what belongs to
// what; nothing carries packets. Package ec2 gives it what it knows of VPCs and asks it about them.
package vpc

import (
	"cmp"
	"maps"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A VPC is what package ec2 tells of one.
type VPC struct {
	ID           string
	CIDRs        []string // address ranges, the first one first
	Default, DNS bool     // DNS: names for hosts, and who resolves them
	// Seed is what the ids of the parts follow from that it has from the beginning.
	Seed string
}

// A Subnet is what package ec2 tells of one.
type Subnet struct{ ID, VPC, Zone, CIDR string }

// A Face is a network interface that belongs to something here.
type Face struct {
	ID, Subnet, Address, Kind, Description string
	Groups                                 []string
	Dual                                   bool   // has an IPv6 address too
	Six                                    string // which one; "": any
}

// Networks is what package ec2 has of networks. Errors are EC2's.
type Networks interface {
	VPCs(tx store.Tx, c *guard.Call) ([]VPC, error)
	Subnets(tx store.Tx, c *guard.Call) ([]Subnet, error)
	// Describe puts the condition keys of a resource into a part; it fails if there is none with the id.
	Describe(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error
	// Open reports whether something in a VPC has a public address.
	Open(tx store.Tx, c *guard.Call, vpc string) (bool, error)
	// SetDHCP says which DHCP options a VPC has; DHCP which VPCs have some.
	SetDHCP(tx store.Tx, c *guard.Call, vpc, options string) error
	DHCP(tx store.Tx, c *guard.Call, options string) (used bool, err error)
	// AddFace makes a network interface, with addresses of its subnet if it names none; DropFace deletes one.
	AddFace(tx store.Tx, c *guard.Call, f Face) (Face, error)
	DropFace(tx store.Tx, c *guard.Call, id string) error
	// AddressesOf are the private address of one, and its first IPv6 address if it has one.
	AddressesOf(tx store.Tx, c *guard.Call, id string) (four, six string, err error)
	// GuardFace gives one other security groups.
	GuardFace(tx store.Tx, c *guard.Call, id string, groups, names []string) error
	// FaceOf finds the network interface that a route leads to: one by its id, or the only one of an instance.
	FaceOf(tx store.Tx, c *guard.Call, face, instance string) (id, vpc, owner string, err error)
	// Behind is what a network interface leads to: an instance, if it is attached to one, and whether that, or a service, takes what is sent.
	Behind(tx store.Tx, c *guard.Call, face string) (instance, owner string, works bool, err error)
	// AddAddresses gives one secondary private addresses: those that are given, and so many more. DropAddresses takes some.
	AddAddresses(tx store.Tx, c *guard.Call, face string, given []string, more int) ([]string, error)
	DropAddresses(tx store.Tx, c *guard.Call, face string, addresses []string) error
	// TakeAddress associates a free Elastic IP address with a network interface, with its first private address or a
	// secondary one that is named; FreeAddress takes it away.
	TakeAddress(tx store.Tx, c *guard.Call, allocation, face, secondary string) (public, association string, err error)
	FreeAddress(tx store.Tx, c *guard.Call, allocation string) error
	// Peerings are the VPC peering connections that a VPC can route to, with whether each is active.
	Peerings(tx store.Tx, c *guard.Call, vpc string) (map[string]bool, error)
	// GroupNames finds security groups of a VPC; without ids its default one.
	GroupNames(tx store.Tx, c *guard.Call, vpc string, ids []string) (found, names []string, err error)
}

// Quotas are what AWS raises for accounts that ask; 0 is what an account has that did not: 5 of each.
// Source: VPC User Guide, "Amazon VPC quotas".
type Quotas struct {
	VPCs        int // and internet gateways, of an account and Region
	Addresses   int // Elastic IP addresses of an account and Region
	NATGateways int // of an account and zone
}

// withDefaults is the quotas with AWS's for those that are 0.
func (q Quotas) withDefaults() Quotas {
	const usual = 5
	return Quotas{cmp.Or(q.VPCs, usual), cmp.Or(q.Addresses, usual), cmp.Or(q.NATGateways, usual)}
}

// A Service is this part of EC2. Safe for concurrent use.
type Service struct {
	Quotas Quotas // as they are kept

	g    *guard.Guard
	nets Networks
	desk idiom.Desk
}

// New makes a Service.
func New(g *guard.Guard, nets Networks, quotas Quotas) *Service {
	return &Service{quotas.withDefaults(), g, nets, idiom.Desk{Guard: g, Describe: nets.Describe, Kinds: touched}}
}

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	ops := map[string]guard.Handler{}
	for _, part := range []map[string]guard.Handler{
		s.gatewayOperations(), s.egressOperations(), s.routeOperations(), s.aclOperations(), s.natOperations(), s.dhcpOperations(), s.endpointOperations(), s.classicOperations(), s.flowOperations(), s.absentOperations(),
	} {
		maps.Copy(ops, part)
	}
	return ops
}

// own is what all records begin with.
type own struct {
	Region  string `json:"region"`
	Account string `json:"account"`
	ID      string `json:"id"`
	// Gone marks what exists from the beginning and was deleted.
	Gone bool `json:"gone,omitempty"`
}

func newOwn(c *guard.Call, prefix string) own {
	return own{Region: c.Region, Account: c.Account(), ID: idiom.RandomID(prefix)}
}

func (o own) key() []string { return []string{o.Region, o.Account, o.ID} }

func (o own) head() own { return o }

// put stores a record.
func put[T interface{ key() []string }](tx store.Tx, table store.Table[T], rec T) error {
	return table.Put(tx, rec, rec.key()...)
}

// all are the records of the caller: what is there from the beginning, as far as nothing is stored under its id, and
// what is stored.
func all[T interface{ head() own }](tx store.Tx, c *guard.Call, table store.Table[T], first []T) ([]T, error) {
	var out, stored []T
	known := map[string]bool{}
	for rec, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		o := rec.Value.head()
		known[o.ID] = true
		if !o.Gone {
			stored = append(stored, rec.Value)
		}
	}
	for _, f := range first {
		if !known[f.head().ID] {
			out = append(out, f)
		}
	}
	return append(out, stored...), nil
}

// find is the record with an id, or the error.
func find[T interface{ head() own }](items []T, id string, missing func(string) error) (T, error) {
	for _, item := range items {
		if item.head().ID == id {
			return item, nil
		}
	}
	var none T
	return none, missing(id)
}

// first is the id of what a VPC has from the beginning.
func (v VPC) first(c *guard.Call, prefix string) string {
	return idiom.FixedID(prefix, c.Region, c.Account(), v.Seed)
}

// drop deletes a record and its tags; what is there from the beginning is marked.
func drop[T interface{ key() []string }](tx store.Tx, c *guard.Call, table store.Table[T], rec T, id string, mark func(*T)) error {
	if err := idiom.DropTags(tx, c.Region, c.Account(), id); err != nil {
		return err
	}
	if mark != nil {
		mark(&rec)
		return put(tx, table, rec)
	}
	return table.Delete(tx, rec.key()...)
}

// touched are CloudFormation's names of resource types, by EC2's.
var touched = map[string]string{
	"internet-gateway": "AWS::EC2::InternetGateway", egressKind: "AWS::EC2::EgressOnlyInternetGateway", "route-table": "AWS::EC2::RouteTable", "network-acl": "AWS::EC2::NetworkAcl",
	"natgateway": "AWS::EC2::NatGateway", "dhcp-options": "AWS::EC2::DHCPOptions", "vpc-endpoint": "AWS::EC2::VPCEndpoint", flowKind: "AWS::EC2::FlowLog",
}

func (s *Service) vpc(tx store.Tx, c *guard.Call, id string) (VPC, error) {
	vpcs, err := s.nets.VPCs(tx, c)
	for _, v := range vpcs {
		if v.ID == id {
			return v, nil
		}
	}
	if err == nil {
		err = errVPC(id)
	}
	return VPC{}, err
}

func (s *Service) subnet(tx store.Tx, c *guard.Call, id string) (Subnet, error) {
	subnets, err := s.nets.Subnets(tx, c)
	for _, n := range subnets {
		if n.ID == id {
			return n, nil
		}
	}
	if err == nil {
		err = apierr.Newf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
	}
	return Subnet{}, err
}

func errInUse(kind, id string) error {
	return apierr.Newf("DependencyViolation", "The %s '%s' has dependencies and cannot be deleted.", kind, id)
}

func notFound(code, kind string) func(string) error {
	return func(id string) error { return apierr.Newf(code, "The %s ID '%s' does not exist", kind, id) }
}

// tagsOf are the tags of a resource as the answer to the request that made it carries them.
func tagsOf(tx store.Tx, c *guard.Call, id string) ([]ec2api.Tag, error) {
	tags, err := idiom.TagsOf(tx, c.Region, c.Account(), id)
	return idiom.Listed(tags), err
}

// before is what a client token made, with its tags of now; made is false if it made nothing yet.
func before[T interface{ head() own }](tx store.Tx, c *guard.Call, token idiom.ClientToken, have []T, missing func(string) error) (rec T, tags []ec2api.Tag, made bool, err error) {
	id, err := token.Seen(tx, c)
	if err != nil || id == "" {
		return rec, nil, false, err
	}
	if rec, err = find(have, id, missing); err != nil {
		return rec, nil, false, err
	}
	tags, err = tagsOf(tx, c, id)
	return rec, tags, true, err
}

// keep stores what was made, with its tags, and remembers the client token that made it.
func keep[T interface {
	head() own
	key() []string
}](tx store.Tx, c *guard.Call, token idiom.ClientToken, now time.Time, table store.Table[T], rec T, tags []idiom.Tag) error {
	id := rec.head().ID
	if err := idiom.PutTags(tx, c.Region, c.Account(), id, tags); err != nil {
		return err
	}
	if err := token.Remember(tx, c, now, id); err != nil {
		return err
	}
	return put(tx, table, rec)
}

// count is how many items are wanted.
func count[T any](items []T, want func(*T) bool) (n int) {
	for i := range items {
		if want(&items[i]) {
			n++
		}
	}
	return n
}
