package e2e_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func (c *client) fleet(t *testing.T, kind ec2types.FleetType) *ec2.CreateFleetOutput {
	t.Helper()
	return must(c.ec2.CreateFleet(t.Context(), &ec2.CreateFleetInput{
		Type: kind, TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{
			TotalTargetCapacity: new(int32(1)), DefaultTargetCapacityType: ec2types.DefaultTargetCapacityTypeSpot,
		},
		LaunchTemplateConfigs: []ec2types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &ec2types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: new("fleet"), Version: new("$Latest")},
		}},
	}))(t)
}

// An instant fleet launches as its caller; one that maintains its capacity as the role of EC2 Fleet,
// which the key must know.
func TestFleetsLaunchOnEncryptedVolumes(t *testing.T) {
	c, ctx := admin(t), t.Context()
	role := "arn:aws:iam::" + c.account + ":role/aws-service-role/ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet"
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account))))
	c.template(t, "fleet", rootDevice(key))
	made := c.fleet(t, ec2types.FleetTypeInstant)
	if len(made.Errors) != 0 || len(made.Instances) != 1 {
		t.Fatalf("made %+v", made)
	}
	c.isRunning(t, made.Instances[0].InstanceIds[0])
	id := *c.fleet(t, ec2types.FleetTypeMaintain).FleetId
	if got := must(c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: new("AWSServiceRoleForEC2Fleet")}))(t).Role; *got.Arn != role {
		t.Errorf("the role is %s", *got.Arn)
	}
	tagged := []ec2types.Filter{{Name: new("tag:aws:ec2:fleet-id"), Values: []string{id}}}
	ended := ""
	eventually(t, "an instance of the fleet ends", func() (bool, string) {
		for _, r := range must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: tagged}))(t).Reservations {
			if i := r.Instances[0]; i.State.Name == ec2types.InstanceStateNameTerminated {
				ended = *i.InstanceId
			}
		}
		return ended != "", ended
	})
	why := c.why(t, ended)
	why.denied(t, why.Principal, "kms:CreateGrant", key, "key-policy", role)
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))
	eventually(t, "the fleet is fulfilled", func() (bool, string) {
		active := must(c.ec2.DescribeFleetInstances(ctx, &ec2.DescribeFleetInstancesInput{FleetId: &id}))(t).ActiveInstances
		return len(active) == 1 && c.instance(t, *active[0].InstanceId).State.Name == ec2types.InstanceStateNameRunning, ""
	})
	if h := must(c.ec2.DescribeFleetHistory(ctx, &ec2.DescribeFleetHistoryInput{FleetId: &id, StartTime: new(time.Unix(0, 0))}))(t).HistoryRecords; len(h) < 3 || h[0].EventType != ec2types.FleetEventTypeFleetChange {
		t.Errorf("history %+v", h)
	}
	must(c.ec2.ModifyFleet(ctx, &ec2.ModifyFleetInput{FleetId: &id, TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{TotalTargetCapacity: new(int32(0))}}))(t)
	gone := must(c.ec2.DeleteFleets(ctx, &ec2.DeleteFleetsInput{FleetIds: []string{id, *made.FleetId}, TerminateInstances: new(true)}))(t)
	if len(gone.SuccessfulFleetDeletions) != 2 || len(gone.UnsuccessfulFleetDeletions) != 0 {
		t.Errorf("deleted %+v", gone)
	}
	eventually(t, "the fleet is deleted", func() (bool, string) {
		f := must(c.ec2.DescribeFleets(ctx, &ec2.DescribeFleetsInput{FleetIds: []string{id}}))(t).Fleets[0]
		return f.FleetState == ec2types.FleetStateCodeDeleted, string(f.FleetState)
	})
}

func TestSpotInstanceRequestsAndSpotFleets(t *testing.T) {
	c, ctx := admin(t), t.Context()
	image := c.plainImage(t)
	id := *must(c.ec2.RequestSpotInstances(ctx, &ec2.RequestSpotInstancesInput{LaunchSpecification: &ec2types.RequestSpotLaunchSpecification{
		ImageId: &image, InstanceType: ec2types.InstanceTypeM5Large,
	}}))(t).SpotInstanceRequests[0].SpotInstanceRequestId
	instance := ""
	eventually(t, "the request is fulfilled", func() (bool, string) {
		r := must(c.ec2.DescribeSpotInstanceRequests(ctx, &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{id}}))(t).SpotInstanceRequests[0]
		instance = str(r.InstanceId)
		return r.State == ec2types.SpotInstanceStateActive, string(r.State)
	})
	c.isSpot(t, instance)
	if r := must(c.ec2.CancelSpotInstanceRequests(ctx, &ec2.CancelSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{id}}))(t).CancelledSpotInstanceRequests[0]; r.State != ec2types.CancelSpotInstanceRequestStateCancelled {
		t.Errorf("cancelled %+v", r)
	}
	role, _ := c.role(t, "fleet-tagging")
	fleet := *must(c.ec2.RequestSpotFleet(ctx, &ec2.RequestSpotFleetInput{SpotFleetRequestConfig: &ec2types.SpotFleetRequestConfigData{
		IamFleetRole: &role, TargetCapacity: new(int32(2)), AllocationStrategy: ec2types.AllocationStrategyDiversified,
		ExcessCapacityTerminationPolicy: "Default", // as Terraform's provider writes it; it is shown as it was given
		LaunchSpecifications: []ec2types.SpotFleetLaunchSpecification{
			{ImageId: &image, InstanceType: ec2types.InstanceTypeM5Large}, {ImageId: &image, InstanceType: ec2types.InstanceTypeC5Large},
		},
	}}))(t).SpotFleetRequestId
	eventually(t, "the Spot Fleet is fulfilled", func() (bool, string) {
		active := must(c.ec2.DescribeSpotFleetInstances(ctx, &ec2.DescribeSpotFleetInstancesInput{SpotFleetRequestId: &fleet}))(t).ActiveInstances
		return len(active) == 2 && *active[0].InstanceType != *active[1].InstanceType, ""
	})
	if h := must(c.ec2.DescribeSpotFleetRequestHistory(ctx, &ec2.DescribeSpotFleetRequestHistoryInput{SpotFleetRequestId: &fleet, StartTime: new(time.Unix(0, 0))}))(t).HistoryRecords; len(h) < 3 {
		t.Errorf("history %+v", h)
	}
	must(c.ec2.ModifySpotFleetRequest(ctx, &ec2.ModifySpotFleetRequestInput{SpotFleetRequestId: &fleet, TargetCapacity: new(int32(3)), ExcessCapacityTerminationPolicy: "NoTermination"}))(t)
	if config := must(c.ec2.DescribeSpotFleetRequests(ctx, &ec2.DescribeSpotFleetRequestsInput{SpotFleetRequestIds: []string{fleet}}))(t).SpotFleetRequestConfigs[0].SpotFleetRequestConfig; config.ExcessCapacityTerminationPolicy != "NoTermination" {
		t.Errorf("the policy is %s", config.ExcessCapacityTerminationPolicy)
	}
	eventually(t, "the Spot Fleet grows", func() (bool, string) {
		active := must(c.ec2.DescribeSpotFleetInstances(ctx, &ec2.DescribeSpotFleetInstancesInput{SpotFleetRequestId: &fleet}))(t).ActiveInstances
		return len(active) == 3, ""
	})
	gone := must(c.ec2.CancelSpotFleetRequests(ctx, &ec2.CancelSpotFleetRequestsInput{SpotFleetRequestIds: []string{fleet}, TerminateInstances: new(true)}))(t)
	if len(gone.SuccessfulFleetRequests) != 1 {
		t.Errorf("cancelled %+v", gone)
	}
	eventually(t, "the Spot Fleet is cancelled", func() (bool, string) {
		f := must(c.ec2.DescribeSpotFleetRequests(ctx, &ec2.DescribeSpotFleetRequestsInput{SpotFleetRequestIds: []string{fleet}}))(t).SpotFleetRequestConfigs[0]
		return f.SpotFleetRequestState == ec2types.BatchStateCancelled, string(f.SpotFleetRequestState)
	})
}
