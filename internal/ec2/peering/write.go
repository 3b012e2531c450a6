package peering

import (
	"cmp"
	"context"
	"regexp"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Quotas. Source: VPC User Guide, "Amazon VPC quotas", VPC peering connections.
const (
	maxPending = 25 // that an account asks for
	maxActive  = 50 // of a VPC
)

// regions are names that a Region can have.
var regions = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

// checkPeer refuses an owner that is no account id and a Region that is none by its form.
func checkPeer(in *ec2api.CreateVpcPeeringConnectionRequest) error {
	if owner := api.Val(in.PeerOwnerId); owner != "" && !arn.IsAccount(owner) {
		return idiom.InvalidValue("Invalid value '%s' for peerOwnerId. It must be a 12-digit account ID.", owner)
	}
	if region := api.Val(in.PeerRegion); region != "" && !regions.MatchString(region) {
		return idiom.InvalidValue("Invalid value '%s' for peerRegion. It must be the name of a Region.", region)
	}
	return nil
}

// CreateVpcPeeringConnection asks the owner of another VPC for a connection with it. Where there is no such VPC, or the
// ranges of both overlap, the connection fails. Source: EC2 API Reference, CreateVpcPeeringConnection.
func (s *Service) CreateVpcPeeringConnection(ctx context.Context, c *guard.Call, in *ec2api.CreateVpcPeeringConnectionRequest) (*ec2api.CreateVpcPeeringConnectionResult, error) {
	if api.Val(in.PeerVpcId) == "" {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter peerVpcId")
	}
	if err := checkPeer(in); err != nil {
		return nil, err
	}
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, kind)
	if err != nil {
		return nil, err
	}
	tags := specs[kind]
	fresh := record{
		ID: idiom.RandomID("pcx"), Requester: side{Region: c.Region, Account: c.Account(), VPC: *in.VpcId}, State: pending,
		Accepter: side{Region: cmp.Or(api.Val(in.PeerRegion), c.Region), Account: cmp.Or(api.Val(in.PeerOwnerId), c.Account()), VPC: *in.PeerVpcId},
	}
	out := new(ec2api.CreateVpcPeeringConnectionResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		r := fresh
		r.Since = s.g.Now()
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: kind, ID: r.ID, Tags: tags, Describe: r.describe}, idiom.On("vpc", *in.VpcId)); err != nil {
			return err
		}
		if r.Requester == r.Accepter {
			return idiom.InvalidValue("Source and destination VPC must be different: %s", r.Requester.VPC)
		}
		if err := s.room(tx, c, &r); err != nil {
			return err
		}
		if err := s.check(tx, &r); err != nil {
			return err
		}
		w, err := s.wire(tx, &r)
		if err != nil {
			return err
		}
		w.Status = &ec2api.VpcPeeringConnectionStateReason{Code: new("initiating-request"), Message: new("Initiating Request to " + r.Accepter.Account)}
		w.Tags, w.ExpirationTime, out.VpcPeeringConnection = idiom.MadeWith(tags), new(r.Since.Add(waits)), &w
		if err := idiom.PutTags(tx, c.Region, c.Account(), r.ID, tags); err != nil {
			return err
		}
		if r.State == pending && !r.Accepter.of(c) {
			if err := invitations.Put(tx, invitation{c.Region, c.Account()}, r.Accepter.Region, r.Accepter.Account, r.ID); err != nil {
				return err
			}
		}
		return r.put(tx)
	})
}

// check has a connection fail that cannot be.
func (s *Service) check(tx store.Tx, r *record) error {
	from, _, err := s.nets.VPC(tx, r.Requester.Region, r.Requester.Account, r.Requester.VPC)
	if err != nil {
		return err
	}
	to, ok, err := s.nets.VPC(tx, r.Accepter.Region, r.Accepter.Account, r.Accepter.VPC)
	for _, p := range to.Ranges {
		ok = ok && !slices.ContainsFunc(from.Ranges, p.Overlaps)
	}
	if !ok {
		r.State = failed
	}
	return err
}

// room refuses a request if there is one, or too many, and forgets some that nobody sees any more.
func (s *Service) room(tx store.Tx, c *guard.Call, r *record) error {
	all, err := s.list(tx, c)
	if err != nil {
		return err
	}
	waiting := 0
	for _, o := range all {
		if o.State != pending && o.State != active {
			continue
		}
		if o.ends(r.Requester, r.Accepter) || o.ends(r.Accepter, r.Requester) {
			return apierr.Newf("VpcPeeringConnectionAlreadyExists", "A VPC peering connection between the VPCs already exists: %s", o.ID)
		}
		if o.State == pending && o.Requester.of(c) {
			waiting++
		}
	}
	if waiting >= maxPending {
		return apierr.New("OutstandingVpcPeeringConnectionLimitExceeded", "The maximum number of outstanding VPC peering connection requests has been reached.")
	}
	return s.forget(tx, c)
}

// ends reports whether these are the VPCs of a connection.
func (r *record) ends(requester, accepter side) bool {
	same := func(a, b side) bool { return a.arn() == b.arn() }
	return same(r.Requester, requester) && same(r.Accepter, accepter)
}

// atOnce is how many connections a request forgets: a transaction is small.
const atOnce = 5

func (s *Service) forget(tx store.Tx, c *guard.Call) error {
	var gone []record
	now := s.g.Now()
	for rec, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return err
		}
		if r := rec.Value.at(now); !r.visible(now, r.Requester.Account) && !r.visible(now, r.Accepter.Account) && len(gone) < atOnce {
			gone = append(gone, r)
		}
	}
	for _, r := range gone {
		for _, of := range []side{r.Requester, r.Accepter} {
			if err := idiom.DropTags(tx, of.Region, of.Account, r.ID); err != nil {
				return err
			}
		}
		if err := invitations.Delete(tx, r.Accepter.Region, r.Accepter.Account, r.ID); err != nil {
			return err
		}
		if err := table.Delete(tx, r.Requester.Region, r.Requester.Account, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// the decides the call's action on a connection, and on more, and finds it.
func (s *Service) the(tx store.Tx, c *guard.Call, dry *bool, id string, more ...idiom.Ref) (record, error) {
	if err := s.desk.Allow(tx, c, dry, nil, append([]idiom.Ref{idiom.On(kind, id)}, more...)...); err != nil {
		return record{}, err
	}
	return s.find(tx, c, id)
}

func (r *record) errState(to string) error {
	return apierr.Newf("InvalidStateTransition", "Invalid state transition for %s, attempted to transition from %s to %s", r.ID, r.State, to)
}

func errNotYours(c *guard.Call, what, id string) error {
	return apierr.Newf("OperationNotPermitted", "User %s cannot %s peering %s", c.Account(), what, id)
}

// mine refuses what the accepter does to who is not the accepter, or in another Region.
func (r *record) mine(c *guard.Call, what string) error {
	switch {
	case r.Accepter.Account != c.Account():
		return errNotYours(c, what, r.ID)
	case r.Accepter.Region != c.Region:
		return apierr.Newf("OperationNotPermitted", "Incorrect region (%s) specified for this request. VPC peering connection %s must be accepted in region %s",
			c.Region, r.ID, r.Accepter.Region)
	}
	return nil
}

// AcceptVpcPeeringConnection makes a connection active that the caller was asked for.
// Source: EC2 API Reference, AcceptVpcPeeringConnection; VPC Peering Guide, "Identity and access management for VPC peering".
func (s *Service) AcceptVpcPeeringConnection(ctx context.Context, c *guard.Call, in *ec2api.AcceptVpcPeeringConnectionRequest) (*ec2api.AcceptVpcPeeringConnectionResult, error) {
	out := new(ec2api.AcceptVpcPeeringConnectionResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		vpc := idiom.On("vpc", "*") // where the caller has none of the connection
		if r, err := s.find(tx, c, *in.VpcPeeringConnectionId); err == nil && r.Accepter.of(c) {
			vpc.ID = r.Accepter.VPC
		}
		r, err := s.the(tx, c, in.DryRun, *in.VpcPeeringConnectionId, vpc)
		if err != nil {
			return err
		}
		if err := r.mine(c, "accept"); err != nil {
			return err
		}
		if r.State != pending {
			return r.errState("provisioning")
		}
		all, err := s.list(tx, c)
		if err != nil {
			return err
		}
		count := 0
		for _, o := range all {
			if o.State == active && (o.Accepter.arn() == r.Accepter.arn() || o.Requester.arn() == r.Accepter.arn()) {
				count++
			}
		}
		if count >= maxActive {
			return apierr.New("ActiveVpcPeeringConnectionPerVpcLimitExceeded", "The maximum number of active VPC peering connections of the VPC has been reached.")
		}
		r.State, r.Since = active, s.g.Now()
		w, err := s.wire(tx, &r)
		if err != nil {
			return err
		}
		w.Status = &ec2api.VpcPeeringConnectionStateReason{Code: new("provisioning"), Message: new("Provisioning")}
		tags, err := idiom.TagsOf(tx, c.Region, c.Account(), r.ID)
		w.Tags, out.VpcPeeringConnection = idiom.Listed(tags), &w
		if err != nil {
			return err
		}
		return r.put(tx)
	})
}

// RejectVpcPeeringConnection refuses a connection that the caller was asked for.
// Source: EC2 API Reference, RejectVpcPeeringConnection.
func (s *Service) RejectVpcPeeringConnection(ctx context.Context, c *guard.Call, in *ec2api.RejectVpcPeeringConnectionRequest) (*ec2api.RejectVpcPeeringConnectionResult, error) {
	return &ec2api.RejectVpcPeeringConnectionResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.the(tx, c, in.DryRun, *in.VpcPeeringConnectionId)
		if err != nil {
			return err
		}
		if err := r.mine(c, "reject"); err != nil {
			return err
		}
		if r.State != pending {
			return r.errState(rejected)
		}
		r.State, r.Since, r.By = rejected, s.g.Now(), c.Account()
		return r.put(tx)
	})
}

// DeleteVpcPeeringConnection ends an active connection, for either owner, or a request, for the requester.
// Source: EC2 API Reference, DeleteVpcPeeringConnection.
func (s *Service) DeleteVpcPeeringConnection(ctx context.Context, c *guard.Call, in *ec2api.DeleteVpcPeeringConnectionRequest) (*ec2api.DeleteVpcPeeringConnectionResult, error) {
	return &ec2api.DeleteVpcPeeringConnectionResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.the(tx, c, in.DryRun, *in.VpcPeeringConnectionId)
		switch {
		case err != nil:
			return err
		case r.State == pending && r.Requester.Account != c.Account():
			return errNotYours(c, "delete", r.ID)
		case r.State != pending && r.State != active:
			return r.errState("deleting")
		}
		r.State, r.Since, r.By = deleted, s.g.Now(), c.Account()
		return r.put(tx)
	})
}

// ModifyVpcPeeringConnectionOptions says whether names are those of private addresses for the other VPC: each owner for
// the own VPC, in its Region. Source: EC2 API Reference, ModifyVpcPeeringConnectionOptions.
func (s *Service) ModifyVpcPeeringConnectionOptions(ctx context.Context, c *guard.Call, in *ec2api.ModifyVpcPeeringConnectionOptionsRequest) (*ec2api.ModifyVpcPeeringConnectionOptionsResult, error) {
	for _, o := range []*ec2api.PeeringConnectionOptionsRequest{in.RequesterPeeringConnectionOptions, in.AccepterPeeringConnectionOptions} {
		if o != nil && (api.Val(o.AllowEgressFromLocalClassicLinkToRemoteVpc) || api.Val(o.AllowEgressFromLocalVpcToRemoteClassicLink)) {
			return nil, apierr.New("UnsupportedOperation", "ClassicLink is not supported.")
		}
	}
	out := new(ec2api.ModifyVpcPeeringConnectionOptionsResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.the(tx, c, in.DryRun, *in.VpcPeeringConnectionId)
		if err != nil {
			return err
		}
		if in.RequesterPeeringConnectionOptions == nil && in.AccepterPeeringConnectionOptions == nil {
			return apierr.New("MissingParameter", "The request must contain the parameter requesterPeeringConnectionOptions or accepterPeeringConnectionOptions")
		}
		if r.State != active {
			return apierr.Newf("OperationNotPermitted", "Peering %s is not active. Peering options can be added only to active peerings.", r.ID)
		}
		if out.RequesterPeeringConnectionOptions, err = s.option(tx, c, &r, &r.Requester, in.RequesterPeeringConnectionOptions, "requester"); err != nil {
			return err
		}
		if out.AccepterPeeringConnectionOptions, err = s.option(tx, c, &r, &r.Accepter, in.AccepterPeeringConnectionOptions, "accepter"); err != nil {
			return err
		}
		return r.put(tx)
	})
}

// option changes the options of one side, if a request has some for it.
func (s *Service) option(tx store.Tx, c *guard.Call, r *record, of *side, in *ec2api.PeeringConnectionOptionsRequest, name string) (*ec2api.PeeringConnectionOptions, error) {
	if in == nil {
		return nil, nil
	}
	if !of.of(c) {
		return nil, errNotYours(c, "modify the "+name+" options of", r.ID)
	}
	if on := in.AllowDnsResolutionFromRemoteVpc; on != nil {
		v, _, err := s.nets.VPC(tx, of.Region, of.Account, of.VPC)
		if err != nil {
			return nil, err
		}
		if *on && !v.DNS { // of the other one nothing is asked, although the guide says so: Terraform's provider relies on it
			return nil, apierr.Newf("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", "To enable DNS hostname resolution for the VPC peering connection, "+
				"DNS hostname support must be enabled for the VPCs.")
		}
		of.DNS = *on
	}
	return &ec2api.PeeringConnectionOptions{
		AllowDnsResolutionFromRemoteVpc: &of.DNS, AllowEgressFromLocalClassicLinkToRemoteVpc: new(false), AllowEgressFromLocalVpcToRemoteClassicLink: new(false),
	}, nil
}
