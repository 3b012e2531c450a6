package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestLicenses: license configurations of a launch are shown, and the caller needs them to launch and to start.
func TestLicenses(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	of := func(account string) string {
		return "arn:aws:license-manager:" + region + ":" + account + ":license-configuration:lic-0123456789abcdef0123456789abcdef"
	}
	in := runRequest()
	for _, bad := range []string{"", "lic-0123456789abcdef", of(theirs), "arn:aws:ec2:" + region + ":" + mine + ":license-configuration:lic-0"} {
		in.LicenseSpecifications = []ec2api.LicenseConfigurationRequest{{LicenseConfigurationArn: &bad}}
		h.refuse(me, in, "InvalidParameterValue", "*")
	}
	template := h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"), LicenseSpecifications: []ec2api.LaunchTemplateLicenseConfigurationRequest{{LicenseConfigurationArn: new(of(mine))}},
	})
	id := *ask[ec2api.Reservation](h.desk, me, fromTemplate(template)).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	if l := h.instance(id).Licenses; len(l) != 1 || *l[0].LicenseConfigurationArn != of(mine) {
		t.Errorf("licenses %+v", l)
	}
	data := ask[ec2api.GetLaunchTemplateDataResult](h.desk, me, &ec2api.GetLaunchTemplateDataRequest{InstanceId: &id}).LaunchTemplateData
	if l := data.LicenseSpecifications; len(l) != 1 || *l[0].LicenseConfigurationArn != of(mine) {
		t.Errorf("licenses of a template %+v", l)
	}
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(5 * time.Second)
	without := h.allowed("without", `"ec2:*"`, `"arn:aws:ec2:*"`, "")
	h.refuse(without, &ec2api.StartInstancesRequest{InstanceIds: []string{id}}, "UnauthorizedOperation", "*")
	in.LicenseSpecifications = []ec2api.LicenseConfigurationRequest{{LicenseConfigurationArn: new(of(mine))}}
	h.refuse(without, in, "UnauthorizedOperation", "*")
	in.LicenseSpecifications = nil
	ask[ec2api.Reservation](h.desk, without, in)
	ask[ec2api.StartInstancesResult](h.desk, h.launcher(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
}
