package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestInstanceTypesInPages: the SDK's paginators see each type and each offering once, filters leave the right ones,
// and what cannot be asked is refused.
func TestInstanceTypesInPages(t *testing.T) {
	c, ctx := admin(t), t.Context()
	all := map[ec2types.InstanceType]ec2types.InstanceTypeInfo{}
	pages := 0
	for p := ec2.NewDescribeInstanceTypesPaginator(c.ec2, &ec2.DescribeInstanceTypesInput{MaxResults: new(int32(100))}); p.HasMorePages(); pages++ {
		for _, kind := range must(p.NextPage(ctx))(t).InstanceTypes {
			if _, twice := all[kind.InstanceType]; twice {
				t.Errorf("%s comes twice", kind.InstanceType)
			}
			all[kind.InstanceType] = kind
		}
	}
	if pages != (len(all)+99)/100 || len(all) < 800 {
		t.Errorf("%d types in %d pages", len(all), pages)
	}
	filtered := func(filters ...ec2types.Filter) []ec2types.InstanceType {
		t.Helper()
		var out []ec2types.InstanceType
		for p := ec2.NewDescribeInstanceTypesPaginator(c.ec2, &ec2.DescribeInstanceTypesInput{Filters: filters, MaxResults: new(int32(5))}); p.HasMorePages(); {
			for _, kind := range must(p.NextPage(ctx))(t).InstanceTypes {
				out = append(out, kind.InstanceType)
			}
		}
		slices.Sort(out)
		return out
	}
	chosen := func(keep func(ec2types.InstanceTypeInfo) bool) (out []ec2types.InstanceType) {
		for name, kind := range all {
			if keep(kind) {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return out
	}
	f := func(name string, values ...string) ec2types.Filter {
		return ec2types.Filter{Name: &name, Values: values}
	}
	for _, tt := range []struct {
		filters []ec2types.Filter
		keep    func(ec2types.InstanceTypeInfo) bool
	}{
		{[]ec2types.Filter{f("instance-type", "m5*.large", "c5.xlarge")}, func(k ec2types.InstanceTypeInfo) bool {
			name := string(k.InstanceType)
			return name == "c5.xlarge" || strings.HasPrefix(name, "m5") && strings.HasSuffix(name, ".large")
		}},
		{[]ec2types.Filter{f("vcpu-info.default-vcpus", "2"), f("processor-info.supported-architecture", "arm64")}, func(k ec2types.InstanceTypeInfo) bool {
			return *k.VCpuInfo.DefaultVCpus == 2 && slices.Contains(k.ProcessorInfo.SupportedArchitectures, ec2types.ArchitectureTypeArm64)
		}},
		{[]ec2types.Filter{f("ebs-info.encryption-support", "unsupported")}, func(k ec2types.InstanceTypeInfo) bool {
			return k.EbsInfo.EncryptionSupport == ec2types.EbsEncryptionSupportUnsupported
		}},
		{[]ec2types.Filter{f("hibernation-supported", "true"), f("bare-metal", "false"), f("memory-info.size-in-mib", "16384")}, func(k ec2types.InstanceTypeInfo) bool {
			return *k.HibernationSupported && !*k.BareMetal && *k.MemoryInfo.SizeInMiB == 16384
		}},
	} {
		got, want := filtered(tt.filters...), chosen(tt.keep)
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s %v: %d types, want %d", *tt.filters[0].Name, tt.filters[0].Values, len(got), len(want))
		}
	}
	offers := map[string]int{}
	for p := ec2.NewDescribeInstanceTypeOfferingsPaginator(c.ec2, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: new(int32(1000))}); p.HasMorePages(); {
		for _, o := range must(p.NextPage(ctx))(t).InstanceTypeOfferings {
			offers[string(o.InstanceType)+" "+*o.Location]++
		}
	}
	for what, n := range offers {
		if n != 1 {
			t.Errorf("the offering %s comes %d times", what, n)
		}
	}
	zones := must(c.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{}))(t).AvailabilityZones
	if len(offers) != len(all)*len(zones) {
		t.Errorf("%d offerings of %d types in %d zones", len(offers), len(all), len(zones))
	}
	regional := must(c.ec2.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{Filters: []ec2types.Filter{f("instance-type", "t3.*"), f("location", c.region)}}))(t).InstanceTypeOfferings
	if len(regional) != len(chosen(func(k ec2types.InstanceTypeInfo) bool { return strings.HasPrefix(string(k.InstanceType), "t3.") })) {
		t.Errorf("%d offerings in the Region", len(regional))
	}
	for want, in := range map[string]*ec2.DescribeInstanceTypesInput{
		"InvalidInstanceType":   {InstanceTypes: []ec2types.InstanceType{"m5.tiny"}},
		"InvalidParameterValue": {Filters: []ec2types.Filter{f("colour", "red")}},
	} {
		refused(c.ec2.DescribeInstanceTypes(ctx, in))(t, want)
	}
	refused(c.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{NextToken: new("nonsense")}))(t, "InvalidNextToken")
	refused(c.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{MaxResults: new(int32(1000))}))(t, "InvalidParameterValue")
}

// The tests of several AWS SDKs go through pages of what EC2 offers to reserve.
func TestReservedInstancesOfferingsInPages(t *testing.T) {
	c, ctx := admin(t), t.Context()
	in, pages := &ec2.DescribeReservedInstancesOfferingsInput{MaxResults: new(int32(20))}, 0
	for p := ec2.NewDescribeReservedInstancesOfferingsPaginator(c.ec2, in); p.HasMorePages() && pages < 3; pages++ {
		if got := must(p.NextPage(ctx))(t).ReservedInstancesOfferings; len(got) != 20 {
			t.Errorf("page %d has %d", pages, len(got))
		}
	}
	if pages != 3 {
		t.Errorf("%d pages", pages)
	}
	refused(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{""}}))(t, "MissingParameter")
}
