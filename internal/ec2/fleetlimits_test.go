package ec2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
)

func override(kind string) ec2api.FleetLaunchTemplateOverridesRequest {
	return ec2api.FleetLaunchTemplateOverridesRequest{InstanceType: &kind}
}

// types counts what a fleet of the type instant launched.
func (h *house) instant(in *ec2api.CreateFleetRequest) map[string]int {
	h.T.Helper()
	out := map[string]int{}
	for _, i := range ask[ec2api.CreateFleetResult](h.desk, h.owner(), in).Instances {
		out[*i.InstanceType] += len(i.InstanceIds)
	}
	h.Advance(5 * time.Second)
	return out
}

// TestFleetsKeepTheirLimits: prices, single types and zones, least capacities, numbers of pools, and units of capacity.
func TestFleetsKeepTheirLimits(t *testing.T) {
	h := newHouse(t)
	template := h.fleetTemplate("web")
	spot := func(total int32, o ec2api.SpotOptionsRequest, overrides ...ec2api.FleetLaunchTemplateOverridesRequest) *ec2api.CreateFleetRequest {
		in := fleetRequest("instant", template, total, "spot", overrides...)
		in.SpotOptions = &o
		return in
	}
	three := []ec2api.FleetLaunchTemplateOverridesRequest{override("m5.large"), override("m5a.large"), override("c5.large")}
	diversified := ec2api.SpotOptionsRequest{AllocationStrategy: new("diversified")}
	single := diversified
	single.SingleInstanceType = new(true)
	zones := diversified
	zones.SingleAvailabilityZone = new(true)
	apart := []ec2api.FleetLaunchTemplateOverridesRequest{override("m5.large"), override("m5a.large"), override("c5.large")}
	apart[0].AvailabilityZone, apart[1].AvailabilityZone, apart[2].AvailabilityZone = new(zoneA), new("us-east-1b"), new(zoneA)
	needs := func(change func(*ec2api.InstanceRequirementsRequest)) ec2api.FleetLaunchTemplateOverridesRequest {
		r := &ec2api.InstanceRequirementsRequest{
			VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(2)), Max: new(int32(8))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(8192)), Max: new(int32(16384))},
			AllowedInstanceTypes: []string{"m5.*"},
		}
		change(r)
		return ec2api.FleetLaunchTemplateOverridesRequest{InstanceRequirements: r}
	}
	for name, tt := range map[string]struct {
		in    *ec2api.CreateFleetRequest
		total int // of instances
		kinds int
	}{
		"one of each":   {spot(3, diversified, three...), 3, 3},
		"a single type": {spot(3, single, three...), 3, 1},
		"a single zone": {spot(4, zones, apart...), 4, 2},
		"two pools":     {spot(4, ec2api.SpotOptionsRequest{InstancePoolsToUseCount: new(int32(2))}, three...), 4, 2},
		"a price for two": { // m5.large is 0.0288 for Spot Instances
			spot(5, ec2api.SpotOptionsRequest{MaxTotalPrice: new("0.06")}, override("m5.large")), 2, 1,
		},
		"a price for none": {spot(5, ec2api.SpotOptionsRequest{MaxTotalPrice: new("0.0001")}, override("m5.large")), 0, 0},
		"no types that cost more": {spot(20, diversified, needs(func(r *ec2api.InstanceRequirementsRequest) {
			r.SpotMaxPricePercentageOverLowestPrice = new(int32(10))
		})), 20, 1},
		"types that cost more": {spot(20, diversified, needs(func(r *ec2api.InstanceRequirementsRequest) {
			r.SpotMaxPricePercentageOverLowestPrice = new(int32(300))
		})), 20, 2},
		"types up to twice the price": {spot(20, diversified, needs(func(r *ec2api.InstanceRequirementsRequest) {
			r.MemoryMiB.Max = new(int32(32768)) // m5.2xlarge is four times the price
		})), 20, 2},
		"cheap for On-Demand": {spot(20, diversified, needs(func(r *ec2api.InstanceRequirementsRequest) {
			r.MaxSpotPriceAsPercentageOfOptimalOnDemandPrice = new(int32(40))
		})), 20, 1},
	} {
		got := h.instant(tt.in)
		n := 0
		for _, count := range got {
			n += count
		}
		if n != tt.total || len(got) != tt.kinds {
			t.Errorf("%s: %v", name, got)
		}
	}
	units := spot(8, ec2api.SpotOptionsRequest{}, needs(func(r *ec2api.InstanceRequirementsRequest) { r.AllowedInstanceTypes = []string{"m5.large"} }))
	for unit, tt := range map[string]struct{ total, want int32 }{"vcpu": {8, 4}, "memory-mib": {16384, 2}, "units": {3, 3}} {
		units.TargetCapacitySpecification.TargetCapacityUnitType, units.TargetCapacitySpecification.TotalTargetCapacity = &unit, &tt.total
		if got := h.instant(units); got["m5.large"] != int(tt.want) {
			t.Errorf("%d %s: %v", tt.total, unit, got)
		}
	}
}

// TestFleetOptionsAreChecked: what goes together, by type.
func TestFleetOptionsAreChecked(t *testing.T) {
	h := newHouse(t)
	template := h.fleetTemplate("web")
	rebalance := func(strategy *string, delay *int32) *ec2api.SpotOptionsRequest {
		return &ec2api.SpotOptionsRequest{MaintenanceStrategies: &ec2api.FleetSpotMaintenanceStrategiesRequest{CapacityRebalance: &ec2api.FleetSpotCapacityRebalanceRequest{ReplacementStrategy: strategy, TerminationDelay: delay}}}
	}
	for n, tt := range []struct {
		kind   string
		change func(*ec2api.CreateFleetRequest)
		code   string
	}{
		{"maintain", func(in *ec2api.CreateFleetRequest) {
			in.SpotOptions = &ec2api.SpotOptionsRequest{SingleInstanceType: new(true)}
		}, "InvalidParameterCombination"},
		{"instant", func(in *ec2api.CreateFleetRequest) {
			in.SpotOptions = &ec2api.SpotOptionsRequest{MinTargetCapacity: new(int32(1))}
		}, "InvalidParameterCombination"},
		{"instant", func(in *ec2api.CreateFleetRequest) {
			in.OnDemandOptions = &ec2api.OnDemandOptionsRequest{MaxTotalPrice: new("much")}
		}, "InvalidParameterValue"},
		{"instant", func(in *ec2api.CreateFleetRequest) { in.SpotOptions = rebalance(new("launch"), nil) }, "InvalidParameterCombination"},
		{"maintain", func(in *ec2api.CreateFleetRequest) { in.SpotOptions = rebalance(new("launch-before-terminate"), nil) }, "InvalidFleetConfig"},
		{"maintain", func(in *ec2api.CreateFleetRequest) { in.SpotOptions = rebalance(new("launch"), new(int32(200))) }, "InvalidParameterCombination"},
		{"maintain", func(in *ec2api.CreateFleetRequest) {
			in.SpotOptions = rebalance(new("launch-before-terminate"), new(int32(200)))
		}, "DryRunOperation"},
		{"instant", func(in *ec2api.CreateFleetRequest) { in.Context = new("x") }, "UnauthorizedOperation"},
		{"instant", func(in *ec2api.CreateFleetRequest) {
			in.ReservedCapacityOptions = &ec2api.ReservedCapacityOptionsRequest{ReservationTypes: []string{"interruptible-capacity-reservation"}}
		}, "UnsupportedOperation"},
		{"maintain", func(in *ec2api.CreateFleetRequest) {
			in.OnDemandOptions = &ec2api.OnDemandOptionsRequest{CapacityReservationOptions: &ec2api.CapacityReservationOptionsRequest{UsageStrategy: new("use-capacity-reservations-first")}}
		}, "InvalidParameterCombination"},
		{"instant", func(in *ec2api.CreateFleetRequest) {
			in.TargetCapacitySpecification.TargetCapacityUnitType = new("vcpu")
		}, "InvalidFleetConfig"},
		{"instant", func(in *ec2api.CreateFleetRequest) {
			in.LaunchTemplateConfigs[0].Overrides = []ec2api.FleetLaunchTemplateOverridesRequest{{InstanceRequirements: &ec2api.InstanceRequirementsRequest{
				VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(1))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(1))}, BaselinePerformanceFactors: &ec2api.BaselinePerformanceFactorsRequest{},
			}}}
		}, "UnsupportedOperation"},
	} {
		in := fleetRequest(tt.kind, template, 1, "spot")
		in.DryRun = new(true)
		tt.change(in)
		if _, err := h.try(h.owner(), in); apierr.Code(err) != tt.code {
			t.Errorf("row %d: got %v, want %s", n, err, tt.code)
		}
	}
}

// TestFleetOverridesReachTheInstance: user data, instance profile and metadata options.
func TestFleetOverridesReachTheInstance(t *testing.T) {
	h := newHouse(t)
	o := override("m5.large")
	o.MetadataOptions = &ec2api.FleetInstanceMetadataOptionsRequest{HttpTokens: new("required"), HttpPutResponseHopLimit: new(int32(3))}
	in := fleetRequest("instant", h.fleetTemplate("web"), 1, "on-demand", o)
	in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateSpecificationUserData = new(secret.String("ZWNobw=="))
	id := ask[ec2api.CreateFleetResult](h.desk, h.owner(), in).Instances[0].InstanceIds[0]
	h.Advance(5 * time.Second)
	if m := h.instance(id).MetadataOptions; *m.HttpTokens != "required" || *m.HttpPutResponseHopLimit != 3 {
		t.Errorf("metadata options %+v", m)
	}
	data := ask[ec2api.InstanceAttribute](h.desk, h.owner(), &ec2api.DescribeInstanceAttributeRequest{InstanceId: &id, Attribute: new("userData")})
	if data.UserData == nil || data.UserData.Value == nil || *data.UserData.Value != "ZWNobw==" {
		t.Errorf("user data %+v", data.UserData)
	}
}

// TestFleetZonesKeepTheTemplatesPlacement: a choice that names a zone launches into the placement group of its template, as Karpenter asks for it.
func TestFleetZonesKeepTheTemplatesPlacement(t *testing.T) {
	h := newHouse(t)
	g := ask[ec2api.CreatePlacementGroupResult](h.desk, h.owner(), &ec2api.CreatePlacementGroupRequest{GroupName: new("near"), Strategy: new("spread")}).PlacementGroup
	ask[ec2api.CreatePlacementGroupResult](h.desk, h.owner(), &ec2api.CreatePlacementGroupRequest{GroupName: new("other"), Strategy: new("spread")})
	zones := ask[ec2api.DescribeAvailabilityZonesResult](h.desk, h.owner(), &ec2api.DescribeAvailabilityZonesRequest{}).AvailabilityZones
	first, second := zones[0], zones[1]
	base := h.fleetTemplate("grouped")
	ask[ec2api.CreateLaunchTemplateVersionResult](h.desk, h.owner(), &ec2api.CreateLaunchTemplateVersionRequest{LaunchTemplateName: new("grouped"), SourceVersion: new("1"),
		LaunchTemplateData: &ec2api.RequestLaunchTemplateData{Placement: &ec2api.LaunchTemplatePlacementRequest{GroupId: g.GroupId, AvailabilityZone: first.ZoneName}}})
	for _, x := range []struct {
		name string
		set  func(*ec2api.FleetLaunchTemplateOverridesRequest)
		want string
	}{
		{"no zone", func(o *ec2api.FleetLaunchTemplateOverridesRequest) {}, "near " + *first.ZoneName},
		{"zone", func(o *ec2api.FleetLaunchTemplateOverridesRequest) { o.AvailabilityZone = second.ZoneName }, "near " + *second.ZoneName},
		{"zone by its id", func(o *ec2api.FleetLaunchTemplateOverridesRequest) { o.AvailabilityZoneId = second.ZoneId }, "near " + *second.ZoneName},
		{"zone and placement", func(o *ec2api.FleetLaunchTemplateOverridesRequest) {
			o.AvailabilityZone, o.Placement = second.ZoneName, &ec2api.Placement{GroupName: new("other")}
		}, "other " + *second.ZoneName},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := override("m5.large")
			x.set(&o)
			in := fleetRequest("instant", base, 1, "on-demand", o)
			out := ask[ec2api.CreateFleetResult](h.desk, h.owner(), in)
			if len(out.Instances) == 0 {
				t.Fatalf("no instance: %s %s", *out.Errors[0].ErrorCode, *out.Errors[0].ErrorMessage)
			}
			p := h.instance(out.Instances[0].InstanceIds[0]).Placement
			if got := *p.GroupName + " " + *p.AvailabilityZone; got != x.want {
				t.Errorf("placement %q, want %q", got, x.want)
			}
		})
	}
}

// TestFleetHistoryInPages: what happened at one time comes once each, in its order.
func TestFleetHistoryInPages(t *testing.T) {
	h := newHouse(t)
	began := time.Now()
	id := ask[ec2api.CreateFleetResult](h.desk, h.owner(), fleetRequest("maintain", h.fleetTemplate("web"), 40, "spot")).FleetId
	h.Advance(time.Minute)
	of := &ec2api.DescribeFleetHistoryRequest{FleetId: id, StartTime: &began}
	instances := func(records []ec2api.HistoryRecordEntry) (out []string) {
		for _, r := range records {
			out = append(out, api.Val(r.EventInformation.InstanceId))
		}
		return out
	}
	whole := instances(ask[ec2api.DescribeFleetHistoryResult](h.desk, h.owner(), of).HistoryRecords)
	var paged []string
	for of.MaxResults = new(int32(7)); ; {
		page := ask[ec2api.DescribeFleetHistoryResult](h.desk, h.owner(), of)
		paged = append(paged, instances(page.HistoryRecords)...)
		if of.NextToken = page.NextToken; of.NextToken == nil {
			break
		}
	}
	if len(whole) < 40 || !slices.Equal(whole, paged) {
		t.Errorf("%d events, in pages %d: %v", len(whole), len(paged), paged)
	}
}

// TestFleetHistories: of a fleet, by type of event and in pages; of a Spot Fleet that is modified.
func TestFleetHistories(t *testing.T) {
	h := newHouse(t)
	template := h.fleetTemplate("web")
	began := time.Now()
	id := ask[ec2api.CreateFleetResult](h.desk, h.owner(), fleetRequest("maintain", template, 2, "spot")).FleetId
	h.Advance(10 * time.Second)
	of := &ec2api.DescribeFleetHistoryRequest{FleetId: id, StartTime: &began}
	var said []string
	for _, r := range ask[ec2api.DescribeFleetHistoryResult](h.desk, h.owner(), of).HistoryRecords {
		said = append(said, *r.EventType+" "+*r.EventInformation.EventSubType)
	}
	if want := []string{"fleet-change submitted", "fleet-change active", "instance-change launched", "instance-change launched"}; !slices.Equal(said, want) {
		t.Errorf("history %v", said)
	}
	of.EventType = new("instance-change")
	if got := ask[ec2api.DescribeFleetHistoryResult](h.desk, h.owner(), of).HistoryRecords; len(got) != 2 || got[0].EventInformation.InstanceId == nil {
		t.Errorf("of instances %+v", got)
	}
	of.StartTime = new(time.Now().Add(time.Hour))
	if got := ask[ec2api.DescribeFleetHistoryResult](h.desk, h.owner(), of).HistoryRecords; got == nil || len(got) != 0 {
		t.Errorf("later %+v", got)
	}
	of.FleetId = new("fleet-00000000-0000-0000-0000-000000000000")
	h.refuse(h.owner(), of, "InvalidFleetId.NotFound", "*")

	spot := ask[ec2api.RequestSpotFleetResponse](h.desk, h.owner(), &ec2api.RequestSpotFleetRequest{SpotFleetRequestConfig: &ec2api.SpotFleetRequestConfigData{
		IamFleetRole: new("arn:aws:iam::" + mine + ":role/fleet"), TargetCapacity: new(int32(1)), SpotMaxTotalPrice: new("0.01"),
		LaunchTemplateConfigs: []ec2api.LaunchTemplateConfig{{LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecification{LaunchTemplateId: &template, Version: new("1")}}},
	}}).SpotFleetRequestId
	h.Advance(10 * time.Second)
	modify := &ec2api.ModifySpotFleetRequestRequest{SpotFleetRequestId: spot, TargetCapacity: new(int32(9)), ExcessCapacityTerminationPolicy: new("noTermination")}
	if out := ask[ec2api.ModifySpotFleetRequestResponse](h.desk, h.owner(), modify); !*out.Return {
		t.Error("it is not modified")
	}
	h.Advance(10 * time.Second)
	f := ask[ec2api.DescribeSpotFleetRequestsResponse](h.desk, h.owner(), &ec2api.DescribeSpotFleetRequestsRequest{}).SpotFleetRequestConfigs[0].SpotFleetRequestConfig
	if *f.TargetCapacity != 9 || *f.ExcessCapacityTerminationPolicy != "noTermination" || *f.FulfilledCapacity != 3 { // t3.micro is 0.00312
		t.Errorf("Spot Fleet %+v with %v", f, *f.FulfilledCapacity)
	}
	modify.LaunchTemplateConfigs = []ec2api.LaunchTemplateConfig{{LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecification{LaunchTemplateId: &template, Version: new("7")}}}
	h.refuse(h.owner(), modify, "InvalidLaunchTemplateId.VersionNotFound", "*")
	modify.LaunchTemplateConfigs, modify.TargetCapacity = nil, new(int32(-1))
	h.refuse(h.owner(), modify, "InvalidSpotFleetRequestConfig", "*")
	modify.SpotFleetRequestId = new("sfr-00000000-0000-0000-0000-000000000000")
	h.refuse(h.owner(), modify, "InvalidSpotFleetRequestId.NotFound", "*")
}

// TestBandwidthIsWeighted of a stopped instance whose type lets it.
func TestBandwidthIsWeighted(t *testing.T) {
	h := newHouse(t)
	in := runRequest()
	in.InstanceType = new("m8i.large")
	id := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	h.Advance(time.Minute)
	weigh := &ec2api.ModifyInstanceNetworkPerformanceRequest{InstanceId: &id, BandwidthWeighting: new("ebs-1")}
	try := func() (any, error) {
		return h.Invoke(t.Context(), h.owner(), ec2api.Service(), h.Ops, "ModifyInstanceNetworkPerformanceOptions", weigh)
	}
	if _, err := try(); apierr.Code(err) != "IncorrectInstanceState" {
		t.Errorf("of a running instance: %v", err)
	}
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	if out, err := try(); err != nil || *out.(*ec2api.ModifyInstanceNetworkPerformanceResult).BandwidthWeighting != "ebs-1" {
		t.Errorf("%+v, %v", out, err)
	}
	if got := *h.instance(id).NetworkPerformanceOptions.BandwidthWeighting; got != "ebs-1" {
		t.Errorf("the weighting is %s", got)
	}
}
