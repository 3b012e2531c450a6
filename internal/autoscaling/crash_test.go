package autoscaling_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/autoscaling"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

var errKilled = errors.New("the server was killed")

// mortal is EC2, IAM and the store as seen by a server that is killed at a given step: before a call or
// a commit reaches them, or after they acted and before the answer arrives. The dead server gets no
// answer any more.
type mortal struct {
	ec2   autoscaling.Compute
	roles autoscaling.Roles

	mu    sync.Mutex
	steps int
	kill  int // the step; 0: never
	dead  bool
}

func (m *mortal) step() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dead {
		m.steps++
		m.dead = m.steps == m.kill
	}
	return m.dead
}

func (m *mortal) killed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// mortalStore is the store of such a server.
type mortalStore struct {
	store.Store
	m *mortal
}

// View implements [store.Store].
func (s mortalStore) View(ctx context.Context, fn func(store.Tx) error) error {
	if s.m.killed() {
		return errKilled
	}
	return s.Store.View(ctx, fn)
}

// Update implements [store.Store].
func (s mortalStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	_, err := pass(s.m, func() (any, error) { return nil, s.Store.Update(ctx, fn) })
	return err
}

func pass[T any](m *mortal, call func() (T, error)) (none T, err error) {
	if m.step() {
		return none, errKilled
	}
	out, err := call()
	if m.step() {
		return none, errKilled
	}
	return out, err
}

func (m *mortal) RunInstances(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
	return pass(m, func() (*ec2api.Reservation, error) { return m.ec2.RunInstances(ctx, c, as, in) })
}

func (m *mortal) TerminateInstances(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error) {
	return pass(m, func() (*ec2api.TerminateInstancesResult, error) { return m.ec2.TerminateInstances(ctx, c, as, in) })
}

func (m *mortal) StartInstances(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error) {
	return pass(m, func() (*ec2api.StartInstancesResult, error) { return m.ec2.StartInstances(ctx, c, as, in) })
}

func (m *mortal) StopInstances(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error) {
	return pass(m, func() (*ec2api.StopInstancesResult, error) { return m.ec2.StopInstances(ctx, c, as, in) })
}

func (m *mortal) CreateTags(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.CreateTagsRequest) error {
	_, err := pass(m, func() (any, error) { return nil, m.ec2.CreateTags(ctx, c, as, in) })
	return err
}

func (m *mortal) DeleteTags(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DeleteTagsRequest) error {
	_, err := pass(m, func() (any, error) { return nil, m.ec2.DeleteTags(ctx, c, as, in) })
	return err
}

func (m *mortal) DescribeInstances(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DescribeInstancesRequest) (*ec2api.DescribeInstancesResult, error) {
	return pass(m, func() (*ec2api.DescribeInstancesResult, error) { return m.ec2.DescribeInstances(ctx, c, as, in) })
}

func (m *mortal) DescribeSubnets(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error) {
	return pass(m, func() (*ec2api.DescribeSubnetsResult, error) { return m.ec2.DescribeSubnets(ctx, c, as, in) })
}

func (m *mortal) DescribeAvailabilityZones(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DescribeAvailabilityZonesRequest) (*ec2api.DescribeAvailabilityZonesResult, error) {
	return pass(m, func() (*ec2api.DescribeAvailabilityZonesResult, error) {
		return m.ec2.DescribeAvailabilityZones(ctx, c, as, in)
	})
}

func (m *mortal) DescribeInstanceTypes(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error) {
	return pass(m, func() (*ec2api.DescribeInstanceTypesResult, error) {
		return m.ec2.DescribeInstanceTypes(ctx, c, as, in)
	})
}

func (m *mortal) DescribeLaunchTemplateVersions(ctx context.Context, c *guard.Call, as guard.Caller, in *ec2api.DescribeLaunchTemplateVersionsRequest) (*ec2api.DescribeLaunchTemplateVersionsResult, error) {
	return pass(m, func() (*ec2api.DescribeLaunchTemplateVersionsResult, error) {
		return m.ec2.DescribeLaunchTemplateVersions(ctx, c, as, in)
	})
}

func (m *mortal) CreateServiceLinkedRole(ctx context.Context, c *guard.Call, as guard.Caller, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error) {
	return pass(m, func() (*iamapi.CreateServiceLinkedRoleResponse, error) {
		return m.roles.CreateServiceLinkedRole(ctx, c, as, in)
	})
}

func (m *mortal) AssumeServiceRole(ctx context.Context, c *guard.Call, service, role, session string) (directory.Identity, error) {
	return pass(m, func() (directory.Identity, error) { return m.roles.AssumeServiceRole(ctx, c, service, role, session) })
}

// A crashWorld is a world whose server is killed once.
type crashWorld struct {
	*world
	m    *mortal
	next *guard.Guard // of the server after the crash
	// then is what a user does right after the restart, in place of the rest of the story.
	then func(*crashWorld)
	over bool
}

func newCrashWorld(t *testing.T, kill int, then func(*crashWorld)) *crashWorld {
	w := &crashWorld{world: newWorld(t), then: then}
	w.service.Stop()
	w.ec2.run = true
	w.m = &mortal{ec2: w.ec2, roles: w.roles, kill: kill}
	w.compute, w.iam = w.m, w.m
	w.next = w.Guard
	w.Guard = guard.New(guard.Config{Store: mortalStore{w.Store, w.m}, Directory: w.Directory, Trail: w.Trail, Now: w.Clock.Now, Logger: w.Logger})
	w.m.kill = 0 // not while it starts
	w.start()
	w.m.kill = kill
	changed := w.ec2.changed
	w.ec2.changed = func(id string) {
		if !w.m.killed() {
			changed(id)
		}
	}
	return w
}

// revive starts the server again if it was killed.
func (w *crashWorld) revive() {
	if w.compute != w.m || !w.m.killed() {
		return
	}
	w.service.Stop()
	w.compute, w.iam, w.Guard = w.ec2, w.roles, w.next
	w.start()
	if w.then != nil {
		w.over = true
		w.then(w)
	}
}

// ask makes a request; one that the death of the server cut off is made again.
func (w *crashWorld) ask(op string, in any) {
	w.T.Helper()
	if w.revive(); w.over {
		return
	}
	err := w.try(op, in)
	if errors.Is(err, errKilled) {
		if w.revive(); w.over {
			return
		}
		// The request may have been carried out, and only its answer be lost.
		if err = w.try(op, in); apierr.Code(err) == "AlreadyExists" || apierr.Code(err) == "ScalingActivityInProgress" {
			err = nil
		}
	}
	w.Must(err)
}

// rest lets the group come to rest, through a restart if need be.
func (w *crashWorld) rest() {
	w.Advance(5 * time.Second)
	w.revive()
	w.Advance(3 * time.Minute)
	w.revive()
	w.Advance(3 * time.Minute)
}

// sound fails the test unless exactly the instances of the group run, as many as are desired, and
// nothing is left open.
func (w *crashWorld) sound(when string) {
	w.T.Helper()
	var members []string
	want := 0
	out, err := w.do(w.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{})
	w.Must(err)
	for _, g := range out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups {
		want += int(*g.DesiredCapacity)
		for _, i := range g.Instances {
			members = append(members, *i.InstanceId)
			if *i.LifecycleState != "InService" {
				w.T.Errorf("%s: %s is %s", when, *i.InstanceId, *i.LifecycleState)
			}
		}
	}
	slices.Sort(members)
	if run := w.ec2.ids("pending", "running", "stopping", "stopped", "shutting-down"); !slices.Equal(run, members) {
		w.T.Errorf("%s: EC2 has %v, the group %v", when, run, members)
	}
	if len(members) != want {
		w.T.Errorf("%s: %d instances, want %d", when, len(members), want)
	}
	for _, a := range w.activities(&autoscalingapi.DescribeScalingActivitiesType{IncludeDeletedGroups: new(true)}) {
		if a.EndTime == nil || *a.Progress != 100 {
			w.T.Errorf("%s: activity %q is %s", when, *a.Description, *a.StatusCode)
		}
	}
}

// life is what happens to a group in the test.
func (w *crashWorld) life(create *autoscalingapi.CreateAutoScalingGroupType) {
	desire := func(n int32) {
		w.ask("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: &n})
		w.rest()
	}
	w.ask("CreateLaunchConfiguration", spotConfiguration("spot", "0.05"))
	w.ask("CreateAutoScalingGroup", create)
	w.rest()
	if ids := w.ec2.ids("running"); len(ids) > 0 {
		w.ec2.become(ids[0], "terminated", "")
	}
	w.rest()
	desire(3)
	if ids := w.ec2.ids("running"); len(ids) > 0 {
		w.ask("TerminateInstanceInAutoScalingGroup", &autoscalingapi.TerminateInstanceInAutoScalingGroupType{
			InstanceId: &ids[0], ShouldDecrementDesiredCapacity: new(true),
		})
	}
	w.rest()
	desire(1)
	w.sound("before the end")
	w.ask("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	w.rest()
}

// kills are the steps at which the server is killed: some, from a random one on, or all in a long run.
func kills(t *testing.T, steps int) iter.Seq[int] {
	stride := 4
	if os.Getenv("SOAKTIME") != "" {
		stride = 1
	}
	first := 1 + rand.IntN(stride)
	t.Logf("killed at step %d and every %d after it, of %d", first, stride, steps)
	return func(yield func(int) bool) {
		for kill := first; kill <= steps && yield(kill); kill += stride {
		}
	}
}

// Wherever the server is killed, nothing is left over and nothing is missing after its restart,
// also if the group is changed before it is looked at again.
func TestKilledAnywhere(t *testing.T) {
	sources := map[string]func() *autoscalingapi.CreateAutoScalingGroupType{
		"Spot configuration": func() *autoscalingapi.CreateAutoScalingGroupType { return byConfig("g", "spot", 2) },
		"mixed with weights": func() *autoscalingapi.CreateAutoScalingGroupType {
			return mixed("g", 2, &autoscalingapi.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: new(int32(50))}, "m5.large", "c5.large")
		},
	}
	quiet := func(w *crashWorld, op string, in any) {
		if err := w.try(op, in); err != nil && !strings.Contains(err.Error(), "not found") && apierr.Code(err) != "ScalingActivityInProgress" {
			w.T.Errorf("%s: %v", op, err)
		}
	}
	afterwards := map[string]func(*crashWorld){
		"nothing": nil,
		"no capacity wanted": func(w *crashWorld) {
			quiet(w, "UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), MinSize: new(int32(0)), DesiredCapacity: new(int32(0))})
		},
		"deleted": func(w *crashWorld) {
			quiet(w, "DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
		},
		"another template, which EC2 refuses": func(w *crashWorld) {
			w.ec2.mu.Lock()
			w.ec2.refuse, w.ec2.templates = apierr.New("InvalidAMIID.NotFound", "The image is gone."), templatesNamed("new")
			w.ec2.mu.Unlock()
			quiet(w, "UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{
				AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(0)),
				LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("new")},
			})
		},
	}
	for source, create := range sources {
		for after, then := range afterwards {
			if then != nil && source != "Spot configuration" { // it has the most steps
				continue
			}
			t.Run(source+"/"+after, func(t *testing.T) {
				w := newCrashWorld(t, 0, nil)
				w.life(create())
				w.sound("without a crash")
				steps := w.m.steps
				if steps < 40 {
					t.Fatalf("only %d steps", steps)
				}
				for kill := range kills(t, steps) {
					t.Run(fmt.Sprint(kill), func(t *testing.T) {
						t.Parallel()
						w := newCrashWorld(t, kill, then)
						w.life(create())
						w.rest()
						w.sound("at the end")
					})
				}
			})
		}
	}
}
