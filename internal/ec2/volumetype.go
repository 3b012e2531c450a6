package ec2

import (
	"cmp"
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
)

// A volumeKind is what a type of volume allows. Sizes in GiB, throughput in MiB/s; a zero maximum
// of IOPS or throughput means that it cannot be set.
// Source: Amazon EBS User Guide, "Amazon EBS volume types"; EC2 API Reference, CreateVolume.
type volumeKind struct {
	name             string
	minSize, maxSize int64
	minIOPS, maxIOPS int32
	perGiB           int64 // most IOPS for each GiB
	iops             int32 // if none are asked for; 0: they must be
	minRate, maxRate int32 // throughput
}

func volumeKinds() []volumeKind {
	return []volumeKind{
		{name: "gp3", minSize: 1, maxSize: 65536, minIOPS: 3000, maxIOPS: 80000, perGiB: 500, iops: 3000, minRate: 125, maxRate: 2000},
		{name: "gp2", minSize: 1, maxSize: 16384},
		{name: "io1", minSize: 4, maxSize: 16384, minIOPS: 100, maxIOPS: 64000, perGiB: 50},
		{name: "io2", minSize: 4, maxSize: 65536, minIOPS: 100, maxIOPS: 256000, perGiB: 1000},
		{name: "st1", minSize: 125, maxSize: 16384},
		{name: "sc1", minSize: 125, maxSize: 16384},
		{name: "standard", minSize: 1, maxSize: 1024},
	}
}

// defaultVolumeType is that of volumes for which neither request nor image names one.
const defaultVolumeType = "gp2"

// A performance is what a volume was asked to be able to do.
type performance struct {
	Type       string
	SizeGiB    int64
	IOPS       *int32
	Throughput *int32
}

// kind is the volume type that is asked for.
func (p performance) kind() (volumeKind, error) {
	kinds := volumeKinds()
	n := slices.IndexFunc(kinds, func(k volumeKind) bool { return k.name == p.Type })
	if n < 0 {
		return volumeKind{}, invalidValue("Value (%s) for parameter volumeType is invalid. Volume type must be one of: "+
			"io1, gp2, standard, sc1, st1, gp3, io2.", p.Type)
	}
	return kinds[n], nil
}

// settle checks a performance and fills in what EBS chooses.
func (p performance) settle() (iops, throughput int32, err error) {
	k, err := p.kind()
	if err != nil {
		return 0, 0, err
	}
	switch {
	case p.SizeGiB < k.minSize:
		return 0, 0, invalidValue("Volume of %dGiB is too small for volume type %s; minimum is %dGiB.", p.SizeGiB, k.name, k.minSize)
	case p.SizeGiB > k.maxSize:
		return 0, 0, invalidValue("Volume of %dGiB is too large for volume type %s; maximum is %dGiB.", p.SizeGiB, k.name, k.maxSize)
	}
	if iops, err = p.settleIOPS(k); err != nil {
		return 0, 0, err
	}
	throughput, err = p.settleThroughput(k, iops)
	return iops, throughput, err
}

// settleMapped is settle for a mapping that is registered with an image: whether IOPS and throughput are
// within the bounds of the type shows at the launch.
func (p performance) settleMapped() (iops, throughput int32, err error) {
	k, err := p.kind()
	if err != nil {
		return 0, 0, err
	}
	within := p
	if p.IOPS != nil && k.maxIOPS > 0 {
		within.IOPS = new(cmp.Or(k.iops, k.minIOPS))
	}
	if p.Throughput != nil && k.maxRate > 0 {
		within.Throughput = nil
	}
	if iops, throughput, err = within.settle(); err != nil {
		return 0, 0, err
	}
	if k.maxIOPS > 0 && p.IOPS != nil {
		iops = *p.IOPS
	}
	if k.maxRate > 0 && p.Throughput != nil {
		throughput = *p.Throughput
	}
	return iops, throughput, nil
}

func (p performance) settleIOPS(k volumeKind) (int32, error) {
	switch {
	case p.IOPS != nil && k.maxIOPS == 0 && k.name == "gp2" && *p.IOPS == gp2IOPS(p.SizeGiB):
		return *p.IOPS, nil // clients send back what they read
	case p.IOPS != nil && k.maxIOPS == 0:
		return 0, apierr.Newf("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", k.name)
	case k.name == "gp2":
		return gp2IOPS(p.SizeGiB), nil
	case k.maxIOPS == 0:
		return 0, nil
	case p.IOPS == nil && k.iops == 0:
		return 0, apierr.Newf("MissingParameter", "The parameter iops must be specified for %s volumes.", k.name)
	case p.IOPS == nil:
		return k.iops, nil
	case *p.IOPS < k.minIOPS:
		return 0, invalidValue("Volume iops of %d is too low; minimum is %d.", *p.IOPS, k.minIOPS)
	case *p.IOPS > k.maxIOPS:
		return 0, invalidValue("Volume iops of %d is too high; maximum is %d.", *p.IOPS, k.maxIOPS)
	case *p.IOPS > k.minIOPS && int64(*p.IOPS) > k.perGiB*p.SizeGiB:
		return 0, invalidValue("Iops to volume size ratio of %f is too high; maximum is %d.", float64(*p.IOPS)/float64(p.SizeGiB), k.perGiB)
	}
	return *p.IOPS, nil
}

func (p performance) settleThroughput(k volumeKind, iops int32) (int32, error) {
	switch {
	case p.Throughput != nil && *p.Throughput != 0 && k.maxRate == 0:
		return 0, apierr.Newf("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", k.name)
	case k.maxRate == 0:
		return 0, nil
	case p.Throughput == nil:
		return k.minRate, nil
	case *p.Throughput < k.minRate:
		return 0, invalidValue("Throughput of %d is too low; minimum is %d.", *p.Throughput, k.minRate)
	case *p.Throughput > k.maxRate:
		return 0, invalidValue("Throughput of %d is too high; maximum is %d.", *p.Throughput, k.maxRate)
	case int64(*p.Throughput)*4 > int64(iops):
		return 0, invalidValue("Throughput (MiB/s) to iops ratio of %f is too high; maximum is 0.250000 MiB/s per iops.",
			float64(*p.Throughput)/float64(iops))
	}
	return *p.Throughput, nil
}

// gp2IOPS are 3 for each GiB, from 100 to 16000.
func gp2IOPS(sizeGiB int64) int32 { return int32(min(max(3*sizeGiB, 100), 16000)) }
