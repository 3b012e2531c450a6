package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// GetLaunchTemplateData describes an instance as the data of a launch template.
// Source: EC2 API Reference, GetLaunchTemplateData.
func (s *Service) GetLaunchTemplateData(ctx context.Context, c *guard.Call, in *ec2api.GetLaunchTemplateDataRequest) (*ec2api.GetLaunchTemplateDataResult, error) {
	out := &ec2api.GetLaunchTemplateDataResult{}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun)
		if err != nil {
			return err
		}
		tags, err := tagsOf(tx, i.Region, i.Account, i.ID)
		if err != nil {
			return err
		}
		data := i.asTemplate()
		for key := range tags {
			if idiom.Reserved(key) {
				delete(tags, key)
			}
		}
		if len(tags) > 0 {
			data.TagSpecifications = []ec2api.LaunchTemplateTagSpecification{{ResourceType: new("instance"), Tags: apiTags(tags)}}
		}
		for _, d := range i.Devices {
			v, ok, err := volumeTable.Get(tx, i.Region, i.Account, d.Volume)
			if err != nil {
				return err
			}
			if ok {
				data.BlockDeviceMappings = append(data.BlockDeviceMappings, v.asMapping(d))
			}
		}
		out.LaunchTemplateData = data
		return nil
	})
}

func (v *volumeRecord) asMapping(d attachedDevice) ec2api.LaunchTemplateBlockDeviceMapping {
	e := &ec2api.LaunchTemplateEbsBlockDevice{
		Encrypted: &v.Encrypted, DeleteOnTermination: &d.DeleteOnTermination, SnapshotId: api.Opt(v.Snapshot), VolumeSize: new(int32(v.SizeGiB)),
		VolumeType: &v.Type,
	}
	if v.IOPS > 0 {
		e.Iops = &v.IOPS
	}
	if v.Throughput > 0 {
		e.Throughput = &v.Throughput
	}
	if v.Encrypted {
		e.KmsKeyId = &v.KeyARN
	}
	return ec2api.LaunchTemplateBlockDeviceMapping{DeviceName: &d.Name, Ebs: e}
}

func (i *instanceRecord) asTemplate() *ec2api.ResponseLaunchTemplateData {
	o, first := &i.Options, i.first()
	data := &ec2api.ResponseLaunchTemplateData{
		ImageId: &i.Image, InstanceType: &i.Type, KeyName: api.Opt(o.Key), EbsOptimized: &o.EbsOptimized,
		DisableApiTermination: &o.ProtectTermination, DisableApiStop: &o.ProtectStop, InstanceInitiatedShutdownBehavior: &o.Shutdown,
		Monitoring: &ec2api.LaunchTemplatesMonitoring{Enabled: &o.Monitoring},
		Placement: &ec2api.LaunchTemplatePlacement{
			AvailabilityZone: &i.Zone, GroupName: &o.Placement, Tenancy: &o.Tenancy,
		},
		NetworkInterfaces: []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecification{{
			DeviceIndex: new(int32(0)), SubnetId: &i.Subnet, Groups: i.Groups, DeleteOnTermination: &first.Plug.Delete, Description: &first.Description,
			InterfaceType: new(first.interfaceType()), NetworkCardIndex: new(int32(0)),
		}},
		CpuOptions: &ec2api.LaunchTemplateCpuOptions{
			CoreCount: &o.CoreCount, ThreadsPerCore: &o.ThreadsPerCore, AmdSevSnp: api.Opt(o.SevSnp), NestedVirtualization: api.Opt(o.Nested),
		},
		MetadataOptions: &ec2api.LaunchTemplateInstanceMetadataOptions{
			State: new("applied"), HttpTokens: &o.HTTPTokens, HttpPutResponseHopLimit: &o.HTTPHops, HttpEndpoint: &o.HTTPEndpoint,
			HttpProtocolIpv6: &o.HTTPv6, InstanceMetadataTags: &o.MetadataTags,
		},
		LicenseSpecifications: o.licensesAsTemplate(),
		HibernationOptions:    &ec2api.LaunchTemplateHibernationOptions{Configured: &o.Hibernation},
		EnclaveOptions:        &ec2api.LaunchTemplateEnclaveOptions{Enabled: &o.Enclave},
		MaintenanceOptions:    &ec2api.LaunchTemplateInstanceMaintenanceOptions{AutoRecovery: new(o.recovery())},
	}
	if o.UserData != "" {
		data.UserData = new(secret.String(o.UserData))
	}
	if i.Profile != nil {
		data.IamInstanceProfile = &ec2api.LaunchTemplateIamInstanceProfileSpecification{Arn: &i.Profile.ARN}
	}
	if c := i.credits(); c != "" {
		data.CreditSpecification = &ec2api.CreditSpecification{CpuCredits: &c}
	}
	if o.Spot {
		data.InstanceMarketOptions = &ec2api.LaunchTemplateInstanceMarketOptions{MarketType: new(ec2api.MarketTypeSpot)}
	}
	return data
}
