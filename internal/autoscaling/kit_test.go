package autoscaling_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/autoscaling"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

const account = "123456789012"

// A world is Auto Scaling over an EC2 and an IAM that only remember.
type world struct {
	*guardtest.World
	service *autoscaling.Service
	ec2     *fakeEC2
	roles   *fakeRoles
	admin   guard.Caller
	// compute and iam are what the service calls: ec2 and roles, unless a test puts something before them.
	compute autoscaling.Compute
	iam     autoscaling.Roles
	// timing is that of the service. It is read when the service starts.
	timing autoscaling.Timing
	// events takes the events of the service, nil for none. It is read when the service starts.
	events func(context.Context, []byte) error
}

func newWorld(t *testing.T) *world {
	w := &world{World: guardtest.New(t), timing: autoscaling.Timing{RetryFirst: time.Minute, Jitter: 1e-9}}
	w.ec2 = &fakeEC2{instances: map[string]*ec2api.Instance{}, tokens: map[string]string{}, markets: map[string]string{}}
	w.roles = &fakeRoles{w: w.World}
	w.compute, w.iam = w.ec2, w.roles
	w.admin = w.Lookup(account + "ADMIN")
	w.start()
	return w
}

// profiles has the instance profiles p, bare and web; bare has no role.
func profiles(_ store.Tx, account, nameOrARN string) (string, bool, error) {
	switch name := strings.TrimPrefix(nameOrARN, "arn:aws:iam::"+account+":instance-profile/"); name {
	case "bare":
		return "", true, nil
	case "p", "web":
		return "arn:aws:iam::" + account + ":role/" + name, true, nil
	}
	return "", false, nil
}

// start makes the service anew over what is stored.
func (w *world) start() {
	w.service = autoscaling.New(autoscaling.Config{
		Guard: w.Guard, Clock: w.Clock, Compute: w.compute, Roles: w.iam, Events: w.events, Logger: w.Logger,
		Timing: w.timing, Profiles: profiles, Images: images,
	})
	w.ec2.changed = func(id string) { w.service.InstanceChanged(context.Background(), guardtest.Region, account, id) }
	w.Must(w.service.Start(w.T.Context()))
}

func (w *world) do(as guard.Caller, op string, in any) (any, error) {
	return w.Invoke(w.T.Context(), as, autoscalingapi.Service(), w.service.Operations(), op, in)
}

func (w *world) try(op string, in any) error {
	_, err := w.do(w.admin, op, in)
	return err
}

func (w *world) must(op string, in any) {
	w.T.Helper()
	w.Must(w.try(op, in))
}

// request is a group of one to five instances.
func request(name string, desired int32) *autoscalingapi.CreateAutoScalingGroupType {
	return &autoscalingapi.CreateAutoScalingGroupType{
		AutoScalingGroupName: &name, MinSize: new(int32(0)), MaxSize: new(int32(5)), DesiredCapacity: &desired,
		AvailabilityZones: []string{"us-west-2a", "us-west-2b"},
		LaunchTemplate:    &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("$Latest")},
	}
}

func (w *world) group(name string) autoscalingapi.AutoScalingGroup {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{AutoScalingGroupNames: []string{name}})
	w.Must(err)
	groups := out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups
	if len(groups) != 1 {
		w.T.Fatalf("%d groups called %s", len(groups), name)
	}
	return groups[0]
}

func (w *world) activities(in *autoscalingapi.DescribeScalingActivitiesType) []autoscalingapi.Activity {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribeScalingActivities", in)
	w.Must(err)
	return out.(*autoscalingapi.ActivitiesType).Activities
}

// history is the activities of a group as "status | message | description", newest first.
func (w *world) history(name string) []string {
	w.T.Helper()
	var out []string
	for _, a := range w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: &name}) {
		out = append(out, strings.Join([]string{*a.StatusCode, api.Val(a.StatusMessage), *a.Description}, " | "))
	}
	return out
}

// states are the lifecycle states of a group's instances, sorted.
func (w *world) states(name string) string {
	w.T.Helper()
	var out []string
	for _, i := range w.group(name).Instances {
		out = append(out, *i.LifecycleState)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// fakeEC2 keeps instances; each is pending until the test says what becomes of it, or runs at
// once if run is set.
type fakeEC2 struct {
	gpus       bool   // g4dn.xlarge is there
	plain      string // a type that cannot have encrypted volumes
	mu         sync.Mutex
	instances  map[string]*ec2api.Instance
	tokens     map[string]string                             // client token: instance
	callers    []string                                      // of RunInstances that were no dry run
	requests   []ec2api.RunInstancesRequest                  // that were no dry run
	templates  map[string]*ec2api.ResponseLaunchTemplateData // by name, besides "web"
	full       map[string]string                             // subnet or type that has no capacity: error code
	refuse     *apierr.Error                                 // of RunInstances
	dryRun     *apierr.Error                                 // of dry runs
	notFor     map[string]*apierr.Error                      // of dry runs, by type
	tried      []string                                      // dry runs: template, type and image
	triedIn    []string                                      // their subnets, or ""
	markets    map[string]string                             // of instances: on-demand or spot
	run        bool
	starters   []string // callers of StartInstances
	startFails string   // why instances that are started stop again
	version    int      // of the launch templates; 0 is 3
	changed    func(id string)
}

func (e *fakeEC2) RunInstances(_ context.Context, _ *guard.Call, as guard.Caller, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if api.Val(in.DryRun) {
		e.tried = append(e.tried, strings.TrimSpace(api.Val(in.LaunchTemplate.LaunchTemplateId)+" "+api.Val(in.InstanceType)+" "+api.Val(in.ImageId)))
		e.triedIn = append(e.triedIn, api.Val(in.SubnetId))
		if why := e.notFor[api.Val(in.InstanceType)]; why != nil {
			return nil, why
		}
		if e.dryRun != nil {
			return nil, e.dryRun
		}
		return nil, apierr.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	e.callers, e.requests = append(e.callers, as.Principal.ARN), append(e.requests, *in)
	if e.refuse != nil {
		return nil, e.refuse
	}
	if code := cmp.Or(e.full[api.Val(in.SubnetId)], e.full[api.Val(in.InstanceType)]); code != "" {
		return nil, apierr.New(code, "There is none of it.")
	}
	if m := in.InstanceMarketOptions; m != nil && api.Val(m.SpotOptions.MaxPrice) != "" && *m.SpotOptions.MaxPrice < "0.0031" {
		return nil, apierr.New("SpotMaxPriceTooLow", launch.SpotPriceTooLow(*m.SpotOptions.MaxPrice, "0.0031"))
	}
	id := e.tokens[*in.ClientToken]
	if id == "" {
		id = fmt.Sprintf("i-%017x", len(e.tokens)+1)
		e.tokens[*in.ClientToken] = id
		state := ec2api.InstanceStateNamePending
		if e.run {
			state = ec2api.InstanceStateNameRunning
		}
		e.markets[id] = "on-demand"
		var lifecycle *string
		if in.InstanceMarketOptions != nil {
			e.markets[id], lifecycle = *in.InstanceMarketOptions.MarketType, in.InstanceMarketOptions.MarketType
		}
		e.instances[id] = &ec2api.Instance{
			InstanceId: &id, InstanceType: new(cmp.Or(api.Val(in.InstanceType), "t3.micro")), ClientToken: in.ClientToken, InstanceLifecycle: lifecycle, State: &ec2api.InstanceState{Name: &state},
			Placement: &ec2api.Placement{AvailabilityZone: new("us-west-2" + strings.TrimPrefix(api.Val(in.SubnetId), "subnet-"))},
			Tags:      append(in.TagSpecifications[0].Tags, ec2api.Tag{Key: new("aws:ec2launchtemplate:version"), Value: new(e.latest(in.LaunchTemplate))}),
		}
	}
	return &ec2api.Reservation{Instances: []ec2api.Instance{*e.instances[id]}}, nil
}

// latest is the number of a template's version.
func (e *fakeEC2) latest(spec *ec2api.LaunchTemplateSpecification) string {
	if spec != nil && api.Val(spec.Version) != "" && !strings.HasPrefix(*spec.Version, "$") {
		return *spec.Version
	}
	return strconv.Itoa(cmp.Or(e.version, 3))
}

func (e *fakeEC2) market(id string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.markets[id]
}

// become sets the state of an instance and tells the group.
func (e *fakeEC2) become(id, state, reason string) {
	e.mu.Lock()
	i := *e.instances[id]
	i.State, i.StateReason = &ec2api.InstanceState{Name: &state}, nil
	if reason != "" {
		i.StateReason = &ec2api.StateReason{Message: &reason}
	}
	e.instances[id] = &i
	e.mu.Unlock()
	e.changed(id)
}

func (e *fakeEC2) ids(states ...string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, id := range slices.Sorted(maps.Keys(e.instances)) {
		if slices.Contains(states, *e.instances[id].State.Name) {
			out = append(out, id)
		}
	}
	return out
}

func (e *fakeEC2) TerminateInstances(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error) {
	for _, id := range in.InstanceIds {
		e.become(id, ec2api.InstanceStateNameTerminated, "")
	}
	return &ec2api.TerminateInstancesResult{}, nil
}

// StartInstances starts instances, unless the test has a reason why their volumes do not open.
func (e *fakeEC2) StartInstances(_ context.Context, _ *guard.Call, as guard.Caller, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error) {
	for _, id := range in.InstanceIds {
		e.mu.Lock()
		e.starters = append(e.starters, as.Principal.ARN)
		fails := e.startFails
		e.mu.Unlock()
		if fails != "" {
			e.become(id, ec2api.InstanceStateNameStopped, fails)
		} else {
			e.become(id, ec2api.InstanceStateNameRunning, "")
		}
	}
	return &ec2api.StartInstancesResult{}, nil
}

func (e *fakeEC2) StopInstances(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error) {
	for _, id := range in.InstanceIds {
		e.become(id, ec2api.InstanceStateNameStopped, "")
	}
	return &ec2api.StopInstancesResult{}, nil
}

func (e *fakeEC2) CreateTags(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.CreateTagsRequest) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range in.Resources {
		i := *e.instances[id]
		i.Tags = append(slices.Clone(i.Tags), in.Tags...)
		e.instances[id] = &i
	}
	return nil
}

func (e *fakeEC2) DeleteTags(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.DeleteTagsRequest) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range in.Resources {
		i := *e.instances[id]
		i.Tags = slices.DeleteFunc(slices.Clone(i.Tags), func(t ec2api.Tag) bool { return *t.Key == *in.Tags[0].Key })
		e.instances[id] = &i
	}
	return nil
}

// tag is the value of an instance's tag.
func (e *fakeEC2) tag(id, key string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.instances[id].Tags {
		if *t.Key == key {
			return *t.Value
		}
	}
	return ""
}

func (e *fakeEC2) DescribeInstances(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.DescribeInstancesRequest) (*ec2api.DescribeInstancesResult, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := ec2api.Reservation{}
	for _, id := range in.Filters[0].Values {
		if *in.Filters[0].Name == "client-token" {
			id = e.tokens[id]
		}
		if i := e.instances[id]; i != nil {
			r.Instances = append(r.Instances, *i)
		}
	}
	return &ec2api.DescribeInstancesResult{Reservations: []ec2api.Reservation{r}}, nil
}

func (e *fakeEC2) DescribeSubnets(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error) {
	zones := map[string]string{"subnet-a": "us-west-2a", "subnet-b": "us-west-2b"}
	ids := map[string]string{"us-west-2a": "usw2-az1", "us-west-2b": "usw2-az2"}
	out := &ec2api.DescribeSubnetsResult{}
	for _, id := range slices.Sorted(maps.Keys(zones)) {
		named := slices.Contains(in.SubnetIds, id)
		if len(in.Filters) > 0 {
			named = slices.Contains(in.Filters[1].Values, zones[id])
		}
		if named {
			out.Subnets = append(out.Subnets, ec2api.Subnet{SubnetId: &id, AvailabilityZone: new(zones[id]), AvailabilityZoneId: new(ids[zones[id]])})
		}
	}
	if len(out.Subnets) == 0 {
		return nil, apierr.New("InvalidSubnetID.NotFound", "The subnet ID does not exist")
	}
	return out, nil
}

func (e *fakeEC2) DescribeAvailabilityZones(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.DescribeAvailabilityZonesRequest) (*ec2api.DescribeAvailabilityZonesResult, error) {
	ids := map[string]string{"us-west-2a": "usw2-az1", "us-west-2b": "usw2-az2"}
	out := &ec2api.DescribeAvailabilityZonesResult{}
	for _, z := range slices.Sorted(maps.Keys(ids)) {
		if slices.Contains(in.ZoneNames, z) || slices.Contains(in.ZoneIds, ids[z]) {
			out.AvailabilityZones = append(out.AvailabilityZones, ec2api.AvailabilityZone{ZoneName: &z, ZoneId: new(ids[z])})
		}
	}
	return out, nil
}

func (e *fakeEC2) DescribeLaunchTemplateVersions(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.DescribeLaunchTemplateVersionsRequest) (*ec2api.DescribeLaunchTemplateVersionsResult, error) {
	if d := e.templates[api.Val(in.LaunchTemplateName)]; d != nil {
		return &ec2api.DescribeLaunchTemplateVersionsResult{LaunchTemplateVersions: []ec2api.LaunchTemplateVersion{
			{LaunchTemplateId: new("lt-" + *in.LaunchTemplateName), LaunchTemplateName: in.LaunchTemplateName, VersionNumber: new(int64(1)), LaunchTemplateData: d},
		}}, nil
	}
	if api.Val(in.LaunchTemplateName) != "web" && api.Val(in.LaunchTemplateId) != "lt-1" {
		return nil, apierr.New("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name nope, does not exist.")
	}
	number, err := strconv.ParseInt(e.latest(&ec2api.LaunchTemplateSpecification{Version: &in.Versions[0]}), 10, 64)
	if err != nil {
		return nil, apierr.New("InvalidLaunchTemplateId.VersionNotFound", err.Error())
	}
	return &ec2api.DescribeLaunchTemplateVersionsResult{LaunchTemplateVersions: []ec2api.LaunchTemplateVersion{
		{LaunchTemplateId: new("lt-1"), LaunchTemplateName: new("web"), VersionNumber: new(number)},
	}}, nil
}

// DescribeInstanceTypes knows types that get dearer from left to right.
func (e *fakeEC2) DescribeInstanceTypes(_ context.Context, _ *guard.Call, _ guard.Caller, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error) {
	out := &ec2api.DescribeInstanceTypesResult{}
	for i, name := range []string{"c5.large", "m5.large", "m6g.large", "r5.large", "m5.xlarge", "g4dn.xlarge"} {
		if name == "g4dn.xlarge" && !e.gpus {
			break
		}
		if len(in.Filters) > 0 && !slices.Contains(in.Filters[0].Values, name) {
			continue
		}
		maker, arch := "Intel", "x86_64"
		if name == "m6g.large" {
			maker, arch = "AWS", "arm64"
		}
		out.InstanceTypes = append(out.InstanceTypes, ec2api.InstanceTypeInfo{
			InstanceType: &name, VCpuInfo: &ec2api.VCpuInfo{DefaultVCpus: new(int32(2))}, MemoryInfo: &ec2api.MemoryInfo{SizeInMiB: new(int64(4096) << i)},
			ProcessorInfo: &ec2api.ProcessorInfo{Manufacturer: &maker, SupportedArchitectures: []string{arch}},
			EbsInfo: &ec2api.EbsInfo{
				EncryptionSupport: new(map[bool]string{true: "unsupported", false: "supported"}[name == e.plain]),
				EbsOptimizedInfo:  &ec2api.EbsOptimizedInfo{BaselineBandwidthInMbps: new(int32(300 * i))},
			},
			CurrentGeneration: new(true), HibernationSupported: new(name == "r5.large"),
			NetworkInfo: &ec2api.NetworkInfo{MaximumNetworkInterfaces: new(int32(i)), NetworkPerformance: new(fmt.Sprintf("Up to %d.5 Gigabit", 5*i))},
		})
	}
	if last := len(out.InstanceTypes) - 1; last >= 0 && *out.InstanceTypes[last].InstanceType == "g4dn.xlarge" {
		out.InstanceTypes[last].GpuInfo = &ec2api.GpuInfo{TotalGpuMemoryInMiB: new(int32(16384)), Gpus: []ec2api.GpuDeviceInfo{
			{Name: new("T4"), Manufacturer: new("NVIDIA"), Count: new(int32(1))},
		}}
	}
	// Two pages.
	if len(out.InstanceTypes) > 3 && in.NextToken == nil {
		out.InstanceTypes, out.NextToken = out.InstanceTypes[:3], new("more")
	} else if in.NextToken != nil {
		out.InstanceTypes = out.InstanceTypes[3:]
	}
	return out, nil
}

// fakeRoles makes service-linked roles in the directory.
type fakeRoles struct {
	w          *guardtest.World
	refuse     *apierr.Error
	refuseSpot *apierr.Error // of making the Spot role
	makers     []string
}

func (r *fakeRoles) CreateServiceLinkedRole(_ context.Context, _ *guard.Call, as guard.Caller, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error) {
	if r.refuse != nil {
		return nil, r.refuse
	}
	if r.refuseSpot != nil && *in.AWSServiceName == "spot.amazonaws.com" {
		return nil, r.refuseSpot
	}
	r.makers = append(r.makers, as.Principal.ARN)
	if *in.AWSServiceName == "spot.amazonaws.com" {
		r.putOf(as.Principal.Account, *in.AWSServiceName, "AWSServiceRoleForEC2Spot")
	} else {
		r.put(as.Principal.Account, "AWSServiceRoleForAutoScaling")
	}
	return &iamapi.CreateServiceLinkedRoleResponse{}, nil
}

// put makes a service-linked role of Auto Scaling.
func (r *fakeRoles) put(account, name string) string {
	return r.putOf(account, "autoscaling.amazonaws.com", name)
}

// putOf makes a service-linked role.
func (r *fakeRoles) putOf(account, service, name string) string {
	role := directory.Role{
		Account: account, Name: name, Path: arn.ServiceLinkedPath(service), ID: directory.NewID("AROA"),
		Created: time.Now(), Service: service,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`,
	}
	r.w.Update(func(tx store.Tx) error { return r.w.Directory.PutRole(tx, role) })
	return role.ARN()
}

func (r *fakeRoles) AssumeServiceRole(ctx context.Context, _ *guard.Call, _, roleARN, session string) (id directory.Identity, err error) {
	if r.refuse != nil {
		return id, r.refuse
	}
	name := roleARN[strings.LastIndexByte(roleARN, '/')+1:]
	err = r.w.Store.View(ctx, func(tx store.Tx) error {
		role, ok, err := r.w.Directory.Role(tx, account, name)
		if err != nil {
			return err
		}
		if !ok {
			return apierr.New("AccessDenied", "no such role")
		}
		id, err = r.w.Directory.SessionIdentity(tx, directory.SessionGrant{
			Account: account, RoleName: name, RolePath: role.Path, RoleID: role.ID, Name: session,
		})
		return err
	})
	return id, err
}

// templatesNamed are launch templates besides "web".
func templatesNamed(names ...string) map[string]*ec2api.ResponseLaunchTemplateData {
	out := map[string]*ec2api.ResponseLaunchTemplateData{}
	for _, n := range names {
		out[n] = &ec2api.ResponseLaunchTemplateData{}
	}
	return out
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
