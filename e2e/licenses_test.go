package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestLicensesOfALaunchTemplate: instances show the license configurations of their launch template.
func TestLicensesOfALaunchTemplate(t *testing.T) {
	c, ctx := admin(t), t.Context()
	license := "arn:aws:license-manager:" + c.region + ":" + c.account + ":license-configuration:lic-0123456789abcdef0123456789abcdef"
	template := must(c.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: new("licensed"), LaunchTemplateData: &types.RequestLaunchTemplateData{
		ImageId: new(c.plainImage(t)), InstanceType: types.InstanceTypeT3Micro, LicenseSpecifications: []types.LaunchTemplateLicenseConfigurationRequest{{LicenseConfigurationArn: &license}},
	}}))(t).LaunchTemplate.LaunchTemplateId
	one := new(int32(1))
	i := must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{MinCount: one, MaxCount: one, LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: template}}))(t).Instances[0]
	if len(i.Licenses) != 1 || *i.Licenses[0].LicenseConfigurationArn != license {
		t.Errorf("licenses %+v", i.Licenses)
	}
}
