package eventwindow

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func errBoth() error {
	return apierr.New("InvalidParameterCombination", "You can specify either TimeRanges or CronExpression, but not both.")
}

// CreateInstanceEventWindow makes a window, without targets. Source: EC2 API Reference, CreateInstanceEventWindow.
func (s *Service) CreateInstanceEventWindow(ctx context.Context, c *guard.Call, in *ec2api.CreateInstanceEventWindowRequest) (*ec2api.CreateInstanceEventWindowResult, error) {
	w := window{ID: idiom.RandomID("iew"), Name: api.Val(in.Name)}
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, kind)
	if err != nil {
		return nil, err
	}
	tags := specs[kind]
	out := new(ec2api.CreateInstanceEventWindowResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: kind, ID: w.ID, Tags: tags}); err != nil {
			return err
		}
		if err := w.schedule(in.TimeRanges, in.CronExpression); err != nil {
			return err
		}
		have, err := all(tx, c)
		if err != nil {
			return err
		}
		if len(have) >= maxWindows {
			return apierr.New("InstanceEventWindowLimitExceeded", "The maximum number of event windows has been reached.")
		}
		if err := windows.Put(tx, w, c.Region, c.Account(), w.ID); err != nil {
			return err
		}
		if err := idiom.PutTags(tx, c.Region, c.Account(), w.ID, tags); err != nil {
			return err
		}
		out.InstanceEventWindow, err = w.told(tx, c, ec2api.InstanceEventWindowStateCreating)
		c.Respond(out)
		return err
	})
}

// change decides the call's action on a window, changes it and tells it: in the state creating, as a new one.
// Source: AWS CLI Command Reference, examples of modify-, associate- and disassociate-instance-event-window.
func (s *Service) change(ctx context.Context, c *guard.Call, dry *bool, id string, do func(tx store.Tx, w *window) error, tell func(*ec2api.InstanceEventWindow)) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, dry, nil, idiom.On(kind, id)); err != nil {
			return err
		}
		w, err := find(tx, c, id)
		if err != nil {
			return err
		}
		if err := do(tx, &w); err != nil {
			return err
		}
		out, err := w.told(tx, c, ec2api.InstanceEventWindowStateCreating)
		if err != nil {
			return err
		}
		tell(out)
		return windows.Put(tx, w, c.Region, c.Account(), w.ID)
	})
}

// ModifyInstanceEventWindow changes name or hours of a window. Source: EC2 API Reference, ModifyInstanceEventWindow.
func (s *Service) ModifyInstanceEventWindow(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceEventWindowRequest) (*ec2api.ModifyInstanceEventWindowResult, error) {
	out := new(ec2api.ModifyInstanceEventWindowResult)
	return out, s.change(ctx, c, in.DryRun, *in.InstanceEventWindowId, func(_ store.Tx, w *window) error {
		if in.Name != nil {
			w.Name = *in.Name
		}
		return w.schedule(in.TimeRanges, in.CronExpression)
	}, func(w *ec2api.InstanceEventWindow) { out.InstanceEventWindow = w })
}

// AssociateInstanceEventWindow adds targets to a window; a target has one window.
// Source: EC2 API Reference, AssociateInstanceEventWindow.
func (s *Service) AssociateInstanceEventWindow(ctx context.Context, c *guard.Call, in *ec2api.AssociateInstanceEventWindowRequest) (*ec2api.AssociateInstanceEventWindowResult, error) {
	out := new(ec2api.AssociateInstanceEventWindowResult)
	return out, s.change(ctx, c, in.DryRun, *in.InstanceEventWindowId, func(tx store.Tx, w *window) error {
		t, err := newTargets(in.AssociationTarget.InstanceIds, in.AssociationTarget.DedicatedHostIds, in.AssociationTarget.InstanceTags)
		if err != nil {
			return err
		}
		if err := s.free(tx, c, w.ID, t); err != nil {
			return err
		}
		return w.add(t)
	}, func(w *ec2api.InstanceEventWindow) { out.InstanceEventWindow = w })
}

// free refuses targets that do not exist, and those of other windows.
func (s *Service) free(tx store.Tx, c *guard.Call, id string, t targets) error {
	for kind, ids := range map[string][]string{"instance": t.instances, "dedicated-host": t.hosts} {
		for _, id := range ids {
			p := idiom.Part(c, "ec2:"+c.Operation, kind+"/"+id, nil)
			if err := s.desk.Describe(tx, c, kind, id, &p); err != nil {
				return err
			}
		}
	}
	have, err := all(tx, c)
	if err != nil {
		return err
	}
	for _, o := range have {
		taken := slices.ContainsFunc(t.instances, func(i string) bool { return slices.Contains(o.Instances, i) }) ||
			slices.ContainsFunc(t.hosts, func(h string) bool { return slices.Contains(o.Hosts, h) }) ||
			slices.ContainsFunc(t.tags, func(g idiom.Tag) bool { return slices.Contains(o.Tags, g) })
		if o.ID != id && taken {
			return idiom.InvalidValue("A target is already associated with the event window '%s'.", o.ID)
		}
	}
	return nil
}

// DisassociateInstanceEventWindow takes targets of a window away. Source: EC2 API Reference, DisassociateInstanceEventWindow.
func (s *Service) DisassociateInstanceEventWindow(ctx context.Context, c *guard.Call, in *ec2api.DisassociateInstanceEventWindowRequest) (*ec2api.DisassociateInstanceEventWindowResult, error) {
	out := new(ec2api.DisassociateInstanceEventWindowResult)
	return out, s.change(ctx, c, in.DryRun, *in.InstanceEventWindowId, func(_ store.Tx, w *window) error {
		t, err := newTargets(in.AssociationTarget.InstanceIds, in.AssociationTarget.DedicatedHostIds, in.AssociationTarget.InstanceTags)
		if err != nil {
			return err
		}
		return w.remove(t)
	}, func(w *ec2api.InstanceEventWindow) { out.InstanceEventWindow = w })
}

// DeleteInstanceEventWindow deletes a window; one with targets only by force. Source: EC2 API Reference, DeleteInstanceEventWindow.
func (s *Service) DeleteInstanceEventWindow(ctx context.Context, c *guard.Call, in *ec2api.DeleteInstanceEventWindowRequest) (*ec2api.DeleteInstanceEventWindowResult, error) {
	id := *in.InstanceEventWindowId
	out := &ec2api.DeleteInstanceEventWindowResult{InstanceEventWindowState: &ec2api.InstanceEventWindowStateChange{
		InstanceEventWindowId: &id, State: new(ec2api.InstanceEventWindowStateDeleting),
	}}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On(kind, id)); err != nil {
			return err
		}
		w, err := find(tx, c, id)
		if err != nil {
			return err
		}
		if w.targets() > 0 && !api.Val(in.ForceDelete) {
			return apierr.Newf("DependencyViolation", "The event window '%s' is associated with targets. Use ForceDelete to delete it.", id)
		}
		if err := idiom.DropTags(tx, c.Region, c.Account(), id); err != nil {
			return err
		}
		return windows.Delete(tx, c.Region, c.Account(), id)
	})
}
