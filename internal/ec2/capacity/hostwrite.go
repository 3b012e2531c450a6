package capacity

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func (s *Service) hostOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"AllocateHosts": guard.Handle(s.AllocateHosts),
		"ModifyHosts":   guard.Handle(s.ModifyHosts),
		"ReleaseHosts":  guard.Handle(s.ReleaseHosts),
		"DescribeHosts": guard.Handle(s.DescribeHosts),
	}
}

// maxHosts is how many hosts of a family an account has in a region, unless it asked for more; AWS's number differs
// from family to family. Source: EC2 API Reference, "Error codes" (HostLimitExceeded).
const maxHosts = 20

// hardwareOf checks the family or the type that a request names: one of them.
// Source: EC2 API Reference, AllocateHosts, InstanceFamily and InstanceType.
func hardwareOf(family, kind string) (string, error) {
	switch {
	case family == "" && kind == "":
		return "", apierr.New("MissingParameter", "The request must contain the parameter instanceType or instanceFamily")
	case family != "" && kind != "":
		return "", apierr.New("InvalidParameterCombination", "You can specify instanceType or instanceFamily, not both.")
	case kind != "":
		family = familyOf(kind)
	}
	if len(types(family)) == 0 || kind != "" && !slices.ContainsFunc(types(family), func(t *hardware.Type) bool { return t.Name == kind }) {
		return "", idiom.InvalidValue("Value (%s) is invalid: Dedicated Hosts do not support it.", cmp.Or(kind, family))
	}
	return family, nil
}

// newHost reads a request for hosts.
func (s *Service) newHost(c *guard.Call, in *ec2api.AllocateHostsRequest) (hostRecord, error) {
	h := hostRecord{
		Region: c.Region, Account: c.Account(), Type: api.Val(in.InstanceType), Auto: api.Val(in.AutoPlacement) == ec2api.AutoPlacementOn,
		Recovery: cmp.Or(api.Val(in.HostRecovery), ec2api.HostRecoveryOff), Maintenance: cmp.Or(api.Val(in.HostMaintenance), ec2api.HostMaintenanceOff),
		Token: api.Val(in.ClientToken), Allocated: c.Time,
	}
	if in.OutpostArn != nil || len(in.AssetIds) > 0 {
		return h, apierr.New("UnsupportedOperation", "This server does not support Outposts.")
	}
	var err error
	if h.Family, err = hardwareOf(api.Val(in.InstanceFamily), h.Type); err != nil {
		return h, err
	}
	h.Zone, h.ZoneID, err = zoneOf(c, api.Val(in.AvailabilityZone), api.Val(in.AvailabilityZoneId))
	return h, err
}

// AllocateHosts allocates Dedicated Hosts. Source: EC2 API Reference, AllocateHosts.
func (s *Service) AllocateHosts(ctx context.Context, c *guard.Call, in *ec2api.AllocateHostsRequest) (*ec2api.AllocateHostsResult, error) {
	h, err := s.newHost(c, in)
	if err != nil {
		return nil, err
	}
	n := int32(1)
	if in.Quantity != nil {
		n = *in.Quantity
	}
	if n < 1 {
		return nil, idiom.InvalidValue("Value (%d) for parameter quantity is invalid. It is at least 1.", n)
	}
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, hostKind)
	if err != nil {
		return nil, err
	}
	tags, plain := specs[hostKind], *in
	plain.ClientToken = nil
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(plain))
	out := &ec2api.AllocateHostsResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		out.HostIds = nil
		h.ID = idiom.RandomID("h")
		made := &idiom.Made{Kind: hostKind, ID: h.ID, Tags: tags, Describe: func(p *authz.Part) {
			h.describe(p)
			p.Context.Set("ec2:quantity", strconv.Itoa(int(n)))
		}}
		if err := s.desk.Allow(tx, c, nil, made); err != nil {
			return err
		}
		before, err := token.Seen(tx, c)
		if err != nil {
			return err
		}
		if before != "" {
			out.HostIds = strings.Split(before, " ")
			return nil
		}
		if err := sweep(tx, c, hostTable, func(h *hostRecord) (string, time.Time) { return h.ID, h.Released }); err != nil {
			return err
		}
		if err := s.underLimit(tx, c, h.Family, n); err != nil {
			return err
		}
		for range n {
			if err := hostTable.Put(tx, h, h.key()...); err != nil {
				return err
			}
			if err := idiom.PutTags(tx, c.Region, c.Account(), h.ID, tags); err != nil {
				return err
			}
			out.HostIds = append(out.HostIds, h.ID)
			c.Touch(arn.EC2(c.Region, c.Account(), hostKind+"/"+h.ID), c.Account(), "AWS::EC2::Host")
			h.ID = idiom.RandomID("h")
		}
		return token.Remember(tx, c, c.Time, strings.Join(out.HostIds, " "))
	})
}

func (s *Service) underLimit(tx store.Tx, c *guard.Call, family string, more int32) error {
	all, err := s.hosts(tx, c)
	for n := range all {
		if all[n].Family == family && all[n].Released.IsZero() {
			more++
		}
	}
	if err == nil && more > maxHosts {
		err = apierr.New("HostLimitExceeded", "You've reached the limit on the number of Dedicated Hosts that you can allocate.")
	}
	return err
}

// each changes hosts, each by itself: those that cannot be changed are failures in the answer.
func (s *Service) each(ctx context.Context, c *guard.Call, ids []string, tell func(*authz.Part), change func(h *hostRecord, on []Use) error,
) (done []string, failed []ec2api.UnsuccessfulItem, err error) {
	const most = 50 // in one transaction
	if len(ids) > most {
		return nil, nil, idiom.InvalidValue("You can specify up to %d hosts in a single request.", most)
	}
	var refs []idiom.Ref
	for _, id := range ids {
		refs = append(refs, idiom.On(hostKind, id).Telling(tell))
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		done, failed = nil, nil
		missing, err := s.desk.Decide(tx, c, nil, refs...)
		if err != nil {
			return err
		}
		uses, err := s.instances.Uses(tx, c)
		if err != nil {
			return err
		}
		for n, id := range ids {
			err := missing[n]
			var h hostRecord
			if err == nil {
				h, err = s.dedicated(tx, c, id)
			}
			if err == nil {
				err = change(&h, h.on(uses))
			}
			if err != nil {
				refused, ok := errors.AsType[*apierr.Error](err)
				if !ok {
					return err
				}
				failed = append(failed, ec2api.UnsuccessfulItem{
					ResourceId: &id, Error: &ec2api.UnsuccessfulItemError{Code: new("Client." + refused.Code), Message: &refused.Message},
				})
				continue
			}
			if err := hostTable.Put(tx, h, h.key()...); err != nil {
				return err
			}
			done = append(done, id)
		}
		return nil
	})
	return done, failed, err
}

// ModifyHosts changes what hosts take and, of those without instances, for which types of their family they are.
// Source: EC2 API Reference, ModifyHosts; EC2 User Guide, "Modify the supported instance types for an existing Amazon
// EC2 Dedicated Host".
func (s *Service) ModifyHosts(ctx context.Context, c *guard.Call, in *ec2api.ModifyHostsRequest) (*ec2api.ModifyHostsResult, error) {
	family, kind := api.Val(in.InstanceFamily), api.Val(in.InstanceType)
	if family != "" || kind != "" {
		var err error
		if family, err = hardwareOf(family, kind); err != nil {
			return nil, err
		}
	}
	change := func(h *hostRecord, on []Use) error {
		if !h.Released.IsZero() {
			return errHostState(h)
		}
		if family != "" && (family != h.Family || kind != h.Type) {
			switch {
			case family != h.Family:
				return idiom.InvalidValue("The host '%s' is of the family %s.", h.ID, h.Family)
			case kind != "" && slices.ContainsFunc(on, func(u Use) bool { return u.Type != kind }):
				return apierr.Newf("InvalidHost.Occupied", "The host '%s' has instances of other types.", h.ID)
			}
			h.Type = kind
		}
		if in.AutoPlacement != nil {
			h.Auto = *in.AutoPlacement == ec2api.AutoPlacementOn
		}
		h.Recovery, h.Maintenance = cmp.Or(api.Val(in.HostRecovery), h.Recovery), cmp.Or(api.Val(in.HostMaintenance), h.Maintenance)
		return nil
	}
	done, failed, err := s.each(ctx, c, in.HostIds, func(p *authz.Part) {
		setAttribute(p, "AutoPlacement", api.Val(in.AutoPlacement))
		setAttribute(p, "HostRecovery", api.Val(in.HostRecovery))
		setAttribute(p, "HostMaintenance", api.Val(in.HostMaintenance))
		setAttribute(p, "InstanceType", kind)
		setAttribute(p, "InstanceFamily", api.Val(in.InstanceFamily))
	}, change)
	return &ec2api.ModifyHostsResult{Successful: done, Unsuccessful: failed}, err
}

func errHostState(h *hostRecord) error {
	return apierr.Newf("InvalidHostState", "The host '%s' is released.", h.ID)
}

// ReleaseHosts releases hosts on which no instance runs. Source: EC2 API Reference, ReleaseHosts; EC2 User Guide,
// "Release an Amazon EC2 Dedicated Host".
func (s *Service) ReleaseHosts(ctx context.Context, c *guard.Call, in *ec2api.ReleaseHostsRequest) (*ec2api.ReleaseHostsResult, error) {
	done, failed, err := s.each(ctx, c, in.HostIds, nil, func(h *hostRecord, on []Use) error {
		switch {
		case !h.Released.IsZero():
			return errHost(h.ID)
		case len(on) > 0:
			return apierr.Newf("InvalidHost.Occupied", "The host '%s' cannot be released: %d instances run on it.", h.ID, len(on))
		}
		h.Released = c.Time
		return nil
	})
	return &ec2api.ReleaseHostsResult{Successful: done, Unsuccessful: failed}, err
}

// hostFields are the filters of DescribeHosts. Source: EC2 API Reference, DescribeHosts, Filter.
var hostFields = idiom.Fields[ec2api.Host]{
	"auto-placement":      func(h ec2api.Host) []string { return idiom.One(*h.AutoPlacement) },
	"availability-zone":   func(h ec2api.Host) []string { return idiom.One(*h.AvailabilityZone) },
	"client-token":        func(h ec2api.Host) []string { return idiom.One(api.Val(h.ClientToken)) },
	"host-reservation-id": idiom.Fixed[ec2api.Host](),
	"instance-type":       func(h ec2api.Host) []string { return idiom.One(api.Val(h.HostProperties.InstanceType)) },
	"state":               func(h ec2api.Host) []string { return idiom.One(*h.State) },
}

// DescribeHosts lists the caller's hosts; those that were released for an hour.
// Source: EC2 API Reference, DescribeHosts.
func (s *Service) DescribeHosts(ctx context.Context, c *guard.Call, in *ec2api.DescribeHostsRequest) (*ec2api.DescribeHostsResult, error) {
	if len(in.HostIds) > 0 && in.MaxResults != nil {
		return nil, idiom.ErrIDsAndPage("hostIdSet")
	}
	out := &ec2api.DescribeHostsResult{}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, nil); err != nil {
			return err
		}
		all, err := s.hosts(tx, c)
		if err != nil {
			return err
		}
		uses, err := s.instances.Uses(tx, c)
		if err != nil {
			return err
		}
		items := []ec2api.Host{}
		for n := range all {
			items = append(items, all[n].wire(uses))
		}
		out.Hosts, out.NextToken, err = idiom.Query[ec2api.Host]{
			IDs: in.HostIds, Missing: errHost, Fields: hostFields, Filters: in.Filter, Limits: idiom.Limits{Least: 5, Most: 500},
			Max: in.MaxResults, Token: in.NextToken,
			Described: func(h *ec2api.Host) (string, *[]ec2api.Tag) { return *h.HostId, &h.Tags },
		}.Answer(tx, c, items)
		return err
	})
}
