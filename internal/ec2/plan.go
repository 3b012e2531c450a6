package ec2

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/ec2/keypairs"
	"github.com/kagimori/kagimori/internal/ec2/placement"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// maxLaunch is how many instances one request launches at most. AWS has no such limit but the quotas
// of an account; this one keeps the record of a launch in one transaction of the store.
const maxLaunch = 5000

// A launchPlan is what a RunInstances request comes to.
type launchPlan struct {
	merged
	count    int
	template *template.Template // nil: none
	version  int64              // of the template
	// byAttributes tells that the template has instance requirements.
	byAttributes bool
	nameless     bool // the VPC gives public addresses no names
	image        imageRecord
	kind         instancetype.Type
	subnet       subnet
	faces        plannedFaces
	groups       []group
	key          *keypairs.Pair   // nil: none
	placement    *placement.Group // nil: none
	profile      *Profile         // nil: none
	devices      []newDevice
	tags         map[string][]tag // by resource type
	options      instanceOptions
	defaults     launch.Defaults
	requested    string // hash of the request, for its client token
}

// plan works out what a request asks for, with every error that EC2 reports at once.
func (s *Service) plan(tx store.Tx, c *guard.Call, in *ec2api.RunInstancesRequest) (*launchPlan, error) {
	pl := &launchPlan{requested: hashOf(in)}
	var err error
	if pl.count, err = instanceCount(in); err != nil {
		return nil, err
	}
	var base *ec2api.RunInstancesRequest
	if in.LaunchTemplate != nil {
		t, v, err := template.Resolve(tx, c, in.LaunchTemplate)
		if err != nil {
			return nil, err
		}
		pl.template, pl.version, base = &t, v.Number, fromTemplate(&v.Data)
		pl.byAttributes = v.Data.InstanceRequirements != nil
	}
	pl.merged = merge(in, base)
	if err := pl.unsupported(); err != nil {
		return nil, err
	}
	if pl.profile, err = s.profileOf(tx, c, pl.IamInstanceProfile); err != nil {
		return nil, err
	}
	if api.Val(pl.ImageId) == "" {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter ImageId")
	}
	if pl.image, err = s.bootImage(tx, c, *pl.ImageId); err != nil {
		return nil, err
	}
	if err := pl.chooseType(); err != nil {
		return nil, err
	}
	if err := s.place(tx, c, pl); err != nil {
		return nil, err
	}
	if pl.tags, err = tagSpecs(c, pl.TagSpecifications, "instance", "volume", "network-interface", spotKind); err != nil {
		return nil, err
	}
	own, _, err := settingTable.Get(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	pl.defaults = own.encryption()
	if pl.options, err = instanceOptionsOf(&pl.merged, &own, &pl.image); err != nil {
		return nil, err
	}
	if pl.options.Licenses, err = licensesOf(c, pl.LicenseSpecifications); err != nil {
		return nil, err
	}
	if err := s.lookUpNames(tx, c, pl); err != nil {
		return nil, err
	}
	if pl.devices, err = s.devices(tx, c, pl.image, pl.mappings); err != nil {
		return nil, err
	}
	if err := instancetype.CheckVolumes(pl.kind.Name, len(pl.devices)); err != nil {
		return nil, err
	}
	first := s.newInstance(c, pl, 0)
	if err := s.suits(tx, c, &first); err != nil {
		return nil, err
	}
	return pl, s.capacity.Check(tx, c, first.use())
}

// lookUpNames finds the key pair and the placement group that a launch names.
func (s *Service) lookUpNames(tx store.Tx, c *guard.Call, pl *launchPlan) error {
	if name := api.Val(pl.KeyName); name != "" {
		k, ok, err := keypairs.Named(tx, c, name)
		if err != nil || !ok {
			return orMissing(err, "InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
		pl.key = &k
	}
	var err error
	if pl.placement, err = placement.For(tx, c, pl.Placement); err != nil {
		return err
	}
	if err := together(pl.kind, pl.placement); err != nil {
		return err
	}
	if g := pl.placement; g != nil {
		pl.options.place(g, api.Val(pl.Placement.PartitionNumber))
	}
	return nil
}

// hashOf identifies a request, its client token and DryRun aside. User data does not print.
func hashOf(in *ec2api.RunInstancesRequest) string {
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	var data string
	if in.UserData != nil {
		data = in.UserData.Reveal()
	}
	return idiom.Fingerprint(plain, data)
}

// instanceCount is as many as can be launched, from MinCount to MaxCount.
func instanceCount(in *ec2api.RunInstancesRequest) (int, error) {
	least, most := int(api.Val(in.MinCount)), int(api.Val(in.MaxCount))
	switch {
	case in.MinCount == nil || in.MaxCount == nil:
		return 0, apierr.New("MissingParameter", "The request must contain the parameters MinCount and MaxCount")
	case least < 1:
		return 0, invalidValue("Value (%d) for parameter minCount is invalid. Minimum is 1.", least)
	case most < least:
		return 0, apierr.Newf("InvalidParameterCombination", "The minCount value of %d is greater than the maxCount value of %d.", least, most)
	case least > maxLaunch:
		return 0, apierr.Newf("InstanceLimitExceeded", "You have requested more instances (%d) than your current instance limit of %d "+
			"allows for the specified instance type.", least, maxLaunch)
	}
	return min(most, maxLaunch), nil
}

// unsupported refuses what this server has not got, rather than launch without it.
func (m *merged) unsupported() error {
	no := func(what string) error {
		return apierr.New("UnsupportedOperation", "This server does not support "+what+".")
	}
	switch {
	case m.InstanceMarketOptions != nil && api.Val(m.InstanceMarketOptions.MarketType) != "":
		return no("instances of the market type " + *m.InstanceMarketOptions.MarketType)
	case len(m.SecondaryInterfaces) > 0:
		return no("secondary interfaces")
	case len(m.ElasticGpuSpecification) > 0 || len(m.ElasticInferenceAccelerators) > 0:
		return no("accelerators")
	case api.Val(m.KernelId) != "" || api.Val(m.RamdiskId) != "":
		return no("kernels and RAM disks")
	}
	return idiom.NoOperator(m.Operator)
}

// defaultInstanceType is that of a launch that names none. Source: EC2 API Reference, RunInstances, InstanceType.
const defaultInstanceType = "m1.small"

// chooseType finds the instance type and checks it against the image.
func (pl *launchPlan) chooseType() error {
	name := cmp.Or(api.Val(pl.InstanceType), defaultInstanceType)
	kind, ok := instancetype.Lookup(name)
	if !ok {
		return invalidValue("Invalid value '%s' for InstanceType.", name)
	}
	if !kind.Runs(pl.image.Architecture) {
		return invalidValue("The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. "+
			"Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or "+
			"'describe-images' to discover the architecture of the instance type or AMI.", strings.Join(kind.Archs(), ","), pl.image.Architecture)
	}
	if api.Val(pl.EbsOptimized) && kind.EBSOptimized() == "unsupported" {
		return apierr.New("Unsupported", "EBS-optimized instances are not supported for your requested configuration. "+
			"Please check the documentation for supported configurations.")
	}
	pl.kind = kind
	return nil
}

// place finds the subnet and the security groups.
func (s *Service) place(tx store.Tx, c *guard.Call, pl *launchPlan) (err error) {
	subnetID, groupIDs := api.Val(pl.SubnetId), pl.SecurityGroupIds
	if len(pl.NetworkInterfaces) > 0 {
		if len(groupIDs)+len(pl.SecurityGroups) > 0 {
			return apierr.New("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
		}
		if subnetID, groupIDs, err = s.planFaces(tx, c, pl); err != nil {
			return err
		}
	}
	if err := pl.askSix(); err != nil {
		return err
	}
	zone := ""
	if pl.Placement != nil {
		zone = api.Val(pl.Placement.AvailabilityZone)
		if id := api.Val(pl.Placement.AvailabilityZoneId); id != "" && zone == "" {
			if zone, err = zoneByID(c.Region, id); err != nil {
				return err
			}
		}
	}
	if subnetID != "" {
		pl.subnet, err = s.lookupSubnet(tx, c, subnetID)
		if err == nil && zone != "" && zone != pl.subnet.Zone {
			err = apierr.Newf("InvalidParameterCombination", "The subnet %s is not in the availability zone %s", subnetID, zone)
		}
	} else {
		if r := pl.CapacityReservationSpecification; zone == "" && r != nil && r.CapacityReservationTarget != nil {
			if zone, err = s.capacity.Zone(tx, c, api.Val(r.CapacityReservationTarget.CapacityReservationId)); err != nil {
				return err
			}
		}
		pl.subnet, err = s.defaultSubnet(tx, c, zone)
	}
	if err != nil {
		return err
	}
	names, err := s.naming(tx, c)
	if err != nil {
		return err
	}
	pl.nameless = !names[pl.subnet.VPC]
	if pl.faces.first == nil {
		if err := pl.checkAddress(); err != nil {
			return err
		}
		if err := pl.fit(tx, c); err != nil {
			return err
		}
	}
	for _, o := range pl.faces.others {
		if o.Zone != pl.subnet.Zone {
			return apierr.New("InvalidParameterCombination", "Network interfaces must all be in the same availability zone")
		}
	}
	return s.guardedBy(tx, c, pl, groupIDs)
}

// checkAddress checks the private address that a request names, if it does.
func (pl *launchPlan) checkAddress() error {
	given := api.Val(pl.PrivateIpAddress)
	if given == "" {
		return nil
	}
	if err := pl.subnet.check(given); err != nil {
		return err
	}
	if pl.count > 1 {
		return apierr.New("InvalidParameterCombination", "A private IP address cannot be specified for more than one instance.")
	}
	return nil
}

func zoneByID(region, id string) (string, error) {
	for _, z := range zone.Of(region) {
		if z.ID == id {
			return z.Name, nil
		}
	}
	return "", invalidValue("Invalid availability zone-id: [%s]", id)
}

func (s *Service) guardedBy(tx store.Tx, c *guard.Call, pl *launchPlan, ids []string) error {
	for _, id := range ids {
		g, err := s.lookupGroup(tx, c, id)
		if err != nil {
			return err
		}
		if !slices.Contains(pl.groups, g) {
			pl.groups = append(pl.groups, g)
		}
	}
	for _, name := range pl.SecurityGroups {
		g, err := s.lookupGroupName(tx, c, name)
		if err != nil {
			return err
		}
		if !slices.Contains(pl.groups, g) {
			pl.groups = append(pl.groups, g)
		}
	}
	if len(pl.groups) == 0 {
		g, ok, err := s.groupNamed(tx, c, pl.subnet.VPC, "default")
		if err != nil || !ok {
			return orMissing(err, "InvalidGroup.NotFound", "The VPC '%s' has no default security group", pl.subnet.VPC)
		}
		pl.groups = []group{g.group}
	}
	if err := enoughGroups(pl.groups); err != nil {
		return err
	}
	for _, g := range pl.groups {
		ok, err := s.guarding(tx, c, g, pl.subnet.VPC)
		if err != nil {
			return err
		}
		if !ok {
			return apierr.New(launch.OtherNetwork(g.ID, pl.subnet.ID))
		}
	}
	return nil
}

// templateARN is the launch template's, or "".
func (pl *launchPlan) templateARN() string {
	if pl.template == nil {
		return ""
	}
	return arn.EC2(pl.template.Region, pl.template.Account, "launch-template/"+pl.template.ID)
}
