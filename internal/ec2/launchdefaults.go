package ec2

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// noPreference leaves a default to the image. Source: EC2 API Reference, ModifyInstanceMetadataDefaults.
const noPreference = "no-preference"

// metadataDefaults is what an account set for the metadata service of new instances; what is not set is "" or 0.
type metadataDefaults struct {
	Tokens   string `json:"tokens,omitempty"`
	Hops     int32  `json:"hops,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	Tags     string `json:"tags,omitempty"`
	Enforced string `json:"enforced,omitempty"`
}

// apply has a launch begin with the account's defaults, then with what the image asks for.
// Source: EC2 User Guide, "Order of precedence for instance metadata options".
func (d *metadataDefaults) apply(o *instanceOptions, img *imageRecord) {
	if img.IMDS == imdsV2 {
		o.HTTPTokens, o.HTTPHops = ec2api.HttpTokensStateRequired, 2
	}
	o.HTTPTokens, o.HTTPHops = cmp.Or(d.Tokens, o.HTTPTokens), cmp.Or(d.Hops, o.HTTPHops)
	o.HTTPEndpoint, o.MetadataTags = cmp.Or(d.Endpoint, o.HTTPEndpoint), cmp.Or(d.Tags, o.MetadataTags)
}

// enforce refuses instances that answer without a token where the account does not want them. An instance whose
// metadata service is disabled answers nobody. Source: EC2 User Guide, "Configure the Instance Metadata Service
// options": the error is UnsupportedOperation.
func (d *metadataDefaults) enforce(o *instanceOptions) error {
	if d.Enforced == ec2api.HttpTokensEnforcedStateEnabled && o.HTTPEndpoint == "enabled" && o.HTTPTokens != ec2api.HttpTokensStateRequired {
		return apierr.New("UnsupportedOperation", "The account requires IMDSv2 (HttpTokensEnforced): HttpTokens has to be 'required'.")
	}
	return nil
}

// GetInstanceMetadataDefaults tells what the account set for the metadata service of new instances.
// Source: EC2 API Reference, GetInstanceMetadataDefaults.
func (s *Service) GetInstanceMetadataDefaults(ctx context.Context, c *guard.Call, in *ec2api.GetInstanceMetadataDefaultsRequest) (*ec2api.GetInstanceMetadataDefaultsResult, error) {
	var out *ec2api.GetInstanceMetadataDefaultsResult
	err := s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		rec, _, err := settingTable.Get(tx, c.Region, c.Account())
		d := rec.Metadata
		if d == (metadataDefaults{}) {
			out = &ec2api.GetInstanceMetadataDefaultsResult{AccountLevel: &ec2api.InstanceMetadataDefaultsResponse{}}
			return err
		}
		out = &ec2api.GetInstanceMetadataDefaultsResult{AccountLevel: &ec2api.InstanceMetadataDefaultsResponse{
			HttpTokens: api.Opt(d.Tokens), HttpEndpoint: api.Opt(d.Endpoint), InstanceMetadataTags: api.Opt(d.Tags),
			HttpTokensEnforced: api.Opt(d.Enforced), ManagedBy: new(ec2api.ManagedByAccount),
		}}
		if d.Hops > 0 {
			out.AccountLevel.HttpPutResponseHopLimit = &d.Hops
		}
		return err
	})
	return out, err
}

// ModifyInstanceMetadataDefaults sets how new instances can be asked for their metadata, unless the launch says it.
// Source: EC2 API Reference, ModifyInstanceMetadataDefaults.
func (s *Service) ModifyInstanceMetadataDefaults(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceMetadataDefaultsRequest) (*ec2api.ModifyInstanceMetadataDefaultsResult, error) {
	texts := []struct {
		name   string
		given  *string
		values [2]string
		place  func(*metadataDefaults) *string
	}{
		{"HttpTokens", in.HttpTokens, [2]string{"optional", "required"}, func(d *metadataDefaults) *string { return &d.Tokens }},
		{"HttpEndpoint", in.HttpEndpoint, [2]string{"enabled", "disabled"}, func(d *metadataDefaults) *string { return &d.Endpoint }},
		{"InstanceMetadataTags", in.InstanceMetadataTags, [2]string{"enabled", "disabled"}, func(d *metadataDefaults) *string { return &d.Tags }},
		{"HttpTokensEnforced", in.HttpTokensEnforced, [2]string{"enabled", "disabled"}, func(d *metadataDefaults) *string { return &d.Enforced }},
	}
	for _, t := range texts {
		if t.given != nil && *t.given != noPreference && !slices.Contains(t.values[:], *t.given) {
			return nil, invalidValue("Value (%s) for parameter %s is invalid. Valid values: %s, %s, %s.", *t.given, t.name, t.values[0], t.values[1], noPreference)
		}
	}
	hops := in.HttpPutResponseHopLimit
	if hops != nil && *hops != -1 && (*hops < 1 || *hops > 64) {
		return nil, invalidValue("Value (%d) for parameter HttpPutResponseHopLimit is invalid. It is from 1 to 64, or -1.", *hops)
	}
	out := &ec2api.ModifyInstanceMetadataDefaultsResult{Return: new(true)}
	describe := func(p *authz.Part) {
		for _, t := range texts {
			if t.given != nil {
				setAttribute(p, t.name, *t.given)
			}
		}
		if hops != nil {
			setAttribute(p, "HttpPutResponseHopLimit", strconv.Itoa(int(*hops)))
		}
	}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) {
		for _, t := range texts {
			if t.given != nil {
				*t.place(&rec.Metadata) = strings.TrimPrefix(*t.given, noPreference)
			}
		}
		if hops != nil {
			rec.Metadata.Hops = max(*hops, 0)
		}
	}, describe)
}

// creditFamilies are those whose default of CPU credits an account can change, with EC2's own default.
// Source: EC2 User Guide, "Standard mode for burstable performance instances", "Default credit specification".
func creditFamilies() map[string]string {
	return map[string]string{"t2": "standard", "t3": "unlimited", "t3a": "unlimited", "t4g": "unlimited"}
}

func creditFamily(name string) error {
	if _, ok := creditFamilies()[name]; !ok {
		return invalidValue("Value (%s) for parameter InstanceFamily is invalid. Valid values: %s.", name, strings.Join(slices.Sorted(maps.Keys(creditFamilies())), ", "))
	}
	return nil
}

// GetDefaultCreditSpecification tells how new instances of a burstable family get CPU credits.
// Source: EC2 API Reference, GetDefaultCreditSpecification.
func (s *Service) GetDefaultCreditSpecification(ctx context.Context, c *guard.Call, in *ec2api.GetDefaultCreditSpecificationRequest) (*ec2api.GetDefaultCreditSpecificationResult, error) {
	family := api.Val(in.InstanceFamily)
	if err := creditFamily(family); err != nil {
		return nil, err
	}
	var out *ec2api.GetDefaultCreditSpecificationResult
	err := s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		rec, _, err := settingTable.Get(tx, c.Region, c.Account())
		out = &ec2api.GetDefaultCreditSpecificationResult{InstanceFamilyCreditSpecification: &ec2api.InstanceFamilyCreditSpecification{
			InstanceFamily: &family, CpuCredits: new(cmp.Or(rec.Credits[family], creditFamilies()[family])),
		}}
		return err
	})
	return out, err
}

// ModifyDefaultCreditSpecification changes how new instances of a burstable family get CPU credits, if the launch
// does not say it. Source: EC2 API Reference, ModifyDefaultCreditSpecification.
func (s *Service) ModifyDefaultCreditSpecification(ctx context.Context, c *guard.Call, in *ec2api.ModifyDefaultCreditSpecificationRequest) (*ec2api.ModifyDefaultCreditSpecificationResult, error) {
	family, credits := api.Val(in.InstanceFamily), api.Val(in.CpuCredits)
	if err := creditFamily(family); err != nil {
		return nil, err
	}
	if credits != "standard" && credits != "unlimited" {
		return nil, invalidValue("Value (%s) for parameter cpuCredits is invalid. Valid values are standard, unlimited.", credits)
	}
	out := &ec2api.ModifyDefaultCreditSpecificationResult{InstanceFamilyCreditSpecification: &ec2api.InstanceFamilyCreditSpecification{
		InstanceFamily: &family, CpuCredits: &credits,
	}}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) {
		changed := maps.Clone(rec.Credits)
		if changed == nil {
			changed = map[string]string{}
		}
		changed[family] = credits
		rec.Credits = changed
	})
}
