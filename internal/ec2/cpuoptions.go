package ec2

import (
	"context"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ModifyInstanceCpuOptions changes the cores and threads of a stopped instance, both together, and whether it can
// run virtual machines. It answers what the instance has then.
// Source: EC2 API Reference, ModifyInstanceCpuOptions; EC2 User Guide, "CPU options for Amazon EC2 instances".
func (s *Service) ModifyInstanceCpuOptions(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceCpuOptionsRequest) (*ec2api.ModifyInstanceCpuOptionsResult, error) {
	if in.CoreCount == nil && in.ThreadsPerCore == nil && in.NestedVirtualization == nil {
		return nil, apierr.New("MissingParameter", "The request must contain coreCount and threadsPerCore, or nestedVirtualization")
	}
	defer s.locks.Lock(api.Val(in.InstanceId))()
	out := &ec2api.ModifyInstanceCpuOptionsResult{InstanceId: in.InstanceId}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun, func(p *authz.Part) { cpuAttributes(p, in) })
		if err != nil {
			return err
		}
		if i.State != stopped || i.Work != "" {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		o := &i.Options
		if err := o.changeCPU(i.Type, in); err != nil {
			return err
		}
		out.CoreCount, out.ThreadsPerCore, out.NestedVirtualization = new(o.CoreCount), new(o.ThreadsPerCore), api.Opt(o.Nested)
		c.Respond(out)
		return putInstance(tx, i)
	})
}

// cpuAttributes tells the decision what is to be changed.
func cpuAttributes(p *authz.Part, in *ec2api.ModifyInstanceCpuOptionsRequest) {
	if in.CoreCount != nil {
		setAttribute(p, "CoreCount", strconv.Itoa(int(*in.CoreCount)))
	}
	if in.ThreadsPerCore != nil {
		setAttribute(p, "ThreadsPerCore", strconv.Itoa(int(*in.ThreadsPerCore)))
	}
	if in.NestedVirtualization != nil {
		setAttribute(p, "NestedVirtualization", *in.NestedVirtualization)
	}
}

// changeCPU is the change of an instance of a type.
func (o *instanceOptions) changeCPU(kind string, in *ec2api.ModifyInstanceCpuOptionsRequest) error {
	t, known := instancetype.Lookup(kind)
	if in.CoreCount != nil || in.ThreadsPerCore != nil {
		if known {
			if err := t.CheckCPU(&ec2api.CpuOptionsRequest{CoreCount: in.CoreCount, ThreadsPerCore: in.ThreadsPerCore}); err != nil {
				return err
			}
		}
		o.CoreCount, o.ThreadsPerCore = api.Val(in.CoreCount), api.Val(in.ThreadsPerCore)
	}
	if in.NestedVirtualization != nil {
		if known {
			if err := t.CheckNested(*in.NestedVirtualization); err != nil {
				return err
			}
		}
		o.Nested = *in.NestedVirtualization
	}
	return nil
}
