// Package peering is VPC peering connections: one between two VPCs, of one account or two, in one Region or two. The
// requester asks for it, and it is active when the accepter took it. Nothing carries packets.
// Package ec2 gives it what it knows of VPCs; package vpc has the routes.
package peering

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A VPC is what package ec2 tells of one.
type VPC struct {
	Ranges []netip.Prefix // the first one first
	DNS    bool           // it resolves names and gives them to hosts
}

// Networks is what package ec2 has of networks.
type Networks interface {
	// VPC tells about a VPC of any account and Region; ok is false if there is none.
	VPC(tx store.Tx, region, account, id string) (v VPC, ok bool, err error)
	// Describe puts the condition keys of a resource into a part; it fails if there is none with the id.
	Describe(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error
}

// A Service is this part of EC2. Safe for concurrent use.
type Service struct {
	g    *guard.Guard
	nets Networks
	desk idiom.Desk
}

// kind is the resource type.
const kind = "vpc-peering-connection"

// New makes a Service.
func New(g *guard.Guard, nets Networks) *Service {
	return &Service{g, nets, idiom.Desk{Guard: g, Describe: nets.Describe, Kinds: map[string]string{kind: "AWS::EC2::VPCPeeringConnection"}}}
}

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateVpcPeeringConnection":        guard.Handle(s.CreateVpcPeeringConnection),
		"AcceptVpcPeeringConnection":        guard.Handle(s.AcceptVpcPeeringConnection),
		"RejectVpcPeeringConnection":        guard.Handle(s.RejectVpcPeeringConnection),
		"DeleteVpcPeeringConnection":        guard.Handle(s.DeleteVpcPeeringConnection),
		"ModifyVpcPeeringConnectionOptions": guard.Handle(s.ModifyVpcPeeringConnectionOptions),
		"DescribeVpcPeeringConnections":     guard.Handle(s.DescribeVpcPeeringConnections),
	}
}

// A side is one of the two VPCs of a connection.
type side struct {
	Region  string `json:"region"`
	Account string `json:"account"`
	VPC     string `json:"vpc"`
	// DNS tells whether names of this VPC that the other asks for are those of private addresses.
	DNS bool `json:"dns,omitempty"`
}

func (s side) arn() string { return arn.EC2(s.Region, s.Account, "vpc/"+s.VPC) }

func (s side) of(c *guard.Call) bool { return s.Region == c.Region && s.Account == c.Account() }

// States that are stored. Source: VPC Peering Guide, "VPC peering connection lifecycle".
const (
	pending  = "pending-acceptance"
	active   = "active"
	failed   = "failed"
	rejected = "rejected"
	deleted  = "deleted"
	expired  = "expired" // not stored: it follows from the time
)

// A record is a connection.
type record struct {
	ID        string    `json:"id"`
	Requester side      `json:"requester"`
	Accepter  side      `json:"accepter"`
	State     string    `json:"state"`
	Since     time.Time `json:"since"`        // in the state
	By        string    `json:"by,omitempty"` // account that ended it
}

// An invitation is where the connection is that somebody else asked for.
type invitation struct {
	Region  string `json:"region"`
	Account string `json:"account"`
}

// table has the connections, keyed by (region, account, id) of the requester; invitations those that are elsewhere,
// keyed by the accepter's.
var (
	table       = store.Table[record]{Bucket: "ec2/peering", Version: 1}
	invitations = store.Table[invitation]{Bucket: "ec2/peering-invitation", Version: 1}
)

func (r *record) put(tx store.Tx) error {
	return table.Put(tx, *r, r.Requester.Region, r.Requester.Account, r.ID)
}

// How long a request waits, and how long connections that ended are still shown: to who ended them, and to the other.
// Source: VPC Peering Guide, "VPC peering connection lifecycle".
const (
	waits      = 7 * 24 * time.Hour
	shown      = 2 * time.Hour
	shownOther = 2 * 24 * time.Hour
)

// at is the connection as it is at a time.
func (r record) at(now time.Time) record {
	if r.State == pending && now.Sub(r.Since) > waits {
		r.State, r.Since = expired, r.Since.Add(waits)
	}
	return r
}

// visible reports whether an account still sees the connection.
func (r *record) visible(now time.Time, account string) bool {
	since, alone := now.Sub(r.Since), r.Requester.Account == r.Accepter.Account
	switch r.State {
	case failed:
		return account == r.Requester.Account && since <= shown
	case rejected, deleted:
		return since <= shown || since <= shownOther && !alone && account != r.By
	case expired:
		return since <= shownOther
	}
	return true
}

// list are the connections that the caller sees.
func (s *Service) list(tx store.Tx, c *guard.Call) ([]record, error) {
	var out []record
	now := s.g.Now()
	add := func(r record) {
		if r = r.at(now); r.visible(now, c.Account()) && !slices.ContainsFunc(out, func(o record) bool { return o.ID == r.ID }) {
			out = append(out, r)
		}
	}
	for rec, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		add(rec.Value)
	}
	for inv, err := range invitations.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		r, ok, err := table.Get(tx, inv.Value.Region, inv.Value.Account, inv.Key[2])
		if err != nil {
			return nil, err
		}
		if ok {
			add(r)
		}
	}
	return out, nil
}

func errMissing(id string) error {
	return apierr.Newf("InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '%s' does not exist", id)
}

// find is the connection with an id that the caller sees.
func (s *Service) find(tx store.Tx, c *guard.Call, id string) (record, error) {
	all, err := s.list(tx, c)
	if err != nil {
		return record{}, err
	}
	at := slices.IndexFunc(all, func(r record) bool { return r.ID == id })
	if at < 0 {
		return record{}, errMissing(id)
	}
	return all[at], nil
}

// Describe puts the condition keys of a connection into a part; ok is false for other kinds.
// Source: Service Authorization Reference, "Condition keys for Amazon EC2".
func (s *Service) Describe(tx store.Tx, c *guard.Call, of, id string, p *authz.Part) (ok bool, err error) {
	if of != kind {
		return false, nil
	}
	r, err := s.find(tx, c, id)
	if err == nil {
		r.describe(p)
		p.Context.Set("ec2:vpcpeeringconnectionid", id)
	}
	return true, err
}

func (r *record) describe(p *authz.Part) {
	p.Context.Set("ec2:acceptervpc", r.Accepter.arn())
	p.Context.Set("ec2:requestervpc", r.Requester.arn())
}

// Of are the connections that the caller's VPC can route to, with whether each is active.
func (s *Service) Of(tx store.Tx, c *guard.Call, vpc string) (map[string]bool, error) {
	all, err := s.list(tx, c)
	out := map[string]bool{}
	for _, r := range all {
		if (r.Requester.of(c) && r.Requester.VPC == vpc || r.Accepter.of(c) && r.Accepter.VPC == vpc) && (r.State == active || r.State == pending) {
			out[r.ID] = r.State == active
		}
	}
	return out, err
}

// A Peer is the other end of a connection of a VPC, in the same Region.
type Peer struct{ Account, VPC, Connection string }

// Peers are the other ends of the active connections of the caller's VPC.
func (s *Service) Peers(tx store.Tx, c *guard.Call, vpc string) (out []Peer, err error) {
	all, err := s.list(tx, c)
	for _, r := range all {
		near, far := r.Requester, r.Accepter
		if !near.of(c) || near.VPC != vpc {
			near, far = far, near
		}
		if r.State == active && near.of(c) && near.VPC == vpc && far.Region == c.Region {
			out = append(out, Peer{far.Account, far.VPC, r.ID})
		}
	}
	return out, err
}

// States are those of the connections that the caller sees, by their ids.
func (s *Service) States(tx store.Tx, c *guard.Call) (map[string]string, error) {
	all, err := s.list(tx, c)
	out := map[string]string{}
	for _, r := range all {
		out[r.ID] = r.State
	}
	return out, err
}

// Used reports whether a VPC has a connection that must go before it: an active one, or one that it asks for.
func (s *Service) Used(tx store.Tx, c *guard.Call, vpc string) (bool, error) {
	all, err := s.list(tx, c)
	return slices.ContainsFunc(all, func(r record) bool {
		asks, asked := r.Requester.of(c) && r.Requester.VPC == vpc, r.Accepter.of(c) && r.Accepter.VPC == vpc
		return r.State == active && (asks || asked) || r.State == pending && asks
	}), err
}

// wire is a connection as answers carry it. The ranges of the accepter's VPC are told of active ones.
// Source: EC2 API Reference, VpcPeeringConnection.
func (s *Service) wire(tx store.Tx, r *record) (ec2api.VpcPeeringConnection, error) {
	w := ec2api.VpcPeeringConnection{
		VpcPeeringConnectionId: &r.ID, Status: &ec2api.VpcPeeringConnectionStateReason{Code: &r.State, Message: new(r.message())}, Tags: []ec2api.Tag{},
	}
	if r.State == pending {
		w.ExpirationTime = new(r.Since.Add(waits))
	}
	var err error
	if w.RequesterVpcInfo, err = s.info(tx, r, r.Requester, true); err != nil {
		return w, err
	}
	w.AccepterVpcInfo, err = s.info(tx, r, r.Accepter, r.State == active)
	return w, err
}

func (s *Service) info(tx store.Tx, r *record, of side, ranges bool) (*ec2api.VpcPeeringConnectionVpcInfo, error) {
	out := &ec2api.VpcPeeringConnectionVpcInfo{OwnerId: &of.Account, VpcId: &of.VPC, Region: &of.Region}
	if r.State == active {
		out.PeeringOptions = &ec2api.VpcPeeringConnectionOptionsDescription{
			AllowDnsResolutionFromRemoteVpc: &of.DNS, AllowEgressFromLocalClassicLinkToRemoteVpc: new(false), AllowEgressFromLocalVpcToRemoteClassicLink: new(false),
		}
	}
	v, ok, err := s.nets.VPC(tx, of.Region, of.Account, of.VPC)
	if err != nil || !ok || !ranges {
		return out, err
	}
	out.CidrBlock = new(v.Ranges[0].String())
	for _, p := range v.Ranges {
		if p.Addr().Is4() {
			out.CidrBlockSet = append(out.CidrBlockSet, ec2api.CidrBlock{CidrBlock: new(p.String())})
		} else {
			out.Ipv6CidrBlockSet = append(out.Ipv6CidrBlockSet, ec2api.Ipv6CidrBlock{Ipv6CidrBlock: new(p.String())})
		}
	}
	return out, nil
}

// message tells the state in words. Source: EC2 API Reference, examples of the operations.
func (r *record) message() string {
	switch r.State {
	case pending:
		return "Pending Acceptance by " + r.Accepter.Account
	case active:
		return "Active"
	case failed:
		return "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"
	case rejected:
		return "Rejected by " + r.By
	case deleted:
		return "Deleted by " + r.By
	}
	return "Expired"
}
