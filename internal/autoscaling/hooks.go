package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Transitions at which instances wait. Source: API Reference, LifecycleHook.
const (
	onLaunch    = "autoscaling:EC2_INSTANCE_LAUNCHING"
	onTerminate = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// Results of a lifecycle action.
const (
	resultContinue = "CONTINUE"
	resultAbandon  = "ABANDON"
)

// Limits of hooks. Source: API Reference, PutLifecycleHook; User Guide, "Quotas for Auto Scaling
// resources and groups" and "Amazon EC2 Auto Scaling lifecycle hooks".
const (
	maxHooks         = 50
	minHeartbeat     = 30
	maxHeartbeat     = 7200
	defaultHeartbeat = 3600
	maxHookWait      = 172800 // seconds: 48 hours
)

// hookRecord is a lifecycle hook, kept with its group.
type hookRecord struct {
	Name, Transition, Result string
	Heartbeat                int32
	Target                   string `json:",omitempty"` // NotificationTargetARN
	Role                     string `json:",omitempty"`
	Metadata                 string `json:",omitempty"`
}

// limit is how long an action of the hook can be kept alive by heartbeats, in seconds.
func (h *hookRecord) limit() int32 { return min(maxHookWait, 100*h.Heartbeat) }

func (h *hookRecord) describe(group string) autoscalingapi.LifecycleHook {
	return autoscalingapi.LifecycleHook{
		LifecycleHookName: &h.Name, AutoScalingGroupName: &group, LifecycleTransition: &h.Transition, DefaultResult: &h.Result,
		HeartbeatTimeout: &h.Heartbeat, GlobalTimeout: new(h.limit()), NotificationTargetARN: api.Opt(h.Target),
		RoleARN: api.Opt(h.Role), NotificationMetadata: api.Opt(h.Metadata),
	}
}

// merge changes what a request gives and refuses what does not fit.
func (h *hookRecord) merge(in *autoscalingapi.PutLifecycleHookType) error {
	set(&h.Transition, in.LifecycleTransition)
	set(&h.Result, in.DefaultResult)
	set(&h.Heartbeat, in.HeartbeatTimeout)
	set(&h.Target, in.NotificationTargetARN)
	set(&h.Role, in.RoleARN)
	set(&h.Metadata, in.NotificationMetadata)
	switch {
	case h.Transition != onLaunch && h.Transition != onTerminate:
		return validation("Lifecycle Transition: %s is not valid. Valid values are [%s, %s].", h.Transition, onLaunch, onTerminate)
	case h.Result != resultContinue && h.Result != resultAbandon:
		return validation("Default Result: %s is not valid. Valid values are [%s, %s].", h.Result, resultContinue, resultAbandon)
	case h.Heartbeat < minHeartbeat || h.Heartbeat > maxHeartbeat:
		return validation("Heartbeat Timeout must be between %d and %d seconds.", minHeartbeat, maxHeartbeat)
	case h.Target != "" && !isARN(h.Target):
		return validation("Notification Target ARN: %s is not a valid ARN.", h.Target)
	case h.Role != "" && !isARN(h.Role):
		return validation("Role ARN: %s is not a valid ARN.", h.Role)
	}
	return nil
}

// putHook makes or changes a hook of a group.
func (g *groupRecord) putHook(in *autoscalingapi.PutLifecycleHookType) error {
	name := api.Val(in.LifecycleHookName)
	i := slices.IndexFunc(g.Hooks, func(h hookRecord) bool { return h.Name == name })
	if i < 0 {
		if in.LifecycleTransition == nil {
			return validation("A lifecycle hook that does not exist yet needs a Lifecycle Transition.")
		}
		if len(g.Hooks) >= maxHooks {
			return apierr.Newf("LimitExceeded", "You have reached your limit of %d lifecycle hooks for the Auto Scaling group.", maxHooks)
		}
		h := hookRecord{Name: name, Result: resultAbandon, Heartbeat: defaultHeartbeat}
		if err := h.merge(in); err != nil {
			return err
		}
		g.Hooks = append(slices.Clone(g.Hooks), h)
		return nil
	}
	h := g.Hooks[i]
	if err := h.merge(in); err != nil {
		return err
	}
	g.Hooks = slices.Clone(g.Hooks)
	g.Hooks[i] = h
	return nil
}

// hookParts are the rights to hand roles of hooks to Auto Scaling, which publishes with them.
func hookParts(account string, roles ...string) []authz.Part {
	var out []authz.Part
	for _, role := range slices.Compact(slices.Sorted(slices.Values(roles))) {
		if role != "" {
			out = append(out, authz.PassRole(role, account, Principal))
		}
	}
	return out
}

// PutLifecycleHook makes or changes a lifecycle hook. Its target is told so.
func (s *Service) PutLifecycleHook(ctx context.Context, c *guard.Call, in *autoscalingapi.PutLifecycleHookType) (*autoscalingapi.PutLifecycleHookAnswer, error) {
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:PutLifecycleHook", nil)
		if err != nil {
			return err
		}
		for _, p := range hookParts(c.Account(), api.Val(in.RoleARN)) {
			if _, err := s.g.Allow(tx, c, p); err != nil {
				return err
			}
		}
		if err := g.putHook(in); err != nil {
			return err
		}
		if err := s.announceTest(tx, &g, api.Val(in.NotificationTargetARN)); err != nil {
			return err
		}
		return s.put(tx, g)
	})
	s.deliver()
	return &autoscalingapi.PutLifecycleHookAnswer{}, err
}

// initialHooks are the hooks with which a group is made.
func (g *groupRecord) initialHooks(list []autoscalingapi.LifecycleHookSpecification) error {
	for i, h := range list {
		if slices.ContainsFunc(list[:i], func(o autoscalingapi.LifecycleHookSpecification) bool {
			return api.Val(o.LifecycleHookName) == api.Val(h.LifecycleHookName)
		}) {
			return validation("The lifecycle hook %s is given twice.", api.Val(h.LifecycleHookName))
		}
		if err := g.putHook(&autoscalingapi.PutLifecycleHookType{
			LifecycleHookName: h.LifecycleHookName, LifecycleTransition: h.LifecycleTransition, RoleARN: h.RoleARN,
			NotificationTargetARN: h.NotificationTargetARN, NotificationMetadata: h.NotificationMetadata,
			HeartbeatTimeout: h.HeartbeatTimeout, DefaultResult: h.DefaultResult,
		}); err != nil {
			return err
		}
	}
	return nil
}

// DescribeLifecycleHooks lists the hooks of a group by name.
func (s *Service) DescribeLifecycleHooks(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeLifecycleHooksType) (*autoscalingapi.DescribeLifecycleHooksAnswer, error) {
	out := &autoscalingapi.DescribeLifecycleHooksAnswer{}
	return out, s.listing(ctx, c, func(tx store.Tx) error {
		out.LifecycleHooks = []autoscalingapi.LifecycleHook{}
		g, err := s.named(tx, c, in.AutoScalingGroupName)
		if err != nil {
			return err
		}
		for _, h := range g.Hooks {
			if len(in.LifecycleHookNames) == 0 || slices.Contains(in.LifecycleHookNames, h.Name) {
				out.LifecycleHooks = append(out.LifecycleHooks, h.describe(g.Name))
			}
		}
		return nil
	})
}

// named is the group that a listing is about.
func (s *Service) named(tx store.Tx, c *guard.Call, name *string) (groupRecord, error) {
	g, ok, err := groupTable.Get(tx, c.Region, c.Account(), api.Val(name))
	if err == nil && !ok {
		err = notFound(api.Val(name))
	}
	return g, err
}

// DeleteLifecycleHook removes a hook. What waits for it ends first: launches are abandoned,
// terminations go on. Source: API Reference, DeleteLifecycleHook.
func (s *Service) DeleteLifecycleHook(ctx context.Context, c *guard.Call, in *autoscalingapi.DeleteLifecycleHookType) (*autoscalingapi.DeleteLifecycleHookAnswer, error) {
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:DeleteLifecycleHook", nil)
		if err != nil {
			return err
		}
		at = g.place()
		name := api.Val(in.LifecycleHookName)
		i := slices.IndexFunc(g.Hooks, func(h hookRecord) bool { return h.Name == name })
		if i < 0 {
			return validation("No Lifecycle Hook found with the name: %s in the Auto Scaling group: %s", name, g.Name)
		}
		g.Hooks = slices.Delete(slices.Clone(g.Hooks), i, i+1)
		return s.put(tx, g) // the loop ends the actions of hooks that are gone
	})
	if err == nil {
		s.wake(at, 0)
	}
	return &autoscalingapi.DeleteLifecycleHookAnswer{}, err
}

// CompleteLifecycleAction ends the wait of an instance at a hook.
func (s *Service) CompleteLifecycleAction(ctx context.Context, c *guard.Call, in *autoscalingapi.CompleteLifecycleActionType) (*autoscalingapi.CompleteLifecycleActionAnswer, error) {
	result := api.Val(in.LifecycleActionResult)
	at, err := s.waiting(ctx, c, in.AutoScalingGroupName, in.LifecycleHookName, in.LifecycleActionToken, in.InstanceId, func(w *waitRecord) error {
		if result != resultContinue && result != resultAbandon {
			return validation("Lifecycle Action Result: %s is not valid. Valid values are [%s, %s].", result, resultContinue, resultAbandon)
		}
		w.Done = result
		return nil
	})
	if err == nil {
		s.wake(at, 0)
	}
	return &autoscalingapi.CompleteLifecycleActionAnswer{}, err
}

// RecordLifecycleActionHeartbeat lets an instance wait on, from now for the hook's time.
func (s *Service) RecordLifecycleActionHeartbeat(ctx context.Context, c *guard.Call, in *autoscalingapi.RecordLifecycleActionHeartbeatType) (*autoscalingapi.RecordLifecycleActionHeartbeatAnswer, error) {
	_, err := s.waiting(ctx, c, in.AutoScalingGroupName, in.LifecycleHookName, in.LifecycleActionToken, in.InstanceId, func(w *waitRecord) error {
		w.Until = s.g.Now().Add(time.Duration(w.Heartbeat) * time.Second)
		return nil
	})
	return &autoscalingapi.RecordLifecycleActionHeartbeatAnswer{}, err
}

// waiting finds a lifecycle action by its token or its instance and changes it.
func (s *Service) waiting(ctx context.Context, c *guard.Call, group, hook, token, instance *string, change func(*waitRecord) error) (at place, err error) {
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(group), "autoscaling:"+c.Operation, nil)
		if err != nil {
			return err
		}
		if token == nil && instance == nil {
			return validation("Either a LifecycleActionToken or an InstanceId must be given.")
		}
		at = g.place()
		all, err := members(tx, at)
		if err != nil {
			return err
		}
		for _, m := range all {
			if instance != nil && *instance != m.ID {
				continue
			}
			for i := range m.Waits {
				w := &m.Waits[i]
				if w.Hook != api.Val(hook) || token != nil && *token != w.Token || w.Done != "" {
					continue
				}
				if err := change(w); err != nil {
					return err
				}
				return putMember(tx, at, m)
			}
		}
		if token != nil {
			return validation("No active Lifecycle Action found with token %s", *token)
		}
		return validation("No active Lifecycle Action found with instance ID %s", *instance)
	})
	return at, err
}
