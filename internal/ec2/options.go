package ec2

import (
	"cmp"
	"encoding/base64"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
)

// instanceOptionsOf are the options of an instance with EC2's defaults, the account's and those of the image.
func instanceOptionsOf(m *merged, own *settingRecord, img *imageRecord) (instanceOptions, error) {
	or := func(v *string, def string) string {
		if v == nil || *v == "" {
			return def
		}
		return *v
	}
	o := instanceOptions{
		EbsOptimized: api.Val(m.EbsOptimized), ProtectTermination: api.Val(m.DisableApiTermination), ProtectStop: api.Val(m.DisableApiStop),
		Shutdown: or(m.InstanceInitiatedShutdownBehavior, "stop"), Tenancy: "default", HTTPTokens: "optional", HTTPHops: 1,
		HTTPEndpoint: "enabled", HTTPv6: "disabled", MetadataTags: "disabled", Spot: m.spot != nil,
		SpotPersistent: m.spot != nil && api.Val(m.spot.SpotInstanceType) == ec2api.SpotInstanceTypePersistent,
	}
	own.Metadata.apply(&o, img)
	if m.UserData != nil {
		o.UserData = m.UserData.Reveal()
		if err := checkUserData(o.UserData); err != nil {
			return o, err
		}
	}
	if p := m.MaintenanceOptions; p != nil {
		o.AutoRecovery = api.Val(p.AutoRecovery)
	}
	if m.Monitoring != nil {
		o.Monitoring = api.Val(m.Monitoring.Enabled)
	}
	if m.Placement != nil {
		o.Tenancy = or(m.Placement.Tenancy, o.Tenancy)
		if err := o.dedicate(m.Placement); err != nil {
			return o, err
		}
	}
	o.Key = api.Val(m.KeyName)
	if e := m.EnclaveOptions; e != nil {
		o.Enclave = api.Val(e.Enabled)
		if kind, ok := instancetype.Lookup(cmp.Or(api.Val(m.InstanceType), defaultInstanceType)); o.Enclave && ok && !kind.Enclaves() {
			return o, apierr.Newf("InvalidParameterCombination", "The instance type %s does not support enclaves.", kind.Name)
		}
	}
	if p := m.HibernationOptions; p != nil {
		o.Hibernation = api.Val(p.Configured)
	}
	if p := m.CreditSpecification; p != nil {
		o.Credits = api.Val(p.CpuCredits)
		if o.Credits != "standard" && o.Credits != "unlimited" {
			return o, invalidValue("Value (%s) for parameter cpuCredits is invalid. Valid values are standard, unlimited.", o.Credits)
		}
	}
	if kind, ok := instancetype.Lookup(cmp.Or(api.Val(m.InstanceType), defaultInstanceType)); ok && o.Credits == "" && kind.Burstable() {
		o.Credits = own.Credits[kind.Family.Name]
	}
	if p := m.CpuOptions; p != nil && (p.CoreCount != nil || p.ThreadsPerCore != nil) {
		o.CoreCount, o.ThreadsPerCore = api.Val(p.CoreCount), api.Val(p.ThreadsPerCore)
		if kind, ok := instancetype.Lookup(cmp.Or(api.Val(m.InstanceType), defaultInstanceType)); ok {
			if err := kind.CheckCPU(p); err != nil {
				return o, err
			}
		}
	}
	if p := m.CpuOptions; p != nil && p.AmdSevSnp != nil {
		o.SevSnp = *p.AmdSevSnp
		if kind, ok := instancetype.Lookup(cmp.Or(api.Val(m.InstanceType), defaultInstanceType)); ok {
			if err := kind.CheckSevSnp(o.SevSnp); err != nil {
				return o, err
			}
		}
	}
	if err := o.perform(m); err != nil {
		return o, err
	}
	if r := m.CapacityReservationSpecification; r != nil {
		if err := o.reserve(r); err != nil {
			return o, err
		}
	}
	if d := m.MetadataOptions; d != nil {
		o.HTTPTokens, o.HTTPEndpoint = or(d.HttpTokens, o.HTTPTokens), or(d.HttpEndpoint, o.HTTPEndpoint)
		o.HTTPv6, o.MetadataTags = or(d.HttpProtocolIpv6, o.HTTPv6), or(d.InstanceMetadataTags, o.MetadataTags)
		if d.HttpPutResponseHopLimit != nil {
			if o.HTTPHops = *d.HttpPutResponseHopLimit; o.HTTPHops < 1 || o.HTTPHops > 64 {
				return o, invalidValue("Value (%d) for parameter HttpPutResponseHopLimit is invalid. It is from 1 to 64.", o.HTTPHops)
			}
		}
	}
	if err := own.Metadata.enforce(&o); err != nil {
		return o, err
	}
	return o, m.checkSpot()
}

// name takes over what an instance is named by and found under; what a launch leaves open is as the subnet has it.
// Source: EC2 API Reference, RunInstances, PrivateDnsNameOptions.
func (o *instanceOptions) name(p *ec2api.PrivateDnsNameOptionsRequest, n *subnet) {
	o.ByResource, o.ResourceA, o.ResourceAAAA = n.ByResource, n.ResourceA, n.ResourceAAAA
	if p == nil {
		return
	}
	if p.HostnameType != nil {
		o.ByResource = *p.HostnameType == hostByResource
	}
	if p.EnableResourceNameDnsARecord != nil {
		o.ResourceA = *p.EnableResourceNameDnsARecord
	}
	if p.EnableResourceNameDnsAAAARecord != nil {
		o.ResourceAAAA = *p.EnableResourceNameDnsAAAARecord
	}
}

// perform takes over nested virtualization and the weighting of bandwidth.
func (o *instanceOptions) perform(m *merged) error {
	kind, ok := instancetype.Lookup(cmp.Or(api.Val(m.InstanceType), defaultInstanceType))
	if p := m.CpuOptions; p != nil && p.NestedVirtualization != nil {
		if o.Nested = *p.NestedVirtualization; ok {
			if err := kind.CheckNested(o.Nested); err != nil {
				return err
			}
		}
	}
	if p := m.NetworkPerformanceOptions; p != nil && p.BandwidthWeighting != nil {
		if o.Weighting = *p.BandwidthWeighting; ok {
			return kind.CheckWeighting(o.Weighting)
		}
	}
	return nil
}

// maxUserData is the most user data in base64. Source: EC2 User Guide, "Run commands when you
// launch an EC2 instance with user data input".
const maxUserData = 16384/3*4 + 4

// checkUserData refuses what is no base64, or too much of it.
func checkUserData(data string) error {
	if len(data) > maxUserData {
		return invalidValue("User data is limited to 16384 bytes")
	}
	if _, err := base64.StdEncoding.DecodeString(data); err != nil {
		return invalidValue("Invalid BASE64 encoding of user data")
	}
	return nil
}
