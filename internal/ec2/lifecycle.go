package ec2

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// maxTogether is how many instances one request starts, stops, reboots or terminates: what one
// transaction of the store can carry. AWS names no number and advises batches.
const maxTogether = 25

// fewTogether is how many are read one by one; with more, one read gets all of the account.
const fewTogether = 3

// Reasons of what a user did. Source: EC2 API Reference, StateReason.
var (
	reasonStop      = reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	reasonTerminate = reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	reasonPending   = reason{"pending", "pending"}
)

func userInitiated(now time.Time) string {
	return "User initiated (" + now.UTC().Format("2006-01-02 15:04:05") + " GMT)"
}

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

// TerminateInstances shuts instances down for good.
func (s *Service) TerminateInstances(ctx context.Context, c *guard.Call, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error) {
	out, err := s.transit(ctx, c, "ec2:TerminateInstances", in.InstanceIds, in.DryRun, func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error) {
		if i.State == terminated || i.State == shuttingDown {
			return nil, nil
		}
		if i.Options.ProtectTermination {
			return nil, apierr.Newf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its "+
				"'disableApiTermination' instance attribute and try again.", i.ID)
		}
		i.State, i.Reason, i.Transition = shuttingDown, new(reasonTerminate), userInitiated(s.g.Now())
		if i.Work != "" {
			i.Doomed = true // whoever does that work sees it
			return nil, nil
		}
		return s.beginRelease(tx, i, volumes, launch.TerminateInstances, c.ID, s.g.Now().Add(s.timing.Stop))
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.TerminateInstancesResult{TerminatingInstances: out}, nil
}

// StopInstances stops instances; their volumes keep their data, encrypted, and nobody holds a key.
func (s *Service) StopInstances(ctx context.Context, c *guard.Call, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error) {
	out, err := s.transit(ctx, c, "ec2:StopInstances", in.InstanceIds, in.DryRun, func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error) {
		switch {
		case i.State == stopped || i.State == stopping:
			return nil, nil
		case i.State != running || i.Work != "":
			return nil, apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", i.ID)
		case i.Options.ProtectStop:
			return nil, apierr.Newf("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its "+
				"'disableApiStop' instance attribute and try again.", i.ID)
		case api.Val(in.Hibernate):
			return nil, apierr.New("UnsupportedHibernationConfiguration", "Instances of this server do not hibernate.")
		}
		i.State, i.Reason, i.Transition = stopping, new(reasonStop), userInitiated(s.g.Now())
		return s.beginRelease(tx, i, volumes, launch.StopInstances, c.ID, s.g.Now().Add(s.timing.Stop))
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.StopInstancesResult{StoppingInstances: out}, nil
}

// StartInstances starts stopped instances: for each encrypted volume the caller makes a grant
// again. Whether that worked shows later.
func (s *Service) StartInstances(ctx context.Context, c *guard.Call, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error) {
	out, err := s.transit(ctx, c, "ec2:StartInstances", in.InstanceIds, in.DryRun, func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error) {
		switch {
		case i.State == running || i.State == pending:
			return nil, nil
		case i.State != stopped || i.Work != "":
			return nil, apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", i.ID)
		}
		spec, err := i.spec(launch.StartInstances, volumes)
		if err != nil {
			return nil, err
		}
		j, err := newJob(spec, i.ID, c.ID, c.Caller, s.g.Now().Add(s.timing.Instance))
		if err != nil {
			return nil, err
		}
		i.State, i.Reason, i.Transition, i.Work, i.Launched = pending, nil, "", launch.StartInstances, s.g.Now()
		return j, s.putJob(tx, j)
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.StartInstancesResult{StartingInstances: out}, nil
}

// RebootInstances changes nothing that can be seen: the host keeps the volumes open, and their
// keys. Source: EC2 User Guide, "Reboot your Amazon EC2 instance".
func (s *Service) RebootInstances(ctx context.Context, c *guard.Call, in *ec2api.RebootInstancesRequest) error {
	_, err := s.transit(ctx, c, "ec2:RebootInstances", in.InstanceIds, in.DryRun, func(_ store.Tx, i *instanceRecord, _ volumeReader) (*job, error) {
		if i.State != running && i.State != pending {
			return nil, apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be rebooted.", i.ID)
		}
		return nil, nil
	})
	return err
}

// beginRelease makes the job that gives the keys of an instance's volumes back.
func (s *Service) beginRelease(tx store.Tx, i *instanceRecord, volumes volumeReader, op launch.Operation, request string, due time.Time) (*job, error) {
	spec, err := i.spec(op, volumes)
	if err != nil {
		return nil, err
	}
	j, err := newJob(spec, i.ID, request, ownCaller(), due)
	if err != nil {
		return nil, err
	}
	i.Work = op
	return j, s.putJob(tx, j)
}

// spec describes an operation on an instance with the volumes that it has.
func (i *instanceRecord) spec(op launch.Operation, volumes volumeReader) (launch.Spec, error) {
	spec := launch.Spec{Operation: op, Region: i.Region, Account: i.Account, InstanceID: i.ID}
	for _, d := range i.Devices {
		v, ok, err := volumes(d.Volume)
		if err != nil {
			return spec, err
		}
		if ok && v.Plug != nil {
			spec.Devices = append(spec.Devices, v.device(d.DeleteOnTermination))
		}
	}
	return spec, nil
}

// device is an attached volume as a launch sees it.
func (v *volumeRecord) device(deleteOnTermination bool) launch.Device {
	return launch.Device{
		Name: v.Plug.Device, VolumeID: v.ID, Source: v.source(), SizeGiB: v.SizeGiB, Grant: v.Plug.Grant,
		DeleteOnTermination: deleteOnTermination,
	}
}

// bury ends an instance that shut down because its launch failed: it has nothing left to release.
func (s *Service) bury(region, account, id string) {
	s.later("an instance was not terminated", id, func(ctx context.Context) (after aftermath, err error) {
		err = s.g.Change(ctx, func(tx store.Tx) error {
			after = aftermath{}
			i, ok, err := instanceTable.Get(tx, region, account, id)
			if err != nil || !ok || i.State != shuttingDown || i.Work != "" {
				return err
			}
			i.State, i.Ended = terminated, s.g.Now()
			after.changed, after.ended = id, true
			return putInstance(tx, i)
		})
		return after, err
	}, region, account)
}

// forget removes an instance that was terminated long ago.
func (s *Service) forget(region, account, id string) {
	s.later("an instance was not forgotten", id, func(ctx context.Context) (aftermath, error) {
		return aftermath{}, s.g.Change(ctx, func(tx store.Tx) error {
			i, ok, err := instanceTable.Get(tx, region, account, id)
			if err != nil || !ok || i.State != terminated {
				return err
			}
			for _, tagged := range []string{id, i.ENI} {
				if err := dropTags(tx, region, account, tagged); err != nil {
					return err
				}
			}
			return instanceTable.Delete(tx, i.key()...)
		})
	}, region, account)
}

// later runs the work of a timer.
func (s *Service) later(trouble, id string, work func(context.Context) (aftermath, error), region, account string) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	after, err := work(context.Background())
	if err != nil {
		s.log.Error(trouble, "instance", id, "error", err)
		return
	}
	s.follow(context.Background(), region, account, after)
}
