package ec2_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/testkit"
)

// TestClientTokens: a request that is made again with its client token has the answer that it had and
// does nothing; with other parameters it is refused. Source: EC2 API Reference, "Ensuring idempotency".
func TestClientTokens(t *testing.T) {
	s := newStage(t)
	running := *testkit.Call[ec2api.Reservation](s.ec2, "RunInstances", s.run()).Instances[0].InstanceId
	s.srv.Advance(5 * time.Second)
	otherRun, otherVersion, otherFleet, otherSpot := s.run(), s.newVersion(), s.newFleet(0), s.newSpot()
	otherRun.InstanceType, otherVersion.VersionDescription, otherFleet.ExcessCapacityTerminationPolicy = new("m5.xlarge"), new("x"), new("no-termination")
	otherSpot.InstanceCount = new(int32(2))
	credits := func(v string) *ec2api.ModifyInstanceCreditSpecificationRequest {
		return &ec2api.ModifyInstanceCreditSpecificationRequest{InstanceCreditSpecifications: []ec2api.InstanceCreditSpecificationRequest{{InstanceId: &s.stopped, CpuCredits: &v}}}
	}
	reserve := func() *string {
		in := s.newReservation(9)
		in.InstanceMatchCriteria = new(ec2api.InstanceMatchCriteriaTargeted) // no instance of the others is in it
		return testkit.Call[ec2api.CreateCapacityReservationResult](s.ec2, "CreateCapacityReservation", in).CapacityReservation.CapacityReservationId
	}
	large, small := reserve(), reserve()
	tests := []struct {
		in, other any
		out       func() any
	}{
		{&ec2api.CopyImageRequest{SourceImageId: &s.own, SourceRegion: new(testkit.Region), Name: new("copy")},
			&ec2api.CopyImageRequest{SourceImageId: &s.own, SourceRegion: new(testkit.Region), Name: new("copy2")}, func() any { return new(ec2api.CopyImageResult) }},
		{&ec2api.CopyVolumesRequest{SourceVolumeId: &s.volume}, &ec2api.CopyVolumesRequest{SourceVolumeId: &s.attached}, func() any { return new(ec2api.CopyVolumesResult) }},
		{s.newFleet(0), otherFleet, func() any { return new(ec2api.CreateFleetResult) }},
		{s.newTemplate("first"), s.newTemplate("second"), func() any { return new(ec2api.CreateLaunchTemplateResult) }},
		{s.newVersion(), otherVersion, func() any { return new(ec2api.CreateLaunchTemplateVersionResult) }},
		{&ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("web"), DefaultVersion: new("2")},
			&ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("web"), DefaultVersion: new("1")}, func() any { return new(ec2api.ModifyLaunchTemplateResult) }},
		{&ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &running}, &ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: &running, DeleteReplacedRootVolume: new(true)},
			func() any { return new(ec2api.CreateReplaceRootVolumeTaskResult) }},
		{&ec2api.CreateVolumeRequest{Size: new(int32(1)), AvailabilityZone: new(testkit.Region + "a")},
			&ec2api.CreateVolumeRequest{Size: new(int32(2)), AvailabilityZone: new(testkit.Region + "a")}, func() any { return new(ec2api.Volume) }},
		{credits("standard"), credits("unlimited"), func() any { return new(ec2api.ModifyInstanceCreditSpecificationResult) }},
		{s.newSpot(), otherSpot, func() any { return new(ec2api.RequestSpotInstancesResult) }},
		{s.run(), otherRun, func() any { return new(ec2api.Reservation) }},
		{&ec2api.CreateNetworkInterfaceRequest{SubnetId: &s.subnet}, &ec2api.CreateNetworkInterfaceRequest{SubnetId: &s.subnet, Description: new("other")},
			func() any { return new(ec2api.CreateNetworkInterfaceResult) }},
		{&ec2api.CreateRouteTableRequest{VpcId: &s.vpc}, &ec2api.CreateRouteTableRequest{VpcId: &s.vpc, TagSpecifications: specs("route-table")},
			func() any { return new(ec2api.CreateRouteTableResult) }},
		{&ec2api.CreateNetworkAclRequest{VpcId: &s.vpc}, &ec2api.CreateNetworkAclRequest{VpcId: &s.vpc, TagSpecifications: specs("network-acl")},
			func() any { return new(ec2api.CreateNetworkAclResult) }},
		{&ec2api.CreateNatGatewayRequest{SubnetId: &s.subnet, ConnectivityType: new("private")}, &ec2api.CreateNatGatewayRequest{SubnetId: &s.subnet, ConnectivityType: new("private"), PrivateIpAddress: new("10.0.0.9")},
			func() any { return new(ec2api.CreateNatGatewayResult) }},
		{&ec2api.CreateVpcEndpointRequest{VpcId: &s.vpc, ServiceName: new("com.amazonaws." + testkit.Region + ".s3")}, &ec2api.CreateVpcEndpointRequest{VpcId: &s.vpc, ServiceName: new("com.amazonaws." + testkit.Region + ".dynamodb")},
			func() any { return new(ec2api.CreateVpcEndpointResult) }},
		{flowOf(s.vpc, "arn:aws:s3:::one"), flowOf(s.vpc, "arn:aws:s3:::two"), func() any { return new(ec2api.CreateFlowLogsResult) }},
		{&ec2api.CreateEgressOnlyInternetGatewayRequest{VpcId: &s.vpc}, &ec2api.CreateEgressOnlyInternetGatewayRequest{VpcId: &s.vpc, TagSpecifications: specs("egress-only-internet-gateway")},
			func() any { return new(ec2api.CreateEgressOnlyInternetGatewayResult) }},
		{newList("one"), newList("two"), func() any { return new(ec2api.CreateManagedPrefixListResult) }},
		{s.newReservation(1), s.newReservation(2), func() any { return new(ec2api.CreateCapacityReservationResult) }},
		{&ec2api.CreateCapacityReservationBySplittingRequest{SourceCapacityReservationId: large, InstanceCount: new(int32(1))},
			&ec2api.CreateCapacityReservationBySplittingRequest{SourceCapacityReservationId: large, InstanceCount: new(int32(2))},
			func() any { return new(ec2api.CreateCapacityReservationBySplittingResult) }},
		{&ec2api.MoveCapacityReservationInstancesRequest{SourceCapacityReservationId: large, DestinationCapacityReservationId: small, InstanceCount: new(int32(1))},
			&ec2api.MoveCapacityReservationInstancesRequest{SourceCapacityReservationId: large, DestinationCapacityReservationId: small, InstanceCount: new(int32(2))},
			func() any { return new(ec2api.MoveCapacityReservationInstancesResult) }},
		{s.newHost("m5.large"), s.newHost("c5.large"), func() any { return new(ec2api.AllocateHostsResult) }},
	}
	tested := map[string]bool{}
	for _, tt := range tests {
		op := operationOf(tt.in)
		tested[op] = true
		t.Run(op, func(t *testing.T) {
			for _, in := range []any{tt.in, tt.other} {
				reflect.ValueOf(in).Elem().FieldByName("ClientToken").Set(reflect.ValueOf(new("token")))
			}
			s.srv.Advance(5 * time.Second) // what was made before is as it stays
			call := func() string {
				out := tt.out()
				if err := s.ec2.Do(t.Context(), op, tt.in, out); err != nil {
					t.Fatal(err)
				}
				data, _ := json.Marshal(out) // answers always encode
				return string(data)
			}
			first := call()
			seen := s.picture()
			if again := call(); again != first {
				t.Errorf("the answers differ:\n%s\n%s", first, again)
			}
			if err := testkit.Refused(s.ec2, op, tt.other); err.Code != "IdempotentParameterMismatch" || err.Status != 400 {
				t.Errorf("other parameters: %s (%d): %s", err.Code, err.Status, err.Message)
			}
			if s.picture() != seen {
				t.Error("the repetitions changed something")
			}
		})
	}
	for name, op := range ec2api.Service().Operations {
		if _, has := reflect.TypeOf(op.NewInput()).Elem().FieldByName("ClientToken"); has && !tested[name] {
			t.Errorf("%s is not tested", name)
		}
	}
}
