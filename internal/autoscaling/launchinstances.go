package autoscaling

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxLaunched is the most capacity that one LaunchInstances asks for, tokenAge how long its answer
// is remembered. Source: API Reference, LaunchInstances.
const (
	maxLaunched = 100
	tokenAge    = 8 * time.Hour
)

// launchToken is an answer of LaunchInstances, kept under the group and the client token.
type launchToken struct {
	Request string // what was asked, to tell another request with the same token
	Made    time.Time
	Answer  *autoscalingapi.LaunchInstancesResult `json:",omitempty"` // nil while it is worked out
}

// launchTokens has the keys region, account, id of the group, client token.
var launchTokens = store.Table[launchToken]{Bucket: "autoscaling/launchtoken", Version: 1}

// LaunchInstances launches at once and tells the instances. The desired capacity grows by what was
// launched, and, if the caller wants the group to try again, by what failed.
func (s *Service) LaunchInstances(ctx context.Context, c *guard.Call, in *autoscalingapi.LaunchInstancesRequest) (*autoscalingapi.LaunchInstancesResult, error) {
	asked, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	v := &sight{}
	var known *launchToken
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		known = nil
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:LaunchInstances", nil)
		if err != nil {
			return err
		}
		v.group, v.place = g, g.place()
		key := []string{g.Region, g.Account, g.UUID, api.Val(in.ClientToken)}
		old, ok, err := launchTokens.Get(tx, key...)
		if err != nil {
			return err
		}
		// A request without an answer after a minute was cut off: it is made anew.
		if age := s.g.Now().Sub(old.Made); ok && age < tokenAge && (old.Answer != nil || age < time.Minute) {
			known = &old
			return old.same(string(asked))
		}
		if err := g.canLaunch(in); err != nil {
			return err
		}
		return launchTokens.Put(tx, launchToken{Request: string(asked), Made: s.g.Now()}, key...)
	})
	if err != nil || known != nil {
		if known != nil && err == nil {
			return known.Answer, nil
		}
		return nil, err
	}
	out, err := s.launchNow(ctx, v, in)
	if err != nil {
		return nil, err
	}
	err = s.g.Change(ctx, func(tx store.Tx) error {
		return launchTokens.Put(tx, launchToken{string(asked), s.g.Now(), out}, v.Region, v.Account, v.group.UUID, api.Val(in.ClientToken))
	})
	return out, err
}

// same refuses a token that stands for something else, or whose answer is not there yet.
func (t *launchToken) same(asked string) error {
	switch {
	case t.Request != asked:
		return apierr.New("IdempotentParameterMismatch", "The client token was used for a request with other parameters.")
	case t.Answer == nil:
		return apierr.New("ResourceContention", "The request with this client token is still being worked on.")
	}
	return nil
}

func (g *groupRecord) canLaunch(in *autoscalingapi.LaunchInstancesRequest) error {
	n := api.Val(in.RequestedCapacity)
	switch {
	case n > maxLaunched:
		return validation("RequestedCapacity must not be greater than %d.", maxLaunched)
	case g.Desired+n > g.Max:
		return validation("The requested capacity %d would take the Auto Scaling group %s above its max size %d.", n, g.Name, g.Max)
	case g.Deleting:
		return beingDeleted(g)
	case g.suspended(processLaunch):
		return validation("The Launch process of the Auto Scaling group %s is suspended.", g.Name)
	case len(in.AvailabilityZones)+len(in.AvailabilityZoneIds)+len(in.SubnetIds) > 1:
		return validation("Only one of AvailabilityZones, AvailabilityZoneIds and SubnetIds can be given.")
	case len(in.AvailabilityZones) == 1 && !slices.Contains(g.Zones, in.AvailabilityZones[0]):
		return validation("The Auto Scaling group %s does not use the Availability Zone %s.", g.Name, in.AvailabilityZones[0])
	case len(in.AvailabilityZoneIds) == 1 && !slices.Contains(g.ZoneIDs, in.AvailabilityZoneIds[0]):
		return validation("The Auto Scaling group %s does not use the Availability Zone %s.", g.Name, in.AvailabilityZoneIds[0])
	case len(in.SubnetIds) == 1 && !slices.Contains(splitList(g.Subnets), in.SubnetIds[0]):
		return validation("The Auto Scaling group %s does not use the subnet %s.", g.Name, in.SubnetIds[0])
	}
	return nil
}

// launchNow makes the launches, some at a time, and tells what became of them.
func (s *Service) launchNow(ctx context.Context, v *sight, in *autoscalingapi.LaunchInstancesRequest) (*autoscalingapi.LaunchInstancesResult, error) {
	out := &autoscalingapi.LaunchInstancesResult{
		AutoScalingGroupName: &v.Name, ClientToken: in.ClientToken, Instances: []autoscalingapi.InstanceCollection{}, Errors: []autoscalingapi.LaunchInstancesError{},
	}
	as, err := s.session(ctx, s.newCall(v.place), v.group.Role)
	if err != nil {
		return nil, validation("Access denied when attempting to assume role %s.", v.group.Role)
	}
	found := v.group
	if len(in.SubnetIds) == 1 {
		found.Subnets = in.SubnetIds[0]
	}
	subnets, err := s.subnets(ctx, &sight{place: v.place, group: found}, s.newCall(v.place), as)
	if err != nil {
		return nil, ec2Refusal(err, "")
	}
	w := wanted{missing: api.Val(in.RequestedCapacity), asked: true, cause: "a user request launched instances."}
	if len(in.AvailabilityZones) == 1 {
		maps.DeleteFunc(subnets, func(zone string, _ []string) bool { return zone != in.AvailabilityZones[0] })
	}
	if len(in.AvailabilityZoneIds) == 1 {
		maps.DeleteFunc(subnets, func(zone string, _ []string) bool { return found.zoneID(zone) != in.AvailabilityZoneIds[0] })
	}
	for w.missing > 0 {
		if _, err := s.look(ctx, v); err != nil {
			return nil, err
		}
		w.have = v.active()
		ids, units, err := s.planLaunches(ctx, v, s.newCall(v.place), as, w, subnets)
		if err != nil {
			return nil, ec2Refusal(err, "")
		}
		if units == 0 {
			break
		}
		w.missing -= units
		failed, err := s.launchAsked(ctx, v, as, ids, out)
		if err != nil {
			return nil, err
		}
		if failed > 0 && api.Val(in.RetryStrategy) != autoscalingapi.RetryStrategyRetryWithGroupConfiguration {
			err := s.g.Change(ctx, func(tx store.Tx) error {
				g, ok, err := groupTable.Get(tx, v.key()...)
				if err != nil || !ok {
					return err
				}
				g.Desired = max(g.Min, g.Desired-failed)
				return s.put(tx, g)
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// launchAsked runs launches and adds what became of them to the answer. It returns the units that
// failed.
func (s *Service) launchAsked(ctx context.Context, v *sight, as guard.Caller, ids []string, out *autoscalingapi.LaunchInstancesResult) (failed int32, err error) {
	for _, id := range ids {
		before, err := s.activity(ctx, v.place, id)
		if err != nil {
			return failed, err
		}
		l := launchRecord{}
		if before.Launch != nil {
			l = *before.Launch
		}
		if err := s.runLaunch(ctx, v, as, id); err != nil {
			return failed, err
		}
		a, err := s.activity(ctx, v.place, id)
		if err != nil {
			return failed, err
		}
		market := new(l.market())
		if a.Instance == "" {
			code, message := "InternalError", a.Message
			if e := v.refusals[id]; e != nil {
				code, message = e.Code, e.Message
			}
			failed += max(1, l.Weight)
			out.Errors = append(out.Errors, autoscalingapi.LaunchInstancesError{
				InstanceType: api.Opt(l.Type), MarketType: market, SubnetId: api.Opt(a.Subnet), AvailabilityZone: api.Opt(a.Zone),
				AvailabilityZoneId: api.Opt(v.group.zoneID(a.Zone)), ErrorCode: &code, ErrorMessage: &message,
			})
			continue
		}
		kind := v.launched[a.Instance]
		i := slices.IndexFunc(out.Instances, func(o autoscalingapi.InstanceCollection) bool {
			return api.Val(o.InstanceType) == kind && *o.SubnetId == a.Subnet && *o.MarketType == *market
		})
		if i < 0 {
			i = len(out.Instances)
			out.Instances = append(out.Instances, autoscalingapi.InstanceCollection{
				InstanceType: api.Opt(kind), MarketType: market, SubnetId: &a.Subnet, AvailabilityZone: &a.Zone, AvailabilityZoneId: api.Opt(v.group.zoneID(a.Zone)),
			})
		}
		out.Instances[i].InstanceIds = append(out.Instances[i].InstanceIds, a.Instance)
	}
	return failed, nil
}
