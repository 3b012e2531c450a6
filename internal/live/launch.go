package live

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A Selection says which launches are read. The zero Selection is every Auto Scaling group.
type Selection struct {
	Groups []string
	// Templates are names or ids of launch templates, with ":VERSION" if it is not the default
	// version.
	Templates []string
	// Instances are to be started, Volumes to be attached.
	Instances, Volumes []string
	// Caller is the ARN of the role or user that runs a template, starts an instance or attaches a
	// volume. If it is "", a template is launched by an Auto Scaling group, and the rest done by who
	// the credentials belong to.
	Caller string
	// Role is the service-linked role of the group that launches a template; "" is the default one.
	Role string
}

// Read reads the selected launches, in the order of the selection.
func (s *Session) Read(ctx context.Context, sel Selection) ([]Launch, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	works, err := s.works(ctx, sel)
	if err != nil {
		return nil, err
	}
	out := make([]Launch, len(works))
	errs := make([]error, len(works))
	var wg sync.WaitGroup
	for i, w := range works {
		wg.Go(func() {
			l, err := w(ctx)
			if err != nil {
				errs[i] = err
				cancel(err)
				return
			}
			out[i] = *l
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	ids := map[string]int{}
	for _, l := range out { // names that differ in what ids leave out
		if ids[l.Scenario.ID]++; ids[l.Scenario.ID] > 1 {
			l.Scenario.ID += fmt.Sprintf("-%d", ids[l.Scenario.ID])
		}
	}
	return out, nil
}

// A work reads one launch.
type work func(context.Context) (*Launch, error)

// works are those of a selection.
func (s *Session) works(ctx context.Context, sel Selection) (out []work, _ error) {
	every := len(sel.Groups)+len(sel.Templates)+len(sel.Instances)+len(sel.Volumes) == 0
	if every || len(sel.Groups) > 0 {
		groups, err := s.groups(ctx, sel.Groups)
		if err != nil {
			return nil, err
		}
		out = append(out, groups...)
	}
	for _, t := range sel.Templates {
		out = append(out, func(ctx context.Context) (*Launch, error) { return s.readTemplate(ctx, t, sel) })
	}
	for _, id := range sel.Instances {
		out = append(out, func(ctx context.Context) (*Launch, error) { return s.readInstance(ctx, id, sel.Caller) })
	}
	for _, id := range sel.Volumes {
		out = append(out, func(ctx context.Context) (*Launch, error) { return s.readVolume(ctx, id, sel.Caller) })
	}
	return out, nil
}

// groups find the groups of those names, or all. If they may not be read, each makes a scenario of
// which nothing is known.
func (s *Session) groups(ctx context.Context, names []string) (out []work, _ error) {
	a := s.accounts[0]
	var all []autoscalingapi.AutoScalingGroup
	err := pages(func(next *string) (*string, error) {
		list, err := ask[autoscalingapi.AutoScalingGroupsType](ctx, s, a, "autoscaling", "DescribeAutoScalingGroups",
			&autoscalingapi.AutoScalingGroupNamesType{AutoScalingGroupNames: names, NextToken: next})
		if err != nil {
			return nil, err
		}
		all = append(all, list.AutoScalingGroups...)
		return list.NextToken, nil
	})
	if err != nil {
		if len(names) == 0 {
			names = []string{"*"}
		}
		for _, n := range names {
			out = append(out, func(ctx context.Context) (*Launch, error) { return s.unreadGroup(ctx, n, err) })
		}
		return out, nil
	}
	if len(names) == 0 {
		for _, g := range all {
			names = append(names, api.Val(g.AutoScalingGroupName))
		}
	}
	for _, n := range names {
		i := slices.IndexFunc(all, func(g autoscalingapi.AutoScalingGroup) bool { return api.Val(g.AutoScalingGroupName) == n })
		if i < 0 {
			return nil, fmt.Errorf("%w: account %s has no group %s in %s", ErrUnreadable, a.id, n, a.Region)
		}
		out = append(out, func(ctx context.Context) (*Launch, error) { return s.readGroup(ctx, &all[i]) })
	}
	return out, nil
}

// unreadGroup is a group of which nothing but its name is known.
func (s *Session) unreadGroup(ctx context.Context, name string, why error) (*Launch, error) {
	r, err := s.newReader(ctx, "group-"+name, "The Auto Scaling group "+name)
	if err != nil {
		return nil, err
	}
	r.sc.Launch.Operation, r.sc.Launch.Group = format.AutoScalingLaunch, &format.Group{Name: name}
	if err := r.unknownTemplate(name, why); err != nil {
		return nil, err
	}
	return r.finish()
}

// unknownTemplate is a template of which nothing is known.
func (r *reader) unknownTemplate(name string, why error) error {
	path := fmt.Sprintf("/launch/templates/%d", len(r.sc.Launch.Templates))
	r.sc.Launch.Templates = append(r.sc.Launch.Templates, format.Template{Name: name, Kind: format.KindLaunchTemplate, Market: format.MarketOnDemand})
	return r.unread(why, path)
}

// readGroup reads the launch of a group.
func (s *Session) readGroup(ctx context.Context, g *autoscalingapi.AutoScalingGroup) (*Launch, error) {
	name := api.Val(g.AutoScalingGroupName)
	r, err := s.newReader(ctx, "group-"+name, "The Auto Scaling group "+name)
	if err != nil {
		return nil, err
	}
	l := &r.sc.Launch
	l.Operation, l.Group = format.AutoScalingLaunch, &format.Group{Name: name, Desired: api.Val(g.DesiredCapacity)}
	if err := r.groupRole(api.Val(g.ServiceLinkedRoleARN)); err != nil {
		return nil, err
	}
	switch {
	case g.LaunchConfigurationName != nil:
		err = r.configuration(*g.LaunchConfigurationName)
	case g.MixedInstancesPolicy != nil && g.MixedInstancesPolicy.LaunchTemplate != nil:
		err = r.mixed(g.MixedInstancesPolicy)
	case g.LaunchTemplate != nil:
		err = r.template(ec2Spec(g.LaunchTemplate), nil)
	default:
		err = fmt.Errorf("%w: the group %s names no template", ErrUnreadable, name)
	}
	if err != nil {
		return nil, err
	}
	return r.finish()
}

// groupRole is who launches for a group.
func (r *reader) groupRole(role string) error {
	standard := arn.Role(r.home().id, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
	if role == "" {
		role = standard
	}
	if role != standard {
		r.sc.Launch.Group.ServiceLinkedRoleARN = &role
	}
	return r.principal(role, true)
}

func ec2Spec(s *autoscalingapi.LaunchTemplateSpecification) *ec2api.LaunchTemplateSpecification {
	out := &ec2api.LaunchTemplateSpecification{LaunchTemplateId: s.LaunchTemplateId, Version: s.Version}
	if s.LaunchTemplateId == nil {
		out.LaunchTemplateName = s.LaunchTemplateName
	}
	return out
}

// mixed reads the template of a mixed instances policy and those of its overrides.
func (r *reader) mixed(p *autoscalingapi.MixedInstancesPolicy) error {
	if p.LaunchTemplate.LaunchTemplateSpecification == nil {
		return fmt.Errorf("%w: the group's policy names no template", ErrUnreadable)
	}
	var types []string
	for _, o := range p.LaunchTemplate.Overrides {
		if o.LaunchTemplateSpecification == nil && o.InstanceType != nil {
			types = append(types, *o.InstanceType)
		}
	}
	if err := r.template(ec2Spec(p.LaunchTemplate.LaunchTemplateSpecification), types); err != nil {
		return err
	}
	for _, o := range p.LaunchTemplate.Overrides {
		if o.LaunchTemplateSpecification == nil {
			continue
		}
		if err := r.template(ec2Spec(o.LaunchTemplateSpecification), []string{api.Val(o.InstanceType)}); err != nil {
			return err
		}
	}
	for i := range r.sc.Launch.Templates {
		r.sc.Launch.Templates[i].Market = format.MarketMixed
	}
	return nil
}

// readTemplate reads what a launch template launches: for a group, or run by a caller.
func (s *Session) readTemplate(ctx context.Context, name string, sel Selection) (*Launch, error) {
	r, err := s.newReader(ctx, "template-"+name, "The launch template "+name)
	if err != nil {
		return nil, err
	}
	name, version, _ := strings.Cut(name, ":")
	if sel.Caller != "" {
		r.sc.Launch.Operation = format.RunInstances
		err = r.caller(sel.Caller)
	} else {
		r.sc.Launch.Operation, r.sc.Launch.Group = format.AutoScalingLaunch, &format.Group{Name: name, Desired: 1}
		err = r.groupRole(sel.Role)
	}
	if err != nil {
		return nil, err
	}
	spec := &ec2api.LaunchTemplateSpecification{}
	if strings.HasPrefix(name, "lt-") {
		spec.LaunchTemplateId = &name
	} else {
		spec.LaunchTemplateName = &name
	}
	if version != "" {
		spec.Version = &version
	}
	if err := r.template(spec, nil); err != nil {
		return nil, err
	}
	return r.finish()
}
