package ec2

import (
	"context"
	"encoding/base64"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// settingsOfInstances are the handlers of what can be set and read of an instance besides its attributes.
func (s *Service) settingsOfInstances() map[string]guard.Handler {
	return map[string]guard.Handler{
		"ModifyInstanceMetadataOptions": guard.Handle(s.ModifyInstanceMetadataOptions),

		"ModifyInstanceCapacityReservationAttributes": guard.Handle(s.ModifyInstanceCapacityReservationAttributes),
		"ModifyPrivateDnsNameOptions":                 guard.Handle(s.ModifyPrivateDnsNameOptions),
		"ModifyNetworkInterfaceAttribute":             guard.HandleVoid(s.ModifyNetworkInterfaceAttribute),

		"SendDiagnosticInterrupt":      guard.HandleVoid(s.SendDiagnosticInterrupt),
		"ModifyInstanceEventStartTime": guard.Handle(s.ModifyInstanceEventStartTime),

		"ModifyInstanceNetworkPerformanceOptions": guard.Handle(s.ModifyInstanceNetworkPerformanceOptions),
		"ModifyInstanceCpuOptions":                guard.Handle(s.ModifyInstanceCpuOptions),

		"MonitorInstances":       guard.Handle(s.MonitorInstances),
		"UnmonitorInstances":     guard.Handle(s.UnmonitorInstances),
		"ResetInstanceAttribute": guard.HandleVoid(s.ResetInstanceAttribute),
		"GetConsoleOutput":       guard.Handle(s.GetConsoleOutput),
		"GetConsoleScreenshot":   guard.Handle(s.GetConsoleScreenshot),
		"GetPasswordData":        guard.Handle(s.GetPasswordData),
		"GetLaunchTemplateData":  guard.Handle(s.GetLaunchTemplateData),
	}
}

// metadata are the options of the metadata service, as answers carry them.
func (i *instanceRecord) metadata(state string) *ec2api.InstanceMetadataOptionsResponse {
	o := &i.Options
	return &ec2api.InstanceMetadataOptionsResponse{
		State: &state, HttpTokens: &o.HTTPTokens, HttpPutResponseHopLimit: &o.HTTPHops, HttpEndpoint: &o.HTTPEndpoint,
		HttpProtocolIpv6: &o.HTTPv6, InstanceMetadataTags: &o.MetadataTags,
	}
}

// ModifyInstanceMetadataOptions changes how an instance can ask for its metadata.
// Source: EC2 API Reference, ModifyInstanceMetadataOptions.
func (s *Service) ModifyInstanceMetadataOptions(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceMetadataOptionsRequest) (*ec2api.ModifyInstanceMetadataOptionsResult, error) {
	defer s.locks.Lock(api.Val(in.InstanceId))()
	texts := []struct {
		name   string
		given  *string
		values [2]string
		place  func(*instanceOptions) *string
	}{
		{"HttpTokens", in.HttpTokens, [2]string{"optional", "required"}, func(o *instanceOptions) *string { return &o.HTTPTokens }},
		{"HttpEndpoint", in.HttpEndpoint, [2]string{"enabled", "disabled"}, func(o *instanceOptions) *string { return &o.HTTPEndpoint }},
		{"HttpProtocolIpv6", in.HttpProtocolIpv6, [2]string{"enabled", "disabled"}, func(o *instanceOptions) *string { return &o.HTTPv6 }},
		{"InstanceMetadataTags", in.InstanceMetadataTags, [2]string{"enabled", "disabled"}, func(o *instanceOptions) *string { return &o.MetadataTags }},
	}
	out := &ec2api.ModifyInstanceMetadataOptionsResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun, func(p *authz.Part) {
			for _, t := range texts {
				if t.given != nil {
					setAttribute(p, t.name, *t.given)
				}
			}
			if in.HttpPutResponseHopLimit != nil {
				setAttribute(p, "HttpPutResponseHopLimit", strconv.Itoa(int(*in.HttpPutResponseHopLimit)))
			}
		})
		if err != nil {
			return err
		}
		if i.State == terminated || i.State == shuttingDown {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is terminated.", i.ID)
		}
		for _, t := range texts {
			switch {
			case t.given == nil:
			case *t.given != t.values[0] && *t.given != t.values[1]:
				return invalidValue("Value (%s) for parameter %s is invalid. Valid values: %s, %s.", *t.given, t.name, t.values[0], t.values[1])
			default:
				*t.place(&i.Options) = *t.given
			}
		}
		if hops := in.HttpPutResponseHopLimit; hops != nil {
			if *hops < 1 || *hops > 64 {
				return invalidValue("Value (%d) for parameter HttpPutResponseHopLimit is invalid. It is from 1 to 64.", *hops)
			}
			i.Options.HTTPHops = *hops
		}
		if in.HttpTokens != nil {
			own, _, err := settingTable.Get(tx, c.Region, c.Account())
			if err == nil {
				err = own.Metadata.enforce(&i.Options)
			}
			if err != nil {
				return err
			}
		}
		*out = ec2api.ModifyInstanceMetadataOptionsResult{InstanceId: &i.ID, InstanceMetadataOptions: i.metadata("pending")}
		return putInstance(tx, i)
	})
}

// oneInstance finds the instance of a request and decides the call's action on it.
func (s *Service) oneInstance(tx store.Tx, c *guard.Call, id *string, flag *bool, change ...func(*authz.Part)) (instanceRecord, error) {
	found, err := s.lookupInstances(tx, c, []string{api.Val(id)})
	if err != nil {
		return instanceRecord{}, err
	}
	i := found[0]
	tags, err := tagsOf(tx, i.Region, i.Account, i.ID)
	if err != nil {
		return i, err
	}
	p := s.instancePart(c, "ec2:"+c.Operation, &i, tags)
	for _, fn := range change {
		fn(&p)
	}
	c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
	if _, err := s.g.Allow(tx, c, p); err != nil {
		return i, err
	}
	return i, dryRun(flag)
}

// ModifyInstanceNetworkPerformanceOptions changes what a stopped instance's bandwidth is for rather.
// Source: EC2 API Reference, ModifyInstanceNetworkPerformanceOptions.
func (s *Service) ModifyInstanceNetworkPerformanceOptions(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceNetworkPerformanceRequest) (*ec2api.ModifyInstanceNetworkPerformanceResult, error) {
	defer s.locks.Lock(api.Val(in.InstanceId))()
	value := api.Val(in.BandwidthWeighting)
	out := &ec2api.ModifyInstanceNetworkPerformanceResult{InstanceId: in.InstanceId, BandwidthWeighting: &value}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun, func(p *authz.Part) { setAttribute(p, "BandwidthWeighting", value) })
		if err != nil {
			return err
		}
		if i.State != stopped || i.Work != "" {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		if kind, ok := instancetype.Lookup(i.Type); ok {
			if err := kind.CheckWeighting(value); err != nil {
				return err
			}
		}
		i.Options.Weighting = value
		return putInstance(tx, i)
	})
}

// MonitorInstances switches detailed monitoring on.
func (s *Service) MonitorInstances(ctx context.Context, c *guard.Call, in *ec2api.MonitorInstancesRequest) (*ec2api.MonitorInstancesResult, error) {
	all, err := s.monitor(ctx, c, in.InstanceIds, in.DryRun, true, "pending")
	return &ec2api.MonitorInstancesResult{InstanceMonitorings: all}, err
}

// UnmonitorInstances switches detailed monitoring off.
func (s *Service) UnmonitorInstances(ctx context.Context, c *guard.Call, in *ec2api.UnmonitorInstancesRequest) (*ec2api.UnmonitorInstancesResult, error) {
	all, err := s.monitor(ctx, c, in.InstanceIds, in.DryRun, false, "disabling")
	return &ec2api.UnmonitorInstancesResult{InstanceMonitorings: all}, err
}

func (s *Service) monitor(ctx context.Context, c *guard.Call, ids []string, flag *bool, on bool, state string) ([]ec2api.InstanceMonitoring, error) {
	if len(ids) > decidedTogether {
		return nil, invalidValue("You can specify up to %d instances in a single request.", decidedTogether)
	}
	defer s.locks.Lock(ids...)()
	var out []ec2api.InstanceMonitoring
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		out = nil
		found, err := s.lookupInstances(tx, c, ids)
		if err != nil {
			return err
		}
		if err := s.allowInstances(tx, c, "ec2:"+c.Operation, found); err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		for n := range found {
			i := &found[n]
			if i.State == terminated || i.State == shuttingDown {
				return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in a valid state for this operation.", i.ID)
			}
			i.Options.Monitoring = on
			out = append(out, ec2api.InstanceMonitoring{InstanceId: &i.ID, Monitoring: &ec2api.Monitoring{State: &state}})
			if err := putInstance(tx, *i); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// ResetInstanceAttribute sets an attribute back. Kernel and RAM disk are always the default ones.
// Source: EC2 API Reference, ResetInstanceAttribute.
func (s *Service) ResetInstanceAttribute(ctx context.Context, c *guard.Call, in *ec2api.ResetInstanceAttributeRequest) error {
	defer s.locks.Lock(api.Val(in.InstanceId))()
	name := api.Val(in.Attribute)
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun)
		if err != nil {
			return err
		}
		switch {
		case name == "":
			return apierr.New("MissingParameter", "The request must contain the parameter attribute")
		case i.State == terminated || i.State == shuttingDown:
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is terminated.", i.ID)
		case name == "sourceDestCheck":
			i.Options.NoSourceCheck = false
			return putInstance(tx, i)
		case (name == "kernel" || name == "ramdisk") && i.State != stopped:
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		case name == "kernel" || name == "ramdisk":
			return nil
		}
		return invalidValue("Value (%s) for parameter attribute is invalid. The attribute can't be reset.", name)
	})
}

// GetConsoleOutput gives the end of what an instance's machine wrote to its serial console, 64 KiB at
// most. On a host that runs no machines there is no output. Here the output is always the latest.
// Source: EC2 API Reference, GetConsoleOutput.
func (s *Service) GetConsoleOutput(ctx context.Context, c *guard.Call, in *ec2api.GetConsoleOutputRequest) (*ec2api.GetConsoleOutputResult, error) {
	out := &ec2api.GetConsoleOutputResult{}
	var host string
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun)
		if err != nil {
			return err
		}
		if t, ok := instancetype.Lookup(i.Type); ok && !t.OnNitro() && api.Val(in.Latest) {
			return apierr.New("UnsupportedOperation", "This instance type does not support retrieving the latest console logs. Only instance types on the "+
				"Nitro hypervisor support this functionality.")
		}
		*out = ec2api.GetConsoleOutputResult{InstanceId: &i.ID, Timestamp: new(s.g.Now())}
		host = i.Host
		return nil
	})
	if err != nil {
		return nil, err
	}
	switch console, ok, err := s.rack(host).Console(ctx, *out.InstanceId); {
	case err != nil:
		s.log.Warn("the console of an instance cannot be seen", "instance", *out.InstanceId, "host", host, "error", err)
	case ok:
		out.Output, out.Timestamp = new(base64.StdEncoding.EncodeToString(console.Output)), &console.At
	}
	return out, nil
}

// GetPasswordData gives the password of a Windows instance: there are none, and other instances
// have an empty one. Source: EC2 API Reference, GetPasswordData.
func (s *Service) GetPasswordData(ctx context.Context, c *guard.Call, in *ec2api.GetPasswordDataRequest) (*ec2api.GetPasswordDataResult, error) {
	out := &ec2api.GetPasswordDataResult{}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun)
		if err != nil {
			return err
		}
		*out = ec2api.GetPasswordDataResult{InstanceId: &i.ID, Timestamp: new(s.g.Now()), PasswordData: new(secret.String(""))}
		return nil
	})
}
