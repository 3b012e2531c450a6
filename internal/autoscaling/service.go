package autoscaling

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// Principal is the service principal of Auto Scaling.
const Principal = "autoscaling.amazonaws.com"

// sessionName is the name of every session of the service-linked role.
const sessionName = launch.AutoScalingSession

// Compute is EC2 as Auto Scaling calls it.
type Compute interface {
	RunInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error)
	TerminateInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error)
	StartInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error)
	StopInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error)
	CreateTags(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.CreateTagsRequest) error
	DeleteTags(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DeleteTagsRequest) error
	DescribeInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeInstancesRequest) (*ec2api.DescribeInstancesResult, error)
	DescribeSubnets(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error)
	DescribeAvailabilityZones(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeAvailabilityZonesRequest) (*ec2api.DescribeAvailabilityZonesResult, error)
	DescribeInstanceTypes(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error)
	DescribeLaunchTemplateVersions(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeLaunchTemplateVersionsRequest) (*ec2api.DescribeLaunchTemplateVersionsResult, error)
}

// Roles makes and assumes the service-linked role.
type Roles interface {
	CreateServiceLinkedRole(ctx context.Context, parent *guard.Call, as guard.Caller, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error)
	// AssumeServiceRole is sts:AssumeRole by a service principal on a role that trusts it.
	AssumeServiceRole(ctx context.Context, parent *guard.Call, service, roleARN, session string) (directory.Identity, error)
}

// Timing of the loop. The zero value of a field means its default.
type Timing struct {
	RetryFirst   time.Duration // before the first new attempt after a failed launch; 60 s
	RetryMax     time.Duration // between attempts; 15 min
	SuspendAfter time.Duration // without a successful launch; 24 h
	Detect       time.Duration // from a change of state to the check that sees it; 1 s
	Jitter       float64       // part of a delay that is random; 0.1
	// Refresh is how long an instance refresh is pending before it begins; nothing by default.
	Refresh time.Duration
}

func (t Timing) withDefaults() Timing {
	if t.RetryFirst == 0 {
		t.RetryFirst = time.Minute
	}
	if t.RetryMax == 0 {
		t.RetryMax = 15 * time.Minute
	}
	if t.SuspendAfter == 0 {
		t.SuspendAfter = 24 * time.Hour
	}
	if t.Detect == 0 {
		t.Detect = time.Second
	}
	return t
}

// Config of a [Service].
type Config struct {
	Guard   *guard.Guard
	Clock   *clock.Clock
	Compute Compute
	Roles   Roles
	// Profiles finds an instance profile of an account by its name or ARN, and the role in it, "" if there is none. It
	// decides nothing. Nil means that there are no profiles.
	Profiles func(tx store.Tx, account, nameOrARN string) (role string, ok bool, err error)
	// Images says why an account cannot launch an image, as EC2 words it; without it every image is there.
	Images func(tx store.Tx, region, account, id string, now time.Time) error
	Timing Timing
	// MaxGroups is the quota of groups of an account and Region; 0 is AWS's 500.
	MaxGroups int
	// Events takes an event of a launch or a termination, as EventBridge gets it at AWS, in JSON. One
	// that it does not take is given to it again. Nil wants none.
	Events func(ctx context.Context, event []byte) error
	Logger *slog.Logger
}

// A Service is Auto Scaling for all accounts and regions. Safe for concurrent use.
type Service struct {
	g       *guard.Guard
	dir     *directory.Directory
	clock   *clock.Clock
	compute Compute
	roles   Roles
	// profiles is that of the configuration, never nil.
	profiles func(tx store.Tx, account, nameOrARN string) (role string, ok bool, err error)
	// images is that of the configuration, never nil.
	images func(tx store.Tx, region, account, id string, now time.Time) error
	timing Timing
	// maxGroups is the quota of groups of an account and Region.
	maxGroups int
	events    func(ctx context.Context, event []byte) error
	log       *slog.Logger

	mu          sync.Mutex
	groups      map[place]*loop // guarded by mu
	closed      bool            // guarded by mu
	delivering  bool            // guarded by mu
	undelivered bool            // guarded by mu: there may be events that deliverAll has not seen
	deliverWait time.Duration   // guarded by mu
}

// loop is the running state of one group: at most one pass at a time.
type loop struct {
	running bool
	again   bool
	timer   *clock.Timer
	due     time.Time
}

// New makes a Service. Call Start before serving.
func New(cfg Config) *Service {
	if cfg.Profiles == nil {
		cfg.Profiles = func(store.Tx, string, string) (string, bool, error) { return "", false, nil }
	}
	if cfg.Images == nil {
		cfg.Images = func(store.Tx, string, string, string, time.Time) error { return nil }
	}
	return &Service{
		g: cfg.Guard, dir: cfg.Guard.Directory(), clock: cfg.Clock, compute: cfg.Compute, roles: cfg.Roles, profiles: cfg.Profiles, images: cfg.Images,
		timing: cfg.Timing.withDefaults(), maxGroups: cmp.Or(cfg.MaxGroups, defaultGroups), events: cfg.Events, log: cfg.Logger, groups: map[place]*loop{},
	}
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateAutoScalingGroup":               guard.HandleVoid(s.CreateAutoScalingGroup),
		"UpdateAutoScalingGroup":               guard.HandleVoid(s.UpdateAutoScalingGroup),
		"DeleteAutoScalingGroup":               guard.HandleVoid(s.DeleteAutoScalingGroup),
		"DescribeAutoScalingGroups":            guard.Handle(s.DescribeAutoScalingGroups),
		"DescribeAutoScalingInstances":         guard.Handle(s.DescribeAutoScalingInstances),
		"DescribeScalingActivities":            guard.Handle(s.DescribeScalingActivities),
		"SetDesiredCapacity":                   guard.HandleVoid(s.SetDesiredCapacity),
		"TerminateInstanceInAutoScalingGroup":  guard.Handle(s.TerminateInstanceInAutoScalingGroup),
		"SetInstanceHealth":                    guard.HandleVoid(s.SetInstanceHealth),
		"SetInstanceProtection":                guard.Handle(s.SetInstanceProtection),
		"SuspendProcesses":                     guard.HandleVoid(s.SuspendProcesses),
		"ResumeProcesses":                      guard.HandleVoid(s.ResumeProcesses),
		"CreateOrUpdateTags":                   guard.HandleVoid(s.CreateOrUpdateTags),
		"DeleteTags":                           guard.HandleVoid(s.DeleteTags),
		"DescribeTags":                         guard.Handle(s.DescribeTags),
		"CreateLaunchConfiguration":            guard.HandleVoid(s.CreateLaunchConfiguration),
		"DescribeLaunchConfigurations":         guard.Handle(s.DescribeLaunchConfigurations),
		"DeleteLaunchConfiguration":            guard.HandleVoid(s.DeleteLaunchConfiguration),
		"DescribeAccountLimits":                guard.Handle(s.DescribeAccountLimits),
		"DescribeTerminationPolicyTypes":       guard.Handle(s.DescribeTerminationPolicyTypes),
		"DescribeAdjustmentTypes":              guard.Handle(s.DescribeAdjustmentTypes),
		"DescribeScalingProcessTypes":          guard.Handle(s.DescribeScalingProcessTypes),
		"DescribeAutoScalingNotificationTypes": guard.Handle(s.DescribeAutoScalingNotificationTypes),
		"DescribeMetricCollectionTypes":        guard.Handle(s.DescribeMetricCollectionTypes),
		"DescribeLifecycleHookTypes":           guard.Handle(s.DescribeLifecycleHookTypes),
		"DescribePolicies":                     guard.Handle(s.DescribePolicies),
		"DescribeScheduledActions":             guard.Handle(s.DescribeScheduledActions),
		"DescribeNotificationConfigurations":   guard.Handle(s.DescribeNotificationConfigurations),
		"DescribeLifecycleHooks":               guard.Handle(s.DescribeLifecycleHooks),
		"DescribeLoadBalancers":                guard.Handle(s.DescribeLoadBalancers),
		"DescribeLoadBalancerTargetGroups":     guard.Handle(s.DescribeLoadBalancerTargetGroups),
		"DescribeTrafficSources":               guard.Handle(s.DescribeTrafficSources),
		"DescribeWarmPool":                     guard.Handle(s.DescribeWarmPool),
		"DescribeInstanceRefreshes":            guard.Handle(s.DescribeInstanceRefreshes),
		"PutScalingPolicy":                     guard.Handle(s.PutScalingPolicy),
		"DeletePolicy":                         guard.HandleVoid(s.DeletePolicy),
		"ExecutePolicy":                        guard.HandleVoid(s.ExecutePolicy),
		"GetPredictiveScalingForecast":         guard.Handle(s.GetPredictiveScalingForecast),
		"EnableMetricsCollection":              guard.HandleVoid(s.EnableMetricsCollection),
		"DisableMetricsCollection":             guard.HandleVoid(s.DisableMetricsCollection),
		"PutScheduledUpdateGroupAction":        guard.HandleVoid(s.PutScheduledUpdateGroupAction),
		"BatchPutScheduledUpdateGroupAction":   guard.Handle(s.BatchPutScheduledUpdateGroupAction),
		"DeleteScheduledAction":                guard.HandleVoid(s.DeleteScheduledAction),
		"BatchDeleteScheduledAction":           guard.Handle(s.BatchDeleteScheduledAction),
		"PutNotificationConfiguration":         guard.HandleVoid(s.PutNotificationConfiguration),
		"DeleteNotificationConfiguration":      guard.HandleVoid(s.DeleteNotificationConfiguration),
		"AttachLoadBalancers":                  guard.Handle(s.AttachLoadBalancers),
		"DetachLoadBalancers":                  guard.Handle(s.DetachLoadBalancers),
		"AttachLoadBalancerTargetGroups":       guard.Handle(s.AttachLoadBalancerTargetGroups),
		"DetachLoadBalancerTargetGroups":       guard.Handle(s.DetachLoadBalancerTargetGroups),
		"AttachTrafficSources":                 guard.Handle(s.AttachTrafficSources),
		"DetachTrafficSources":                 guard.Handle(s.DetachTrafficSources),
		"PutLifecycleHook":                     guard.Handle(s.PutLifecycleHook),
		"DeleteLifecycleHook":                  guard.Handle(s.DeleteLifecycleHook),
		"CompleteLifecycleAction":              guard.Handle(s.CompleteLifecycleAction),
		"RecordLifecycleActionHeartbeat":       guard.Handle(s.RecordLifecycleActionHeartbeat),
		"EnterStandby":                         guard.Handle(s.EnterStandby),
		"ExitStandby":                          guard.Handle(s.ExitStandby),
		"AttachInstances":                      guard.HandleVoid(s.AttachInstances),
		"DetachInstances":                      guard.Handle(s.DetachInstances),
		"PutWarmPool":                          guard.Handle(s.PutWarmPool),
		"DeleteWarmPool":                       guard.Handle(s.DeleteWarmPool),
		"StartInstanceRefresh":                 guard.Handle(s.StartInstanceRefresh),
		"CancelInstanceRefresh":                guard.Handle(s.CancelInstanceRefresh),
		"LaunchInstances":                      guard.Handle(s.LaunchInstances),
		"RollbackInstanceRefresh":              guard.Handle(s.RollbackInstanceRefresh),
	}
}

// Start looks at every group: what happened while the server was down is seen now.
func (s *Service) Start(ctx context.Context) error {
	var all []place
	err := s.g.Read(ctx, func(tx store.Tx) error {
		all = nil
		for r, err := range groupTable.Scan(tx) {
			if err != nil {
				return err
			}
			all = append(all, r.Value.place())
		}
		return nil
	})
	for _, p := range all {
		s.wake(p, 0)
	}
	if err != nil {
		return err
	}
	return s.startEvents(ctx)
}

// Stop ends the loops; passes that run are not interrupted (the clock waits for them).
func (s *Service) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.groups {
		if l.timer != nil {
			l.timer.Stop()
		}
	}
}

// InstanceChanged tells that an instance changed its state. EC2 calls it after the change.
func (s *Service) InstanceChanged(ctx context.Context, region, account, instance string) {
	var group string
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		group, _, err = memberOf.Get(tx, region, account, instance)
		return err
	})
	if err != nil {
		store.Report(ctx, s.log, "a change of an instance was not seen", err, "instance", instance)
		if !store.Over(err) && ctx.Err() == nil {
			s.clock.AfterFunc(s.timing.RetryFirst, func() { s.InstanceChanged(ctx, region, account, instance) })
		}
		return
	}
	if group != "" {
		s.wake(place{region, account, group}, s.timing.Detect)
	}
}

// RoleUsage reports the regions and groups in which a service-linked role is used, for its deletion.
func (s *Service) RoleUsage(tx store.Tx, roleARN string) (map[string][]string, error) {
	use := map[string][]string{}
	bids := map[string]bool{} // the launch configurations that use the Spot role
	for r, err := range configTable.Scan(tx) {
		if err != nil {
			return nil, err
		}
		if c := &r.Value; c.Params.SpotPrice != nil && spotRole(c.Account) == roleARN {
			bids[store.Key(c.Region, c.Account, c.Name)] = true
		}
	}
	for r, err := range groupTable.Scan(tx) {
		if err != nil {
			return nil, err
		}
		if g := &r.Value; g.Role == roleARN || g.Config != "" && bids[store.Key(g.Region, g.Account, g.Config)] {
			use[r.Value.Region] = append(use[r.Value.Region], r.Value.arn())
		}
	}
	return use, nil
}

// wake has a group looked at after d, or sooner if it is due sooner already.
func (s *Service) wake(p place, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	l := s.groups[p]
	if l == nil {
		l = &loop{}
		s.groups[p] = l
	}
	due := s.g.Now().Add(d)
	if l.timer != nil {
		if !l.due.After(due) {
			return
		}
		l.timer.Stop()
	}
	l.due = due
	l.timer = s.clock.AfterFunc(d, func() { s.pass(p) })
}

// pass runs one look at a group; a second one at the same time waits for its turn.
func (s *Service) pass(p place) {
	s.mu.Lock()
	l := s.groups[p]
	if l == nil { // of a timer that could not be stopped any more
		l = &loop{}
		s.groups[p] = l
	}
	l.timer = nil
	if l.running {
		l.again = true
		s.mu.Unlock()
		return
	}
	l.running = true
	s.mu.Unlock()

	s.reconcile(context.Background(), p)
	s.deliver()

	s.mu.Lock()
	l.running = false
	again := l.again
	l.again = false
	if !again && l.timer == nil { // nothing is to be done until something happens
		delete(s.groups, p)
	}
	s.mu.Unlock()
	if again {
		s.wake(p, 0)
	}
}

// validation is the error of most refusals.
func validation(format string, args ...any) error {
	return apierr.Newf("ValidationError", format, args...)
}

func notFound(name string) error {
	return validation("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
}

// resource is a group as the object of a decision.
func (s *Service) resource(g *groupRecord) authz.Resource {
	r := authz.Resource{ARN: g.arn(), Account: g.Account}
	for _, t := range g.Tags {
		r.Tags = append(r.Tags, authz.Tag{Key: t.Key, Value: t.Value})
	}
	return r
}

// part is the evaluation of an action on a group.
func (s *Service) part(g *groupRecord, action string) authz.Part {
	p := authz.Part{Action: action, Resource: s.resource(g)}
	for _, t := range g.Tags {
		p.Context.Set("autoscaling:resourcetag/"+t.Key, t.Value)
	}
	return p
}

// allowList decides an action that has no resource.
func (s *Service) allowList(tx store.Tx, c *guard.Call, action string) error {
	_, err := s.g.Allow(tx, c, authz.Part{Action: action, Resource: authz.Resource{ARN: "*", Account: c.Account()}})
	return err
}

// load reads a group of the caller's account and decides an action on it. A group that does not
// exist is not found only for those who may act on a group of that name.
func (s *Service) load(tx store.Tx, c *guard.Call, name, action string, more func(*groupRecord, *authz.Part)) (groupRecord, error) {
	g, ok, err := groupTable.Get(tx, c.Region, c.Account(), name)
	if err != nil {
		return g, err
	}
	if !ok {
		g = groupRecord{Region: c.Region, Account: c.Account(), Name: name, UUID: "*"}
	}
	p := s.part(&g, action)
	if more != nil {
		more(&g, &p)
	}
	if _, err := s.g.Allow(tx, c, p); err != nil {
		return g, err
	}
	if !ok {
		return g, notFound(name)
	}
	c.Touch(g.arn(), g.Account, "AWS::AutoScaling::AutoScalingGroup")
	return g, nil
}

func (s *Service) put(tx store.Tx, g groupRecord) error {
	return groupTable.Put(tx, g, g.place().key()...)
}

func members(tx store.Tx, p place) ([]memberRecord, error) {
	var out []memberRecord
	for r, err := range memberTable.Scan(tx, p.key()...) {
		if err != nil {
			return nil, err
		}
		out = append(out, r.Value)
	}
	return out, nil
}

func putMember(tx store.Tx, p place, m memberRecord) error {
	return memberTable.Put(tx, m, p.Region, p.Account, p.Name, m.ID)
}

func deleteMember(tx store.Tx, p place, id string) error {
	if err := memberOf.Delete(tx, p.Region, p.Account, id); err != nil {
		return err
	}
	return memberTable.Delete(tx, p.Region, p.Account, p.Name, id)
}

// apiError is the API error in err's chain.
func apiError(err error) (*apierr.Error, bool) { return errors.AsType[*apierr.Error](err) }
