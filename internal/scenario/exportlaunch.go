package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
)

// launch writes whose launch it is, and what is known of its end.
func (x *exporter) launch(ctx context.Context) error {
	l := &x.sc.Launch
	*l = Launch{Operation: autoScalingLaunch, Account: x.sel.Accounts[0], Templates: []Template{}}
	if x.sel.Template != "" {
		l.Operation, l.Caller = runInstances, &x.sel.Caller
		return x.template(ctx, &ec2api.LaunchTemplateSpecification{LaunchTemplateName: &x.sel.Template, Version: new("$Default")}, nil)
	}
	g, err := x.group(ctx)
	if err != nil {
		return err
	}
	l.Group = &Group{Name: api.Val(g.AutoScalingGroupName), Desired: api.Val(g.DesiredCapacity)}
	role := api.Val(g.ServiceLinkedRoleARN)
	if role != arn.Role(l.Account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling") {
		l.Group.ServiceLinkedRoleARN = &role
	}
	switch {
	case g.LaunchConfigurationName != nil:
		err = x.configuration(ctx, g.LaunchConfigurationName)
	case g.MixedInstancesPolicy != nil:
		err = x.mixed(ctx, g.MixedInstancesPolicy)
	default:
		err = x.template(ctx, ec2Spec(g.LaunchTemplate), nil)
	}
	if err != nil {
		return err
	}
	return x.expected(ctx, g)
}

// group is the selected group.
func (x *exporter) group(ctx context.Context) (*autoscalingapi.AutoScalingGroup, error) {
	in := &autoscalingapi.AutoScalingGroupNamesType{}
	if x.sel.Group != "" {
		in.AutoScalingGroupNames = []string{x.sel.Group}
	}
	var all []autoscalingapi.AutoScalingGroup
	err := pages(func(next *string) (*string, error) {
		in.NextToken = next
		var list autoscalingapi.AutoScalingGroupsType
		err := x.s.ask(ctx, x.at(x.sel.Accounts[0]), "autoscaling", "DescribeAutoScalingGroups", in, &list)
		all = append(all, list.AutoScalingGroups...)
		return list.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		return &all[0], nil
	}
	var names []string
	for _, g := range all {
		names = append(names, api.Val(g.AutoScalingGroupName))
	}
	where := "account " + x.sel.Accounts[0] + " in " + x.sel.Region
	switch {
	case len(all) > 1:
		return nil, fmt.Errorf("%w: %s has the groups %s: name one", ErrSelection, where, strings.Join(names, ", "))
	case x.sel.Group != "":
		return nil, fmt.Errorf("%w: %s has no group %s", ErrSelection, where, x.sel.Group)
	}
	return nil, fmt.Errorf("%w: %s has no group: name a launch template and its caller", ErrSelection, where)
}

func ec2Spec(s *autoscalingapi.LaunchTemplateSpecification) *ec2api.LaunchTemplateSpecification {
	out := &ec2api.LaunchTemplateSpecification{LaunchTemplateId: s.LaunchTemplateId, Version: s.Version}
	if s.LaunchTemplateId == nil {
		out.LaunchTemplateName = s.LaunchTemplateName
	}
	return out
}

// mixed writes the template of a mixed instances policy and those of its overrides.
func (x *exporter) mixed(ctx context.Context, p *autoscalingapi.MixedInstancesPolicy) error {
	base := ec2Spec(p.LaunchTemplate.LaunchTemplateSpecification)
	var types []string
	for _, o := range p.LaunchTemplate.Overrides {
		if o.LaunchTemplateSpecification == nil && o.InstanceType != nil {
			types = append(types, *o.InstanceType)
		}
	}
	if err := x.template(ctx, base, types); err != nil {
		return err
	}
	for _, o := range p.LaunchTemplate.Overrides {
		if o.LaunchTemplateSpecification != nil {
			if err := x.template(ctx, ec2Spec(o.LaunchTemplateSpecification), []string{api.Val(o.InstanceType)}); err != nil {
				return err
			}
		}
	}
	for i := range x.sc.Launch.Templates {
		x.sc.Launch.Templates[i].Market = marketMixed
	}
	return nil
}

// template writes a version of a launch template; types replace its own.
func (x *exporter) template(ctx context.Context, spec *ec2api.LaunchTemplateSpecification, types []string) error {
	version := api.Val(spec.Version)
	if version == "" {
		version = "$Default"
	}
	var out ec2api.DescribeLaunchTemplateVersionsResult
	err := x.s.ask(ctx, x.at(x.sel.Accounts[0]), "ec2", "DescribeLaunchTemplateVersions", &ec2api.DescribeLaunchTemplateVersionsRequest{
		LaunchTemplateId: spec.LaunchTemplateId, LaunchTemplateName: spec.LaunchTemplateName, Versions: []string{version},
	}, &out)
	if err != nil {
		return err
	}
	if len(out.LaunchTemplateVersions) != 1 {
		return fmt.Errorf("%w: version %s of the template is not there", ErrSelection, version)
	}
	v := out.LaunchTemplateVersions[0]
	d := v.LaunchTemplateData
	t := Template{Name: api.Val(v.LaunchTemplateName), Kind: kindLaunchTemplate, Market: marketOnDemand, InstanceTypes: types, BlockDevices: []BlockDevice{}}
	if len(types) == 0 {
		t.InstanceTypes = []string{api.Val(d.InstanceType)}
	}
	if m := d.InstanceMarketOptions; m != nil && api.Val(m.MarketType) == "spot" {
		t.Market = marketSpot
	}
	t.ImageID = x.imageOf(t.Name, d.ImageId)
	for _, b := range d.BlockDeviceMappings {
		if b.Ebs == nil {
			x.note("the device %s of the template %s is no volume", api.Val(b.DeviceName), t.Name)
			continue
		}
		t.BlockDevices = append(t.BlockDevices, BlockDevice{Device: api.Val(b.DeviceName), EBS: BlockVolume{
			Encrypted: b.Ebs.Encrypted, KmsKeyID: api.Val(b.Ebs.KmsKeyId), SnapshotID: api.Val(b.Ebs.SnapshotId),
			VolumeSize: api.Val(b.Ebs.VolumeSize), VolumeType: api.Val(b.Ebs.VolumeType),
		}})
	}
	x.sc.Launch.Templates = append(x.sc.Launch.Templates, t)
	return nil
}

func (x *exporter) configuration(ctx context.Context, name *string) error {
	var out autoscalingapi.LaunchConfigurationsType
	err := x.s.ask(ctx, x.at(x.sel.Accounts[0]), "autoscaling", "DescribeLaunchConfigurations", &autoscalingapi.LaunchConfigurationNamesType{
		LaunchConfigurationNames: []string{*name},
	}, &out)
	if err != nil {
		return err
	}
	if len(out.LaunchConfigurations) != 1 {
		return fmt.Errorf("%w: the launch configuration %s is not there", ErrSelection, *name)
	}
	c := out.LaunchConfigurations[0]
	t := Template{
		Name: *name, Kind: kindLaunchConfiguration, Market: marketOnDemand, InstanceTypes: []string{api.Val(c.InstanceType)},
		BlockDevices: []BlockDevice{}, ImageID: x.imageOf(*name, c.ImageId),
	}
	if api.Val(c.SpotPrice) != "" {
		t.Market = marketSpot
	}
	for _, b := range c.BlockDeviceMappings {
		if b.Ebs == nil {
			x.note("the device %s of the launch configuration %s is no volume", api.Val(b.DeviceName), t.Name)
			continue
		}
		t.BlockDevices = append(t.BlockDevices, BlockDevice{Device: api.Val(b.DeviceName), EBS: BlockVolume{
			Encrypted: b.Ebs.Encrypted, SnapshotID: api.Val(b.Ebs.SnapshotId), VolumeSize: api.Val(b.Ebs.VolumeSize), VolumeType: api.Val(b.Ebs.VolumeType),
		}})
	}
	x.sc.Launch.Templates = append(x.sc.Launch.Templates, t)
	return nil
}

// imageOf is the image of a template, nil for one that the scenario does not have.
func (x *exporter) imageOf(template string, id *string) *string {
	switch {
	case api.Val(id) == "" || *id == x.standIn:
		return nil
	case !slices.ContainsFunc(x.sc.Images, func(m Image) bool { return m.ID == *id }):
		x.note("the image %s of the template %s belongs to none of the accounts: the template names no image now", *id, template)
		return nil
	}
	return id
}

// expected writes what is known of a group that is full; of any other it stays open.
func (x *exporter) expected(ctx context.Context, g *autoscalingapi.AutoScalingGroup) error {
	var ready []string
	for _, i := range g.Instances {
		if api.Val(i.LifecycleState) == "InService" {
			ready = append(ready, api.Val(i.InstanceId))
		}
	}
	if len(ready) == 0 || len(ready) < int(api.Val(g.DesiredCapacity)) || len(x.sc.Launch.Templates) != 1 {
		x.note("nobody has said yet what must happen: expected is null")
		return nil
	}
	w := &World{Scenario: x.sc, s: x.s}
	on, err := w.volumesOn(ctx, x.at(x.sel.Accounts[0]), ready[0])
	if err != nil {
		return err
	}
	t := x.sc.Launch.Templates[0]
	e := &Expected{Launches: true, Volumes: []ExpectedVolume{}, Failures: []Failure{}, Warnings: []string{}}
	devices := w.imageDevices(t)
	for _, d := range t.BlockDevices {
		if !slices.Contains(devices, d.Device) {
			devices = append(devices, d.Device)
		}
	}
	for _, d := range devices {
		v, ok := on[d]
		if !ok {
			continue
		}
		out := ExpectedVolume{Template: &t.Name, Device: d, Encrypted: v.Encrypted, ChosenBy: x.chosenBy(t, d)}
		if v.Encrypted {
			out.Key = &v.Key
		}
		e.Volumes = append(e.Volumes, out)
	}
	x.sc.Expected = e
	return nil
}

// chosenBy is the rule that chose the key of a device.
func (x *exporter) chosenBy(t Template, device string) string {
	var in launch.KeyInput
	snapshot := ""
	for _, m := range x.sc.Images {
		for _, d := range m.Devices {
			if t.ImageID != nil && m.ID == *t.ImageID && d.Device == device {
				snapshot = d.SnapshotID
			}
		}
	}
	for _, d := range t.BlockDevices {
		if d.Device == device {
			in.Encrypted, in.KmsKeyID = d.EBS.Encrypted, d.EBS.KmsKeyID
			if d.EBS.SnapshotID != "" {
				snapshot = d.EBS.SnapshotID
			}
		}
	}
	in.Source.Kind = launch.Empty
	for _, s := range x.sc.Snapshots {
		if s.ID == snapshot {
			in.Source = launch.Source{Kind: launch.Snapshot, SnapshotID: s.ID, Owned: s.Owner == x.sc.Launch.Account, Encrypted: s.Encrypted, KeyARN: api.Val(s.Key)}
		}
	}
	e := x.sc.Accounts[0].EBS[x.sel.Region]
	in.Defaults = launch.Defaults{EncryptionByDefault: e.EncryptionByDefault, DefaultKey: e.DefaultKmsKeyID}
	choice, err := launch.ChooseKey(in)
	if err != nil { // the group could not have launched
		return string(launch.ByNone)
	}
	return string(choice.ChosenBy)
}
