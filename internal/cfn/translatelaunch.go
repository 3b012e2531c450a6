package cfn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/tfplan"
)

// image is the id of an image. Launch templates may name a parameter that has it. Source: EC2 User
// Guide, "Use a Systems Manager parameter instead of an AMI ID".
func (o obj) image(property, attr string) any {
	v := o.n.get(property)
	if v.is(unknown) && v.public != "" {
		return tfplan.PublicImage("the image of " + v.public)
	}
	id := o.value(property, attr)
	named, _ := id.(string)
	parameter, is := strings.CutPrefix(named, "resolve:ssm:")
	switch {
	case is && strings.HasPrefix(parameter, publicImages):
		return tfplan.PublicImage("the image of " + parameter)
	case is:
		return tfplan.Unknown("it is in the SSM parameter " + parameter)
	}
	return id
}

// volumeValues are what a mapping says of its volume.
func volumeValues(o obj) map[string]any {
	return map[string]any{
		"encrypted": o.truth("Encrypted", "encrypted"), "kms_key_id": o.value("KmsKeyId", "kms_key_id"),
		"snapshot_id": o.value("SnapshotId", "snapshot_id"), "volume_size": o.number("VolumeSize", "volume_size"),
		"volume_type": o.value("VolumeType", "volume_type"),
	}
}

// mapping remembers where the mapping of a device is.
func (o obj) mapping() {
	if name, ok := o.n.get("DeviceName").scalar(); ok {
		o.t.s.set.result.devices[o.t.s.address(o.t.r.name)+" "+name] = o.path
	}
}

// nested is a mapping of a launch template.
func nested(o obj) map[string]any {
	o.mapping()
	out := map[string]any{
		"device_name": o.value("DeviceName", "device_name"), "virtual_name": o.value("VirtualName", "virtual_name"),
		"ebs": o.one("Ebs", "ebs", volumeValues),
	}
	if o.n.get("NoDevice") != nil {
		out["no_device"] = "true"
	}
	return out
}

// flat is a mapping of an instance or launch configuration, which has what it says of its volume with
// it.
func flat(o obj) map[string]any {
	o.mapping()
	ebs := o.in("Ebs", "")
	ebs.to = o.to
	out := volumeValues(ebs)
	out["device_name"], out["virtual_name"] = o.value("DeviceName", "device_name"), o.value("VirtualName", "virtual_name")
	if no := o.n.get("NoDevice"); no != nil && (no.is(object) || no.isTrue()) {
		out["no_device"] = true
	}
	return out
}

func (t *translation) launchTemplate() {
	o := t.top()
	d := o.in("LaunchTemplateData", "")
	d.to = ""
	values := map[string]any{
		"id": t.s.identity(t.r.name, "").s, "name": o.value("LaunchTemplateName", "name"), "latest_version": 1.0, "default_version": 1.0,
		"image_id": d.image("ImageId", "image_id"), "instance_type": d.value("InstanceType", "instance_type"),
		"block_device_mappings": d.each("BlockDeviceMappings", "block_device_mappings", nested),
		"instance_market_options": d.one("InstanceMarketOptions", "instance_market_options", func(o obj) map[string]any {
			return map[string]any{"market_type": o.value("MarketType", "market_type")}
		}),
	}
	if d.n.is(unknown) {
		values["image_id"], values["block_device_mappings"] = tfplan.Unknown(d.n.s), tfplan.Unknown(d.n.s)
	}
	t.add("aws_launch_template", "", values)
}

func (t *translation) launchConfiguration() {
	o := t.top()
	name := t.s.identity(t.r.name, "").s
	values := map[string]any{
		"id": name, "name": name, "image_id": o.image("ImageId", "image_id"), "instance_type": o.value("InstanceType", "instance_type"),
		"spot_price": o.value("SpotPrice", "spot_price"), "ebs_block_device": o.each("BlockDeviceMappings", "ebs_block_device", flat),
	}
	named := func(m *node) bool { return m.get("Ebs").get("KmsKeyId") != nil }
	if mappings := t.props.get("BlockDeviceMappings"); mappings != nil && slices.ContainsFunc(mappings.list(), named) {
		t.s.set.note(t.s, t.r.name, "KmsKeyId is no property of a launch configuration, so that CloudFormation refuses the template: only a launch template can name a key")
	}
	if t.props.get("InstanceId") != nil && t.props.get("BlockDeviceMappings") == nil {
		values["ebs_block_device"] = tfplan.Unknown("it is made after an instance (InstanceId)")
	}
	t.add("aws_launch_configuration", "", values)
}

// templateSpec names a launch template.
func templateSpec(id, name string) func(obj) map[string]any {
	return func(o obj) map[string]any {
		return map[string]any{
			id: o.value("LaunchTemplateId", id), name: o.value("LaunchTemplateName", name), "version": o.value("Version", "version"),
		}
	}
}

// overridden specifies a launch template and overrides of it.
func overridden(attr string) func(obj) map[string]any {
	spec := templateSpec("launch_template_id", "launch_template_name")
	return func(o obj) map[string]any {
		return map[string]any{
			"launch_template_specification": o.one("LaunchTemplateSpecification", "launch_template_specification", spec),
			attr: o.each("Overrides", attr, func(o obj) map[string]any {
				return map[string]any{
					"instance_type":                 o.value("InstanceType", "instance_type"),
					"launch_template_specification": o.one("LaunchTemplateSpecification", "launch_template_specification", spec),
				}
			}),
		}
	}
}

func (t *translation) autoScalingGroup() {
	o := t.top()
	values := map[string]any{
		"name":             o.value("AutoScalingGroupName", "name"),
		"desired_capacity": o.number("DesiredCapacity", "desired_capacity"), "min_size": o.number("MinSize", "min_size"),
		"service_linked_role_arn": o.value("ServiceLinkedRoleARN", "service_linked_role_arn"),
		"launch_configuration":    o.value("LaunchConfigurationName", "launch_configuration"),
		"launch_template":         o.one("LaunchTemplate", "launch_template", templateSpec("id", "name")),
		"mixed_instances_policy": o.one("MixedInstancesPolicy", "mixed_instances_policy", func(o obj) map[string]any {
			return map[string]any{
				"launch_template": o.one("LaunchTemplate", "launch_template", overridden("override")),
				"instances_distribution": o.one("InstancesDistribution", "instances_distribution", func(o obj) map[string]any {
					return map[string]any{
						"on_demand_base_capacity":                  o.number("OnDemandBaseCapacity", "on_demand_base_capacity"),
						"on_demand_percentage_above_base_capacity": o.number("OnDemandPercentageAboveBaseCapacity", "on_demand_percentage_above_base_capacity"),
					}
				}),
			}
		}),
	}
	if t.props.get("InstanceId") != nil {
		values["launch_template"] = tfplan.Unknown("it is made after an instance (InstanceId)")
	}
	t.add("aws_autoscaling_group", "", values)
}

func (t *translation) nodegroup() {
	o := t.top()
	t.add("aws_eks_node_group", "", map[string]any{
		"node_group_name": o.value("NodegroupName", "node_group_name"), "capacity_type": o.value("CapacityType", "capacity_type"),
		"launch_template": o.one("LaunchTemplate", "launch_template", func(o obj) map[string]any {
			return map[string]any{"id": o.value("Id", "id"), "name": o.value("Name", "name"), "version": o.value("Version", "version")}
		}),
		"scaling_config": o.one("ScalingConfig", "scaling_config", func(o obj) map[string]any {
			return map[string]any{"desired_size": o.number("DesiredSize", "desired_size")}
		}),
	})
}

func (t *translation) instance() {
	o := t.top()
	values := map[string]any{
		"id": t.s.identity(t.r.name, "").s, "ami": o.image("ImageId", "ami"), "instance_type": o.value("InstanceType", "instance_type"),
		"availability_zone": o.value("AvailabilityZone", "availability_zone"),
		"launch_template":   o.one("LaunchTemplate", "launch_template", templateSpec("id", "name")),
		"ebs_block_device":  o.each("BlockDeviceMappings", "ebs_block_device", flat),
	}
	t.add("aws_instance", "", values)
	paths := t.paths
	for i, v := range t.props.get("Volumes").list() {
		t.paths = nil
		at := obj{t, v, fmt.Sprintf("Volumes[%d]", i), ""}
		t.add("aws_volume_attachment", "", map[string]any{
			"volume_id": at.value("VolumeId", "volume_id"), "device_name": at.value("Device", "device_name"), "instance_id": values["id"],
		})
		t.out[len(t.out)-1].Address += "." + at.path
	}
	t.paths = paths
}

func (t *translation) fleet() {
	o := t.top()
	t.add("aws_ec2_fleet", "", map[string]any{
		"type":                   o.value("Type", "type"),
		"launch_template_config": o.each("LaunchTemplateConfigs", "launch_template_config", overridden("override")),
		"target_capacity_specification": o.one("TargetCapacitySpecification", "target_capacity_specification", func(o obj) map[string]any {
			return map[string]any{
				"default_target_capacity_type": o.value("DefaultTargetCapacityType", "default_target_capacity_type"),
				"total_target_capacity":        o.number("TotalTargetCapacity", "total_target_capacity"),
				"on_demand_target_capacity":    o.number("OnDemandTargetCapacity", "on_demand_target_capacity"),
				"spot_target_capacity":         o.number("SpotTargetCapacity", "spot_target_capacity"),
			}
		}),
	})
}

func (t *translation) spotFleet() {
	o := t.top().in("SpotFleetRequestConfigData", "")
	o.to = ""
	t.add("aws_spot_fleet_request", "", map[string]any{
		"launch_template_config": o.each("LaunchTemplateConfigs", "launch_template_config", overridden("overrides")),
		"launch_specification": o.each("LaunchSpecifications", "launch_specification", func(o obj) map[string]any {
			return map[string]any{
				"ami": o.image("ImageId", "ami"), "instance_type": o.value("InstanceType", "instance_type"),
				"ebs_block_device": o.each("BlockDeviceMappings", "ebs_block_device", flat),
			}
		}),
	})
}

func (t *translation) volume() {
	o := t.top()
	t.add("aws_ebs_volume", "", map[string]any{
		"id": t.s.identity(t.r.name, "").s, "encrypted": o.truth("Encrypted", "encrypted"), "kms_key_id": o.value("KmsKeyId", "kms_key_id"),
		"snapshot_id": o.value("SnapshotId", "snapshot_id"), "size": o.number("Size", "size"), "type": o.value("VolumeType", "type"),
		"availability_zone": o.value("AvailabilityZone", "availability_zone"),
	})
}

func (t *translation) attachment() {
	o := t.top()
	t.add("aws_volume_attachment", "", map[string]any{
		"volume_id": o.value("VolumeId", "volume_id"), "device_name": o.value("Device", "device_name"), "instance_id": o.value("InstanceId", "instance_id"),
	})
}
