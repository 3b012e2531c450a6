package autoscaling

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// StartInstanceRefresh begins to replace a group's instances, a few at a time. A desired
// configuration is tried out with the user's rights, as for a new group.
func (s *Service) StartInstanceRefresh(ctx context.Context, c *guard.Call, in *autoscalingapi.StartInstanceRefreshType) (*autoscalingapi.StartInstanceRefreshAnswer, error) {
	if api.Val(in.Strategy) == autoscalingapi.RefreshStrategyReplaceRootVolume {
		return nil, validation("This server replaces instances, not their root volumes: the Strategy must be Rolling.")
	}
	load := func(tx store.Tx) (groupRecord, error) {
		return s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:StartInstanceRefresh", func(_ *groupRecord, p *authz.Part) {
			desiredSource(in.DesiredConfiguration).images(&p.Context)
		})
	}
	var g groupRecord
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		g, err = load(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := refreshRecord{ID: guard.NewRequestID(), Status: refreshPending, Start: s.g.Now(), Progressed: s.g.Now()}
	r.Paused = r.Start.Add(s.timing.Refresh)
	if r.Prefs, err = g.preferences(in.Preferences); err != nil {
		return nil, err
	}
	if in.DesiredConfiguration != nil {
		if r.Desired, err = s.desired(ctx, c, g, in.DesiredConfiguration); err != nil {
			return nil, err
		}
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if g, err = load(tx); err != nil {
			return err
		}
		switch {
		case g.Refresh.active():
			return apierr.New("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
		case g.suspended(processInstanceRefresh):
			return validation("The InstanceRefresh process of the Auto Scaling group %s is suspended.", g.Name)
		case r.Prefs.AutoRollback && r.Desired == nil:
			return validation("The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. " +
				"Set AutoRollback to false or specify a desired configuration and try again.")
		case r.Prefs.AutoRollback && g.floating():
			return validation("AutoRollback needs a group whose launch template has a version number, not $Latest or $Default.")
		}
		g.Refresh = &r
		for _, alarm := range r.Prefs.Alarms {
			if err := refreshAlarms.Put(tx, r.ID, g.Region, g.Account, alarm, g.Name); err != nil {
				return err
			}
		}
		return s.putRefresh(tx, &g)
	})
	if err != nil {
		return nil, err
	}
	s.wake(g.place(), 0)
	return &autoscalingapi.StartInstanceRefreshAnswer{InstanceRefreshId: &r.ID}, nil
}

func desiredSource(d *autoscalingapi.DesiredConfiguration) sourceInput {
	if d == nil {
		return sourceInput{}
	}
	return sourceInput{template: d.LaunchTemplate, mixed: d.MixedInstancesPolicy}
}

// images sets the condition key of the images that a request names.
func (in sourceInput) images(ctx *authz.Context) {
	var ids []string
	if m := in.mixed; m != nil && m.LaunchTemplate != nil {
		for _, o := range m.LaunchTemplate.Overrides {
			if o.ImageId != nil {
				ids = append(ids, *o.ImageId)
			}
		}
	}
	if len(ids) > 0 {
		ctx.SetList("autoscaling:imageid", ids)
	}
}

// desired checks a desired configuration.
func (s *Service) desired(ctx context.Context, c *guard.Call, g groupRecord, in *autoscalingapi.DesiredConfiguration) (*sourceRecord, error) {
	source := desiredSource(in)
	if !source.given() || source.template != nil && source.mixed != nil {
		return nil, validation("A DesiredConfiguration must contain either LaunchTemplate or MixedInstancesPolicy.")
	}
	if err := s.checkSource(ctx, c, &g, source); err != nil {
		return nil, err
	}
	return &g.sourceRecord, g.checkUnit()
}

// floating reports whether what the group launches from can change by itself, so that there is
// nothing certain to go back to. Source: User Guide, "Undo changes with a rollback".
func (g *groupRecord) floating() bool {
	refs := []templateRef{g.Template}
	if m := g.Mixed; m != nil {
		refs = []templateRef{m.Template}
		for _, o := range m.Overrides {
			if o.Template.ID != "" {
				refs = append(refs, o.Template)
			}
		}
	}
	return slices.ContainsFunc(refs, func(t templateRef) bool { return t.Version == "" && t.ID != "" || strings.HasPrefix(t.Version, "$") })
}

// DescribeInstanceRefreshes lists the instance refreshes of a group, the newest first.
func (s *Service) DescribeInstanceRefreshes(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeInstanceRefreshesType) (*autoscalingapi.DescribeInstanceRefreshesAnswer, error) {
	limit, err := bound(in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &autoscalingapi.DescribeInstanceRefreshesAnswer{}
	return out, s.listing(ctx, c, func(tx store.Tx) error {
		out.InstanceRefreshes, out.NextToken = []autoscalingapi.InstanceRefresh{}, nil
		g, err := s.named(tx, c, in.AutoScalingGroupName)
		if err != nil {
			return err
		}
		prefix := store.Key(g.Region, g.Account, g.UUID)
		from, err := after(in.NextToken, prefix)
		if err != nil {
			return err
		}
		last := ""
		for r, err := range refreshTable.ScanRange(tx, store.Range{Prefix: prefix, After: from}) {
			if err != nil {
				return err
			}
			if len(in.InstanceRefreshIds) > 0 && !slices.Contains(in.InstanceRefreshIds, r.Value.ID) || s.g.Now().Sub(r.Value.Start) >= activityAge {
				continue
			}
			if len(out.InstanceRefreshes) == limit {
				out.NextToken = token(last)
				break
			}
			out.InstanceRefreshes = append(out.InstanceRefreshes, r.Value.describe(g.Name))
			last = store.Key(r.Key...)
		}
		return nil
	})
}

// CancelInstanceRefresh stops a refresh: what is replaced stays so, and nothing more is.
func (s *Service) CancelInstanceRefresh(ctx context.Context, c *guard.Call, in *autoscalingapi.CancelInstanceRefreshType) (*autoscalingapi.CancelInstanceRefreshAnswer, error) {
	id, err := s.turn(ctx, c, in.AutoScalingGroupName, func(_ *groupRecord, r *refreshRecord) error {
		r.Status, r.Moving = refreshCancelling, in.WaitForTransitioningInstances == nil || *in.WaitForTransitioningInstances
		return nil
	})
	return &autoscalingapi.CancelInstanceRefreshAnswer{InstanceRefreshId: id}, err
}

// RollbackInstanceRefresh turns a refresh back: what it launched is replaced by instances as the
// group had them. Source: API Reference, RollbackInstanceRefresh.
func (s *Service) RollbackInstanceRefresh(ctx context.Context, c *guard.Call, in *autoscalingapi.RollbackInstanceRefreshType) (*autoscalingapi.RollbackInstanceRefreshAnswer, error) {
	id, err := s.turn(ctx, c, in.AutoScalingGroupName, func(g *groupRecord, r *refreshRecord) error {
		switch {
		case r.Desired == nil:
			return apierr.New("IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back: it has no desired configuration.")
		case g.floating():
			return apierr.New("IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back: the group's launch template has no version number.")
		case r.Status == refreshRollingBack:
			return apierr.New("IrreversibleInstanceRefresh", "The instance refresh is being rolled back already.")
		}
		s.rollBack(r, "The rollback was initiated by a user.")
		return nil
	})
	return &autoscalingapi.RollbackInstanceRefreshAnswer{InstanceRefreshId: id}, err
}

// rollBack turns a refresh around; the next pass finds what is to be replaced.
func (s *Service) rollBack(r *refreshRecord, why string) {
	now := s.g.Now()
	r.Rollback = &rollback{Reason: why, Start: now, Percent: r.Percent, Left: r.Left}
	r.Status, r.Total, r.Left, r.WarmTotal, r.WarmLeft, r.Percent = refreshRollingBack, -1, 0, 0, 0, 0
	r.Progressed, r.Paused, r.Checkpoint = now, now, len(r.Prefs.Checkpoints)
}

// turn changes the refresh of a group that runs.
func (s *Service) turn(ctx context.Context, c *guard.Call, group *string, change func(*groupRecord, *refreshRecord) error) (id *string, err error) {
	var at place
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(group), "autoscaling:"+c.Operation, nil)
		if err != nil {
			return err
		}
		if !g.Refresh.active() || g.Refresh.Status == refreshCancelling {
			return apierr.Newf("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", g.Name)
		}
		r := *g.Refresh
		if err := change(&g, &r); err != nil {
			return err
		}
		g.Refresh, at, id = &r, g.place(), &r.ID
		return s.putRefresh(tx, &g)
	})
	if err == nil {
		s.wake(at, 0)
	}
	return id, err
}
