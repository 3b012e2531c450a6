package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// GetInstanceTypesFromInstanceRequirements lists the instance types with attributes: all of them, of which fleets and
// groups take some. Limits on prices have no effect.
// Source: EC2 API Reference, GetInstanceTypesFromInstanceRequirements.
func (s *Service) GetInstanceTypesFromInstanceRequirements(ctx context.Context, c *guard.Call, in *ec2api.GetInstanceTypesFromInstanceRequirementsRequest) (*ec2api.GetInstanceTypesFromInstanceRequirementsResult, error) {
	for _, v := range in.ArchitectureTypes {
		if !slices.Contains([]string{"i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"}, v) {
			return nil, invalidValue("Value (%s) for parameter architectureType is invalid.", v)
		}
	}
	for _, v := range in.VirtualizationTypes {
		if v != "hvm" && v != "paravirtual" {
			return nil, invalidValue("Value (%s) for parameter virtualizationType is invalid.", v)
		}
	}
	if err := checkRequirements(&ec2api.RequestLaunchTemplateData{InstanceRequirements: in.InstanceRequirements}); err != nil {
		return nil, err
	}
	if api.Val(in.Context) != "" {
		return nil, invalidValue("Value (%s) for parameter context is reserved.", *in.Context)
	}
	out := &ec2api.GetInstanceTypesFromInstanceRequirementsResult{}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(store.Tx) (err error) {
		items := []ec2api.InstanceTypeInfoFromInstanceRequirements{}
		for _, t := range instanceTypes() {
			fits := slices.ContainsFunc(in.ArchitectureTypes, t.Runs) &&
				slices.ContainsFunc(in.VirtualizationTypes, func(v string) bool { return slices.Contains(t.Virtualization(), v) })
			if fits && t.meets(in.InstanceRequirements) {
				items = append(items, ec2api.InstanceTypeInfoFromInstanceRequirements{InstanceType: &t.Name})
			}
		}
		name := func(i ec2api.InstanceTypeInfoFromInstanceRequirements) string { return *i.InstanceType }
		out.InstanceTypes, out.NextToken, err = paginate(c.Operation, items, name, limits{1, 1000}, in.MaxResults, in.NextToken)
		return err
	})
}
