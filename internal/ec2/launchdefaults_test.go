package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (h *house) setMetadataDefaults(in ec2api.ModifyInstanceMetadataDefaultsRequest) {
	h.T.Helper()
	if out := ask[ec2api.ModifyInstanceMetadataDefaultsResult](h.desk, h.owner(), &in); !*out.Return {
		h.T.Errorf("ModifyInstanceMetadataDefaults answers %+v", out)
	}
}

func TestMetadataDefaultsOfTheAccount(t *testing.T) {
	h := newHouse(t)
	get := func() ec2api.InstanceMetadataDefaultsResponse {
		return *ask[ec2api.GetInstanceMetadataDefaultsResult](h.desk, h.owner(), &ec2api.GetInstanceMetadataDefaultsRequest{}).AccountLevel
	}
	options := func(in ec2api.RunInstancesRequest) *ec2api.InstanceMetadataOptionsResponse {
		in.ImageId, in.MinCount, in.MaxCount, in.InstanceType = new(api.Val(in.ImageId)), new(int32(1)), new(int32(1)), new("t3.micro")
		if *in.ImageId == "" {
			in.ImageId = new(exampleImage)
		}
		return ask[ec2api.Reservation](h.desk, h.owner(), &in).Instances[0].MetadataOptions
	}
	if d := get(); d.HttpTokens != nil || d.HttpEndpoint != nil || d.HttpPutResponseHopLimit != nil || d.InstanceMetadataTags != nil || d.ManagedBy != nil {
		t.Errorf("nothing was set: %+v", d)
	}
	img := h.register(h.owner(), "tokens", h.newSnapshot())
	_, err := h.try(h.owner(), &ec2api.ModifyImageAttributeRequest{ImageId: &img, ImdsSupport: &ec2api.AttributeValue{Value: new("v2.0")}})
	h.Must(err)
	if o := options(ec2api.RunInstancesRequest{ImageId: &img}); *o.HttpTokens != "required" || *o.HttpPutResponseHopLimit != 2 {
		t.Errorf("of an image that wants v2.0: %s, %d", *o.HttpTokens, *o.HttpPutResponseHopLimit)
	}

	h.setMetadataDefaults(ec2api.ModifyInstanceMetadataDefaultsRequest{HttpTokens: new("required"), HttpPutResponseHopLimit: new(int32(5)), InstanceMetadataTags: new("enabled")})
	h.setMetadataDefaults(ec2api.ModifyInstanceMetadataDefaultsRequest{HttpEndpoint: new("enabled")})
	if d := get(); *d.HttpTokens != "required" || *d.HttpPutResponseHopLimit != 5 || *d.HttpEndpoint != "enabled" || *d.InstanceMetadataTags != "enabled" {
		t.Errorf("the defaults are %+v", d)
	}
	if o := options(ec2api.RunInstancesRequest{}); *o.HttpTokens != "required" || *o.HttpPutResponseHopLimit != 5 || *o.InstanceMetadataTags != "enabled" {
		t.Errorf("a launch without options has %s, %d, %s", *o.HttpTokens, *o.HttpPutResponseHopLimit, *o.InstanceMetadataTags)
	}
	said := ec2api.RunInstancesRequest{MetadataOptions: &ec2api.InstanceMetadataOptionsRequest{HttpTokens: new("optional")}}
	if o := options(said); *o.HttpTokens != "optional" || *o.HttpPutResponseHopLimit != 5 {
		t.Errorf("a launch that says it has %s, %d", *o.HttpTokens, *o.HttpPutResponseHopLimit)
	}

	h.setMetadataDefaults(ec2api.ModifyInstanceMetadataDefaultsRequest{HttpTokensEnforced: new("enabled")})
	said.ImageId, said.MinCount, said.MaxCount = new(exampleImage), new(int32(1)), new(int32(1))
	h.refuse(h.owner(), &said, "UnsupportedOperation", "*")
	id := h.run(h.owner())
	h.refuse(h.owner(), &ec2api.ModifyInstanceMetadataOptionsRequest{InstanceId: &id, HttpTokens: new("optional")}, "UnsupportedOperation", "*")

	h.setMetadataDefaults(ec2api.ModifyInstanceMetadataDefaultsRequest{
		HttpTokens: new("no-preference"), HttpPutResponseHopLimit: new(int32(-1)), HttpEndpoint: new("no-preference"), InstanceMetadataTags: new("no-preference"), HttpTokensEnforced: new("no-preference"),
	})
	if d := get(); d.HttpTokens != nil || d.HttpEndpoint != nil || d.HttpPutResponseHopLimit != nil || d.InstanceMetadataTags != nil || d.HttpTokensEnforced != nil {
		t.Errorf("everything was taken back: %+v", d)
	}
	if o := options(ec2api.RunInstancesRequest{}); *o.HttpTokens != "optional" || *o.HttpPutResponseHopLimit != 1 {
		t.Errorf("in the end a launch has %s, %d", *o.HttpTokens, *o.HttpPutResponseHopLimit)
	}
	for _, in := range []ec2api.ModifyInstanceMetadataDefaultsRequest{
		{HttpTokens: new("always")}, {HttpEndpoint: new("on")}, {HttpPutResponseHopLimit: new(int32(0))}, {HttpPutResponseHopLimit: new(int32(65))},
	} {
		h.refuse(h.owner(), &in, "InvalidParameterValue", "*")
	}
	h.refuse(h.allowed("v2only", `"ec2:ModifyInstanceMetadataDefaults"`, `"*"`, `{"StringEquals":{"ec2:Attribute/HttpTokens":"required"}}`),
		&ec2api.ModifyInstanceMetadataDefaultsRequest{HttpTokens: new("optional")}, "UnauthorizedOperation", "*")
}

func TestDefaultCreditsOfAFamily(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	get := func(family string) string {
		out := ask[ec2api.GetDefaultCreditSpecificationResult](h.desk, me, &ec2api.GetDefaultCreditSpecificationRequest{InstanceFamily: &family}).InstanceFamilyCreditSpecification
		return *out.InstanceFamily + " " + *out.CpuCredits
	}
	credits := func(kind string) string {
		id := *ask[ec2api.Reservation](h.desk, me, &ec2api.RunInstancesRequest{ImageId: new(exampleImage), MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: &kind}).Instances[0].InstanceId
		return *ask[ec2api.DescribeInstanceCreditSpecificationsResult](h.desk, me, &ec2api.DescribeInstanceCreditSpecificationsRequest{InstanceIds: []string{id}}).InstanceCreditSpecifications[0].CpuCredits
	}
	if get("t2") != "t2 standard" || get("t3") != "t3 unlimited" || get("t4g") != "t4g unlimited" {
		t.Errorf("EC2's own are %s, %s, %s", get("t2"), get("t3"), get("t4g"))
	}
	out := ask[ec2api.ModifyDefaultCreditSpecificationResult](h.desk, me, &ec2api.ModifyDefaultCreditSpecificationRequest{InstanceFamily: new("t2"), CpuCredits: new("unlimited")})
	if s := out.InstanceFamilyCreditSpecification; *s.InstanceFamily != "t2" || *s.CpuCredits != "unlimited" {
		t.Errorf("ModifyDefaultCreditSpecification answers %+v", s)
	}
	if get("t2") != "t2 unlimited" || credits("t2.micro") != "unlimited" || credits("t3.micro") != "unlimited" {
		t.Errorf("the default is %s, instances have %s", get("t2"), credits("t2.micro"))
	}
	h.refuse(me, &ec2api.GetDefaultCreditSpecificationRequest{InstanceFamily: new("m5")}, "InvalidParameterValue", "*")
	h.refuse(me, &ec2api.ModifyDefaultCreditSpecificationRequest{InstanceFamily: new("t9"), CpuCredits: new("standard")}, "InvalidParameterValue", "*")
	h.refuse(me, &ec2api.ModifyDefaultCreditSpecificationRequest{InstanceFamily: new("t3"), CpuCredits: new("some")}, "InvalidParameterValue", "*")
}

func TestEmptyListsOfTagsAreShown(t *testing.T) {
	h := newHouse(t)
	ask[ec2api.KeyPair](h.desk, h.owner(), &ec2api.CreateKeyPairRequest{KeyName: new("plain")})
	if k := ask[ec2api.DescribeKeyPairsResult](h.desk, h.owner(), &ec2api.DescribeKeyPairsRequest{}).KeyPairs[0]; k.Tags == nil || len(k.Tags) != 0 {
		t.Errorf("tags of a key pair: %+v", k.Tags)
	}
	if r := ask[ec2api.DescribeSecurityGroupRulesResult](h.desk, h.owner(), &ec2api.DescribeSecurityGroupRulesRequest{}).SecurityGroupRules[0]; r.Tags == nil || len(r.Tags) != 0 {
		t.Errorf("tags of a rule: %+v", r.Tags)
	}
}
