package autoscaling

import (
	"cmp"
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// sourceRecord is what a group launches from: exactly one of the three.
type sourceRecord struct {
	Template templateRef
	Config   string       `json:",omitempty"` // name of a launch configuration
	Mixed    *mixedRecord `json:",omitempty"`
}

// sourceInput is what a request says of it.
type sourceInput struct {
	template *autoscalingapi.LaunchTemplateSpecification
	config   *string
	mixed    *autoscalingapi.MixedInstancesPolicy
	instance *string
}

func (in sourceInput) given() bool {
	return in.template != nil || in.config != nil || in.mixed != nil || in.instance != nil
}

// check refuses anything but one source.
func (in sourceInput) check() error {
	n := 0
	for _, given := range []bool{in.template != nil, in.config != nil, in.mixed != nil, in.instance != nil} {
		if given {
			n++
		}
	}
	if n != 1 {
		return validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	return nil
}

// context sets the condition keys that follow from the source.
// Source: Service Authorization Reference, "Condition keys for Amazon EC2 Auto Scaling".
func (in sourceInput) context(ctx *authz.Context) {
	spec := in.template
	if in.config != nil {
		ctx.Set("autoscaling:launchconfigurationname", *in.config)
	}
	if m := in.mixed; m != nil && m.LaunchTemplate != nil {
		spec = m.LaunchTemplate.LaunchTemplateSpecification
		var types, images []string
		for _, o := range m.LaunchTemplate.Overrides {
			if o.InstanceType != nil {
				types = append(types, *o.InstanceType)
			}
			if o.ImageId != nil {
				images = append(images, *o.ImageId)
			}
		}
		if len(types) > 0 {
			ctx.SetList("autoscaling:instancetypes", types)
		}
		if len(images) > 0 {
			ctx.SetList("autoscaling:imageid", images)
		}
	}
	if spec != nil {
		ctx.SetBool("autoscaling:launchtemplateversionspecified", spec.Version != nil)
	}
}

// checkSource finds what a group, whose subnets are known, is to launch from, with the user's rights, and has EC2 try it:
// the dry run of a template is made as the user. A launch configuration is not tried: EC2 sees it
// when an instance launches. Source: EC2 Auto Scaling User Guide, "Control Amazon EC2 launch
// template usage in Auto Scaling groups".
func (s *Service) checkSource(ctx context.Context, c *guard.Call, g *groupRecord, in sourceInput) error {
	switch {
	case in.template != nil:
		ref, _, err := s.checkTemplate(ctx, c, in.template)
		if err != nil {
			return err
		}
		g.sourceRecord = sourceRecord{Template: ref}
		return s.try(ctx, c, g, launchRecord{Template: ref, Placement: g.Placement}, named(in.template))
	case in.config != nil:
		g.sourceRecord = sourceRecord{Config: *in.config}
		return s.g.Read(ctx, func(tx store.Tx) error { return g.configExists(tx) })
	case in.mixed != nil:
		return s.checkMixed(ctx, c, g, in.mixed)
	}
	return nil // it is made after an instance: groupAfter
}

// configExists refuses a group whose launch configuration is not there. It is asked again in the
// transaction that stores the group.
func (g *groupRecord) configExists(tx store.Tx) error {
	if g.Config == "" || g.derived != nil {
		return nil
	}
	_, ok, err := configTable.Get(tx, g.Region, g.Account, g.Config)
	if err == nil && !ok {
		err = validation("Launch configuration name not found - A launch configuration with the name: %s does not exist", g.Config)
	}
	return err
}

// checkTemplate finds a launch template with the user's rights: its reference with id and name,
// and its data.
func (s *Service) checkTemplate(ctx context.Context, c *guard.Call, spec *autoscalingapi.LaunchTemplateSpecification) (templateRef, *ec2api.ResponseLaunchTemplateData, error) {
	if (spec.LaunchTemplateId == nil) == (spec.LaunchTemplateName == nil) {
		return templateRef{}, nil, validation("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	}
	version := api.Val(spec.Version)
	if version == "" {
		version = "$Default"
	}
	out, err := s.compute.DescribeLaunchTemplateVersions(ctx, c, c.Caller.Via(Principal), &ec2api.DescribeLaunchTemplateVersionsRequest{
		LaunchTemplateId: spec.LaunchTemplateId, LaunchTemplateName: spec.LaunchTemplateName, Versions: []string{version},
	})
	if err != nil {
		return templateRef{}, nil, templateError(err, named(spec))
	}
	if len(out.LaunchTemplateVersions) == 0 {
		return templateRef{}, nil, validation("%s", launch.TemplateError("The specified launch template version does not exist."))
	}
	v := out.LaunchTemplateVersions[0]
	data := v.LaunchTemplateData
	if data == nil {
		data = &ec2api.ResponseLaunchTemplateData{}
	}
	if len(data.NetworkInterfaces) > 0 && len(data.SecurityGroupIds)+len(data.SecurityGroups) > 0 { // as reported by users
		return templateRef{}, nil, apierr.New("InvalidQueryParameter", "Invalid launch template: When a network interface is provided, the security groups must be a part of it.")
	}
	return templateRef{api.Val(v.LaunchTemplateId), api.Val(v.LaunchTemplateName), api.Val(spec.Version)}, data, nil
}

// named is the id or the name by which a request names a launch template.
func named(spec *autoscalingapi.LaunchTemplateSpecification) string {
	return cmp.Or(api.Val(spec.LaunchTemplateId), api.Val(spec.LaunchTemplateName))
}

// templateError wraps what EC2 says of a template. What was denied is told of the template only: the decision itself is
// in the trail. Source: User Guide, "Troubleshoot Amazon EC2 Auto Scaling: Launch templates"; code and name as reported
// by users.
func templateError(err error, template string) error {
	e, ok := apiError(err)
	if !ok {
		return err
	}
	if e.Code == "UnauthorizedOperation" || e.Code == "AccessDenied" {
		return apierr.New("AccessDenied", "You are not authorized to use launch template: "+template).WithStatus(403)
	}
	if launch.IsOtherNetwork(e.Code, e.Message) {
		return validation("One or more security groups in the launch template are not linked to the VPCs configured in the Auto Scaling group")
	}
	return validation("%s", launch.TemplateError(e.Message))
}

// try is the dry run of a launch that Auto Scaling makes as the user when a group is created or
// gets another template: in the first of its subnets, where the template's security groups have to be. template is what
// a denial calls it.
func (s *Service) try(ctx context.Context, c *guard.Call, g *groupRecord, l launchRecord, template string) error {
	in := l.request("", "", "")
	in.DryRun, in.ClientToken, in.SubnetId, in.TagSpecifications = new(true), nil, nil, nil
	if g.Subnets != "" {
		in.SubnetId = &splitList(g.Subnets)[0]
	}
	_, err := s.compute.RunInstances(ctx, c, c.Caller.Via(Principal), in)
	if apierr.Code(err) == "DryRunOperation" || err == nil {
		return nil
	}
	return templateError(err, template)
}

// isGroupID tells the id of a security group from its name.
func isGroupID(s string) bool { return strings.HasPrefix(s, "sg-") }
