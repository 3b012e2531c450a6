package autoscaling

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxPolicies is the most scaling policies of a group. Source: User Guide, "Quotas for Auto Scaling
// resources and groups".
const maxPolicies = 50

// Types of scaling policies. Source: API Reference, PutScalingPolicy.
const (
	simpleScaling     = "SimpleScaling"
	stepScaling       = "StepScaling"
	targetTracking    = "TargetTrackingScaling"
	predictiveScaling = "PredictiveScaling"
)

var policyTypes = []string{simpleScaling, stepScaling, targetTracking, predictiveScaling}

// policyRecord is a scaling policy as stored, with the defaults filled in.
type policyRecord struct {
	Region, Account, Group, Name, UUID string
	Params                             autoscalingapi.PutScalingPolicyType
}

var policyTable = store.Table[policyRecord]{Bucket: "autoscaling/policy", Version: 1} // region, account, group, name

func (r *policyRecord) key() []string { return []string{r.Region, r.Account, r.Group, r.Name} }

func (r *policyRecord) arn() string {
	return arn.Make("autoscaling", r.Region, r.Account, "scalingPolicy:"+r.UUID+":autoScalingGroupName/"+r.Group+":policyName/"+r.Name)
}

func (r *policyRecord) enabled() bool { return r.Params.Enabled == nil || *r.Params.Enabled }

// warmup is how long a new instance does not count, in seconds. What a policy says of it, and the
// cooldown in its place, is for instances that were launched due to a policy; others have the
// group's default warmup, if it has one.
// Source: API Reference, "PutScalingPolicy: EstimatedInstanceWarmup"; User Guide, "Set the default
// instance warmup for an Auto Scaling group".
func (r *policyRecord) warmup(g *groupRecord, scaled bool) time.Duration {
	n := int32(0)
	if scaled {
		n = g.Cooldown
	}
	if w := g.Warmup; w != nil && *w >= 0 {
		n = *w
	}
	if scaled {
		set(&n, r.Params.EstimatedInstanceWarmup)
	}
	return time.Duration(n) * time.Second
}

// ownAlarms are the alarms that a target tracking policy makes for itself.
func (r *policyRecord) ownAlarms() []string {
	if api.Val(r.Params.PolicyType) != targetTracking {
		return nil
	}
	name := "TargetTracking-" + r.Group + "-Alarm"
	out := []string{name + "High-" + r.UUID}
	if !api.Val(r.Params.TargetTrackingConfiguration.DisableScaleIn) {
		out = append(out, name+"Low-"+lowAlarmID(r.UUID))
	}
	return out
}

// lowAlarmID is the id of the second alarm of a policy, which has one of its own: a UUID that the
// policy's leads to.
func lowAlarmID(id string) string {
	h := sha256.Sum256([]byte("alarm low " + id))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func alarmARN(region, account, name string) string {
	return arn.Make("cloudwatch", region, account, "alarm:"+name)
}

func (r *policyRecord) alarms(others []string) []autoscalingapi.Alarm {
	out := []autoscalingapi.Alarm{}
	for _, name := range append(r.ownAlarms(), others...) {
		out = append(out, autoscalingapi.Alarm{AlarmName: &name, AlarmARN: new(alarmARN(r.Region, r.Account, name))})
	}
	return out
}

// describe is the policy as it is shown; others are the alarms that call it.
func (r *policyRecord) describe(others []string) autoscalingapi.ScalingPolicy {
	p := &r.Params
	return autoscalingapi.ScalingPolicy{
		AutoScalingGroupName: &r.Group, PolicyName: &r.Name, PolicyARN: new(r.arn()), PolicyType: p.PolicyType, AdjustmentType: p.AdjustmentType,
		MinAdjustmentStep: p.MinAdjustmentStep, MinAdjustmentMagnitude: p.MinAdjustmentMagnitude, ScalingAdjustment: p.ScalingAdjustment,
		Cooldown: p.Cooldown, StepAdjustments: append([]autoscalingapi.StepAdjustment{}, p.StepAdjustments...), MetricAggregationType: p.MetricAggregationType,
		EstimatedInstanceWarmup: p.EstimatedInstanceWarmup, Alarms: r.alarms(others), TargetTrackingConfiguration: p.TargetTrackingConfiguration,
		Enabled: new(r.enabled()), PredictiveScalingConfiguration: p.PredictiveScalingConfiguration,
	}
}

// PutScalingPolicy makes a policy or replaces what it says; its ARN stays.
func (s *Service) PutScalingPolicy(ctx context.Context, c *guard.Call, in *autoscalingapi.PutScalingPolicyType) (*autoscalingapi.PolicyARNType, error) {
	params := *in
	if err := completePolicy(&params); err != nil {
		return nil, err
	}
	var out *autoscalingapi.PolicyARNType
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:PutScalingPolicy", nil)
		if err != nil {
			return err
		}
		at = g.place()
		r := policyRecord{Region: g.Region, Account: g.Account, Group: g.Name, Name: api.Val(in.PolicyName), UUID: guard.NewRequestID()}
		n := 0
		for have, err := range policyTable.Scan(tx, g.place().key()...) {
			if err != nil {
				return err
			}
			n++
			switch h := &have.Value; {
			case h.Name == r.Name && api.Val(h.Params.PolicyType) != *params.PolicyType:
				return validation("The policy type of an existing policy cannot be changed: %s is of type %s.", r.Name, api.Val(h.Params.PolicyType))
			case h.Name == r.Name:
				r, n = *h, n-1
			case tracksSame(&h.Params, &params):
				return validation("Only one TargetTrackingScaling policy for a given metric specification is allowed.")
			}
		}
		if n >= maxPolicies {
			return apierr.Newf("LimitExceeded", "You have reached your limit of %d scaling policies for the Auto Scaling group %s.", maxPolicies, g.Name)
		}
		if err := unwatch(tx, &r); err != nil {
			return err
		}
		r.Params = params
		if err := watch(tx, &r); err != nil {
			return err
		}
		out = &autoscalingapi.PolicyARNType{PolicyARN: new(r.arn()), Alarms: r.alarms(nil)}
		return policyTable.Put(tx, r, r.key()...)
	})
	if err == nil && *params.PolicyType == predictiveScaling {
		s.wake(at, 0)
	}
	return out, err
}

// findPolicy finds a policy of the call's account, by its ARN or by the names of its group and its
// own, and decides an action on the group.
func (s *Service) findPolicy(tx store.Tx, c *guard.Call, group *string, nameOrARN, action string) (groupRecord, policyRecord, error) {
	name, byARN := nameOrARN, isARN(nameOrARN)
	if byARN {
		_, rest, _ := strings.Cut(nameOrARN, ":autoScalingGroupName/")
		of, policy, ok := strings.Cut(rest, ":policyName/")
		if !ok || !strings.HasPrefix(nameOrARN, arn.Make("autoscaling", c.Region, c.Account(), "scalingPolicy:")) {
			return groupRecord{}, policyRecord{}, validation("Policy %s not found", nameOrARN)
		}
		if group != nil && *group != of {
			return groupRecord{}, policyRecord{}, validation("Policy %s not found for Auto Scaling group %s", nameOrARN, *group)
		}
		group, name = &of, policy
	}
	if group == nil {
		return groupRecord{}, policyRecord{}, validation("AutoScalingGroupName is required when a policy is named by its name, not by its ARN.")
	}
	g, err := s.load(tx, c, *group, action, nil)
	if err != nil {
		return g, policyRecord{}, err
	}
	r, ok, err := policyTable.Get(tx, g.Region, g.Account, g.Name, name)
	if err == nil && (!ok || byARN && r.arn() != nameOrARN) {
		err = validation("Policy %s not found for Auto Scaling group %s", nameOrARN, g.Name)
	}
	return g, r, err
}

// DeletePolicy removes a policy and the alarms that it made.
func (s *Service) DeletePolicy(ctx context.Context, c *guard.Call, in *autoscalingapi.DeletePolicyType) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		_, r, err := s.findPolicy(tx, c, in.AutoScalingGroupName, api.Val(in.PolicyName), "autoscaling:DeletePolicy")
		if err != nil {
			return err
		}
		return dropPolicy(tx, &r)
	})
}

func dropPolicy(tx store.Tx, r *policyRecord) error {
	if err := unwatch(tx, r); err != nil {
		return err
	}
	return policyTable.Delete(tx, r.key()...)
}

// DescribePolicies lists policies; names that do not exist are left out.
func (s *Service) DescribePolicies(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribePoliciesType) (*autoscalingapi.PoliciesType, error) {
	for _, t := range in.PolicyTypes {
		if !slices.Contains(policyTypes, t) {
			return nil, validation("Invalid PolicyType: %s. Valid values are %s.", t, strings.Join(policyTypes, ", "))
		}
	}
	var err error
	out := &autoscalingapi.PoliciesType{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 100).of(in.AutoScalingGroupName)
	out.ScalingPolicies, out.NextToken, err = paged(ctx, at, func(tx store.Tx, rng store.Range, yield func(string, autoscalingapi.ScalingPolicy) bool) error {
		calling, err := alarmsByPolicy(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		return scan(tx, policyTable, rng, func(key []string, r *policyRecord) bool {
			if len(in.PolicyNames) > 0 && !slices.Contains(in.PolicyNames, r.Name) && !slices.Contains(in.PolicyNames, r.arn()) ||
				len(in.PolicyTypes) > 0 && !slices.Contains(in.PolicyTypes, api.Val(r.Params.PolicyType)) {
				return true
			}
			return yield(store.Key(key...), r.describe(calling[r.arn()]))
		})
	})
	return out, err
}
