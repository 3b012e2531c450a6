package autoscaling

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Quotas of an account and region; that of groups unless the server has another. Source: User Guide,
// "Quotas for Auto Scaling resources and groups".
const (
	defaultGroups = 500
	maxConfigs    = 200
)

// configRecord is a launch configuration. It never changes.
type configRecord struct {
	Region, Account, Name, UUID string
	Created                     time.Time
	Params                      autoscalingapi.CreateLaunchConfigurationType
}

var configTable = store.Table[configRecord]{Bucket: "autoscaling/config", Version: 1} // region, account, name

func (r *configRecord) arn() string {
	return arn.Make("autoscaling", r.Region, r.Account, "launchConfiguration:"+r.UUID+":launchConfigurationName/"+r.Name)
}

// monitored reports whether instances get detailed monitoring: yes, unless it was declined.
func (r *configRecord) monitored() bool {
	m := r.Params.InstanceMonitoring
	return m == nil || m.Enabled == nil || *m.Enabled
}

func isARN(s string) bool { return strings.HasPrefix(s, "arn:") }

// configPart is the evaluation of an action on a launch configuration.
func configPart(r *configRecord, action string) authz.Part {
	return authz.Part{Action: action, Resource: authz.Resource{ARN: r.arn(), Account: r.Account}}
}

// allowConfig decides on making a launch configuration. The role of the instance profile that it names is passed to
// EC2; the profile and the image must exist. Source: User Guide, "Amazon EC2 Auto Scaling API permissions" and "IAM role for
// applications that run on Amazon EC2 instances"; the errors as reported by users.
func (s *Service) allowConfig(tx store.Tx, c *guard.Call, r *configRecord) error {
	p := configPart(r, "autoscaling:CreateLaunchConfiguration")
	configContext(&p.Context, &r.Params)
	parts, named, known := []authz.Part{p}, api.Val(r.Params.IamInstanceProfile), true
	if named != "" {
		role, ok, err := s.profiles(tx, r.Account, named)
		if err != nil {
			return err
		}
		if known = ok; role != "" {
			parts = append(parts, authz.PassRole(role, r.Account, "ec2.amazonaws.com"))
		}
	}
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return err
	}
	if !known {
		return validation("Invalid IamInstanceProfile: %s", named)
	}
	image := api.Val(r.Params.ImageId)
	if err := s.images(tx, r.Region, r.Account, image, s.g.Now()); err != nil {
		if e, ok := errors.AsType[*apierr.Error](err); ok {
			return validation("AMI %s is invalid: %s", image, e.Message)
		}
		return err
	}
	return nil
}

// CreateLaunchConfiguration keeps the parameters of launches. But for the instance profile and the image it checks
// their form only: whether EC2 accepts them shows when an instance launches.
func (s *Service) CreateLaunchConfiguration(ctx context.Context, c *guard.Call, in *autoscalingapi.CreateLaunchConfigurationType) error {
	hideUserData(c, in)
	r := configRecord{
		Region: c.Region, Account: c.Account(), Name: api.Val(in.LaunchConfigurationName), UUID: guard.NewRequestID(),
		Created: s.g.Now().Truncate(time.Millisecond), Params: *in,
	}
	if id := api.Val(in.InstanceId); id != "" {
		decide := func(tx store.Tx) error {
			_, err := s.g.Allow(tx, c, configPart(&r, "autoscaling:CreateLaunchConfiguration"))
			return err
		}
		if err := s.g.View(ctx, c, decide); err != nil {
			return err
		}
		i, err := s.modelInstance(ctx, c, id)
		if err != nil {
			return err
		}
		r.Params = afterInstance(r.Params, i)
	}
	if err := checkConfig(&r.Params); err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		return s.addConfig(tx, c, &r, true)
	})
}

// hideUserData keeps user data, which often holds passwords, out of the trail.
func hideUserData(c *guard.Call, in *autoscalingapi.CreateLaunchConfigurationType) {
	if in.UserData == nil {
		return
	}
	shown := *in
	shown.UserData = new("[redacted]")
	c.Input = &shown
}

// configContext are the condition keys of a launch configuration.
// Source: Service Authorization Reference, "Actions defined by Amazon EC2 Auto Scaling".
func configContext(ctx *authz.Context, in *autoscalingapi.CreateLaunchConfigurationType) {
	text := func(key string, v *string) {
		if v != nil {
			ctx.Set(key, *v)
		}
	}
	text("autoscaling:imageid", in.ImageId)
	text("autoscaling:instancetype", in.InstanceType)
	text("autoscaling:spotprice", in.SpotPrice)
	if m := in.MetadataOptions; m != nil {
		text("autoscaling:metadatahttpendpoint", m.HttpEndpoint)
		text("autoscaling:metadatahttptokens", m.HttpTokens)
		if m.HttpPutResponseHopLimit != nil {
			ctx.Set("autoscaling:metadatahttpputresponsehoplimit", itoa(*m.HttpPutResponseHopLimit))
		}
	}
}

// checkConfig checks the form of the parameters.
func checkConfig(in *autoscalingapi.CreateLaunchConfigurationType) error {
	switch {
	case strings.Contains(*in.LaunchConfigurationName, ":"):
		return validation("Invalid launch configuration name: a name may not contain a colon.")
	case api.Val(in.ImageId) == "" || api.Val(in.InstanceType) == "":
		return validation("Valid requests must contain either the InstanceId parameter or both the ImageId and InstanceType parameters.")
	case api.Val(in.ClassicLinkVPCId) != "" || len(in.ClassicLinkVPCSecurityGroups) > 0:
		return validation("EC2-Classic is no longer available: ClassicLinkVPCId and ClassicLinkVPCSecurityGroups cannot be used.")
	}
	if d := api.Val(in.UserData); d != "" {
		if _, err := base64.StdEncoding.DecodeString(d); err != nil {
			return validation("Invalid BASE64 encoding of user data")
		}
	}
	if p := in.SpotPrice; p != nil && !isPrice(*p) {
		return validation("Invalid Spot price: %s. It is a positive number of US dollars.", *p)
	}
	if t := api.Val(in.PlacementTenancy); t != "" && t != "default" && t != "dedicated" {
		return validation("Invalid PlacementTenancy: %s. Valid values are default and dedicated.", t)
	}
	if slices.ContainsFunc(in.SecurityGroups, isGroupID) && slices.ContainsFunc(in.SecurityGroups, func(g string) bool { return !isGroupID(g) }) {
		return validation("Must use either use group-id or group-name for all the security groups, not both at the same time")
	}
	return checkMappings(in.BlockDeviceMappings)
}

// checkMappings checks block device mappings, which cannot name a key.
// Source: API Reference, BlockDeviceMapping and Ebs.
func checkMappings(all []autoscalingapi.BlockDeviceMapping) error {
	seen := map[string]bool{}
	for _, b := range all {
		device := api.Val(b.DeviceName)
		n := 0
		for _, given := range []bool{b.Ebs != nil, api.Val(b.VirtualName) != "", api.Val(b.NoDevice)} {
			if given {
				n++
			}
		}
		switch {
		case seen[device]:
			return validation("The device %s is mapped twice.", device)
		case n > 1:
			return validation("The mapping of device %s needs exactly one of Ebs, VirtualName and NoDevice.", device)
		case b.Ebs != nil && b.Ebs.SnapshotId != nil && b.Ebs.Encrypted != nil:
			return validation("the encrypted flag cannot be specified since device %s has a snapshot specified.", device)
		}
		seen[device] = true
	}
	return nil
}

// DeleteLaunchConfiguration removes a launch configuration that no group uses.
func (s *Service) DeleteLaunchConfiguration(ctx context.Context, c *guard.Call, in *autoscalingapi.LaunchConfigurationNameType) error {
	name := api.Val(in.LaunchConfigurationName)
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		r, ok, err := configTable.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return err
		}
		if !ok {
			r = configRecord{Region: c.Region, Account: c.Account(), Name: name, UUID: "*"}
		}
		if _, err := s.g.Allow(tx, c, configPart(&r, "autoscaling:DeleteLaunchConfiguration")); err != nil {
			return err
		}
		if !ok {
			return validation("Launch configuration name not found - Launch configuration %s not found", name)
		}
		for g, err := range groupTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			if g.Value.Config == name {
				return apierr.Newf("ResourceInUse", "Cannot delete launch configuration %s because it is attached to AutoScalingGroup %s", name, g.Value.Name)
			}
		}
		c.Touch(r.arn(), r.Account, "AWS::AutoScaling::LaunchConfiguration")
		return configTable.Delete(tx, c.Region, c.Account(), name)
	})
}

// DescribeLaunchConfigurations lists launch configurations; names that do not exist are left out.
func (s *Service) DescribeLaunchConfigurations(ctx context.Context, c *guard.Call, in *autoscalingapi.LaunchConfigurationNamesType) (*autoscalingapi.LaunchConfigurationsType, error) {
	var err error
	out := &autoscalingapi.LaunchConfigurationsType{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 100)
	out.LaunchConfigurations, out.NextToken, err = paged(ctx, at, func(tx store.Tx, r store.Range, yield func(string, autoscalingapi.LaunchConfiguration) bool) error {
		return scan(tx, configTable, r, func(key []string, rec *configRecord) bool {
			if len(in.LaunchConfigurationNames) > 0 && !slices.Contains(in.LaunchConfigurationNames, rec.Name) {
				return true
			}
			return yield(store.Key(key...), rec.describe())
		})
	})
	return out, err
}

// describe is the launch configuration as it is shown. Some texts that were not given are shown
// empty, as AWS does.
func (r *configRecord) describe() autoscalingapi.LaunchConfiguration {
	p := r.Params
	text := func(v *string) *string { return new(api.Val(v)) }
	list := func(v []string) []string { return append([]string{}, v...) }
	return autoscalingapi.LaunchConfiguration{
		LaunchConfigurationName: &r.Name, LaunchConfigurationARN: new(r.arn()), CreatedTime: &r.Created,
		ImageId: p.ImageId, InstanceType: p.InstanceType, KeyName: text(p.KeyName), KernelId: text(p.KernelId), RamdiskId: text(p.RamdiskId),
		UserData: text(p.UserData), SecurityGroups: list(p.SecurityGroups), ClassicLinkVPCSecurityGroups: []string{},
		BlockDeviceMappings: append([]autoscalingapi.BlockDeviceMapping{}, p.BlockDeviceMappings...),
		InstanceMonitoring:  &autoscalingapi.InstanceMonitoring{Enabled: new(r.monitored())}, EbsOptimized: new(api.Val(p.EbsOptimized)),
		SpotPrice: p.SpotPrice, IamInstanceProfile: p.IamInstanceProfile, AssociatePublicIpAddress: p.AssociatePublicIpAddress,
		PlacementTenancy: p.PlacementTenancy, MetadataOptions: metadata(p.MetadataOptions),
	}
}

// metadata are the metadata options as they are shown: all of them, if one was given.
func metadata(given *autoscalingapi.InstanceMetadataOptions) *autoscalingapi.InstanceMetadataOptions {
	if given == nil {
		return nil
	}
	return &autoscalingapi.InstanceMetadataOptions{
		HttpTokens:              new(cmp.Or(api.Val(given.HttpTokens), "optional")),
		HttpPutResponseHopLimit: new(cmp.Or(api.Val(given.HttpPutResponseHopLimit), 1)),
		HttpEndpoint:            new(cmp.Or(api.Val(given.HttpEndpoint), "enabled")),
	}
}
