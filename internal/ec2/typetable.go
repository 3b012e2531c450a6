package ec2

import (
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
	"github.com/kagimori/kagimori/internal/launch"
)

// An instanceType is a type that can be launched.
type instanceType struct{ *hardware.Type }

// instanceTypes are all types, which every region and zone offers.
func instanceTypes() []instanceType {
	all := hardware.All()
	out := make([]instanceType, len(all))
	for n, t := range all {
		out[n] = instanceType{t}
	}
	return out
}

// lookupType finds an instance type by its name.
func lookupType(name string) (instanceType, bool) {
	t, ok := hardware.Lookup(name)
	return instanceType{t}, ok
}

// checkVolumes refuses more EBS volumes than an instance of a type can have. Source: EC2 User Guide, "Amazon
// EBS volume limits for Amazon EC2 instances"; EC2 API Reference, "Error codes".
func checkVolumes(kind string, n int) error {
	if t, ok := lookupType(kind); ok && n > int(t.Volumes) {
		return apierr.Newf("AttachmentLimitExceeded", "An instance of the type %s can have at most %d volumes.", kind, t.Volumes)
	}
	return nil
}

// onDemandMicro is the price of an hour On-Demand, in millionths of a US dollar.
func (t instanceType) onDemandMicro() int64 {
	accelerators := int64(0)
	if a := t.Family.Accelerator; a != nil {
		accelerators = int64(t.Devices) * int64(a.MiB)
	}
	return launch.OnDemandPrice(t.VCPUs, t.MemoryMiB, accelerators, t.Burstable())
}
