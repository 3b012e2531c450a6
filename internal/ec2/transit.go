package ec2

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// What one transaction of the store carries of a request about many instances: a transaction has
// at most store.MaxOps writes, and the jobs of instances with many volumes are large.
const (
	togetherInstances = 16
	togetherVolumes   = 60
)

// decidedTogether is how many instances one transaction reads, with their tags, and decides on.
const decidedTogether = 30

// readTogether is how many records a transaction that writes reads one by one; with more, one read gets
// all of the account. It has room for what else is read.
const readTogether = togetherInstances + togetherVolumes

// A transition is how an operation changes an instance.
type transition struct {
	// check reports the errors of states in which it cannot, and whether there is anything to do.
	check func(i *instanceRecord) (todo bool, err error)
	// apply changes the instance and stores the job that follows, if there is one.
	apply func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error)
}

// transit applies an operation to instances, to all or, if one of them does not allow it, to none. The answer is in
// the order of the request.
func (s *Service) transit(ctx context.Context, c *guard.Call, action string, ids []string, flag *bool, t transition,
) ([]ec2api.InstanceStateChange, error) {
	asked := ids
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	defer s.locks.Lock(ids...)()
	if len(ids) == 0 {
		return nil, errNoInstances()
	}
	var all []instanceRecord
	for some := range slices.Chunk(ids, decidedTogether) {
		var found []instanceRecord
		err := s.g.Begin(ctx, c, func(tx store.Tx) (err error) {
			if slices.Contains(some, "") {
				return errEmptyInstance()
			}
			if found, err = s.lookupInstances(tx, c, some); err != nil {
				return err
			}
			return s.allowInstances(tx, c, action, found)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if err := dryRun(flag); err != nil {
		return nil, err
	}
	for n := range all {
		if _, err := t.check(&all[n]); err != nil {
			return nil, err
		}
	}
	var out []ec2api.InstanceStateChange
	for _, part := range portions(all) {
		changes, err := s.transitPart(ctx, c, part, t)
		if err != nil {
			return nil, err
		}
		out = append(out, changes...)
	}
	slices.SortFunc(out, func(a, b ec2api.InstanceStateChange) int {
		return cmp.Compare(slices.Index(asked, *a.InstanceId), slices.Index(asked, *b.InstanceId))
	})
	return out, nil
}

// portions divides instances into what one transaction can carry.
func portions(found []instanceRecord) [][]string {
	var out [][]string
	volumes := 0
	for _, i := range found {
		last := len(out) - 1
		if last < 0 || len(out[last]) == togetherInstances || volumes+len(i.Devices) > togetherVolumes {
			out, volumes = append(out, nil), 0
			last++
		}
		out[last] = append(out[last], i.ID)
		volumes += len(i.Devices)
	}
	return out
}

func devicesOf(found []instanceRecord) (n int) {
	for i := range found {
		n += len(found[i].Devices)
	}
	return n
}

// transitPart changes some instances of a request that was decided; the first one carries its
// record. The states are checked again: what was decided on was another transaction.
func (s *Service) transitPart(ctx context.Context, c *guard.Call, ids []string, t transition) ([]ec2api.InstanceStateChange, error) {
	var (
		out     []ec2api.InstanceStateChange
		jobs    []*job
		changed []string
	)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		out, jobs, changed = nil, nil, nil
		found, err := s.lookupInstances(tx, c, ids)
		if err != nil {
			return err
		}
		volumes := readVolumes(tx, c.Region, c.Account())
		if len(found)+devicesOf(found) > readTogether {
			if volumes, err = readAllVolumes(tx, c.Region, c.Account()); err != nil {
				return err
			}
		}
		for _, i := range found {
			was := i.State
			todo, err := t.check(&i)
			if err != nil {
				return err
			}
			if todo && t.apply != nil {
				j, err := t.apply(tx, &i, volumes)
				if err != nil {
					return err
				}
				if j != nil {
					jobs = append(jobs, j)
				}
				if err := putInstance(tx, i); err != nil {
					return err
				}
			}
			if i.State != was {
				changed = append(changed, i.ID)
			}
			out = append(out, ec2api.InstanceStateChange{InstanceId: &i.ID, CurrentState: i.State.wire(), PreviousState: was.wire()})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		s.schedule(j)
	}
	for _, id := range changed {
		s.changed(ctx, c.Region, c.Account(), id)
	}
	return out, nil
}

// allowInstances decides an action on instances, all in one decision.
func (s *Service) allowInstances(tx store.Tx, c *guard.Call, action string, found []instanceRecord) error {
	var ids []string
	for n := range found {
		ids = append(ids, found[n].ID)
	}
	tags, err := s.tagsFor(tx, c, ids)
	if err != nil {
		return err
	}
	var parts []authz.Part
	for n := range found {
		i := &found[n]
		parts = append(parts, s.instancePart(c, action, i, tags[i.ID]))
		if action == "ec2:StartInstances" {
			parts = append(parts, s.licenseParts(c, action, i.Options.Licenses)...)
		}
		c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// instancePart is the evaluation of an action on an instance. Source: Service Authorization
// Reference, "Condition keys for Amazon EC2".
func (s *Service) instancePart(c *guard.Call, action string, i *instanceRecord, tags map[string]string) authz.Part {
	p := s.part(c, action, "instance/"+i.ID, tags)
	p.Context.Set("ec2:instanceid", i.ID)
	instanceContext(&p, i)
	return p
}

// instanceContext are the condition keys that follow from an instance's attributes.
func instanceContext(p *authz.Part, i *instanceRecord) {
	o := &i.Options
	p.Context.Set("ec2:instancetype", i.Type)
	p.Context.Set("ec2:instancemarkettype", i.market())
	p.Context.Set("ec2:availabilityzone", i.Zone)
	p.Context.Set("ec2:availabilityzoneid", i.ZoneID)
	p.Context.SetBool("ec2:ebsoptimized", o.EbsOptimized)
	if i.Profile != nil {
		p.Context.Set("ec2:instanceprofile", i.Profile.ARN)
	}
	p.Context.Set("ec2:rootdevicetype", "ebs")
	if o.Placement != "" {
		p.Context.Set("ec2:placementgroup", arn.EC2(i.Region, i.Account, "placement-group/"+o.Placement))
	}
	p.Context.Set("ec2:tenancy", o.Tenancy)
	p.Context.Set("ec2:metadatahttpendpoint", o.HTTPEndpoint)
	p.Context.Set("ec2:metadatahttptokens", o.HTTPTokens)
	p.Context.Set("ec2:metadatahttpputresponsehoplimit", strconv.Itoa(int(o.HTTPHops)))
	p.Context.Set("ec2:instancemetadatatags", o.MetadataTags)
	p.Context.Set("ec2:instanceautorecovery", o.recovery())
	p.Context.Set("ec2:instancebandwidthweighting", o.weighting())
}
