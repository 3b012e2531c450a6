package ec2_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/wire"
)

// rolesOfMine makes service-linked roles that may do anything in EC2, and their sessions.
type rolesOfMine struct{ h *house }

var linkedNames = map[string]string{
	"spot.amazonaws.com": "AWSServiceRoleForEC2Spot", "ec2fleet.amazonaws.com": "AWSServiceRoleForEC2Fleet", "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
}

func (r rolesOfMine) CreateServiceLinkedRole(_ context.Context, _ *guard.Call, _ guard.Caller, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error) {
	role := directory.Role{
		Account: mine, Name: linkedNames[*in.AWSServiceName], Path: arn.ServiceLinkedPath(*in.AWSServiceName), ID: directory.NewID("AROA"), Created: time.Now(),
		Trust:  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + *in.AWSServiceName + `"},"Action":"sts:AssumeRole"}]}`,
		Inline: map[string]string{"ec2": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","iam:PassRole"],"Resource":"*"}]}`},
	}
	r.h.Update(func(tx store.Tx) error { return r.h.Directory.PutRole(tx, role) })
	return &iamapi.CreateServiceLinkedRoleResponse{}, nil
}

func (r rolesOfMine) AssumeServiceRole(_ context.Context, _ *guard.Call, service, roleARN, session string) (id directory.Identity, err error) {
	r.h.View(func(tx store.Tx) error {
		role, ok, err := r.h.Directory.Role(tx, mine, linkedNames[service])
		if err != nil || !ok {
			return err
		}
		id, err = r.h.Directory.SessionIdentity(tx, directory.SessionGrant{
			Account: mine, RoleName: role.Name, RolePath: role.Path, RoleID: role.ID, Name: session, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
		})
		return err
	})
	return id, err
}

func (h *house) fleetTemplate(name string, devices ...ec2api.LaunchTemplateBlockDeviceMappingRequest) string {
	return *ask[ec2api.CreateLaunchTemplateResult](h.desk, h.owner(), &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: &name, LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: new(exampleImage), InstanceType: new("t3.micro"), BlockDeviceMappings: devices},
	}).LaunchTemplate.LaunchTemplateId
}

func fleetRequest(kind, template string, total int32, market string, overrides ...ec2api.FleetLaunchTemplateOverridesRequest) *ec2api.CreateFleetRequest {
	return &ec2api.CreateFleetRequest{
		Type: &kind, TargetCapacitySpecification: &ec2api.TargetCapacitySpecificationRequest{TotalTargetCapacity: &total, DefaultTargetCapacityType: &market},
		LaunchTemplateConfigs: []ec2api.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: &template, Version: new("$Latest")}, Overrides: overrides,
		}},
	}
}

func TestAnInstantFleetTellsWhatItGotAndWhatNot(t *testing.T) {
	h := newHouse(t)
	in := fleetRequest("instant", h.fleetTemplate("web"), 3, "on-demand",
		ec2api.FleetLaunchTemplateOverridesRequest{InstanceType: new("t3.nano"), SubnetId: new("subnet-00000000")},
		ec2api.FleetLaunchTemplateOverridesRequest{InstanceType: new("t3.small")})
	in.TagSpecifications = []ec2api.TagSpecification{
		{ResourceType: new("instance"), Tags: tagList("team", "red")}, {ResourceType: new("volume"), Tags: tagList("disk", "of the fleet")},
		{ResourceType: new("fleet"), Tags: tagList("fleet", "f")},
	}
	in.ClientToken = new("once")
	out := ask[ec2api.CreateFleetResult](h.desk, h.owner(), in)
	if len(out.Errors) != 1 || *out.Errors[0].ErrorCode != "InvalidSubnetID.NotFound" || *out.Errors[0].LaunchTemplateAndOverrides.Overrides.InstanceType != "t3.nano" {
		t.Errorf("errors %+v", out.Errors)
	}
	if len(out.Instances) != 1 || len(out.Instances[0].InstanceIds) != 3 || *out.Instances[0].InstanceType != "t3.small" || *out.Instances[0].Lifecycle != "on-demand" {
		t.Fatalf("instances %+v", out.Instances)
	}
	if again := ask[ec2api.CreateFleetResult](h.desk, h.owner(), in); *again.FleetId != *out.FleetId || len(again.Instances[0].InstanceIds) != 3 {
		t.Errorf("again %+v", again)
	}
	h.Advance(time.Minute)
	i := h.instance(out.Instances[0].InstanceIds[0])
	tags, _ := json.Marshal(i.Tags)
	if *i.State.Name != "running" || !strings.Contains(string(tags), *out.FleetId) || !strings.Contains(string(tags), "red") {
		t.Errorf("instance %s with %s", *i.State.Name, tags)
	}
	disks := ask[ec2api.DescribeVolumesResult](h.desk, h.owner(), &ec2api.DescribeVolumesRequest{VolumeIds: []string{*i.BlockDeviceMappings[0].Ebs.VolumeId}}).Volumes
	if tags, _ := json.Marshal(disks[0].Tags); !strings.Contains(string(tags), "of the fleet") {
		t.Errorf("volume with %s", tags)
	}
	if all := ask[ec2api.DescribeFleetsResult](h.desk, h.owner(), &ec2api.DescribeFleetsRequest{}).Fleets; len(all) != 0 {
		t.Errorf("instant fleets are listed: %+v", all)
	}
	f := ask[ec2api.DescribeFleetsResult](h.desk, h.owner(), &ec2api.DescribeFleetsRequest{FleetIds: []string{*out.FleetId}}).Fleets[0]
	if *f.FleetState != "active" || *f.ActivityStatus != "fulfilled" || *f.FulfilledCapacity != 3 || len(f.Instances) != 1 || len(f.Errors) != 1 {
		t.Errorf("fleet %+v", f)
	}
	gone := ask[ec2api.DeleteFleetsResult](h.desk, h.owner(), &ec2api.DeleteFleetsRequest{FleetIds: []string{*out.FleetId, "fleet-x"}, TerminateInstances: new(true)})
	if len(gone.SuccessfulFleetDeletions) != 1 || *gone.SuccessfulFleetDeletions[0].CurrentFleetState != "deleted_terminating" ||
		*gone.UnsuccessfulFleetDeletions[0].Error.Code != "fleetIdDoesNotExist" {
		t.Errorf("deleted %+v", gone)
	}
	h.Advance(time.Minute)
	h.wantState(*i.InstanceId, "terminated")
}

func TestAFleetThatMaintainsItsCapacityReplacesAndFollowsItsTarget(t *testing.T) {
	h := newHouse(t)
	in := fleetRequest("maintain", h.fleetTemplate("web"), 2, "spot")
	in.ValidUntil = new(time.Unix(0, 0)) // no end
	id := *ask[ec2api.CreateFleetResult](h.desk, h.owner(), in).FleetId
	count := func() []ec2api.ActiveInstance {
		return ask[ec2api.DescribeFleetInstancesResult](h.desk, h.owner(), &ec2api.DescribeFleetInstancesRequest{FleetId: &id}).ActiveInstances
	}
	state := func() ec2api.FleetData {
		return ask[ec2api.DescribeFleetsResult](h.desk, h.owner(), &ec2api.DescribeFleetsRequest{FleetIds: []string{id}}).Fleets[0]
	}
	if f := state(); *f.FleetState != "submitted" || *f.ActivityStatus != "pending_fulfillment" {
		t.Errorf("fleet %+v", f)
	}
	h.Advance(time.Minute)
	first := count()
	if f := state(); len(first) != 2 || first[0].SpotInstanceRequestId == nil || *f.ActivityStatus != "fulfilled" || *f.FleetState != "active" {
		t.Fatalf("%+v, fleet %+v", first, f)
	}
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{*first[0].InstanceId}})
	h.Advance(time.Minute)
	if now := count(); len(now) != 2 {
		t.Errorf("not replaced: %+v", now)
	}
	for _, target := range []int32{4, 1} {
		ask[ec2api.ModifyFleetResult](h.desk, h.owner(), &ec2api.ModifyFleetRequest{
			FleetId: &id, TargetCapacitySpecification: &ec2api.TargetCapacitySpecificationRequest{TotalTargetCapacity: &target, DefaultTargetCapacityType: new("spot")},
		})
		h.Advance(time.Minute)
		if now := count(); len(now) != int(target) {
			t.Errorf("%d instances, want %d", len(now), target)
		}
	}
	h.restart()
	// Deleting is repeatable, and a fleet that was deleted without its instances can be deleted with them.
	for _, again := range []struct {
		instances bool
		was, now  string
	}{{false, "active", "deleted_running"}, {false, "deleted_running", "deleted_running"}, {true, "deleted_running", "deleted_terminating"}, {true, "deleted_terminating", "deleted_terminating"}} {
		gone := ask[ec2api.DeleteFleetsResult](h.desk, h.owner(), &ec2api.DeleteFleetsRequest{FleetIds: []string{id}, TerminateInstances: &again.instances})
		if d := gone.SuccessfulFleetDeletions; len(d) != 1 || *d[0].PreviousFleetState != again.was || *d[0].CurrentFleetState != again.now {
			t.Errorf("%+v; want from %s to %s", gone, again.was, again.now)
		}
	}
	h.Advance(time.Minute)
	if f := state(); len(count()) != 0 || *f.FleetState != "deleted" {
		t.Errorf("fleet %+v", f)
	}
	h.clean()
}

// Who launches is what the key must know. Source: EC2 User Guide, "EC2 Fleet prerequisites".
func TestFleetsUseKeysAsTheirRoles(t *testing.T) {
	h := newHouse(t)
	launcher := h.launcher()
	statement := func(who, more string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"` + who + `"},"Action":["kms:GenerateDataKeyWithoutPlaintext","kms:CreateGrant"` + more + `],"Resource":"*"}`
	}
	rolesOfMine{h}.CreateServiceLinkedRole(t.Context(), nil, guard.Caller{}, &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("ec2fleet.amazonaws.com")})
	role := "arn:aws:iam::" + mine + ":role/aws-service-role/ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet"
	root := statement("arn:aws:iam::"+mine+":root", `,"kms:*"`)
	for name, tt := range map[string]struct{ kind, who, state string }{
		"maintain, role":   {"maintain", role, "running"},
		"maintain, caller": {"maintain", launcher.Principal.ARN, ""},
		"instant, caller":  {"instant", launcher.Principal.ARN, "running"},
		"instant, role":    {"instant", role, ""},
	} {
		t.Run(name, func(t *testing.T) {
			key := h.key(`{"Version":"2012-10-17","Statement":[` + root + `,` + statement(tt.who, "") + `]}`)
			template := h.fleetTemplate(strings.ReplaceAll(name, ", ", "-"), ec2api.LaunchTemplateBlockDeviceMappingRequest{
				DeviceName: new("/dev/sdf"), Ebs: &ec2api.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(true), KmsKeyId: &key, VolumeSize: new(int32(8)), DeleteOnTermination: new(true)},
			})
			id := *ask[ec2api.CreateFleetResult](h.desk, launcher, fleetRequest(tt.kind, template, 1, "on-demand")).FleetId
			h.Advance(4 * time.Second)
			found := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{filter("tag:aws:ec2:fleet-id", id)}}).Reservations
			if len(found) == 0 {
				t.Fatal("nothing was launched")
			}
			i := found[0].Instances[0]
			if tt.state != "" && *i.State.Name != tt.state || tt.state == "" && *i.State.Name == "running" {
				t.Errorf("the instance is %s (%+v)", *i.State.Name, api.Val(i.StateReason))
			}
			ask[ec2api.DeleteFleetsResult](h.desk, h.owner(), &ec2api.DeleteFleetsRequest{FleetIds: []string{id}, TerminateInstances: new(true)})
			h.Advance(time.Minute)
		})
	}
}

func TestSpotInstanceRequestsAreFulfilledClosedAndCancelled(t *testing.T) {
	h := newHouse(t)
	in := &ec2api.RequestSpotInstancesRequest{LaunchSpecification: &ec2api.RequestSpotLaunchSpecification{ImageId: new(exampleImage), InstanceType: new("t3.micro")}}
	request := func(id string) ec2api.SpotInstanceRequest {
		return ask[ec2api.DescribeSpotInstanceRequestsResult](h.desk, h.owner(), &ec2api.DescribeSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{id}}).SpotInstanceRequests[0]
	}
	made := ask[ec2api.RequestSpotInstancesResult](h.desk, h.owner(), in).SpotInstanceRequests[0]
	id := *made.SpotInstanceRequestId
	if *made.State != "open" || *made.Status.Code != "pending-evaluation" || *made.Type != "one-time" {
		t.Errorf("made %+v", made)
	}
	h.Advance(time.Minute)
	r := request(id)
	if *r.State != "active" || *r.Status.Code != "fulfilled" || *h.instance(*r.InstanceId).SpotInstanceRequestId != id {
		t.Fatalf("%+v", r)
	}
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{*r.InstanceId}})
	h.Advance(time.Minute)
	if r := request(id); *r.State != "closed" || *r.Status.Code != "instance-terminated-by-user" {
		t.Errorf("%+v", r)
	}
	in.SpotPrice = new("0.001")
	low := *ask[ec2api.RequestSpotInstancesResult](h.desk, h.owner(), in).SpotInstanceRequests[0].SpotInstanceRequestId
	h.Advance(time.Minute)
	if r := request(low); *r.State != "open" || *r.Status.Code != "price-too-low" {
		t.Errorf("%+v", r)
	}
	if c := ask[ec2api.CancelSpotInstanceRequestsResult](h.desk, h.owner(), &ec2api.CancelSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{low}}); *c.CancelledSpotInstanceRequests[0].State != "cancelled" {
		t.Errorf("%+v", c)
	}
	in.SpotPrice, in.Type = nil, new("persistent")
	keeps := *ask[ec2api.RequestSpotInstancesResult](h.desk, h.owner(), in).SpotInstanceRequests[0].SpotInstanceRequestId
	h.Advance(time.Minute)
	old := *request(keeps).InstanceId
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{old}})
	h.Advance(time.Minute)
	if r := request(keeps); *r.State != "active" || *r.InstanceId == old {
		t.Errorf("a persistent request did not ask again: %+v", r)
	}
	h.refuse(h.owner(), &ec2api.CancelSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{"sir-00000000"}}, "InvalidSpotInstanceRequestID.NotFound", "*")
}

func TestSpotFleetsLaunchTheirSpecifications(t *testing.T) {
	h := newHouse(t)
	in := &ec2api.RequestSpotFleetRequest{SpotFleetRequestConfig: &ec2api.SpotFleetRequestConfigData{
		IamFleetRole: new(passedRole), TargetCapacity: new(int32(4)), LaunchSpecifications: []ec2api.SpotFleetLaunchSpecification{
			{ImageId: new(exampleImage), InstanceType: new("m5.large"), WeightedCapacity: new(2.0)},
			{ImageId: new(exampleImage), InstanceType: new("c5.xlarge"), WeightedCapacity: new(1.0)},
		},
	}}
	id := *ask[ec2api.RequestSpotFleetResponse](h.desk, h.owner(), in).SpotFleetRequestId
	h.Advance(time.Minute)
	active := ask[ec2api.DescribeSpotFleetInstancesResponse](h.desk, h.owner(), &ec2api.DescribeSpotFleetInstancesRequest{SpotFleetRequestId: &id}).ActiveInstances
	if len(active) != 2 || *active[0].InstanceType != "m5.large" {
		t.Errorf("active %+v", active)
	}
	history := ask[ec2api.DescribeSpotFleetRequestHistoryResponse](h.desk, h.owner(), &ec2api.DescribeSpotFleetRequestHistoryRequest{SpotFleetRequestId: &id, StartTime: new(time.Unix(0, 0))})
	if len(history.HistoryRecords) < 4 {
		t.Errorf("history %+v", history.HistoryRecords)
	}
	gone := ask[ec2api.CancelSpotFleetRequestsResponse](h.desk, h.owner(), &ec2api.CancelSpotFleetRequestsRequest{SpotFleetRequestIds: []string{id}, TerminateInstances: new(true)})
	if *gone.SuccessfulFleetRequests[0].CurrentSpotFleetRequestState != "cancelled_terminating" {
		t.Errorf("cancelled %+v", gone)
	}
	h.Advance(time.Minute)
	f := ask[ec2api.DescribeSpotFleetRequestsResponse](h.desk, h.owner(), &ec2api.DescribeSpotFleetRequestsRequest{SpotFleetRequestIds: []string{id}}).SpotFleetRequestConfigs[0]
	if *f.SpotFleetRequestState != "cancelled" || *f.SpotFleetRequestConfig.TargetCapacity != 4 {
		t.Errorf("fleet %+v", f)
	}
	in.SpotFleetRequestConfig.Context = new("x")
	h.refuse(h.owner(), in, "UnauthorizedOperation", "The account \""+mine+"\" is not allowed to access Context \"x\".")
	in.SpotFleetRequestConfig.IamFleetRole = nil
	h.refuse(h.owner(), in, "MissingParameter", "*")
}

// Terraform writes strategies as answers do, and AWS takes them.
func TestFleetTakesStrategiesAsAnswersWriteThem(t *testing.T) {
	table, err := wire.TableOf(ec2api.Service())
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	for written, want := range map[string]string{"lowestPrice": "lowestPrice", "lowest-price": "lowestPrice", "capacityOptimized": "capacity-optimized", "diversified": "diversified"} {
		in := fleetRequest("request", h.fleetTemplate("web-"+written), 1, "spot")
		in.SpotOptions = &ec2api.SpotOptionsRequest{AllocationStrategy: &written}
		if err := table.Validate(in); err != nil {
			t.Errorf("%s: %v", written, err)
		}
		id := ask[ec2api.CreateFleetResult](h.desk, h.owner(), in).FleetId
		seen := ask[ec2api.DescribeFleetsResult](h.desk, h.owner(), &ec2api.DescribeFleetsRequest{FleetIds: []string{*id}}).Fleets[0].SpotOptions
		if *seen.AllocationStrategy != want {
			t.Errorf("%s is shown as %s, want %s", written, *seen.AllocationStrategy, want)
		}
	}
	in := fleetRequest("request", h.fleetTemplate("web"), 1, "spot")
	in.SpotOptions = &ec2api.SpotOptionsRequest{AllocationStrategy: new("cheapest")}
	if err := table.Validate(in); err == nil {
		t.Error("an unknown strategy is valid")
	}
}
