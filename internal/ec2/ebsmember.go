package ec2

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// checkPlace refuses where a mapping wants its volume to be: it is where the instance is, on the only EBS card.
// Source: EC2 API Reference, EbsBlockDevice.
func checkPlace(e *ec2api.EbsBlockDevice) error {
	switch {
	case api.Val(e.OutpostArn) != "":
		return apierr.New("UnsupportedOperation", "This server has no Outposts.")
	case api.Val(e.AvailabilityZone) != "" || api.Val(e.AvailabilityZoneId) != "":
		return apierr.New("InvalidBlockDeviceMapping", "A block device mapping cannot name an Availability Zone here.")
	}
	return checkEBSCard(e.EbsCardIndex)
}

// checkEBSCard refuses any EBS card but the first: no type here has more (DescribeInstanceTypes, MaximumEbsCards).
func checkEBSCard(index *int32) error {
	if n := api.Val(index); n != 0 {
		return invalidValue("Value (%d) for parameter EbsCardIndex is invalid. The instance type has one EBS card.", n)
	}
	return nil
}

// checkInitRate refuses a rate at which a volume is filled from its snapshot that EBS does not have, or for a volume
// without snapshot. Source: EC2 API Reference, CreateVolume, VolumeInitializationRate.
func checkInitRate(rate *int32, fromSnapshot bool) error {
	switch {
	case rate == nil:
		return nil
	case *rate < 100 || *rate > 300:
		return invalidValue("Value (%d) for parameter VolumeInitializationRate is invalid. It is from 100 to 300 MiB/s.", *rate)
	case !fromSnapshot:
		return apierr.New("InvalidParameterCombination", "VolumeInitializationRate is supported only for volumes that are created from snapshots.")
	}
	return nil
}

// imageMember refuses what a mapping of an image cannot say. Source: EC2 API Reference, EbsBlockDevice,
// VolumeInitializationRate: not supported for CreateImage and DescribeImages.
func imageMember(e *ec2api.EbsBlockDevice) error {
	if e.VolumeInitializationRate != nil {
		return apierr.New("InvalidBlockDeviceMapping", "VolumeInitializationRate cannot be specified for the devices of an image.")
	}
	return checkPlace(e)
}
