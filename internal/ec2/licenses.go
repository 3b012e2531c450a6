package ec2

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
)

// licensesOf are the ARNs of the license configurations that a launch names. There is no License Manager: one that has
// the form of the caller's own is kept, and no license is counted.
// Source: EC2 API Reference, LicenseConfigurationRequest; Service Authorization Reference, "Resource types defined by
// Amazon EC2", license-configuration.
func licensesOf(c *guard.Call, in []ec2api.LicenseConfigurationRequest) ([]string, error) {
	var out []string
	for _, l := range in {
		text := api.Val(l.LicenseConfigurationArn)
		a, err := arn.Parse(text)
		id, ok := strings.CutPrefix(a.Resource, "license-configuration:lic-")
		if err != nil || !ok || len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || a.Service != "license-manager" || a.Region != c.Region || a.Account != c.Account() {
			return nil, invalidValue("Value (%s) for parameter licenseConfigurationArn is invalid.", text)
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out, nil
}

// licenseParts are the evaluations of an action on license configurations, which have no condition keys of their own.
func (s *Service) licenseParts(c *guard.Call, action string, licenses []string) (parts []authz.Part) {
	for _, l := range licenses {
		p := s.part(c, action, "*", nil)
		p.Resource.ARN = l
		parts = append(parts, p)
	}
	return parts
}

// licenses are the license configurations of an instance as answers carry them.
func (o *instanceOptions) licenses() (out []ec2api.LicenseConfiguration) {
	for n := range o.Licenses {
		out = append(out, ec2api.LicenseConfiguration{LicenseConfigurationArn: &o.Licenses[n]})
	}
	return out
}

// licensesAsTemplate are those of licenses in the data of a launch template.
func (o *instanceOptions) licensesAsTemplate() (out []ec2api.LaunchTemplateLicenseConfiguration) {
	for _, l := range o.licenses() {
		out = append(out, ec2api.LaunchTemplateLicenseConfiguration(l))
	}
	return out
}
