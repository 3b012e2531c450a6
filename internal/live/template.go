package live

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// template reads a version of a launch template; types replace its own.
func (r *reader) template(spec *ec2api.LaunchTemplateSpecification, types []string) error {
	version := api.Val(spec.Version)
	if version == "" {
		version = "$Default"
	}
	name := api.Val(spec.LaunchTemplateName)
	if name == "" {
		name = api.Val(spec.LaunchTemplateId)
	}
	out, err := ask[ec2api.DescribeLaunchTemplateVersionsResult](r.ctx, r.Session, r.home(), "ec2", "DescribeLaunchTemplateVersions",
		&ec2api.DescribeLaunchTemplateVersionsRequest{LaunchTemplateId: spec.LaunchTemplateId, LaunchTemplateName: spec.LaunchTemplateName, Versions: []string{version}})
	if err != nil {
		if err := r.unread(err); err != nil {
			return err
		}
		return r.unknownTemplate(name, err)
	}
	if len(out.LaunchTemplateVersions) != 1 || out.LaunchTemplateVersions[0].LaunchTemplateData == nil {
		return fmt.Errorf("%w: there is no version %s of the launch template %s", ErrUnreadable, version, name)
	}
	v := out.LaunchTemplateVersions[0]
	d := v.LaunchTemplateData
	t := format.Template{Name: api.Val(v.LaunchTemplateName), Kind: format.KindLaunchTemplate, Market: format.MarketOnDemand, InstanceTypes: types}
	if len(types) == 0 && d.InstanceType != nil {
		t.InstanceTypes = []string{*d.InstanceType}
	}
	if m := d.InstanceMarketOptions; m != nil && api.Val(m.MarketType) == "spot" {
		t.Market = format.MarketSpot
	}
	var mappings []mapping
	for _, b := range d.BlockDeviceMappings {
		m := mapping{device: api.Val(b.DeviceName), dropped: b.NoDevice != nil}
		if e := b.Ebs; e != nil {
			m.ebs = &format.BlockVolume{
				Encrypted: e.Encrypted, KmsKeyID: api.Val(e.KmsKeyId), SnapshotID: api.Val(e.SnapshotId),
				VolumeSize: api.Val(e.VolumeSize), VolumeType: api.Val(e.VolumeType),
			}
		}
		mappings = append(mappings, m)
	}
	return r.addTemplate(t, d.ImageId, mappings)
}

// configuration reads a launch configuration.
func (r *reader) configuration(name string) error {
	out, err := ask[autoscalingapi.LaunchConfigurationsType](r.ctx, r.Session, r.home(), "autoscaling", "DescribeLaunchConfigurations",
		&autoscalingapi.LaunchConfigurationNamesType{LaunchConfigurationNames: []string{name}})
	if err != nil {
		if err := r.unread(err); err != nil {
			return err
		}
		return r.unknownTemplate(name, err)
	}
	if len(out.LaunchConfigurations) != 1 {
		return fmt.Errorf("%w: there is no launch configuration %s", ErrUnreadable, name)
	}
	c := out.LaunchConfigurations[0]
	t := format.Template{Name: name, Kind: format.KindLaunchConfiguration, Market: format.MarketOnDemand, InstanceTypes: []string{api.Val(c.InstanceType)}}
	if api.Val(c.SpotPrice) != "" {
		t.Market = format.MarketSpot
	}
	var mappings []mapping
	for _, b := range c.BlockDeviceMappings {
		m := mapping{device: api.Val(b.DeviceName), dropped: api.Val(b.NoDevice)}
		if e := b.Ebs; e != nil {
			m.ebs = &format.BlockVolume{Encrypted: e.Encrypted, SnapshotID: api.Val(e.SnapshotId), VolumeSize: api.Val(e.VolumeSize), VolumeType: api.Val(e.VolumeType)}
		}
		mappings = append(mappings, m)
	}
	return r.addTemplate(t, c.ImageId, mappings)
}

// A mapping of a template: a volume, a device that is taken out, or neither.
type mapping struct {
	device  string
	ebs     *format.BlockVolume
	dropped bool
}

// addTemplate lists a template with all that it refers to.
func (r *reader) addTemplate(t format.Template, image *string, mappings []mapping) error {
	if slices.ContainsFunc(r.sc.Launch.Templates, func(have format.Template) bool { return have.Name == t.Name }) {
		t.Name = fmt.Sprintf("%s (%d)", t.Name, len(r.sc.Launch.Templates)+1) // another version of it
	}
	at := len(r.sc.Launch.Templates)
	path := fmt.Sprintf("/launch/templates/%d", at)
	var dropped []string
	for _, m := range mappings {
		switch {
		case m.dropped:
			dropped = append(dropped, m.device)
		case m.ebs == nil:
		default:
			here := fmt.Sprintf("%s/blockDevices/%d/ebs", path, len(t.BlockDevices))
			if m.ebs.SnapshotID != "" {
				if err := r.snapshot(m.ebs.SnapshotID, "", nil); err != nil {
					return err
				}
			}
			if m.ebs.KmsKeyID != "" {
				if err := r.key(m.ebs.KmsKeyID, here+"/kmsKeyId"); err != nil {
					return err
				}
			}
			t.BlockDevices = append(t.BlockDevices, format.BlockDevice{Device: m.device, EBS: *m.ebs})
		}
	}
	r.sc.Launch.Templates = append(r.sc.Launch.Templates, t)
	var err error
	if image != nil && strings.HasPrefix(*image, "resolve:ssm:") {
		return r.unread(reason("the image is the value of the parameter "+strings.TrimPrefix(*image, "resolve:ssm:")+", which is not read"), path+"/imageId")
	}
	r.sc.Launch.Templates[at].ImageID, err = r.image(image, path+"/imageId", dropped)
	return err
}
