package ec2

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// RunInstances launches instances. It answers when they are pending; whether their volumes could
// be made and opened shows later. Source: EC2 API Reference, RunInstances.
func (s *Service) RunInstances(ctx context.Context, c *guard.Call, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
	var (
		out  *ec2api.Reservation
		jobs []*job
	)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		out, jobs = nil, nil
		pl, err := s.plan(tx, c, in)
		if err != nil {
			return err
		}
		made, err := s.draftAll(c, pl)
		if err != nil {
			return err
		}
		for _, v := range made[0].job.State.Volumes() {
			if v.Encrypted && !pl.kind.encrypts() {
				return apierr.Newf("UnsupportedOperation", "The instance type %s does not support encrypted volumes.", pl.kind.Name)
			}
		}
		if err := s.allowRun(tx, c, pl, made[0].job); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		known, err := s.sameLaunch(tx, c, pl)
		if err != nil {
			return err
		}
		if known != nil {
			out, err = s.reservation(tx, c, known)
			return err
		}
		if err := s.putLaunches(tx, c, pl, made); err != nil {
			return err
		}
		var records []instanceRecord
		for _, m := range made {
			jobs = append(jobs, m.job)
			records = append(records, m.instance)
			c.Touch(m.instance.arn(), m.instance.Account, "AWS::EC2::Instance")
		}
		if out, err = s.reservation(tx, c, records); err != nil {
			return err
		}
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		s.schedule(j)
		s.changed(ctx, j.Region, j.Account, j.Subject)
	}
	return out, nil
}

// A draftLaunch is an instance to be, with the job that launches it.
type draftLaunch struct {
	instance instanceRecord
	tags     []tag
	job      *job
}

// draftAll makes the instances of a plan and their jobs, with nothing stored. The first job is
// part of the caller's request; the others have ids of their own, so that each launch can be
// explained by itself.
func (s *Service) draftAll(c *guard.Call, pl *launchPlan) ([]draftLaunch, error) {
	reservation, request := randomID("r"), c.ID
	var out []draftLaunch
	for n := range pl.count {
		m := draftLaunch{instance: s.newInstance(c, pl, n), tags: slices.Clone(pl.tags["instance"])}
		m.instance.Reservation = reservation
		if pl.template != nil { // Source: EC2 User Guide, "Launch templates", system tags
			m.tags = append(m.tags, tag{"aws:ec2launchtemplate:id", pl.template.ID},
				tag{"aws:ec2launchtemplate:version", strconv.FormatInt(pl.version, 10)})
		}
		spec := launch.Spec{
			Operation: launch.RunInstances, Region: c.Region, Account: c.Account(), InstanceID: m.instance.ID, Defaults: pl.defaults,
		}
		var drafts []draft
		for i := range pl.devices {
			d := &pl.devices[i]
			v := s.newVolume(c, d, pl)
			v.Plug = &plug{Instance: m.instance.ID, Device: d.name, State: plugAttaching, DeleteOnTermination: d.deleteToo}
			spec.Devices = append(spec.Devices, d.device(v.ID, c.Account()))
			drafts = append(drafts, draft{v, pl.tags["volume"]})
		}
		j, err := newJob(spec, m.instance.ID, request, c.Caller, s.g.Now().Add(s.timing.Instance))
		if err != nil {
			return nil, err
		}
		j.Drafts, m.job = drafts, j
		out, request = append(out, m), guard.NewRequestID()
	}
	return out, nil
}

func (s *Service) newInstance(c *guard.Call, pl *launchPlan, n int) instanceRecord {
	i := instanceRecord{
		Region: c.Region, Account: c.Account(), ID: randomID("i"), Index: int32(n), Token: api.Val(pl.ClientToken), Launched: s.g.Now(),
		State: pending, Reason: new(reasonPending), Work: launch.RunInstances,
		Image: pl.image.ID, Architecture: pl.image.Architecture, Platform: "Linux/UNIX", RootDevice: pl.image.RootDevice, Type: pl.kind.Name,
		Subnet: pl.subnet.ID, VPC: pl.subnet.VPC, Zone: pl.subnet.Zone, ZoneID: pl.subnet.ZoneID,
		MAC: randomMAC(), ENI: randomID("eni"), ENIPlug: randomID("eni-attach"), Options: pl.options,
	}
	for _, g := range pl.groups {
		i.Groups, i.GroupsBy = append(i.Groups, g.ID), append(i.GroupsBy, g.Name)
	}
	if i.Options.CoreCount == 0 {
		i.Options.CoreCount, i.Options.ThreadsPerCore = pl.kind.VCPU/pl.kind.threads, pl.kind.threads
	}
	return i
}

// randomMAC is a locally administered address, as EC2's begin with 02 to 0e.
func randomMAC() string {
	var b [5]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4])
}

func (s *Service) newVolume(c *guard.Call, d *newDevice, pl *launchPlan) volumeRecord {
	v := volumeRecord{
		Region: c.Region, Account: c.Account(), ID: randomID("vol"), Zone: pl.subnet.Zone, ZoneID: pl.subnet.ZoneID,
		SizeGiB: d.perf.SizeGiB, Type: d.perf.Type, IOPS: d.iops, Throughput: d.rate, Created: s.g.Now(), State: volumeCreating,
		KeyID: d.keyID,
	}
	if d.snapshot != nil {
		v.Snapshot = d.snapshot.ID
	}
	return v
}

// putLaunches stores the instances of a request, their tags and jobs, and its client token.
func (s *Service) putLaunches(tx store.Tx, c *guard.Call, pl *launchPlan, made []draftLaunch) error {
	next, _, err := addressTable.Get(tx, c.Region, c.Account(), pl.subnet.ID)
	if err != nil {
		return err
	}
	var ids []string
	for n := range made {
		m := &made[n]
		m.instance.Address = api.Val(pl.PrivateIpAddress)
		if m.instance.Address == "" {
			m.instance.Address = pl.subnet.address(next)
			next++
		}
		ids = append(ids, m.instance.ID)
		if err := putInstance(tx, m.instance); err != nil {
			return err
		}
		if err := putTags(tx, c.Region, c.Account(), m.instance.ID, m.tags); err != nil {
			return err
		}
		if err := putTags(tx, c.Region, c.Account(), m.instance.ENI, pl.tags["network-interface"]); err != nil {
			return err
		}
		if err := s.putJob(tx, m.job); err != nil {
			return err
		}
	}
	if err := addressTable.Put(tx, next, c.Region, c.Account(), pl.subnet.ID); err != nil {
		return err
	}
	if pl.ClientToken == nil {
		return nil
	}
	return tokenTable.Put(tx, tokenRecord{pl.requested, ids, s.g.Now()}, c.Region, c.Account(), "RunInstances", *pl.ClientToken)
}

// maxToken is the longest client token. Source: EC2 API Reference, "Ensuring idempotency".
const maxToken = 64

// knownToken is what an earlier request with the client token made; ok is false if there was none.
func knownToken(tx store.Tx, c *guard.Call, op string, token *string, hash string) (t tokenRecord, ok bool, err error) {
	if token == nil {
		return t, false, nil
	}
	if len(*token) > maxToken || *token == "" {
		return t, false, apierr.New("InvalidParameterValue", "The client token is not valid: it has 1 to 64 characters.")
	}
	if t, ok, err = tokenTable.Get(tx, c.Region, c.Account(), op, *token); err != nil || !ok {
		return t, ok, err
	}
	if t.Hash != hash {
		return t, true, errTokenMismatch()
	}
	return t, true, nil
}

func errTokenMismatch() error {
	return apierr.New("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
}

// sameLaunch finds the instances of an earlier request with the same client token; nil if there
// was none.
func (s *Service) sameLaunch(tx store.Tx, c *guard.Call, pl *launchPlan) ([]instanceRecord, error) {
	t, ok, err := knownToken(tx, c, "RunInstances", pl.ClientToken, pl.requested)
	if err != nil || !ok {
		return nil, err
	}
	var found []instanceRecord
	for _, id := range t.IDs {
		i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), id)
		if err != nil {
			return nil, err
		}
		if ok && i.State != terminated {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return nil, apierr.New("IdempotentInstanceTerminated",
			"The request to launch an instance uses the same client token as a previous request for which the instance has been terminated.")
	}
	return found, nil
}

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
	vpc := arn.EC2(c.Region, c.Account(), "vpc/"+pl.subnet.VPC)

	img := s.part(c, action, "image/"+pl.image.ID, nil)
	owned(&img, pl.image.Owner, pl.image.OwnerAlias)
	img.Context.Set("ec2:imageid", pl.image.ID)
	img.Context.Set("ec2:imagetype", "machine")
	img.Context.SetBool("ec2:public", pl.image.Public)
	img.Context.Set("ec2:rootdevicetype", "ebs")
	add(img, pl.imageByTemplate)

	inst := s.part(c, action, "instance/*", nil)
	record := s.newInstance(c, pl, 0)
	instanceContext(&inst, &record)
	addRequestTags(&inst, pl.tags["instance"])
	add(inst, pl.typeByTemplate)

	sub := s.part(c, action, "subnet/"+pl.subnet.ID, nil)
	sub.Context.Set("ec2:subnetid", pl.subnet.ID)
	sub.Context.Set("ec2:vpc", vpc)
	sub.Context.Set("ec2:availabilityzone", pl.subnet.Zone)
	sub.Context.Set("ec2:availabilityzoneid", pl.subnet.ZoneID)
	add(sub, pl.subnetByTemplate)

	eni := s.part(c, action, "network-interface/*", nil)
	eni.Context.Set("ec2:subnet", arn.EC2(c.Region, c.Account(), "subnet/"+pl.subnet.ID))
	eni.Context.Set("ec2:vpc", vpc)
	eni.Context.Set("ec2:availabilityzone", pl.subnet.Zone)
	addRequestTags(&eni, pl.tags["network-interface"])
	add(eni, pl.subnetByTemplate)

	for _, g := range pl.groups {
		p := s.part(c, action, "security-group/"+g.ID, nil)
		p.Context.Set("ec2:securitygroupid", g.ID)
		p.Context.Set("ec2:vpc", vpc)
		add(p, pl.groupsByTemplate)
	}
	for n, v := range j.State.Volumes() {
		d := &pl.devices[n]
		add(s.newVolumePart(c, action, d, v.Encrypted, pl.subnet, pl.tags["volume"]), d.template)
		if d.named {
			add(s.snapshotPart(c, action, d.snapshot), d.template)
		}
	}
	if pl.template != nil {
		tags, err := tagsOf(tx, c.Region, c.Account(), pl.template.ID)
		if err != nil {
			return err
		}
		add(s.part(c, action, "launch-template/"+pl.template.ID, tags), true)
	}
	for _, kind := range []string{"instance", "volume", "network-interface"} {
		if len(pl.tags[kind]) > 0 {
			parts = append(parts, s.createTagsPart(c, kind+"/*", pl.tags[kind], "RunInstances"))
		}
	}
	_, err := s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
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
	p.Context.Set("ec2:availabilityzone", where.Zone)
	p.Context.Set("ec2:availabilityzoneid", where.ZoneID)
	if d.snapshot != nil {
		p.Context.Set("ec2:parentsnapshot", arn.EC2(c.Region, "", "snapshot/"+d.snapshot.ID))
	}
	addRequestTags(&p, tags)
	return p
}

// snapshotPart is the evaluation of an action that makes a volume of a snapshot.
func (s *Service) snapshotPart(c *guard.Call, action string, snap *snapshotRecord) authz.Part {
	p := s.part(c, action, "snapshot/"+snap.ID, nil)
	owned(&p, snap.Owner, snap.OwnerAlias)
	p.Context.Set("ec2:snapshotid", snap.ID)
	p.Context.SetBool("ec2:encrypted", snap.Encrypted)
	p.Context.Set("ec2:volumesize", strconv.FormatInt(snap.SizeGiB, 10))
	p.Context.Set("ec2:parentvolume", arn.EC2(c.Region, snap.Owner, "volume/"+snap.VolumeID))
	p.Context.Set("ec2:snapshottime", snap.Created.UTC().Format("2006-01-02T15:04:05Z"))
	return p
}
