package ec2

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxTogether is how many instances one request starts, stops, reboots or terminates: what one
// transaction of the store can carry. AWS names no number and advises batches.
const maxTogether = 25

// fewTogether is how many are read one by one; with more, one read gets all of the account.
const fewTogether = 3

// A transition is how an operation changes one instance: the job that follows, and the errors of
// states in which it cannot.
type transition func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error)

// transit applies an operation to instances, all or none.
func (s *Service) transit(ctx context.Context, c *guard.Call, action string, ids []string, flag *bool, change transition,
) ([]ec2api.InstanceStateChange, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) > maxTogether {
		return nil, apierr.Newf("RequestLimitExceeded", "A request can name at most %d instances.", maxTogether)
	}
	defer s.locks.lock(ids...)()
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
		if err := s.allowInstances(tx, c, action, found); err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		volumes := readVolumes(tx, c.Region, c.Account())
		if len(ids) > fewTogether {
			if volumes, err = readAllVolumes(tx, c.Region, c.Account()); err != nil {
				return err
			}
		}
		for _, i := range found {
			was := i.State
			j, err := change(tx, &i, volumes)
			if err != nil {
				return err
			}
			if j != nil {
				jobs = append(jobs, j)
			}
			if i.State != was {
				changed = append(changed, i.ID)
			}
			if err := putInstance(tx, i); err != nil {
				return err
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
	var all map[string]map[string]string
	var err error
	if len(found) > fewTogether {
		if all, err = tagsOfAll(tx, c.Region, c.Account()); err != nil {
			return err
		}
	}
	var parts []authz.Part
	for _, i := range found {
		tags := all[i.ID]
		if all == nil {
			if tags, err = tagsOf(tx, i.Region, i.Account, i.ID); err != nil {
				return err
			}
		}
		parts = append(parts, s.instancePart(c, action, &i, tags))
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
	p.Context.Set("ec2:availabilityzone", i.Zone)
	p.Context.Set("ec2:availabilityzoneid", i.ZoneID)
	p.Context.SetBool("ec2:ebsoptimized", o.EbsOptimized)
	p.Context.Set("ec2:rootdevicetype", "ebs")
	p.Context.Set("ec2:tenancy", o.Tenancy)
	p.Context.Set("ec2:metadatahttpendpoint", o.HTTPEndpoint)
	p.Context.Set("ec2:metadatahttptokens", o.HTTPTokens)
	p.Context.Set("ec2:metadatahttpputresponsehoplimit", strconv.Itoa(int(o.HTTPHops)))
	p.Context.Set("ec2:instancemetadatatags", o.MetadataTags)
}

// lookupInstances finds instances of the caller. Source of the errors: EC2 API Reference, "Error
// codes".
func (s *Service) lookupInstances(tx store.Tx, c *guard.Call, ids []string) ([]instanceRecord, error) {
	if len(ids) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter InstanceId")
	}
	var out []instanceRecord
	var missing []string
	for _, id := range ids {
		if rest, ok := strings.CutPrefix(id, "i-"); !ok || !isHex(rest) {
			return nil, apierr.Newf("InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
		}
		i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), id)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, id)
			continue
		}
		out = append(out, i)
	}
	switch len(missing) {
	case 0:
		return out, nil
	case 1:
		return nil, apierr.Newf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	}
	return nil, apierr.Newf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(missing, ", "))
}
