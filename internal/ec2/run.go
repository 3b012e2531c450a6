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
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// RunInstances launches instances, as many as it can from MinCount to MaxCount, or none. It answers
// when they are pending; whether their volumes could be made and opened shows later.
// Source: EC2 API Reference, RunInstances.
func (s *Service) RunInstances(ctx context.Context, c *guard.Call, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
	return s.run(ctx, c, in, "", c.Caller.InvokedBy == "")
}

// run is RunInstances; spot is the Spot Instance request that it serves, "" if the launch is one by
// itself. direct tells that no fleet or other service chose the instance type.
func (s *Service) run(ctx context.Context, c *guard.Call, in *ec2api.RunInstancesRequest, spot string, direct bool) (*ec2api.Reservation, error) {
	if in.ClientToken != nil {
		defer s.tokenLocks.Lock(c.Region + " " + c.Account() + " " + *in.ClientToken)()
	}
	if api.Val(in.MaxCount) > togetherInstances {
		return s.runMany(ctx, c, in, spot, direct)
	}
	var (
		out  *ec2api.Reservation
		jobs []*job
	)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		out, jobs = nil, nil
		pl, err := s.decideRun(tx, c, in, spot, direct)
		if err != nil {
			return err
		}
		known, ok, err := knownToken(tx, c, "RunInstances", pl.ClientToken, pl.requested)
		if err != nil {
			return err
		}
		if ok {
			out, err = s.sameLaunch(tx, c, known.IDs)
			return err
		}
		if err := s.fit(tx, c, pl); err != nil {
			return err
		}
		made, err := s.draftAll(c, pl)
		if err != nil {
			return err
		}
		if err := s.takeAddresses(tx, c, pl, made); err != nil {
			return err
		}
		if err := s.putLaunches(tx, c, pl, in, made); err != nil {
			return err
		}
		if err := s.rememberLaunch(tx, c, pl, made); err != nil {
			return err
		}
		if err := s.findReserved(tx, c, made); err != nil {
			return err
		}
		out, jobs = launched(c, made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.begin(ctx, jobs)
	return out, nil
}

// decideRun works out what a request comes to and decides it.
func (s *Service) decideRun(tx store.Tx, c *guard.Call, in *ec2api.RunInstancesRequest, spot string, direct bool) (*launchPlan, error) {
	pl, err := s.plan(tx, c, in)
	if err != nil {
		return nil, err
	}
	if direct && pl.byAttributes { // Source: EC2 API Reference, InstanceRequirementsRequest
		return nil, apierr.New("InvalidParameterCombination", "A launch template with InstanceRequirements cannot be used with RunInstances; "+
			"fleets and Auto Scaling groups can use it.")
	}
	if len(pl.tags[spotKind]) > 0 && pl.spot == nil && spot == "" {
		return nil, invalidValue("You cannot specify tags for Spot instances requests if there are no Spot instances requests being created by the request.")
	}
	pl.options.SpotRequest = spot
	one := *pl
	one.count = 1
	made, err := s.draftAll(c, &one)
	if err != nil {
		return nil, err
	}
	for _, v := range made[0].job.State.Volumes() {
		if v.Encrypted && !pl.kind.Encrypts() {
			return nil, apierr.Newf("UnsupportedOperation", "The instance type %s does not support encrypted volumes.", pl.kind.Name)
		}
	}
	if err := pl.checkHibernation(made[0].job.State.Volumes()); err != nil {
		return nil, err
	}
	if err := s.allowRun(tx, c, pl, made[0].job); err != nil {
		return nil, err
	}
	return pl, dryRun(in.DryRun)
}

// launched is the answer about instances that were just stored, and the jobs that launch them.
func launched(c *guard.Call, made []draftLaunch) (*ec2api.Reservation, []*job) {
	out := newReservation(&made[0].instance)
	jobs := make([]*job, len(made))
	for n := range made {
		m := &made[n]
		jobs[n] = m.job
		out.Instances = append(out.Instances, m.instance.wire(tagMap(m.tags)))
		c.Touch(m.instance.arn(), m.instance.Account, "AWS::EC2::Instance")
	}
	c.Respond(out)
	return out, jobs
}

// begin starts the jobs of a launch that is stored.
func (s *Service) begin(ctx context.Context, jobs []*job) {
	for _, j := range jobs {
		s.counted(j.Host, 1+len(j.Drafts))
		s.schedule(j)
		s.changed(ctx, j.Region, j.Account, j.Subject)
	}
}

// putSpots stores the requests behind the Spot Instances of a launch that are of no other request.
func (s *Service) putSpots(tx store.Tx, pl *launchPlan, in *ec2api.RunInstancesRequest, made []draftLaunch) error {
	if pl.spot == nil || pl.options.SpotRequest != "" {
		return nil
	}
	for n := range made {
		r := made[n].instance.spotOf(pl.spot, pl.kind)
		if r.Type == ec2api.SpotInstanceTypePersistent {
			again := *in
			again.MinCount, again.MaxCount, again.ClientToken = new(int32(1)), new(int32(1)), nil
			kept, err := storeLaunch(again)
			if err != nil {
				return err
			}
			r.Launch = &kept
		}
		if err := putSpot(tx, r); err != nil {
			return err
		}
		if err := putTags(tx, r.Region, r.Account, r.ID, pl.tags[spotKind]); err != nil {
			return err
		}
	}
	return nil
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
	hosts, err := s.hostsFor(pl.count)
	if err != nil {
		return nil, err
	}
	for n := range pl.count {
		m := draftLaunch{instance: s.newInstance(c, pl, n), tags: slices.Clone(pl.tags["instance"])}
		m.instance.Reservation, m.instance.Host = reservation, hosts[n]
		if pl.template != nil { // Source: EC2 User Guide, "Launch templates", system tags
			m.tags = append(m.tags, tag{Key: "aws:ec2launchtemplate:id", Value: pl.template.ID},
				tag{Key: "aws:ec2launchtemplate:version", Value: strconv.FormatInt(pl.version, 10)})
		}
		spec := launch.Spec{
			Operation: launch.RunInstances, Region: c.Region, Account: c.Account(), InstanceID: m.instance.ID, Defaults: pl.defaults,
		}
		var drafts []draft
		for i := range pl.devices {
			d := &pl.devices[i]
			v := s.newVolume(c, d, pl)
			v.Host = hosts[n]
			v.Plugs = []plug{{Instance: m.instance.ID, Device: d.name, State: plugAttaching, DeleteOnTermination: d.deleteToo}}
			spec.Devices = append(spec.Devices, d.device(v.ID, c.Account()))
			drafts = append(drafts, draft{v, pl.tags["volume"]})
		}
		j, err := newJob(spec, m.instance.ID, request, c.Caller, s.g.Now().Add(s.timing.Instance))
		if err != nil {
			return nil, err
		}
		j.Drafts, j.Host, m.job = drafts, hosts[n], j
		out, request = append(out, m), guard.NewRequestID()
	}
	return out, nil
}

func (s *Service) newInstance(c *guard.Call, pl *launchPlan, n int) instanceRecord {
	i := instanceRecord{
		Region: c.Region, Account: c.Account(), ID: randomID("i"), Host: s.name, Index: int32(n), Token: api.Val(pl.ClientToken), Launched: s.g.Now(),
		State: pending, Reason: new(reasonPending), Work: launch.RunInstances,
		Image: pl.image.ID, Architecture: pl.image.Architecture, BootMode: pl.image.BootMode, Platform: "Linux/UNIX", RootDevice: pl.image.RootDevice, Type: pl.kind.Name,
		Subnet: pl.subnet.ID, VPC: pl.subnet.VPC, Zone: pl.subnet.Zone, ZoneID: pl.subnet.ZoneID,
		Profile: pl.profile, MAC: randomMAC(), ENI: randomID("eni"), ENIPlug: randomID("eni-attach"), Options: pl.options,
		AutoPublic: pl.opensPublic(), nameless: pl.nameless,
	}
	i.Face = pl.faces.extra.orNone()
	if f := pl.faces.first; f != nil {
		i.ENI, i.MAC, i.Options.NoSourceCheck, i.PublicIP, i.PublicBy = f.ID, f.MAC, f.NoSourceCheck, f.PublicIP, f.PublicBy
	}
	for _, g := range pl.groups {
		i.Groups, i.GroupsBy = append(i.Groups, g.ID), append(i.GroupsBy, g.Name)
	}
	i.Options.name(pl.PrivateDnsNameOptions, &pl.subnet)
	if i.Options.CoreCount == 0 {
		i.Options.CoreCount, i.Options.ThreadsPerCore = pl.kind.Cores(), pl.kind.Threads()
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
		Region: c.Region, Account: c.Account(), ID: randomID("vol"), Host: s.name, Zone: pl.subnet.Zone, ZoneID: pl.subnet.ZoneID,
		SizeGiB: d.perf.SizeGiB, Type: d.perf.Type, IOPS: d.iops, Throughput: d.rate, Created: s.g.Now(), State: volumeCreating,
		KeyID: d.keyID, InitRate: d.initRate,
	}
	if d.snapshot != nil {
		v.Snapshot = d.snapshot.ID
	}
	return v
}

// putLaunches stores instances of a request, with their tags, jobs and Spot requests.
func (s *Service) putLaunches(tx store.Tx, c *guard.Call, pl *launchPlan, in *ec2api.RunInstancesRequest, made []draftLaunch) error {
	if err := s.capacity.Fit(tx, c, made[0].instance.use(), len(made)); err != nil {
		return err
	}
	if err := s.seatAll(tx, c, made); err != nil {
		return err
	}
	if err := s.putSpots(tx, pl, in, made); err != nil {
		return err
	}
	for n := range made {
		m := &made[n]
		if err := putInstance(tx, m.instance); err != nil {
			return err
		}
		if err := putTags(tx, c.Region, c.Account(), m.instance.ID, m.tags); err != nil {
			return err
		}
		if err := pl.putFaces(tx, c, &m.instance); err != nil {
			return err
		}
		if err := s.putJob(tx, m.job); err != nil {
			return err
		}
	}
	return nil
}

// rememberLaunch stores the client token of a launch, if it has one.
func (s *Service) rememberLaunch(tx store.Tx, c *guard.Call, pl *launchPlan, made []draftLaunch) error {
	if pl.ClientToken == nil {
		return nil
	}
	t := idiom.TokenRecord{Hash: pl.requested, IDs: idsOf(made), Made: s.g.Now()}
	if len(made) > togetherInstances {
		t.Batch = made[0].instance.Reservation
	}
	return idiom.Tokens.Put(tx, t, c.Region, c.Account(), "RunInstances", *pl.ClientToken)
}

func idsOf(made []draftLaunch) []string {
	ids := make([]string, len(made))
	for n := range made {
		ids[n] = made[n].instance.ID
	}
	return ids
}
