package ec2

import (
	"encoding/base64"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// instanceOptionsOf are the options of an instance with EC2's defaults.
func instanceOptionsOf(m *merged) (instanceOptions, error) {
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
	}
	o.Key = api.Val(m.KeyName)
	if e := m.EnclaveOptions; e != nil {
		o.Enclave = api.Val(e.Enabled)
	}
	if p := m.HibernationOptions; p != nil {
		o.Hibernation = api.Val(p.Configured)
	}
	if p := m.CreditSpecification; p != nil {
		o.Credits = api.Val(p.CpuCredits)
	}
	if p := m.CpuOptions; p != nil {
		o.CoreCount, o.ThreadsPerCore = api.Val(p.CoreCount), api.Val(p.ThreadsPerCore)
	}
	if d := m.MetadataOptions; d != nil {
		o.HTTPTokens, o.HTTPEndpoint = or(d.HttpTokens, o.HTTPTokens), or(d.HttpEndpoint, o.HTTPEndpoint)
		o.HTTPv6, o.MetadataTags = or(d.HttpProtocolIpv6, o.HTTPv6), or(d.InstanceMetadataTags, o.MetadataTags)
		if d.HttpPutResponseHopLimit != nil {
			o.HTTPHops = *d.HttpPutResponseHopLimit
		}
	}
	return o, m.checkSpot()
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
