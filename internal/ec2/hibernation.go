package ec2

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/launch"
)

func errHibernation(format string, args ...any) error {
	return apierr.Newf("UnsupportedHibernationConfiguration", format, args...)
}

// checkHibernation refuses a launch whose instances could not write their memory to the root volume, or not
// safely. Source: EC2 User Guide, "Prerequisites for EC2 instance hibernation"; EC2 API Reference, "Error codes".
func (pl *launchPlan) checkHibernation(volumes []launch.Volume) error {
	if pl.HibernationOptions == nil || !api.Val(pl.HibernationOptions.Configured) {
		return nil
	}
	if pl.options.Enclave {
		return apierr.New("InvalidParameterCombination", "Hibernation and enclaves cannot be enabled on the same instance.")
	}
	if !pl.kind.Hibernates() {
		return errHibernation("The instance type %s does not support hibernation.", pl.kind.Name)
	}
	for n := range pl.devices {
		d := &pl.devices[n]
		if d.name != pl.image.RootDevice {
			continue
		}
		switch {
		case !volumes[n].Encrypted:
			return errHibernation("The root volume %s must be encrypted for hibernation.", d.name)
		case !slices.Contains([]string{"gp2", "gp3", "io1", "io2"}, d.perf.Type):
			return errHibernation("A root volume of type %s does not support hibernation.", d.perf.Type)
		case d.perf.SizeGiB<<10 < pl.kind.MemoryMiB:
			return errHibernation("The root volume %s of %d GiB is too small for hibernation: the memory of %s is %d MiB.", d.name, d.perf.SizeGiB, pl.kind.Name, pl.kind.MemoryMiB)
		}
		return nil
	}
	return errHibernation("The instance has no root volume to hibernate to.")
}

// reasonHibernate is that of an instance whose user had it hibernate. Source: EC2 API Reference, StateReason.
var reasonHibernate = reason{"Client.UserInitiatedHibernate", "Client.UserInitiatedHibernate: User initiated hibernate"}
