package ec2

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// Reasons of what a user did. Source: EC2 API Reference, StateReason.
var (
	reasonStop      = reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	reasonTerminate = reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	reasonPending   = reason{"pending", "pending"}
)

func userInitiated(now time.Time) string {
	return "User initiated (" + now.UTC().Format("2006-01-02 15:04:05") + " GMT)"
}

// TerminateInstances shuts instances down for good.
func (s *Service) TerminateInstances(ctx context.Context, c *guard.Call, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error) {
	out, err := s.transit(ctx, c, "ec2:TerminateInstances", in.InstanceIds, in.DryRun, transition{
		check: func(i *instanceRecord) (bool, error) {
			switch {
			case i.State == terminated || i.State == shuttingDown:
				return false, nil
			case i.Options.ProtectTermination:
				return false, apierr.Newf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its "+
					"'disableApiTermination' instance attribute and try again.", i.ID)
			}
			return true, nil
		},
		apply: func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error) {
			i.State, i.Reason, i.Transition = shuttingDown, new(reasonTerminate), userInitiated(s.g.Now())
			i.Abrupt = api.Val(in.SkipOsShutdown)
			if i.Work != "" {
				i.Doomed = true // whoever does that work sees it
				return nil, nil
			}
			return s.beginRelease(tx, i, volumes, launch.TerminateInstances, c.ID, s.g.Now().Add(s.timing.Stop))
		},
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.TerminateInstancesResult{TerminatingInstances: out}, nil
}

// StopInstances stops instances; their volumes keep their data, encrypted, and nobody holds a key. A guest is asked to shut
// down and is switched off if it takes too long, with Force or without; SkipOsShutdown does not ask it.
// Source: EC2 API Reference, StopInstances.
func (s *Service) StopInstances(ctx context.Context, c *guard.Call, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error) {
	out, err := s.transit(ctx, c, "ec2:StopInstances", in.InstanceIds, in.DryRun, transition{
		check: func(i *instanceRecord) (bool, error) {
			switch {
			case i.State == stopped || i.State == stopping:
				return false, nil
			case i.State != running || i.Work != "":
				return false, apierr.Newf("IncorrectInstanceState", "This instance '%s' is not in a state from which it can be stopped.", i.ID)
			case i.Options.ProtectStop:
				return false, apierr.Newf("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its "+
					"'disableApiStop' instance attribute and try again.", i.ID)
			case i.Options.Spot && !i.Options.SpotPersistent:
				return false, apierr.Newf("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time "+
					"Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", i.ID)
			case api.Val(in.Hibernate) && !i.Options.Hibernation:
				return false, errHibernation("The instance '%s' is not enabled for hibernation.", i.ID)
			}
			return true, nil
		},
		apply: func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error) {
			i.State, i.Reason, i.Transition = stopping, new(reasonStop), userInitiated(s.g.Now())
			i.Abrupt = api.Val(in.SkipOsShutdown)
			if api.Val(in.Hibernate) {
				i.Reason = new(reasonHibernate)
			}
			return s.beginRelease(tx, i, volumes, launch.StopInstances, c.ID, s.g.Now().Add(s.timing.Stop))
		},
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.StopInstancesResult{StoppingInstances: out}, nil
}

// StartInstances starts stopped instances: for each encrypted volume the caller makes a grant
// again. Whether that worked shows later.
func (s *Service) StartInstances(ctx context.Context, c *guard.Call, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error) {
	out, err := s.transit(ctx, c, "ec2:StartInstances", in.InstanceIds, in.DryRun, transition{
		check: func(i *instanceRecord) (bool, error) {
			switch {
			case i.State == running || i.State == pending:
				return false, nil
			case i.State != stopped || i.Work != "":
				return false, apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", i.ID)
			}
			return true, nil
		},
		apply: func(tx store.Tx, i *instanceRecord, volumes volumeReader) (*job, error) {
			if err := s.capacity.Fit(tx, c, i.use(), 1); err != nil {
				return nil, err
			}
			if err := s.seat(tx, c, i); err != nil {
				return nil, err
			}
			spec, err := i.spec(launch.StartInstances, volumes)
			if err != nil {
				return nil, err
			}
			j, err := newJob(spec, i.ID, c.ID, c.Caller, s.g.Now().Add(s.timing.Instance))
			if err != nil {
				return nil, err
			}
			j.Host = i.Host
			i.State, i.Reason, i.Transition, i.Work, i.Launched = pending, nil, "", launch.StartInstances, s.g.Now()
			i.openPublic()
			return j, s.putJob(tx, j)
		},
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.StartInstancesResult{StartingInstances: out}, nil
}

// RebootInstances has the machines boot again, and changes nothing else: the host keeps the volumes
// open, and their keys. Source: EC2 User Guide, "Reboot your Amazon EC2 instance".
func (s *Service) RebootInstances(ctx context.Context, c *guard.Call, in *ec2api.RebootInstancesRequest) error {
	hosts := map[string]string{}
	_, err := s.transit(ctx, c, "ec2:RebootInstances", in.InstanceIds, in.DryRun, transition{
		check: func(i *instanceRecord) (bool, error) {
			hosts[i.ID] = i.Host
			if i.State != running && i.State != pending {
				return false, apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be rebooted.", i.ID)
			}
			return false, nil
		},
	})
	if err == nil {
		for id, host := range hosts {
			if err := s.rack(host).Reboot(ctx, id); err != nil {
				s.log.Warn("an instance is not rebooted", "instance", id, "host", host, "error", err)
			}
		}
	}
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
	i.Work, j.Host = op, i.Host
	j.Abrupt, i.Abrupt = i.Abrupt, false
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
		if !ok {
			continue
		}
		if p := v.plug(i.ID); p != nil {
			spec.Devices = append(spec.Devices, v.device(p, d.DeleteOnTermination))
		}
	}
	return spec, nil
}

// device is an attached volume as a launch sees it.
func (v *volumeRecord) device(p *plug, deleteOnTermination bool) launch.Device {
	return launch.Device{
		Name: p.Device, VolumeID: v.ID, Source: v.source(), SizeGiB: v.SizeGiB, Grant: p.Grant,
		DeleteOnTermination: deleteOnTermination,
	}
}
