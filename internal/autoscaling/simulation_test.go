package autoscaling_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

// slowEC2 is an EC2 that takes its time: instances start and end after a while, and do not start at
// all while a key policy is wrong.
type slowEC2 struct {
	*fakeEC2
	rnd    *rand.Rand // guarded by fakeEC2.mu
	broken string     // how launches fail: "", "refuse" or "die"; guarded by fakeEC2.mu
}

const keyDied = "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"

// RunInstances starts an instance that runs, or dies, a while later.
func (e *slowEC2) RunInstances(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
	e.mu.Lock()
	broken, after := e.broken, time.Duration(1+e.rnd.IntN(60))*time.Second
	e.mu.Unlock()
	if broken == "refuse" && !api.Val(in.DryRun) {
		return nil, apierr.New("UnauthorizedOperation", "You are not authorized to perform this operation.")
	}
	out, err := e.fakeEC2.RunInstances(ctx, c, as, in)
	if err != nil || len(out.Instances) == 0 {
		return out, err
	}
	time.AfterFunc(after, func() {
		if broken == "die" {
			e.move(*out.Instances[0].InstanceId, "terminated", keyDied, "pending")
		} else {
			e.move(*out.Instances[0].InstanceId, "running", "", "pending")
		}
	})
	return out, nil
}

// move makes an instance become something if it is something else now.
func (e *slowEC2) move(id, to, reason string, from ...string) {
	if slices.Contains(e.ids(from...), id) {
		e.become(id, to, reason)
	}
}

// TerminateInstances ends instances a while later.
func (e *slowEC2) TerminateInstances(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error) {
	for _, id := range in.InstanceIds {
		e.move(id, "shutting-down", "", "pending", "running", "stopping", "stopped")
		time.AfterFunc(20*time.Second, func() { e.move(id, "terminated", "", "shutting-down") })
	}
	return &ec2api.TerminateInstancesResult{}, nil
}

// StopInstances stops instances a while later.
func (e *slowEC2) StopInstances(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error) {
	for _, id := range in.InstanceIds {
		e.move(id, "stopping", "", "running")
		time.AfterFunc(15*time.Second, func() { e.move(id, "stopped", "", "stopping") })
	}
	return &ec2api.StopInstancesResult{}, nil
}

// StartInstances starts instances a while later, or they stop again.
func (e *slowEC2) StartInstances(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error) {
	for _, id := range in.InstanceIds {
		if slices.Contains(e.ids("stopping"), id) {
			return nil, apierr.New("IncorrectInstanceState", "The instance is stopping.")
		}
		e.move(id, "pending", "", "stopped")
		e.mu.Lock()
		broken := e.broken
		e.mu.Unlock()
		time.AfterFunc(10*time.Second, func() {
			if broken != "" {
				e.move(id, "stopped", keyDied, "pending")
			} else {
				e.move(id, "running", "", "pending")
			}
		})
	}
	return &ec2api.StartInstancesResult{}, nil
}

// A simulation is a few groups with which something happens all the time.
type simulation struct {
	*world
	rnd   *rand.Rand
	slow  *slowEC2
	names []string
	done  map[string]int // requests that were carried out
	steps int
	most  map[string]int32 // the largest maximum of a group since it last came to rest
	trace []string
}

// Days pass, and whatever happens to groups, they keep what they promise: seeds are printed, and
// SIMULATION_SEED repeats one. SOAKTIME makes it long.
func TestSimulatedDays(t *testing.T) {
	worlds, end := 2, time.Now()
	if text := os.Getenv("SOAKTIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		end = end.Add(d)
	}
	first := rand.Uint64N(1 << 40)
	if text := os.Getenv("SIMULATION_SEED"); text != "" {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
		worlds, end = 1, time.Now()
	}
	for i := 0; i < worlds || time.Now().Before(end); i++ {
		seed := first + uint64(i)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	s := &simulation{
		world: newWorld(t), rnd: rand.New(rand.NewPCG(seed, 1)), names: []string{"a", "b"}, done: map[string]int{}, most: map[string]int32{},
	}
	s.service.Stop()
	s.slow = &slowEC2{fakeEC2: s.ec2, rnd: rand.New(rand.NewPCG(seed, 2))}
	s.compute = s.slow
	s.start()
	begin := time.Now()
	for time.Since(begin) < 5*24*time.Hour && !t.Failed() {
		for range 12 {
			s.step()
			s.pause(s.shortly())
			s.always()
		}
		s.quiet()
	}
	if t.Failed() {
		t.Logf("seed %d, the last steps:\n%s", seed, strings.Join(s.trace[max(0, len(s.trace)-40):], "\n"))
	}
	s.service.Stop()
	synctest.Wait()
	if s.steps < 60 || len(s.done) < 12 {
		t.Errorf("only %d steps and %d kinds of requests", s.steps, len(s.done))
	}
	t.Logf("seed %d: %d steps in %v: %v", seed, s.steps, time.Since(begin), s.done)
}

// pause lets time pass.
func (s *simulation) pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// shortly is a moment or some hours.
func (s *simulation) shortly() time.Duration {
	switch s.rnd.IntN(4) {
	case 0:
		return time.Duration(s.rnd.IntN(5000)) * time.Millisecond
	case 1, 2:
		return time.Duration(s.rnd.IntN(300)) * time.Second
	}
	return time.Duration(s.rnd.IntN(180)) * time.Minute
}

func (s *simulation) note(format string, args ...any) {
	s.trace = append(s.trace, time.Now().UTC().Format("02 15:04:05 ")+fmt.Sprintf(format, args...))
}

// ask makes a request, which may be refused but must not fail otherwise.
func (s *simulation) ask(op string, in any) bool {
	s.T.Helper()
	err := s.try(op, in)
	s.note("%s %s: %v", op, jsonOf(s.T.(*testing.T), in), err)
	if err == nil {
		s.done[op]++
	} else if _, refused := err.(*apierr.Error); !refused || apierr.Code(err) == "InternalFailure" {
		s.T.Errorf("%s: %v", op, err)
	}
	return err == nil
}

func (s *simulation) pick(from ...string) string { return from[s.rnd.IntN(len(from))] }

// somebody is an instance of a group, "" if it has none.
func (s *simulation) somebody(name string) string {
	out, err := s.do(s.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{AutoScalingGroupNames: []string{name}})
	s.Must(err)
	for _, g := range out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups {
		if len(g.Instances) > 0 {
			return *g.Instances[s.rnd.IntN(len(g.Instances))].InstanceId
		}
	}
	return "i-0"
}

func (s *simulation) yes() *bool { return new(s.rnd.IntN(2) == 0) }

func (s *simulation) number(below int) *int32 { return new(int32(s.rnd.IntN(below))) }

// create makes a group again that is gone.
func (s *simulation) create(name string) {
	in := request(name, int32(s.rnd.IntN(4)))
	in.MinSize, in.MaxSize = new(*in.DesiredCapacity/2), new(int32(5))
	if s.rnd.IntN(2) == 0 {
		in.MaxInstanceLifetime = new(int32(86400))
	}
	if s.rnd.IntN(3) == 0 {
		in.InstanceMaintenancePolicy = &autoscalingapi.InstanceMaintenancePolicy{MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(150))}
	}
	if s.ask("CreateAutoScalingGroup", in) {
		s.most[name] = 5
	}
}

// step has something happen.
func (s *simulation) step() {
	s.steps++
	name := s.names[s.rnd.IntN(len(s.names))]
	id := s.somebody(name)
	switch n := s.rnd.IntN(24); n {
	case 0, 1, 2:
		s.ask("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: &name, DesiredCapacity: s.number(6), HonorCooldown: s.yes()})
	case 3:
		least := s.rnd.IntN(3)
		most := int32(least + s.rnd.IntN(5))
		if s.ask("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: &name, MinSize: new(int32(least)), MaxSize: &most,
			DefaultInstanceWarmup: s.number(300)}) {
			s.most[name] = max(s.most[name], most)
		}
	case 4:
		s.ask("TerminateInstanceInAutoScalingGroup", &autoscalingapi.TerminateInstanceInAutoScalingGroupType{InstanceId: &id, ShouldDecrementDesiredCapacity: s.yes()})
	case 5:
		s.note("EC2 ends %s", id)
		s.slow.move(id, s.pick("terminated", "stopped"), "", "running")
	case 6:
		s.ask("SetInstanceHealth", &autoscalingapi.SetInstanceHealthQuery{InstanceId: &id, HealthStatus: new(s.pick("Unhealthy", "Unhealthy", "Healthy")), ShouldRespectGracePeriod: s.yes()})
	case 7:
		s.ask("EnterStandby", &autoscalingapi.EnterStandbyQuery{AutoScalingGroupName: &name, InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: s.yes()})
	case 8:
		s.ask("ExitStandby", &autoscalingapi.ExitStandbyQuery{AutoScalingGroupName: &name, InstanceIds: []string{id}})
	case 9:
		if s.ask("DetachInstances", &autoscalingapi.DetachInstancesQuery{AutoScalingGroupName: &name, InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: s.yes()}) {
			s.pause(time.Minute)
			other := s.names[s.rnd.IntN(len(s.names))]
			if !s.ask("AttachInstances", &autoscalingapi.AttachInstancesQuery{AutoScalingGroupName: &other, InstanceIds: []string{id}}) {
				s.slow.move(id, "terminated", "", "running")
			}
		}
	case 10:
		s.ask("SuspendProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: &name,
			ScalingProcesses: []string{s.pick("Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "AZRebalance", "AlarmNotification", "ScheduledActions", "InstanceRefresh")}})
	case 11:
		s.ask("ResumeProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: &name})
	default:
		s.configure(n, name, id)
	}
}

// configure has a user change what a group is to do.
func (s *simulation) configure(n int, name, id string) {
	switch n {
	case 12:
		policy := s.pick("up", "down")
		s.ask("PutScalingPolicy", &autoscalingapi.PutScalingPolicyType{AutoScalingGroupName: &name, PolicyName: &policy, AdjustmentType: new("ChangeInCapacity"),
			ScalingAdjustment: new(map[string]int32{"up": 2, "down": -1}[policy]), Cooldown: s.number(600)})
	case 13:
		s.ask("ExecutePolicy", &autoscalingapi.ExecutePolicyType{AutoScalingGroupName: &name, PolicyName: new(s.pick("up", "down")), HonorCooldown: s.yes()})
	case 14:
		s.ask("PutScheduledUpdateGroupAction", &autoscalingapi.PutScheduledUpdateGroupActionType{AutoScalingGroupName: &name, ScheduledActionName: new(s.pick("one", "two")),
			Recurrence: new(fmt.Sprintf("%d */%d * * *", s.rnd.IntN(60), 2+s.rnd.IntN(9))), DesiredCapacity: s.number(4), TimeZone: new(s.pick("Asia/Tokyo", "Europe/Berlin"))})
	case 15:
		s.ask("PutLifecycleHook", &autoscalingapi.PutLifecycleHookType{AutoScalingGroupName: &name, LifecycleHookName: new(s.pick("x", "y")),
			LifecycleTransition: new(s.pick(launching, leaving)), HeartbeatTimeout: new(int32(30 + s.rnd.IntN(300))), DefaultResult: new(s.pick("CONTINUE", "CONTINUE", "ABANDON"))})
	case 16:
		s.ask(s.pick("DeleteLifecycleHook"), &autoscalingapi.DeleteLifecycleHookType{AutoScalingGroupName: &name, LifecycleHookName: new(s.pick("x", "y"))})
	case 17:
		s.ask("CompleteLifecycleAction", &autoscalingapi.CompleteLifecycleActionType{AutoScalingGroupName: &name, LifecycleHookName: new(s.pick("x", "y")),
			InstanceId: &id, LifecycleActionResult: new(s.pick("CONTINUE", "ABANDON"))})
	case 18:
		in := start(autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(50)), MaxHealthyPercentage: new(int32(100 + 50*s.rnd.IntN(2))), AutoRollback: new(false)})
		in.AutoScalingGroupName = &name
		s.ask("StartInstanceRefresh", in)
	case 19:
		s.ask("CancelInstanceRefresh", &autoscalingapi.CancelInstanceRefreshType{AutoScalingGroupName: &name})
	case 20:
		if s.rnd.IntN(3) == 0 {
			s.ask("DeleteWarmPool", &autoscalingapi.DeleteWarmPoolType{AutoScalingGroupName: &name, ForceDelete: s.yes()})
			return
		}
		s.ask("PutWarmPool", &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: &name, MaxGroupPreparedCapacity: new(int32(2 + s.rnd.IntN(3))), PoolState: new(s.pick("Stopped", "Running")),
			InstanceReusePolicy: &autoscalingapi.InstanceReusePolicy{ReuseOnScaleIn: s.yes()}})
	case 21:
		s.slow.mu.Lock()
		s.slow.broken = s.pick("", "refuse", "die")
		s.note("launches: %q", s.slow.broken)
		s.slow.mu.Unlock()
	case 22:
		s.ask("SetInstanceProtection", &autoscalingapi.SetInstanceProtectionQuery{AutoScalingGroupName: &name, InstanceIds: []string{id}, ProtectedFromScaleIn: s.yes()})
	case 23:
		if s.rnd.IntN(2) == 0 {
			s.ask("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: &name, ForceDelete: new(true)})
			s.pause(time.Duration(s.rnd.IntN(120)) * time.Second)
		}
		s.create(name)
	}
}

// groups are all groups.
func (s *simulation) groups() []autoscalingapi.AutoScalingGroup {
	out, err := s.do(s.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{})
	s.Must(err)
	return out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups
}

// always checks what holds at any time.
func (s *simulation) always() {
	s.T.Helper()
	owned := map[string]bool{}
	for _, g := range s.groups() {
		name, live := *g.AutoScalingGroupName, int32(0)
		for _, i := range g.Instances {
			owned[*i.InstanceId] = true
			if *i.LifecycleState == "InService" || strings.HasPrefix(*i.LifecycleState, "Pending") {
				live++
			}
		}
		// Half as many again while instances are replaced, and one while zones are evened out.
		if bound := s.most[name] + (s.most[name]+1)/2 + 1; live > bound {
			s.T.Errorf("%s has %d instances, with at most %d allowed", name, live, s.most[name])
		}
		if *g.DesiredCapacity < *g.MinSize && g.Status == nil || *g.DesiredCapacity > *g.MaxSize {
			s.T.Errorf("%s wants %d, with %d to %d allowed", name, *g.DesiredCapacity, *g.MinSize, *g.MaxSize)
		}
		if g.WarmPoolConfiguration != nil || api.Val(g.WarmPoolSize) > 0 {
			out, err := s.do(s.admin, "DescribeWarmPool", &autoscalingapi.DescribeWarmPoolType{AutoScalingGroupName: &name})
			s.Must(err)
			for _, i := range out.(*autoscalingapi.DescribeWarmPoolAnswer).Instances {
				owned[*i.InstanceId] = true
			}
		}
	}
	for _, id := range s.ec2.ids("pending", "running", "stopping", "stopped") {
		if s.ec2.tag(id, "aws:autoscaling:groupName") != "" && !owned[id] {
			s.T.Errorf("%s belongs to no group and says it does", id)
		}
	}
	launches := map[string]int{}
	in := &autoscalingapi.DescribeScalingActivitiesType{IncludeDeletedGroups: new(true)}
	for _, a := range s.pages(*in, 100) {
		for _, begin := range []string{"Launching a new EC2 instance: ", "Launching a new EC2 instance into warm pool: "} {
			if rest, ok := strings.CutPrefix(*a.Description, begin); ok {
				id, _, _ := strings.Cut(rest, ".")
				launches[id]++
			}
		}
	}
	for _, id := range s.ec2.ids("pending", "running", "stopping", "stopped", "shutting-down", "terminated") {
		if launches[id] != 1 {
			s.T.Errorf("%d activities tell of the launch of %s", launches[id], id)
		}
	}
}

// quiet ends what disturbs the groups and checks that they come to what they are to be.
func (s *simulation) quiet() {
	s.T.Helper()
	s.slow.mu.Lock()
	s.slow.broken = ""
	s.slow.mu.Unlock()
	s.note("quiet")
	for _, g := range s.groups() {
		s.ask("ResumeProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: g.AutoScalingGroupName})
		s.ask("CancelInstanceRefresh", &autoscalingapi.CancelInstanceRefreshType{AutoScalingGroupName: g.AutoScalingGroupName})
		for _, a := range []string{"one", "two"} {
			s.ask("DeleteScheduledAction", &autoscalingapi.DeleteScheduledActionType{AutoScalingGroupName: g.AutoScalingGroupName, ScheduledActionName: &a})
		}
		for _, h := range []string{"x", "y"} {
			s.ask("DeleteLifecycleHook", &autoscalingapi.DeleteLifecycleHookType{AutoScalingGroupName: g.AutoScalingGroupName, LifecycleHookName: &h})
		}
		for _, i := range g.Instances {
			s.ask("SetInstanceProtection", &autoscalingapi.SetInstanceProtectionQuery{AutoScalingGroupName: g.AutoScalingGroupName, InstanceIds: []string{*i.InstanceId}, ProtectedFromScaleIn: new(false)})
		}
	}
	s.pause(4 * time.Hour)
	s.always()
	for _, g := range s.groups() {
		name, serve := *g.AutoScalingGroupName, int32(0)
		for _, i := range g.Instances {
			switch *i.LifecycleState {
			case "InService":
				serve++
			case "Standby":
			default: // an instance whose life is over may be replaced just now
				if g.MaxInstanceLifetime == nil {
					s.T.Errorf("%s: %s is %s after hours of rest", name, *i.InstanceId, *i.LifecycleState)
				}
			}
		}
		if serve != *g.DesiredCapacity && (g.MaxInstanceLifetime == nil || serve < *g.DesiredCapacity-1 || serve > *g.DesiredCapacity+2) {
			s.T.Errorf("%s: %d instances serve, want %d", name, serve, *g.DesiredCapacity)
		}
		s.most[name] = *g.MaxSize
	}
	for _, a := range s.activities(&autoscalingapi.DescribeScalingActivitiesType{IncludeDeletedGroups: new(true)}) {
		if a.EndTime == nil && time.Since(*a.StartTime) > 2*time.Hour {
			s.T.Errorf("activity %q of %s is %s after %v", *a.Description, *a.AutoScalingGroupName, *a.StatusCode, time.Since(*a.StartTime))
		}
	}
	if n := len(s.groups()); n < len(s.names) {
		for _, name := range s.names {
			if !slices.ContainsFunc(s.groups(), func(g autoscalingapi.AutoScalingGroup) bool { return *g.AutoScalingGroupName == name }) {
				s.create(name)
			}
		}
		s.pause(10 * time.Minute)
	}
}
