package iam

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
)

// scenarios are the types of resources that must be there for each ResourceHandlingOption.
// Source: IAM API Reference, SimulatePrincipalPolicy.
var scenarios = map[string][]string{
	"EC2-VPC-InstanceStore":        {"instance", "image", "security-group", "network-interface"},
	"EC2-VPC-InstanceStore-Subnet": {"instance", "image", "security-group", "network-interface", "subnet"},
	"EC2-VPC-EBS":                  {"instance", "image", "security-group", "network-interface", "volume"},
	"EC2-VPC-EBS-Subnet":           {"instance", "image", "security-group", "network-interface", "subnet", "volume"},
}

// checkScenario refuses a ResourceHandlingOption that is none, or whose resources are not all there.
func checkScenario(option *string, resources []string) error {
	if option == nil {
		return nil
	}
	needed, ok := scenarios[*option]
	if !ok {
		return apierr.Newf(codeInvalid, "Invalid Resource Handling Option: %s", *option)
	}
	for _, kind := range needed {
		if !slices.ContainsFunc(resources, func(r string) bool {
			a, err := arn.Parse(r)
			return err == nil && a.Service == "ec2" && a.Type() == kind
		}) {
			return apierr.Newf(codeInvalid, "The resource handling option %s requires a resource of type %s.", *option, kind)
		}
	}
	return nil
}

// results decides an action on the resources of a request in one answer. That of several resources
// has the pattern of an ARN for its resource and tells of each below; a deny of one is its decision,
// then the allow of one, but in a scenario, where the action needs them all.
func (s *simulation) results(action string, resources []string, scenario bool) iamapi.EvaluationResult {
	if len(resources) == 1 && !scenario {
		return s.result(action, resources[0])
	}
	service, _, _ := strings.Cut(action, ":")
	out := iamapi.EvaluationResult{
		EvalActionName: &action, EvalResourceName: new("arn:" + arn.Partition + ":" + strings.ToLower(service) + ":${Region}:${Account}:${ResourceType}/${ResourcePath}"),
		MatchedStatements: []iamapi.Statement{}, MissingContextValues: []string{},
	}
	told := map[string]bool{}
	organizations, boundary := true, true
	for _, resource := range resources {
		r := s.result(action, resource)
		told[api.Val(r.EvalDecision)] = true
		if d := r.OrganizationsDecisionDetail; d != nil {
			organizations = organizations && api.Val(d.AllowedByOrganizations)
			out.OrganizationsDecisionDetail = &iamapi.OrganizationsDecisionDetail{AllowedByOrganizations: &organizations}
		}
		if d := r.PermissionsBoundaryDecisionDetail; d != nil {
			boundary = boundary && api.Val(d.AllowedByPermissionsBoundary)
			out.PermissionsBoundaryDecisionDetail = &iamapi.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: &boundary}
		}
		out.ResourceSpecificResults = append(out.ResourceSpecificResults, ofResource(r))
	}
	order := []string{iamapi.PolicyEvaluationDecisionTypeExplicitDeny, iamapi.PolicyEvaluationDecisionTypeAllowed, iamapi.PolicyEvaluationDecisionTypeImplicitDeny}
	if scenario {
		order[1], order[2] = order[2], order[1]
	}
	out.EvalDecision = &order[slices.IndexFunc(order, func(d string) bool { return told[d] })]
	return out
}

// ofResource is what a result tells of its resource: all of "*" is in the result itself.
func ofResource(r iamapi.EvaluationResult) iamapi.ResourceSpecificResult {
	if len(r.ResourceSpecificResults) > 0 {
		return r.ResourceSpecificResults[0]
	}
	return iamapi.ResourceSpecificResult{
		EvalResourceName: r.EvalResourceName, EvalResourceDecision: r.EvalDecision, MatchedStatements: r.MatchedStatements,
		MissingContextValues: r.MissingContextValues, PermissionsBoundaryDecisionDetail: r.PermissionsBoundaryDecisionDetail,
	}
}
