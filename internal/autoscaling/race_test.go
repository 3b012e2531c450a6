package autoscaling_test

import (
	"context"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/autoscaling"
	"github.com/kagimori/kagimori/internal/guard"
)

// meddler makes a request of a user at a moment inside a pass: while it asks EC2 for subnets, before
// it launches, or what EC2 knows of instances, before it takes some out.
type meddler struct {
	autoscaling.Compute
	subnets, instances func()
}

func once(f *func()) {
	if do := *f; do != nil {
		*f = nil
		do()
	}
}

func (b *meddler) DescribeSubnets(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error) {
	once(&b.subnets)
	return b.Compute.DescribeSubnets(ctx, c, as, in)
}

func (b *meddler) DescribeInstances(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DescribeInstancesRequest) (*ec2api.DescribeInstancesResult, error) {
	once(&b.instances)
	return b.Compute.DescribeInstances(ctx, c, as, in)
}

// What a user asks for while a pass is at work counts: nothing is launched that is not wanted any more,
// and nothing is taken out that was protected meanwhile.
func TestRequestsInTheMiddleOfAPass(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	b := &meddler{Compute: w.ec2}
	w.compute = b
	w.service.Stop()
	w.start()
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(5 * time.Second)

	b.subnets = func() { w.must("SetDesiredCapacity", resize(2)) }
	w.must("SetDesiredCapacity", resize(5))
	w.Advance(time.Minute)
	if n := len(w.ec2.ids("running", "terminated")); n != 2 {
		t.Errorf("%d instances were launched, want 2", n)
	}

	b.subnets = func() {
		w.must("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	}
	w.must("SetDesiredCapacity", resize(4))
	w.Advance(time.Minute)
	if n := len(w.ec2.ids("running", "terminated")); n != 2 {
		t.Errorf("%d instances were launched, want 2: the group was deleted", n)
	}
	if n := len(w.ec2.ids("running")); n != 0 {
		t.Errorf("%d instances run on", n)
	}

	// A group of the same name that is made meanwhile is another one.
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(time.Minute)
	ids := w.ec2.ids("running")
	b.instances = func() {
		w.must("SetInstanceProtection", &autoscalingapi.SetInstanceProtectionQuery{AutoScalingGroupName: new("g"), InstanceIds: ids, ProtectedFromScaleIn: new(true)})
	}
	w.must("SetDesiredCapacity", resize(0))
	w.Advance(time.Minute)
	if n := len(w.ec2.ids("running")); n != 2 {
		t.Errorf("%d instances run, want 2, which were protected in time", n)
	}
}

// A replacement that is launched ahead and fails is tried again, although nothing else happens.
func TestReplacementThatFailsIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	in := request("g", 1)
	in.InstanceMaintenancePolicy = &autoscalingapi.InstanceMaintenancePolicy{MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(200))}
	w.must("CreateAutoScalingGroup", in)
	w.Advance(2 * time.Second)
	first := w.ec2.ids("pending")[0]
	w.ec2.become(first, "running", "")
	w.Advance(5 * time.Second)
	w.must("SetInstanceHealth", &autoscalingapi.SetInstanceHealthQuery{InstanceId: &first, HealthStatus: new("Unhealthy")})
	w.Advance(3 * time.Second)
	w.ec2.become(w.ec2.ids("pending")[0], "terminated", "Client.InternalError: Client error on launch")
	w.ec2.run = true
	w.Advance(10 * time.Minute)
	if ids := w.ec2.ids("running"); len(ids) != 1 || ids[0] == first {
		t.Errorf("%v run, want one that is not %s", ids, first)
	}
}

// An instance whose life is over is not kept for later use in the warm pool.
func TestTheEndOfALifeIsNotReused(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.MaxInstanceLifetime = new(int32(86400))
	w.must("CreateAutoScalingGroup", in)
	w.must("PutWarmPool", &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: new("g"), MaxGroupPreparedCapacity: new(int32(1)), PoolState: new("Running"),
		InstanceReusePolicy: &autoscalingapi.InstanceReusePolicy{ReuseOnScaleIn: new(true)}})
	w.Advance(time.Minute)
	first := w.ec2.ids("running")[0]
	w.Advance(25 * time.Hour)
	if ids := w.ec2.ids("running"); len(ids) != 1 || ids[0] == first {
		t.Errorf("%v run, want one that is not %s", ids, first)
	}
}

// A group that is too large because its instances are protected shrinks when they are not any more.
func TestTheEndOfProtectionIsSeen(t *testing.T) {
	w := running(t, 2)
	protect := func(on bool) {
		w.must("SetInstanceProtection", &autoscalingapi.SetInstanceProtectionQuery{AutoScalingGroupName: new("g"), InstanceIds: w.ec2.ids("running"), ProtectedFromScaleIn: &on})
	}
	protect(true)
	w.must("SetDesiredCapacity", resize(0))
	w.Advance(time.Minute)
	protect(false)
	w.Advance(time.Minute)
	if n := len(w.ec2.ids("running")); n != 0 {
		t.Errorf("%d instances run", n)
	}
}

// A replacement for which no zone has room is not tried without end: the next attempt is put off.
func TestReplacementWithoutRoomWaits(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.InstanceMaintenancePolicy = &autoscalingapi.InstanceMaintenancePolicy{MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(200))}
	w.must("CreateAutoScalingGroup", in)
	w.Advance(5 * time.Second)
	w.ec2.full = map[string]string{"subnet-a": "InsufficientFreeAddressesInSubnet", "subnet-b": "InsufficientFreeAddressesInSubnet"}
	w.must("SetInstanceHealth", &autoscalingapi.SetInstanceHealthQuery{InstanceId: new(w.ec2.ids("running")[0]), HealthStatus: new("Unhealthy")})
	w.Advance(2 * time.Minute)
	if n := len(w.ec2.requests); n > 8 {
		t.Errorf("%d launches were asked for in two minutes", n)
	}
}
