package autoscaling

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxSchedules is the most scheduled actions of a group, and maxBatch of a request. Source: User
// Guide, "Quotas for Auto Scaling resources and groups"; API Reference.
const (
	maxSchedules = 125
	maxBatch     = 50
)

// PutScheduledUpdateGroupAction makes a scheduled action or replaces it.
func (s *Service) PutScheduledUpdateGroupAction(ctx context.Context, c *guard.Call, in *autoscalingapi.PutScheduledUpdateGroupActionType) error {
	one := autoscalingapi.ScheduledUpdateGroupActionRequest{
		ScheduledActionName: in.ScheduledActionName, StartTime: in.StartTime, EndTime: in.EndTime, Recurrence: in.Recurrence,
		MinSize: in.MinSize, MaxSize: in.MaxSize, DesiredCapacity: in.DesiredCapacity, TimeZone: in.TimeZone,
	}
	if one.StartTime == nil { // Time is the older name
		one.StartTime = in.Time
	}
	failed, err := s.putSchedules(ctx, c, api.Val(in.AutoScalingGroupName), []autoscalingapi.ScheduledUpdateGroupActionRequest{one}, func(p *authz.Part) {
		sizes(&p.Context, in.MinSize, in.MaxSize)
	})
	if err == nil && len(failed) > 0 {
		return apierr.New(*failed[0].ErrorCode, *failed[0].ErrorMessage)
	}
	return err
}

// BatchPutScheduledUpdateGroupAction makes several; those that are wrong are told, the others are
// made.
func (s *Service) BatchPutScheduledUpdateGroupAction(ctx context.Context, c *guard.Call, in *autoscalingapi.BatchPutScheduledUpdateGroupActionType) (*autoscalingapi.BatchPutScheduledUpdateGroupActionAnswer, error) {
	if n := len(in.ScheduledUpdateGroupActions); n == 0 || n > maxBatch {
		return nil, validation("The number of scheduled actions must be between 1 and %d.", maxBatch)
	}
	failed, err := s.putSchedules(ctx, c, api.Val(in.AutoScalingGroupName), in.ScheduledUpdateGroupActions, nil)
	return &autoscalingapi.BatchPutScheduledUpdateGroupActionAnswer{FailedScheduledUpdateGroupActions: failed}, err
}

func failedAction(name string, err error) (autoscalingapi.FailedScheduledUpdateGroupActionRequest, bool) {
	e, ok := apiError(err)
	if !ok {
		return autoscalingapi.FailedScheduledUpdateGroupActionRequest{}, false
	}
	return autoscalingapi.FailedScheduledUpdateGroupActionRequest{ScheduledActionName: &name, ErrorCode: &e.Code, ErrorMessage: &e.Message}, true
}

// putSchedules makes or replaces actions and returns those that are refused.
func (s *Service) putSchedules(ctx context.Context, c *guard.Call, group string, all []autoscalingapi.ScheduledUpdateGroupActionRequest, more func(*authz.Part)) (failed []autoscalingapi.FailedScheduledUpdateGroupActionRequest, err error) {
	var at place
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		failed = []autoscalingapi.FailedScheduledUpdateGroupActionRequest{}
		g, err := s.load(tx, c, group, "autoscaling:"+c.Operation, func(_ *groupRecord, p *authz.Part) {
			if more != nil {
				more(p)
			}
		})
		if err != nil {
			return err
		}
		at = g.place()
		have := map[string]scheduleRecord{}
		for r, err := range scheduleTable.Scan(tx, at.key()...) {
			if err != nil {
				return err
			}
			have[r.Value.Name] = r.Value
		}
		for _, p := range all {
			r, err := newSchedule(&g, p, s.g.Now())
			if err == nil {
				err = roomForSchedule(have, &r)
			}
			if err != nil {
				f, ours := failedAction(r.Name, err)
				if !ours {
					return err
				}
				failed = append(failed, f)
				continue
			}
			if r.UUID = have[r.Name].UUID; r.UUID == "" {
				r.UUID = guard.NewRequestID()
			}
			have[r.Name] = r
			if err := scheduleTable.Put(tx, r, r.key()...); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.wake(at, 0)
	}
	return failed, err
}

// roomForSchedule refuses one action too many, and two that happen once and at the same time.
// Source: User Guide, "Scheduled scaling: Considerations".
func roomForSchedule(have map[string]scheduleRecord, r *scheduleRecord) error {
	_, replaces := have[r.Name]
	if !replaces && len(have) >= maxSchedules {
		return apierr.Newf("LimitExceeded", "You have reached your limit of %d scheduled actions for the Auto Scaling group %s.", maxSchedules, r.Group)
	}
	for _, o := range have {
		if o.Name != r.Name && o.Params.Recurrence == nil && r.Params.Recurrence == nil && o.Next.Equal(r.Next) {
			return apierr.Newf("AlreadyExists", "The scheduled action %s has the same start time.", o.Name)
		}
	}
	return nil
}

// DeleteScheduledAction removes a scheduled action.
func (s *Service) DeleteScheduledAction(ctx context.Context, c *guard.Call, in *autoscalingapi.DeleteScheduledActionType) error {
	failed, err := s.deleteSchedules(ctx, c, api.Val(in.AutoScalingGroupName), []string{api.Val(in.ScheduledActionName)})
	if err == nil && len(failed) > 0 {
		return apierr.New(*failed[0].ErrorCode, *failed[0].ErrorMessage)
	}
	return err
}

// BatchDeleteScheduledAction removes several; those that are not there are told.
func (s *Service) BatchDeleteScheduledAction(ctx context.Context, c *guard.Call, in *autoscalingapi.BatchDeleteScheduledActionType) (*autoscalingapi.BatchDeleteScheduledActionAnswer, error) {
	if n := len(in.ScheduledActionNames); n == 0 || n > maxBatch {
		return nil, validation("The number of scheduled actions must be between 1 and %d.", maxBatch)
	}
	failed, err := s.deleteSchedules(ctx, c, api.Val(in.AutoScalingGroupName), in.ScheduledActionNames)
	return &autoscalingapi.BatchDeleteScheduledActionAnswer{FailedScheduledActions: failed}, err
}

func (s *Service) deleteSchedules(ctx context.Context, c *guard.Call, group string, names []string) (failed []autoscalingapi.FailedScheduledUpdateGroupActionRequest, err error) {
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		failed = []autoscalingapi.FailedScheduledUpdateGroupActionRequest{}
		g, err := s.load(tx, c, group, "autoscaling:"+c.Operation, nil)
		if err != nil {
			return err
		}
		have := map[string]bool{}
		for r, err := range scheduleTable.Scan(tx, g.place().key()...) {
			if err != nil {
				return err
			}
			have[r.Value.Name] = true
		}
		for _, name := range names {
			if !have[name] {
				f, _ := failedAction(name, validation("Scheduled action name not found"))
				failed = append(failed, f)
				continue
			}
			delete(have, name)
			if err := scheduleTable.Delete(tx, g.Region, g.Account, g.Name, name); err != nil {
				return err
			}
		}
		return nil
	})
	return failed, err
}

// DescribeScheduledActions lists scheduled actions; names that do not exist are left out. Times
// bound the next execution, unless names are given.
func (s *Service) DescribeScheduledActions(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeScheduledActionsType) (*autoscalingapi.ScheduledActionsType, error) {
	var err error
	out := &autoscalingapi.ScheduledActionsType{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 100).of(in.AutoScalingGroupName)
	out.ScheduledUpdateGroupActions, out.NextToken, err = paged(ctx, at, func(tx store.Tx, rng store.Range, yield func(string, autoscalingapi.ScheduledUpdateGroupAction) bool) error {
		return scan(tx, scheduleTable, rng, func(key []string, r *scheduleRecord) bool {
			shown := r.describe(s.g.Now())
			switch {
			case len(in.ScheduledActionNames) > 0:
				if !slices.Contains(in.ScheduledActionNames, r.Name) && !slices.Contains(in.ScheduledActionNames, r.arn()) {
					return true
				}
			case in.StartTime != nil && shown.StartTime.Before(*in.StartTime), in.EndTime != nil && shown.StartTime.After(*in.EndTime):
				return true
			}
			return yield(store.Key(key...), shown)
		})
	})
	return out, err
}
