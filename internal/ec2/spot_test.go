package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func spotRequest(o *ec2api.SpotMarketOptions) *ec2api.RunInstancesRequest {
	in := runRequest()
	in.InstanceMarketOptions = &ec2api.InstanceMarketOptionsRequest{MarketType: new("spot"), SpotOptions: o}
	return in
}

func TestSpotInstancesSayThatTheyAreSpot(t *testing.T) {
	h := newHouse(t)
	launched := ask[ec2api.Reservation](h.desk, h.owner(), spotRequest(&ec2api.SpotMarketOptions{MaxPrice: new("0.00312")})).Instances[0]
	plain := h.run(h.owner())
	h.Advance(time.Minute)
	i := h.instance(*launched.InstanceId)
	if *i.State.Name != "running" || api.Val(i.InstanceLifecycle) != "spot" || len(api.Val(i.SpotInstanceRequestId)) != len("sir-12345678") {
		t.Errorf("%s, lifecycle %v, request %v", *i.State.Name, i.InstanceLifecycle, i.SpotInstanceRequestId)
	}
	if p := h.instance(plain); p.InstanceLifecycle != nil || p.SpotInstanceRequestId != nil {
		t.Errorf("On-Demand: lifecycle %v, request %v", p.InstanceLifecycle, p.SpotInstanceRequestId)
	}
	out := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{
		{Name: new("instance-lifecycle"), Values: []string{"spot"}},
	}})
	if len(out.Reservations) != 1 || *out.Reservations[0].Instances[0].InstanceId != *launched.InstanceId {
		t.Errorf("filter: %+v", out.Reservations)
	}
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{*launched.InstanceId}}, "UnsupportedOperation", "*")
}

func TestAPersistentRequestOfALaunchTellsItsEnd(t *testing.T) {
	h := newHouse(t)
	end := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	ask[ec2api.Reservation](h.desk, h.owner(), spotRequest(&ec2api.SpotMarketOptions{SpotInstanceType: new("persistent"), InstanceInterruptionBehavior: new("stop"), ValidUntil: &end}))
	r := ask[ec2api.DescribeSpotInstanceRequestsResult](h.desk, h.owner(), &ec2api.DescribeSpotInstanceRequestsRequest{}).SpotInstanceRequests[0]
	if *r.Type != "persistent" || *r.InstanceInterruptionBehavior != "stop" || r.ValidUntil == nil || !r.ValidUntil.Equal(end) {
		t.Errorf("the request is %+v", r)
	}
}

func TestATemplateCanAskForSpot(t *testing.T) {
	h := newHouse(t)
	data := &ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"),
		InstanceMarketOptions: &ec2api.LaunchTemplateInstanceMarketOptionsRequest{
			MarketType: new("spot"), SpotOptions: &ec2api.LaunchTemplateSpotMarketOptionsRequest{MaxPrice: new("0.002")},
		},
	}
	h.refuse(h.owner(), fromTemplate(h.template(data)), "SpotMaxPriceTooLow",
		"Your Spot request price of 0.002 is lower than the minimum required Spot request fulfillment price of 0.00312.")
	data.InstanceMarketOptions.SpotOptions = nil
	i := ask[ec2api.Reservation](h.desk, h.owner(), fromTemplate(h.template(data))).Instances[0]
	if api.Val(i.InstanceLifecycle) != "spot" {
		t.Errorf("lifecycle %v", i.InstanceLifecycle)
	}
}

// A launch tags the requests for its Spot Instances, as Karpenter's templates have it; a launch that makes none has nothing to tag.
func TestALaunchTagsItsSpotRequests(t *testing.T) {
	h := newHouse(t)
	data := &ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"),
		TagSpecifications: []ec2api.LaunchTemplateTagSpecificationRequest{{ResourceType: new("spot-instances-request"), Tags: tagList("team", "red")}},
	}
	template := h.template(data)
	h.refuse(h.owner(), fromTemplate(template), "InvalidParameterValue",
		"You cannot specify tags for Spot instances requests if there are no Spot instances requests being created by the request.")
	spot := fromTemplate(template)
	spot.InstanceMarketOptions = &ec2api.InstanceMarketOptionsRequest{MarketType: new("spot")}
	spot.MinCount, spot.MaxCount = new(int32(40)), new(int32(40)) // more than one transaction carries
	for _, i := range ask[ec2api.Reservation](h.desk, h.owner(), spot).Instances {
		r := ask[ec2api.DescribeSpotInstanceRequestsResult](h.desk, h.owner(), &ec2api.DescribeSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{*i.SpotInstanceRequestId}}).SpotInstanceRequests[0]
		if len(r.Tags) != 1 || *r.Tags[0].Value != "red" || len(i.Tags) > 2 {
			t.Fatalf("request with %+v, instance with %+v", r.Tags, i.Tags)
		}
	}
	// The right to launch is of the request too, if it is tagged.
	others := `"arn:aws:ec2:*:*:instance/*","arn:aws:ec2:*:*:volume/*","arn:aws:ec2:*:*:network-interface/*","arn:aws:ec2:*:*:subnet/*",` +
		`"arn:aws:ec2:*:*:security-group/*","arn:aws:ec2:*:*:launch-template/*","arn:aws:ec2:*::image/*"`
	spot.MinCount, spot.MaxCount = new(int32(1)), new(int32(1))
	h.refuse(h.allowed("no-requests", `"ec2:*"`, "["+others+"]", ""), spot, "UnauthorizedOperation", "*")
	ask[ec2api.Reservation](h.desk, h.allowed("requests", `"ec2:*"`, "["+others+`,"arn:aws:ec2:*:*:spot-instances-request/*"]`, ""), spot)
}

func TestSpotRequestsThatAreRefused(t *testing.T) {
	h := newHouse(t)
	old := spotRequest(nil)
	old.InstanceType = new("m1.small")
	tests := []struct {
		name       string
		in         *ec2api.RunInstancesRequest
		code, text string
	}{
		{"price too low", spotRequest(&ec2api.SpotMarketOptions{MaxPrice: new("0.001")}), "SpotMaxPriceTooLow",
			"Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.00312."},
		{"no price", spotRequest(&ec2api.SpotMarketOptions{MaxPrice: new("NaN")}), "InvalidParameterValue", "*"},
		{"hibernates", spotRequest(&ec2api.SpotMarketOptions{InstanceInterruptionBehavior: new("hibernate")}), "InvalidParameterCombination", "*"},
		{"for some time", spotRequest(&ec2api.SpotMarketOptions{BlockDurationMinutes: new(int32(60))}), "InvalidParameterCombination", "*"},
		{"type without Spot", old, "Unsupported", "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.refuse(h.owner(), tt.in, tt.code, tt.text)
		})
	}
}

// Policies tell the markets apart, as that of AWSServiceRoleForEC2Spot does.
func TestInstanceMarketTypeIsAConditionKey(t *testing.T) {
	h := newHouse(t)
	user := h.User(mine, "spotter", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
		{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*:*:instance/*","Condition":{"StringNotEquals":{"ec2:InstanceMarketType":"spot"}}}]}`)
	h.refuse(user, runRequest(), "UnauthorizedOperation", "*")
	if out := ask[ec2api.Reservation](h.desk, user, spotRequest(nil)); len(out.Instances) != 1 {
		t.Errorf("%d instances", len(out.Instances))
	}
}
