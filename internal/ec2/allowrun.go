package ec2

import (
	"strconv"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/keypairs"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// allowRun decides ec2:RunInstances on everything that the launch uses and makes, and ec2:CreateTags
// on what it tags. Source: Service Authorization Reference, "Actions defined by Amazon EC2",
// RunInstances; EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation".
func (s *Service) allowRun(tx store.Tx, c *guard.Call, pl *launchPlan, j *job) error {
	const action = "ec2:RunInstances"
	var parts []authz.Part
	add := func(p authz.Part, byTemplate bool) {
		if pl.template != nil {
			p.Context.Set("ec2:launchtemplate", pl.templateARN())
			p.Context.SetBool("ec2:islaunchtemplateresource", byTemplate)
		}
		parts = append(parts, p)
	}

	tags, err := s.tagsFor(tx, c, pl.uses())
	if err != nil {
		return err
	}
	img := s.part(c, action, "image/"+pl.image.ID, tags[pl.image.ID])
	pl.image.describe(&img)
	add(img, pl.imageByTemplate)

	inst := s.part(c, action, "instance/*", nil)
	record := s.newInstance(c, pl, 0)
	instanceContext(&inst, &record)
	addRequestTags(&inst, pl.tags["instance"])
	add(inst, pl.typeByTemplate)

	if pl.profile != nil {
		parts = append(parts, pl.profile.passRole(c.Account()))
	}

	sub := s.part(c, action, "subnet/"+pl.subnet.ID, tags[pl.subnet.ID])
	pl.subnet.describe(&sub)
	add(sub, pl.subnetByTemplate)

	if pl.faces.first != nil || len(pl.faces.others) > 0 {
		more, err := s.faceParts(tx, c, pl)
		if err != nil {
			return err
		}
		for _, p := range more {
			add(p, pl.subnetByTemplate)
		}
	}
	eni := s.part(c, action, "network-interface/*", nil)
	eni.Context.Set("ec2:subnet", arn.EC2(c.Region, c.Account(), "subnet/"+pl.subnet.ID))
	eni.Context.Set("ec2:vpc", vpcARN(c.Region, c.Account(), pl.subnet.VPC))
	eni.Context.Set("ec2:availabilityzone", pl.subnet.Zone)
	if pl.public != nil { // what the subnet does by itself is not in the context
		eni.Context.SetBool("ec2:associatepublicipaddress", *pl.public)
	}
	addRequestTags(&eni, pl.tags["network-interface"])
	if pl.faces.first == nil {
		add(eni, pl.subnetByTemplate)
	}

	for _, g := range pl.groups {
		p := s.part(c, action, "security-group/"+g.ID, tags[g.ID])
		g.describe(&p)
		add(p, pl.groupsByTemplate)
	}
	if k := pl.key; k != nil {
		add(keypairs.Part(c, action, k.Name, k, tags[k.ID]), pl.keyByTemplate)
	}
	if g := pl.placement; g != nil {
		p := s.part(c, action, "placement-group/"+g.Name, tags[g.ID])
		g.Describe(&p)
		add(p, pl.template != nil)
	}
	if id := pl.options.ReservationTarget; id != "" {
		add(s.part(c, action, "capacity-reservation/"+id, tags[id]), pl.template != nil)
	}
	parts = append(parts, s.licenseParts(c, action, pl.options.Licenses)...)
	for n, v := range j.State.Volumes() {
		d := &pl.devices[n]
		add(s.newVolumePart(c, action, d, v.Encrypted, pl.subnet, pl.tags["volume"]), d.template)
		if d.named {
			add(s.snapshotPart(c, action, d.snapshot, tags[d.snapshot.ID]), d.template)
		}
	}
	if pl.template != nil {
		tags, err := tagsOf(tx, c.Region, c.Account(), pl.template.ID)
		if err != nil {
			return err
		}
		add(s.part(c, action, "launch-template/"+pl.template.ID, tags), true)
	}
	kinds := []string{"instance", "volume", "network-interface"}
	// Source: EC2 User Guide, "Example policies to control access the EC2 API", of requests for Spot Instances: the
	// resource counts only if the request is tagged.
	if tags := pl.tags[spotKind]; len(tags) > 0 && pl.spot != nil {
		p := s.part(c, action, spotKind+"/*", nil)
		addRequestTags(&p, tags)
		parts = append(parts, p)
		kinds = append(kinds, spotKind)
	}
	for _, kind := range kinds {
		if len(pl.tags[kind]) > 0 {
			parts = append(parts, s.createTagsPart(c, kind+"/*", pl.tags[kind], "RunInstances"))
		}
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// uses are the ids of what a launch names and does not make: image, snapshots, subnet, groups.
func (pl *launchPlan) uses() []string {
	ids := []string{pl.image.ID, pl.subnet.ID}
	for _, g := range pl.groups {
		ids = append(ids, g.ID)
	}
	if pl.key != nil {
		ids = append(ids, pl.key.ID)
	}
	if pl.placement != nil {
		ids = append(ids, pl.placement.ID)
	}
	if id := pl.options.ReservationTarget; id != "" {
		ids = append(ids, id)
	}
	for _, d := range pl.devices {
		if d.named {
			ids = append(ids, d.snapshot.ID)
		}
	}
	return ids
}

// newVolumePart is the evaluation of an action on a volume to be made.
func (s *Service) newVolumePart(c *guard.Call, action string, d *newDevice, encrypted bool, where subnet, tags []tag) authz.Part {
	p := s.part(c, action, "volume/*", nil)
	p.Context.SetBool("ec2:encrypted", encrypted)
	p.Context.Set("ec2:volumesize", strconv.FormatInt(d.perf.SizeGiB, 10))
	p.Context.Set("ec2:volumetype", d.perf.Type)
	if d.iops > 0 {
		p.Context.Set("ec2:volumeiops", strconv.Itoa(int(d.iops)))
	}
	if d.rate > 0 {
		p.Context.Set("ec2:volumethroughput", strconv.Itoa(int(d.rate)))
	}
	if d.initRate > 0 {
		p.Context.Set("ec2:volumeinitializationrate", strconv.Itoa(int(d.initRate)))
	}
	p.Context.Set("ec2:availabilityzone", where.Zone)
	p.Context.Set("ec2:availabilityzoneid", where.ZoneID)
	if d.snapshot != nil {
		p.Context.Set("ec2:parentsnapshot", arn.EC2(c.Region, "", "snapshot/"+d.snapshot.ID))
	}
	addRequestTags(&p, tags)
	return p
}

// snapshotPart is the evaluation of an action on a snapshot that the caller may use, with the tags
// that the caller's account gave it.
func (s *Service) snapshotPart(c *guard.Call, action string, snap *snapshotRecord, tags map[string]string) authz.Part {
	p := s.part(c, action, "snapshot/"+snap.ID, tags)
	snap.describe(&p)
	return p
}
