package autoscaling

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// replaceRebalance is the reason of a member that got a rebalance recommendation.
const replaceRebalance = "rebalance"

const (
	causeRebalance       = "an instance was taken out of service in response to an EC2 instance rebalance recommendation."
	causeRebalanceLaunch = "an instance was launched in response to an EC2 instance rebalance recommendation."
)

// rebalanceDetail is the detail of the event of a recommendation.
// Source: EC2 User Guide, "EC2 instance rebalance recommendations".
type rebalanceDetail struct {
	InstanceID string `json:"instance-id"`
}

// RecommendRebalance stands in for EC2, which recommends to rebalance when a Spot Instance is at elevated
// risk of interruption: a group with Capacity Rebalancing launches another instance and then takes
// this one out. Other groups do nothing.
// Source: User Guide, "Use Capacity Rebalancing to handle Amazon EC2 Spot interruptions".
func (s *Service) RecommendRebalance(ctx context.Context, c *guard.Call, in *kagimoriapi.RecommendRebalanceRequest) error {
	id := api.Val(in.InstanceId)
	at, role := place{Region: c.Region, Account: c.Account()}, ""
	find := func(tx store.Tx) (g groupRecord, err error) {
		if err := s.allowMetrics(tx, c); err != nil {
			return g, err
		}
		name, ok, err := memberOf.Get(tx, c.Region, c.Account(), id)
		if err == nil && !ok {
			err = apierr.Newf("ResourceNotFoundException", "The instance %s belongs to no Auto Scaling group.", id)
		}
		if err != nil {
			return g, err
		}
		g, _, err = groupTable.Get(tx, c.Region, c.Account(), name)
		return g, err
	}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		g, err := find(tx)
		at.Name, role = g.Name, g.Role
		return err
	})
	if err != nil {
		return err
	}
	found, err := s.findInstances(ctx, at, role, []string{id})
	if err != nil {
		return err
	}
	if i := found[id]; api.Val(i.InstanceLifecycle) != ec2api.InstanceLifecycleTypeSpot {
		return apierr.Newf("ValidationException", "The instance %s is no Spot Instance.", id)
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := find(tx)
		if err != nil {
			return err
		}
		if err := s.announceRebalance(tx, &g, id); err != nil {
			return err
		}
		m, ok, err := memberTable.Get(tx, at.Region, at.Account, g.Name, id)
		if err != nil || !ok || !m.live() || !api.Val(g.Rebalance) || m.Replace != "" {
			return err
		}
		m.Replace = replaceRebalance
		return putMember(tx, g.place(), m)
	})
	if err == nil {
		s.wake(at, 0)
	}
	return err
}

// announceRebalance stores the event of a recommendation, if events are wanted.
func (s *Service) announceRebalance(tx store.Tx, g *groupRecord, id string) error {
	if wanted, _, err := wantedTable.Get(tx, "events"); err != nil || !wanted {
		return err
	}
	now := s.g.Now()
	e, err := newEvent(g.place(), "EC2 Instance Rebalance Recommendation", arn.Make("ec2", g.Region, g.Account, "instance/"+id), now, rebalanceDetail{id})
	if err != nil {
		return err
	}
	e.Source = "aws.ec2"
	return tell(tx, now, e.ID, []event{e})
}

// rebalanced is how many units a group may have while it rebalances: a tenth more, one at least.
func (g *groupRecord) rebalanced() int32 { return g.Desired + max(1, g.Desired/10) }
