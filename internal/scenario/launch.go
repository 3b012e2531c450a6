package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// spotPrice is the bid of a launch configuration of the Spot market: more than any price.
const spotPrice = "100"

// An Attempt is what came of one template of a launch, or of the launch of existing volumes.
type Attempt struct {
	Template string // "" for existing volumes
	Group    string // "" unless Auto Scaling launched
	Launched bool
	// Refused is the error of the API call itself, or nil.
	Refused *Refusal
	// StatusCode and StatusMessage are those of the scaling activity that ended first.
	StatusCode, StatusMessage string
	// Instance is the one that failed, else the first; "" if there is none.
	Instance string
	// State and Reason are its state in the end and why.
	State, Reason string
	// Volumes are those of all instances that launched, without the stand-in's root device.
	Volumes []Volume
}

// A Refusal is an error that an API call answers.
type Refusal struct{ Operation, Code, Message string }

// makeTemplates makes the launch templates and launch configurations.
func (w *World) makeTemplates(ctx context.Context) error {
	who := w.owner()
	for _, t := range w.Scenario.Launch.Templates {
		var err error
		switch t.Kind {
		case kindLaunchTemplate:
			err = w.makeLaunchTemplate(ctx, who, t)
		case kindLaunchConfiguration:
			err = w.makeLaunchConfiguration(ctx, who, t)
		default:
			continue
		}
		if err != nil {
			return err
		}
		w.s.tell("%s %s", t.Kind, t.Name)
	}
	return nil
}

// owner is the administrator of the account of the launch.
func (w *World) owner() place { return admin(w.Scenario.Launch.Account).in(w.Scenario.Region) }

func (w *World) image(t Template) string {
	if t.ImageID == nil {
		return w.standIn
	}
	return w.Real(*t.ImageID)
}

// instanceType is the first of a template. A scenario need not name one: what a file that it was made
// from leaves open has nothing to do with keys.
func instanceType(t Template) string {
	return append(t.InstanceTypes[:len(t.InstanceTypes):len(t.InstanceTypes)], "m6i.large")[0]
}

func (w *World) makeLaunchTemplate(ctx context.Context, who place, t Template) error {
	data := &ec2api.RequestLaunchTemplateData{ImageId: new(w.image(t)), InstanceType: new(instanceType(t))}
	if t.Market == marketSpot {
		data.InstanceMarketOptions = &ec2api.LaunchTemplateInstanceMarketOptionsRequest{MarketType: new("spot")}
	}
	for _, d := range t.BlockDevices {
		ebs := &ec2api.LaunchTemplateEbsBlockDeviceRequest{
			Encrypted: d.EBS.Encrypted, KmsKeyId: api.Opt(w.Real(d.EBS.KmsKeyID)), SnapshotId: api.Opt(w.Real(d.EBS.SnapshotID)),
			VolumeSize: api.Opt(w.size(t, d)), VolumeType: api.Opt(d.EBS.VolumeType),
		}
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, ec2api.LaunchTemplateBlockDeviceMappingRequest{DeviceName: &d.Device, Ebs: ebs})
	}
	return w.s.do(ctx, who, "ec2", "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new(templateName(t)), LaunchTemplateData: data,
	}, &ec2api.CreateLaunchTemplateResult{})
}

// TemplateName is the name that the server has for a template of the scenario.
func (w *World) TemplateName(name string) string { return templateName(Template{Name: name}) }

// templateName is that of a launch template, which needs at least three characters.
func templateName(t Template) string {
	if len(t.Name) < 3 {
		return t.Name + "-template"
	}
	return t.Name
}

// size is that of a device: as given, else 1 GiB if nothing else tells.
func (w *World) size(t Template, d BlockDevice) int32 {
	switch {
	case d.EBS.VolumeSize != 0 || d.EBS.SnapshotID != "":
		return d.EBS.VolumeSize
	case slices.Contains(w.imageDevices(t), d.Device):
		return 0
	}
	return 1
}

// imageDevices are the devices of the image of a template.
func (w *World) imageDevices(t Template) []string {
	var out []string
	for _, m := range w.Scenario.Images {
		if t.ImageID != nil && m.ID == *t.ImageID {
			for _, d := range m.Devices {
				out = append(out, d.Device)
			}
		}
	}
	return out
}

func (w *World) makeLaunchConfiguration(ctx context.Context, who place, t Template) error {
	in := &autoscalingapi.CreateLaunchConfigurationType{LaunchConfigurationName: &t.Name, ImageId: new(w.image(t)), InstanceType: new(instanceType(t))}
	if t.Market == marketSpot {
		in.SpotPrice = new(spotPrice)
	}
	for _, d := range t.BlockDevices {
		if d.EBS.KmsKeyID != "" {
			return fmt.Errorf("%w: a launch configuration cannot name a key, as %s does", ErrUnable, t.Name)
		}
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, autoscalingapi.BlockDeviceMapping{DeviceName: &d.Device, Ebs: &autoscalingapi.Ebs{
			Encrypted: d.EBS.Encrypted, SnapshotId: api.Opt(w.Real(d.EBS.SnapshotID)), VolumeSize: api.Opt(w.size(t, d)), VolumeType: api.Opt(d.EBS.VolumeType),
		}})
	}
	return w.s.do(ctx, who, "autoscaling", "CreateLaunchConfiguration", in, nil)
}

// Launch performs the launch of the scenario and waits for what comes of it: one attempt for each
// template, or one for existing volumes. Call it once, if [World.SetUp].
func (w *World) Launch(ctx context.Context) ([]Attempt, error) {
	l := &w.Scenario.Launch
	var caller place
	if l.Caller != nil {
		caller = w.actors[*l.Caller].in(w.Scenario.Region)
	}
	var out []Attempt
	add := func(a Attempt, err error) error {
		if r, ok := errors.AsType[*apierr.Error](err); ok && a.Refused != nil {
			a.Refused.Code, a.Refused.Message = r.Code, r.Message
			err = nil
		}
		out = append(out, a)
		return err
	}
	switch l.Operation {
	case startInstances:
		return out, add(w.start(ctx, caller))
	case attachVolume:
		return out, add(w.attach(ctx, caller))
	}
	for _, t := range l.Templates {
		var err error
		switch l.Operation {
		case autoScalingLaunch:
			err = add(w.scale(ctx, t))
		case createVolume:
			err = add(w.create(ctx, caller, t))
		case copySnapshot:
			err = add(w.copySnapshots(ctx, caller, t))
		default:
			err = add(w.run(ctx, caller, t))
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// groupName is that of the scenario; several templates have a group each.
func (w *World) groupName(t Template) string {
	if len(w.Scenario.Launch.Templates) > 1 {
		return w.Scenario.Launch.Group.Name + "-" + t.Name
	}
	return w.Scenario.Launch.Group.Name
}

// scale makes the group of a template and waits until it is full, or its first launch failed.
func (w *World) scale(ctx context.Context, t Template) (Attempt, error) {
	g := w.Scenario.Launch.Group
	a := Attempt{Template: t.Name, Group: w.groupName(t)}
	in := &autoscalingapi.CreateAutoScalingGroupType{
		AutoScalingGroupName: &a.Group, MinSize: new(int32(0)), MaxSize: &g.Desired, DesiredCapacity: &g.Desired,
		AvailabilityZones: []string{w.Scenario.Region + "a"}, ServiceLinkedRoleARN: g.ServiceLinkedRoleARN,
	}
	spec := &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new(templateName(t)), Version: new("$Latest")}
	switch {
	case t.Kind == kindLaunchConfiguration:
		in.LaunchConfigurationName = &t.Name
	case t.Market == marketMixed:
		in.MixedInstancesPolicy = &autoscalingapi.MixedInstancesPolicy{
			LaunchTemplate: &autoscalingapi.LaunchTemplate{LaunchTemplateSpecification: spec},
			InstancesDistribution: &autoscalingapi.InstancesDistribution{
				OnDemandBaseCapacity: new(int32(1)), OnDemandPercentageAboveBaseCapacity: new(int32(50)),
			},
		}
		for _, kind := range t.InstanceTypes {
			in.MixedInstancesPolicy.LaunchTemplate.Overrides = append(in.MixedInstancesPolicy.LaunchTemplate.Overrides,
				autoscalingapi.LaunchTemplateOverrides{InstanceType: &kind})
		}
	default:
		in.LaunchTemplate = spec
	}
	if err := w.s.do(ctx, w.owner(), "autoscaling", "CreateAutoScalingGroup", in, nil); err != nil {
		a.Refused = &Refusal{Operation: "CreateAutoScalingGroup"}
		return a, err
	}
	w.s.tell("group %s of %d", a.Group, g.Desired)
	err := w.s.until(ctx, "group "+a.Group+" launches", func() (bool, error) { return w.scaled(ctx, &a, int(g.Desired)) })
	if err != nil || a.Launched {
		return a, err
	}
	return a, w.await(ctx, &a)
}

// scaled looks whether a group is full or failed.
func (w *World) scaled(ctx context.Context, a *Attempt, desired int) (bool, error) {
	var acts autoscalingapi.ActivitiesType
	err := w.s.ask(ctx, w.owner(), "autoscaling", "DescribeScalingActivities", &autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: &a.Group}, &acts)
	if err != nil {
		return false, err
	}
	for _, act := range slices.Backward(acts.Activities) { // oldest first
		code := api.Val(act.StatusCode)
		if api.Val(act.Progress) != 100 {
			continue
		}
		if a.StatusCode == "" || code != "Successful" {
			a.StatusCode, a.StatusMessage, a.Instance = code, api.Val(act.StatusMessage), instanceIn(api.Val(act.Description))
		}
		if code != "Successful" {
			return true, nil
		}
	}
	var groups autoscalingapi.AutoScalingGroupsType
	err = w.s.ask(ctx, w.owner(), "autoscaling", "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{AutoScalingGroupNames: []string{a.Group}}, &groups)
	if err != nil || len(groups.AutoScalingGroups) != 1 {
		return false, err
	}
	var ready []string
	for _, i := range groups.AutoScalingGroups[0].Instances {
		if api.Val(i.LifecycleState) == "InService" {
			ready = append(ready, api.Val(i.InstanceId))
		}
	}
	if len(ready) < desired || len(ready) > 0 && a.StatusCode == "" { // the activities were looked at a moment before
		return false, nil
	}
	a.Launched, a.State = true, "running"
	for _, id := range ready {
		if err := w.collect(ctx, a, id); err != nil {
			return false, err
		}
	}
	return true, nil
}

// instanceIn is the instance that the description of an activity names, or "".
func instanceIn(description string) string {
	for word := range strings.FieldsSeq(description) {
		if strings.HasPrefix(word, "i-") {
			return strings.Trim(word, ".,")
		}
	}
	return ""
}

// collect adds the volumes of an instance.
func (w *World) collect(ctx context.Context, a *Attempt, instance string) error {
	on, err := w.volumesOn(ctx, w.owner(), instance)
	if err != nil {
		return err
	}
	for _, d := range slices.Sorted(maps.Keys(on)) {
		if w.ours(a.Template, d) {
			a.Volumes = append(a.Volumes, on[d])
		}
	}
	return nil
}

// ours reports whether a device is one of the scenario, not one of the stand-in alone.
func (w *World) ours(template, device string) bool {
	for _, t := range w.Scenario.Launch.Templates {
		if t.Name == template {
			return t.ImageID != nil || slices.ContainsFunc(t.BlockDevices, func(d BlockDevice) bool { return d.Device == device })
		}
	}
	return slices.ContainsFunc(w.Scenario.Launch.ExistingVolumes, func(v ExistingVolume) bool { return v.Device == device })
}

// await waits until the attempt's instance is in the state that lasts.
func (w *World) await(ctx context.Context, a *Attempt) error {
	if a.Instance == "" {
		return nil
	}
	return w.s.until(ctx, "what becomes of "+a.Instance, func() (bool, error) {
		i, err := w.instance(ctx, w.owner(), a.Instance)
		if err != nil {
			return false, err
		}
		a.State, a.Reason = api.Val(i.State.Name), reason(i)
		return a.State == "running" || a.State == "terminated" || a.State == "stopped", nil
	})
}

// settle waits for the attempt's instance and collects its volumes if it runs.
func (w *World) settle(ctx context.Context, a *Attempt) error {
	if err := w.await(ctx, a); err != nil || a.State != "running" {
		return err
	}
	a.Launched = true
	return w.collect(ctx, a, a.Instance)
}

func (w *World) run(ctx context.Context, caller place, t Template) (Attempt, error) {
	a := Attempt{Template: t.Name}
	var out ec2api.Reservation
	err := w.s.do(ctx, caller, "ec2", "RunInstances", &ec2api.RunInstancesRequest{
		MinCount: new(int32(1)), MaxCount: new(int32(1)),
		LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateName: new(templateName(t)), Version: new("$Latest")},
	}, &out)
	if err != nil {
		a.Refused = &Refusal{Operation: "RunInstances"}
		return a, err
	}
	a.Instance = api.Val(out.Instances[0].InstanceId)
	w.s.tell("instance %s", a.Instance)
	return a, w.settle(ctx, &a)
}

func (w *World) start(ctx context.Context, caller place) (Attempt, error) {
	a := Attempt{Instance: w.holder}
	err := w.s.do(ctx, caller, "ec2", "StartInstances", &ec2api.StartInstancesRequest{InstanceIds: []string{a.Instance}}, &ec2api.StartInstancesResult{})
	if err != nil {
		a.Refused = &Refusal{Operation: "StartInstances"}
		return a, err
	}
	return a, w.settle(ctx, &a)
}

func (w *World) attach(ctx context.Context, caller place) (Attempt, error) {
	a := Attempt{Instance: w.holder}
	for _, v := range w.Scenario.Launch.ExistingVolumes {
		err := w.s.do(ctx, caller, "ec2", "AttachVolume", &ec2api.AttachVolumeRequest{
			InstanceId: &a.Instance, VolumeId: new(w.Real(v.ID)), Device: &v.Device,
		}, &ec2api.VolumeAttachment{})
		if err != nil {
			a.Refused = &Refusal{Operation: "AttachVolume"}
			return a, err
		}
		err = w.s.until(ctx, v.ID+" is attached", func() (bool, error) {
			got, err := w.volume(ctx, w.owner(), w.Real(v.ID))
			return err == nil && got != nil && len(got.Attachments) == 1 && api.Val(got.Attachments[0].State) == "attached", err
		})
		if err != nil {
			return a, err
		}
	}
	return a, w.settle(ctx, &a)
}

// create makes the volumes of a template directly. A volume that its key refuses disappears.
func (w *World) create(ctx context.Context, caller place, t Template) (Attempt, error) {
	a := Attempt{Template: t.Name, Launched: true}
	for _, d := range t.BlockDevices {
		in := &ec2api.CreateVolumeRequest{
			AvailabilityZone: new(caller.region + "a"), Encrypted: d.EBS.Encrypted, KmsKeyId: api.Opt(w.Real(d.EBS.KmsKeyID)),
			SnapshotId: api.Opt(w.Real(d.EBS.SnapshotID)), Size: api.Opt(w.size(Template{}, d)), VolumeType: api.Opt(d.EBS.VolumeType),
		}
		var out ec2api.Volume
		if err := w.s.do(ctx, caller, "ec2", "CreateVolume", in, &out); err != nil {
			a.Launched, a.Refused = false, &Refusal{Operation: "CreateVolume"}
			return a, err
		}
		var made *ec2api.Volume
		err := w.s.until(ctx, "what becomes of "+api.Val(out.VolumeId), func() (_ bool, err error) {
			made, err = w.volume(ctx, w.owner(), api.Val(out.VolumeId))
			return err == nil && (made == nil || api.Val(made.State) == "available"), err
		})
		if err != nil {
			return a, err
		}
		if made == nil {
			a.Launched = false
			return a, nil
		}
		a.Volumes = append(a.Volumes, Volume{ID: *made.VolumeId, Device: d.Device, Encrypted: api.Val(made.Encrypted), Key: api.Val(made.KmsKeyId)})
	}
	return a, nil
}

// copySnapshots copies the snapshots of a template's devices. A copy that a key refuses ends in the
// state error.
func (w *World) copySnapshots(ctx context.Context, caller place, t Template) (Attempt, error) {
	a := Attempt{Template: t.Name, Launched: true}
	for _, d := range t.BlockDevices {
		var out ec2api.CopySnapshotResult
		err := w.s.do(ctx, caller, "ec2", "CopySnapshot", &ec2api.CopySnapshotRequest{
			SourceRegion: &caller.region, SourceSnapshotId: new(w.Real(d.EBS.SnapshotID)), Encrypted: d.EBS.Encrypted, KmsKeyId: api.Opt(w.Real(d.EBS.KmsKeyID)),
		}, &out)
		if err != nil {
			a.Launched, a.Refused = false, &Refusal{Operation: "CopySnapshot"}
			return a, err
		}
		id := api.Val(out.SnapshotId)
		err = w.s.until(ctx, "what becomes of "+id, func() (bool, error) {
			var list ec2api.DescribeSnapshotsResult
			err := w.s.ask(ctx, w.owner(), "ec2", "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}}, &list)
			if err != nil || len(list.Snapshots) != 1 {
				return false, err
			}
			made := list.Snapshots[0]
			a.State, a.Reason = api.Val(made.State), api.Val(made.StateMessage)
			if a.State == "completed" {
				a.Volumes = append(a.Volumes, Volume{ID: id, Device: d.Device, Encrypted: api.Val(made.Encrypted), Key: api.Val(made.KmsKeyId)})
			}
			return a.State == "completed" || a.State == "error", nil
		})
		if err != nil || a.State == "error" {
			a.Launched = false
			return a, err
		}
	}
	return a, nil
}
