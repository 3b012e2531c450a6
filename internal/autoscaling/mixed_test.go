package autoscaling_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// mixed is a group with a mixed instances policy over types.
func mixed(name string, desired int32, d *autoscalingapi.InstancesDistribution, types ...string) *autoscalingapi.CreateAutoScalingGroupType {
	in := request(name, desired)
	in.MaxSize = new(int32(40))
	t := &autoscalingapi.LaunchTemplate{LaunchTemplateSpecification: in.LaunchTemplate}
	for _, n := range types {
		t.Overrides = append(t.Overrides, autoscalingapi.LaunchTemplateOverrides{InstanceType: &n})
	}
	in.LaunchTemplate, in.MixedInstancesPolicy = nil, &autoscalingapi.MixedInstancesPolicy{LaunchTemplate: t, InstancesDistribution: d}
	return in
}

// launched are the requests to EC2 as "market type", sorted, with how many there were of each.
func (w *world) launched() string {
	n := map[string]int{}
	for _, r := range w.ec2.requests {
		market := "on-demand"
		if r.InstanceMarketOptions != nil {
			market = *r.InstanceMarketOptions.MarketType
		}
		n[market+" "+api.Val(r.InstanceType)]++
	}
	var out []string
	for k, v := range n {
		out = append(out, fmt.Sprintf("%d %s", v, k))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// Images of overrides are decided on, in new groups and in changes.
func TestImagesOfOverridesAreAConditionKey(t *testing.T) {
	w := newWorld(t)
	const everything = `{"Effect":"Allow","Action":["autoscaling:*","iam:CreateServiceLinkedRole"],"Resource":"*"}`
	deny := func(name, condition string) guard.Caller {
		return w.User(account, name, `{"Version":"2012-10-17","Statement":[`+everything+`,
			{"Effect":"Deny","Action":"autoscaling:*","Resource":"*","Condition":`+condition+`}]}`)
	}
	with := func(name string, images ...string) *autoscalingapi.CreateAutoScalingGroupType {
		in := mixed(name, 0, nil, "m5.large", "c5.large", "c5.xlarge")
		for i := range images {
			in.MixedInstancesPolicy.LaunchTemplate.Overrides[i].ImageId = &images[i]
		}
		return in
	}
	users := map[string]guard.Caller{
		"some":  deny("some", `{"ForAnyValue:StringEquals":{"autoscaling:ImageId":"ami-bad"}}`),
		"plain": deny("plain", `{"StringEquals":{"autoscaling:ImageId":"ami-bad"}}`),
	}
	for name, user := range users {
		_, err := w.do(user, "CreateAutoScalingGroup", with(name, "ami-bad"))
		guardtest.WantError(t, err, "AccessDenied", "*")
		for i, images := range [][]string{nil, {"ami-good"}, {"ami-good", "ami-fine"}} {
			if _, err := w.do(user, "CreateAutoScalingGroup", with(fmt.Sprint(name, i), images...)); err != nil {
				t.Errorf("%s: images %v: %v", name, images, err)
			}
		}
		_, err = w.do(user, "UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{
			AutoScalingGroupName: new(name + "0"), MixedInstancesPolicy: with(name, "ami-bad").MixedInstancesPolicy,
		})
		guardtest.WantError(t, err, "AccessDenied", "*")
	}
	_, err := w.do(users["some"], "CreateAutoScalingGroup", with("g", "ami-good", "ami-bad"))
	guardtest.WantError(t, err, "AccessDenied", "*")
}

// The answer repeats the policy with the defaults filled in.
func TestMixedDefaults(t *testing.T) {
	type distribution = autoscalingapi.InstancesDistribution
	tests := []struct {
		name       string
		give, want *distribution
	}{
		{"nothing", nil, &distribution{
			OnDemandAllocationStrategy: new("prioritized"), OnDemandBaseCapacity: new(int32(0)), OnDemandPercentageAboveBaseCapacity: new(int32(100)),
			SpotAllocationStrategy: new("lowest-price"), SpotInstancePools: new(int32(2)),
		}},
		{"an empty price, as Terraform sends it", &distribution{SpotMaxPrice: new(""), OnDemandPercentageAboveBaseCapacity: new(int32(0))}, &distribution{
			OnDemandAllocationStrategy: new("prioritized"), OnDemandBaseCapacity: new(int32(0)), OnDemandPercentageAboveBaseCapacity: new(int32(0)),
			SpotAllocationStrategy: new("lowest-price"), SpotInstancePools: new(int32(2)),
		}},
		{"pools are of lowest-price only", &distribution{SpotAllocationStrategy: new("capacity-optimized"), SpotInstancePools: new(int32(0)), SpotMaxPrice: new("0.1")}, &distribution{
			OnDemandAllocationStrategy: new("prioritized"), OnDemandBaseCapacity: new(int32(0)), OnDemandPercentageAboveBaseCapacity: new(int32(100)),
			SpotAllocationStrategy: new("capacity-optimized"), SpotMaxPrice: new("0.1"),
		}},
		{"everything", &distribution{
			OnDemandAllocationStrategy: new("lowest-price"), OnDemandBaseCapacity: new(int32(2)), OnDemandPercentageAboveBaseCapacity: new(int32(25)),
			SpotAllocationStrategy: new("lowest-price"), SpotInstancePools: new(int32(3)), SpotMaxPrice: new("0.2"),
		}, &distribution{
			OnDemandAllocationStrategy: new("lowest-price"), OnDemandBaseCapacity: new(int32(2)), OnDemandPercentageAboveBaseCapacity: new(int32(25)),
			SpotAllocationStrategy: new("lowest-price"), SpotInstancePools: new(int32(3)), SpotMaxPrice: new("0.2"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			in := mixed("g", 0, tt.give, "m5.large", "c5.large")
			in.MixedInstancesPolicy.LaunchTemplate.Overrides[0].WeightedCapacity = new("1")
			in.MixedInstancesPolicy.LaunchTemplate.Overrides[1].WeightedCapacity = new("2")
			w.must("CreateAutoScalingGroup", in)
			want := &autoscalingapi.MixedInstancesPolicy{
				LaunchTemplate: &autoscalingapi.LaunchTemplate{
					LaunchTemplateSpecification: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateId: new("lt-1"), LaunchTemplateName: new("web"), Version: new("$Latest")},
					Overrides:                   []autoscalingapi.LaunchTemplateOverrides{{InstanceType: new("m5.large"), WeightedCapacity: new("1")}, {InstanceType: new("c5.large"), WeightedCapacity: new("2")}},
				},
				InstancesDistribution: tt.want,
			}
			g := w.group("g")
			if diff := cmp.Diff(want, g.MixedInstancesPolicy); diff != "" || g.LaunchTemplate != nil {
				t.Errorf("template %+v, policy (-want +got):\n%s", g.LaunchTemplate, diff)
			}
		})
	}
}

func TestMixedRefusals(t *testing.T) {
	type distribution = autoscalingapi.InstancesDistribution
	type policy = autoscalingapi.MixedInstancesPolicy
	tests := []struct {
		name   string
		change func(*policy)
		want   *apierr.Error
	}{
		{"a template that asks for Spot", func(p *policy) { p.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName = new("spot") },
			apierr.New("InvalidQueryParameter", "Incompatible launch template: You cannot use a launch template that is set to request Spot Instances "+
				"(InstanceMarketOptions) when you configure an Auto Scaling group with a mixed instances policy. Add a different launch template to the group and try again.")},
		{"an override that asks for Spot", func(p *policy) {
			p.LaunchTemplate.Overrides[0].LaunchTemplateSpecification = &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("spot")}
		}, apierr.New("InvalidQueryParameter", "*")},
		{"an override with an unknown template", func(p *policy) {
			p.LaunchTemplate.Overrides[0].LaunchTemplateSpecification = &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("nope")}
		}, apierr.New("ValidationError", "You must use a valid fully-formed launch template. The specified launch template, with template name nope, does not exist.")},
		{"no template", func(p *policy) { p.LaunchTemplate = nil }, apierr.New("ValidationError", "*")},
		{"requirements and a type", func(p *policy) { p.LaunchTemplate.Overrides[0].InstanceRequirements = requirements(1, 1) },
			apierr.New("ValidationError", "An override names either an InstanceType or InstanceRequirements, not both.")},
		{"requirements that nothing meets", func(p *policy) {
			p.LaunchTemplate.Overrides[0] = autoscalingapi.LaunchTemplateOverrides{InstanceRequirements: requirements(64, 1)}
		}, apierr.New("ValidationError", "No instance type of this server meets the InstanceRequirements.")},
		{"requirements that are not understood", func(p *policy) {
			r := requirements(1, 1)
			r.AcceleratorNames = []string{"t4"}
			p.LaunchTemplate.Overrides[0] = autoscalingapi.LaunchTemplateOverrides{InstanceRequirements: r}
		}, apierr.New("ValidationError", "No instance type of this server meets the InstanceRequirements.")},
		{"requirements in an order", func(p *policy) {
			p.LaunchTemplate.Overrides[0] = autoscalingapi.LaunchTemplateOverrides{InstanceRequirements: requirements(1, 1)}
			p.InstancesDistribution = &distribution{OnDemandAllocationStrategy: new("prioritized")}
		}, apierr.New("ValidationError", "*")},
		{"five sets of requirements", func(p *policy) {
			p.LaunchTemplate.Overrides = nil
			for range 5 {
				p.LaunchTemplate.Overrides = append(p.LaunchTemplate.Overrides, autoscalingapi.LaunchTemplateOverrides{InstanceRequirements: requirements(1, 1)})
			}
		}, apierr.New("ValidationError", "*")},
		{"a weight of zero", func(p *policy) { p.LaunchTemplate.Overrides[0].WeightedCapacity = new("0") }, apierr.New("ValidationError", "*")},
		{"a weight of one of two", func(p *policy) { p.LaunchTemplate.Overrides[0].WeightedCapacity = new("2") }, apierr.New("ValidationError", "*")},
		{"a weight in words", func(p *policy) { p.LaunchTemplate.Overrides[0].WeightedCapacity = new("two") }, apierr.New("ValidationError", "*")},
		{"a type twice", func(p *policy) { p.LaunchTemplate.Overrides[1].InstanceType = new("m5.large") }, apierr.New("ValidationError", "*")},
		{"41 overrides", func(p *policy) {
			p.LaunchTemplate.Overrides = make([]autoscalingapi.LaunchTemplateOverrides, 41)
		}, apierr.New("ValidationError", "*")},
		{"percentage", func(p *policy) {
			p.InstancesDistribution = &distribution{OnDemandPercentageAboveBaseCapacity: new(int32(101))}
		}, apierr.New("ValidationError", "*")},
		{"base", func(p *policy) { p.InstancesDistribution = &distribution{OnDemandBaseCapacity: new(int32(-1))} }, apierr.New("ValidationError", "*")},
		{"strategy", func(p *policy) { p.InstancesDistribution = &distribution{OnDemandAllocationStrategy: new("random")} }, apierr.New("ValidationError", "*")},
		{"Spot strategy", func(p *policy) { p.InstancesDistribution = &distribution{SpotAllocationStrategy: new("prioritized")} }, apierr.New("ValidationError", "*")},
		{"pools of another strategy", func(p *policy) {
			p.InstancesDistribution = &distribution{SpotAllocationStrategy: new("capacity-optimized"), SpotInstancePools: new(int32(3))}
		}, apierr.New("ValidationError", "SpotInstancePools option is only available with the lowest-price allocation strategy.")},
		{"too many pools", func(p *policy) { p.InstancesDistribution = &distribution{SpotInstancePools: new(int32(21))} }, apierr.New("ValidationError", "*")},
		{"price", func(p *policy) { p.InstancesDistribution = &distribution{SpotMaxPrice: new("cheap")} }, apierr.New("ValidationError", "*")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.templates = map[string]*ec2api.ResponseLaunchTemplateData{
				"spot": {InstanceMarketOptions: &ec2api.LaunchTemplateInstanceMarketOptions{MarketType: new("spot")}},
			}
			in := mixed("g", 0, nil, "m5.large", "c5.large")
			tt.change(in.MixedInstancesPolicy)
			guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), tt.want.Code, tt.want.Message)
		})
	}
}

// The base and the percentage above it are On-Demand, the rest is Spot; both are launched by the
// group's role (scenario 009).
func TestMixedAllocation(t *testing.T) {
	dist := func(base, percent int32, onDemand, spot string) *autoscalingapi.InstancesDistribution {
		return &autoscalingapi.InstancesDistribution{
			OnDemandBaseCapacity: &base, OnDemandPercentageAboveBaseCapacity: &percent, OnDemandAllocationStrategy: &onDemand, SpotAllocationStrategy: &spot,
		}
	}
	types := []string{"r5.large", "m5.large", "c5.large"} // from dear to cheap
	tests := []struct {
		name    string
		desired int32
		d       *autoscalingapi.InstancesDistribution
		want    string
	}{
		{"all On-Demand, first type", 4, nil, "4 on-demand r5.large"},
		{"all On-Demand, cheapest type", 4, dist(0, 100, "lowest-price", "lowest-price"), "4 on-demand c5.large"},
		{"all Spot, the two cheapest", 8, dist(0, 0, "prioritized", "lowest-price"), "4 spot c5.large, 4 spot m5.large"},
		{"base and half", 10, dist(2, 50, "prioritized", "capacity-optimized-prioritized"), "4 spot r5.large, 6 on-demand r5.large"},
		{"a fraction is On-Demand", 3, dist(0, 50, "prioritized", "capacity-optimized"), "1 spot r5.large, 2 on-demand r5.large"},
		{"base above the capacity", 3, dist(5, 0, "prioritized", "lowest-price"), "3 on-demand r5.large"},
		{"price and capacity", 4, dist(1, 0, "prioritized", "price-capacity-optimized"), "1 on-demand r5.large, 3 spot c5.large"},
		{"more than one batch", 24, dist(0, 25, "prioritized", "price-capacity-optimized"), "18 spot c5.large, 6 on-demand r5.large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			w.must("CreateAutoScalingGroup", mixed("g", tt.desired, tt.d, types...))
			w.Advance(30 * time.Second)
			if got := w.launched(); got != tt.want {
				t.Errorf("launched %s, want %s", got, tt.want)
			}
			if got := len(w.group("g").Instances); got != int(tt.desired) {
				t.Errorf("%d instances", got)
			}
			for _, who := range w.ec2.callers {
				if who != groupSession {
					t.Errorf("launched by %s", who)
				}
			}
		})
	}
}

// Growing and shrinking keep the shares: instances of the kind of which there is too much go first.
func TestMixedShares(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", mixed("g", 4, &autoscalingapi.InstancesDistribution{
		OnDemandBaseCapacity: new(int32(1)), OnDemandPercentageAboveBaseCapacity: new(int32(0)), SpotAllocationStrategy: new("capacity-optimized"),
	}, "m5.large"))
	w.Advance(5 * time.Second)
	desire := func(n int32, want string) {
		t.Helper()
		w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: &n})
		w.Advance(5 * time.Second)
		left := map[string]int{}
		for _, i := range w.group("g").Instances {
			left[w.ec2.market(*i.InstanceId)]++
		}
		if got := fmt.Sprint(left); got != want {
			t.Errorf("of %d instances %s are left; want %s", n, got, want)
		}
	}
	desire(6, "map[on-demand:1 spot:5]")
	desire(2, "map[on-demand:1 spot:1]")
	desire(1, "map[on-demand:1]")
}

// Weights count as capacity: enough is launched to reach it, and none is taken out that would
// leave too little.
func TestWeights(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := mixed("g", 10, nil, "m5.xlarge")
	in.MixedInstancesPolicy.LaunchTemplate.Overrides[0].WeightedCapacity = new("4")
	w.must("CreateAutoScalingGroup", in)
	w.Advance(5 * time.Second)
	g := w.group("g")
	if len(g.Instances) != 3 || api.Val(g.Instances[0].WeightedCapacity) != "4" {
		t.Fatalf("%d instances, %+v", len(g.Instances), g.Instances)
	}
	all := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})
	if c := *all[0].Cause; !strings.Contains(c, "increasing the capacity from 8 to 12.") {
		t.Errorf("cause: %s", c)
	}
	for _, tt := range []struct {
		desired int32
		left    int
	}{{9, 3}, {8, 2}, {5, 2}, {4, 1}, {0, 0}} {
		w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: &tt.desired})
		w.Advance(5 * time.Second)
		if got := len(w.group("g").Instances); got != tt.left {
			t.Errorf("desired %d: %d instances, want %d", tt.desired, got, tt.left)
		}
	}
}

// An override may have a template and an image of its own; the user's rights are tried for each.
func TestOverrideTemplates(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.ec2.templates = map[string]*ec2api.ResponseLaunchTemplateData{"arm": {}}
	in := mixed("g", 2, &autoscalingapi.InstancesDistribution{OnDemandAllocationStrategy: new("lowest-price")}, "m5.large", "c5.large")
	in.MixedInstancesPolicy.LaunchTemplate.Overrides[1].LaunchTemplateSpecification = &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("arm")}
	in.MixedInstancesPolicy.LaunchTemplate.Overrides[1].ImageId = new("ami-0123")
	w.must("CreateAutoScalingGroup", in)
	if diff := cmp.Diff([]string{"lt-1 m5.large", "lt-arm c5.large ami-0123"}, w.ec2.tried); diff != "" {
		t.Errorf("dry runs (-want +got):\n%s", diff)
	}
	w.Advance(3 * time.Second)
	r := w.ec2.requests[0]
	if *r.LaunchTemplate.LaunchTemplateId != "lt-arm" || *r.InstanceType != "c5.large" || api.Val(r.ImageId) != "ami-0123" {
		t.Errorf("request: template %s, type %s, image %v", *r.LaunchTemplate.LaunchTemplateId, *r.InstanceType, r.ImageId)
	}
	if i := w.group("g").Instances[0]; api.Val(i.LaunchTemplate.LaunchTemplateName) != "arm" || *i.InstanceType != "c5.large" || i.WeightedCapacity != nil {
		t.Errorf("instance: %+v", i)
	}
}

// A group goes from one source to another; what an update of a policy leaves out stays.
func TestChangeOfSource(t *testing.T) {
	w := newWorld(t)
	update := func(in autoscalingapi.UpdateAutoScalingGroupType) error {
		in.AutoScalingGroupName = new("g")
		return w.try("UpdateAutoScalingGroup", &in)
	}
	w.must("CreateLaunchConfiguration", configuration("lc"))
	w.must("CreateAutoScalingGroup", request("g", 0))
	policy := mixed("g", 0, nil, "m5.large").MixedInstancesPolicy
	guardtest.WantError(t, update(autoscalingapi.UpdateAutoScalingGroupType{LaunchConfigurationName: new("lc"), MixedInstancesPolicy: policy}),
		"ValidationError", "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	w.Must(update(autoscalingapi.UpdateAutoScalingGroupType{MixedInstancesPolicy: policy}))
	w.Must(update(autoscalingapi.UpdateAutoScalingGroupType{MixedInstancesPolicy: &autoscalingapi.MixedInstancesPolicy{
		InstancesDistribution: &autoscalingapi.InstancesDistribution{OnDemandBaseCapacity: new(int32(3))},
	}}))
	g := w.group("g")
	if m := g.MixedInstancesPolicy; g.LaunchTemplate != nil || m == nil || len(m.LaunchTemplate.Overrides) != 1 || *m.InstancesDistribution.OnDemandBaseCapacity != 3 {
		t.Errorf("policy: %+v", m)
	}
	w.Must(update(autoscalingapi.UpdateAutoScalingGroupType{LaunchConfigurationName: new("lc")}))
	if g := w.group("g"); g.MixedInstancesPolicy != nil || g.LaunchTemplate != nil || api.Val(g.LaunchConfigurationName) != "lc" {
		t.Errorf("after the change to a launch configuration: %+v", g)
	}
	w.Must(update(autoscalingapi.UpdateAutoScalingGroupType{LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateId: new("lt-1")}}))
	if g := w.group("g"); g.MixedInstancesPolicy != nil || g.LaunchTemplate == nil || g.LaunchConfigurationName != nil {
		t.Errorf("after the change to a launch template: %+v", g)
	}
}

func requirements(vcpu, mib int32) *autoscalingapi.InstanceRequirements {
	return &autoscalingapi.InstanceRequirements{
		VCpuCount: &autoscalingapi.VCpuCountRequest{Min: &vcpu}, MemoryMiB: &autoscalingapi.MemoryMiBRequest{Min: &mib},
	}
}

// In place of types a policy can tell what they must have: the cheapest that have it are launched,
// if the image runs on them.
func TestRequirements(t *testing.T) {
	noArch := apierr.New("InvalidParameterValue", "The architecture does not match.")
	type needs = autoscalingapi.InstanceRequirements
	tests := []struct {
		name   string
		change func(*needs)
		notFor map[string]*apierr.Error
		want   string
	}{
		{"memory", func(*needs) {}, nil, "2 on-demand m5.large"},
		{"an image of the other architecture", func(*needs) {}, map[string]*apierr.Error{"m5.large": noArch}, "2 on-demand m6g.large"},
		{"at most", func(n *needs) { n.MemoryMiB.Min, n.MemoryMiB.Max = new(int32(0)), new(int32(4096)) }, nil, "2 on-demand c5.large"},
		{"memory for each vCPU", func(n *needs) { n.MemoryGiBPerVCpu = &autoscalingapi.MemoryGiBPerVCpuRequest{Min: new(16.0)} }, nil, "2 on-demand r5.large"},
		{"maker", func(n *needs) { n.CpuManufacturers = []string{"amazon-web-services"} }, nil, "2 on-demand m6g.large"},
		{"excluded", func(n *needs) { n.ExcludedInstanceTypes = []string{"m5.*"} }, nil, "2 on-demand r5.large"},
		{"allowed", func(n *needs) { n.AllowedInstanceTypes = []string{"*.xlarge"} }, nil, "2 on-demand m5.xlarge"},
		{"network interfaces", func(n *needs) {
			n.NetworkInterfaceCount = &autoscalingapi.NetworkInterfaceCountRequest{Min: new(int32(4))}
		}, nil, "2 on-demand m5.xlarge"},
		{"hibernation", func(n *needs) { n.RequireHibernateSupport = new(true) }, nil, "2 on-demand r5.large"},
		{"bandwidth", func(n *needs) { n.NetworkBandwidthGbps = &autoscalingapi.NetworkBandwidthGbpsRequest{Min: new(12.5)} }, nil, "2 on-demand r5.large"},
		{"EBS bandwidth", func(n *needs) {
			n.BaselineEbsBandwidthMbps = &autoscalingapi.BaselineEbsBandwidthMbpsRequest{Min: new(int32(1000))}
		}, nil, "2 on-demand m5.xlarge"},
		{"accelerators by name and maker", func(n *needs) {
			n.AcceleratorNames, n.AcceleratorManufacturers = []string{"t4"}, []string{"nvidia"}
		}, nil, "2 on-demand g4dn.xlarge"},
		{"memory of accelerators", func(n *needs) {
			n.AcceleratorTotalMemoryMiB = &autoscalingapi.AcceleratorTotalMemoryMiBRequest{Min: new(int32(16384))}
		}, nil, "2 on-demand g4dn.xlarge"},
		{"no accelerators", func(n *needs) { n.AcceleratorCount = &autoscalingapi.AcceleratorCountRequest{Max: new(int32(0))} }, nil, "2 on-demand m5.large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run, w.ec2.notFor, w.ec2.gpus = true, tt.notFor, true
			in := mixed("g", 2, nil)
			r := requirements(1, 8192)
			tt.change(r)
			in.MixedInstancesPolicy.LaunchTemplate.Overrides = []autoscalingapi.LaunchTemplateOverrides{{InstanceRequirements: r}}
			w.must("CreateAutoScalingGroup", in)
			w.Advance(5 * time.Second)
			if got := w.launched(); got != tt.want {
				t.Errorf("launched %s, want %s", got, tt.want)
			}
			m := w.group("g").MixedInstancesPolicy
			if diff := cmp.Diff(r, m.LaunchTemplate.Overrides[0].InstanceRequirements); diff != "" || *m.InstancesDistribution.OnDemandAllocationStrategy != "lowest-price" {
				t.Errorf("strategy %s, requirements (-want +got):\n%s", *m.InstancesDistribution.OnDemandAllocationStrategy, diff)
			}
		})
	}
	w := newWorld(t)
	w.ec2.run, w.ec2.plain = true, "m5.large"
	in := mixed("g", 1, nil)
	in.MixedInstancesPolicy.LaunchTemplate.Overrides = []autoscalingapi.LaunchTemplateOverrides{{InstanceRequirements: requirements(1, 8192)}}
	w.must("CreateAutoScalingGroup", in)
	w.Advance(5 * time.Second)
	if got := w.launched(); got != "1 on-demand r5.large" {
		t.Errorf("launched %s: a type without encrypted volumes is taken if there is no other", got)
	}
	broken, mismatch := apierr.New("UnsupportedOperation", "The type is broken."), apierr.New("InvalidParameterValue", "It does not match the architecture.")
	w = newWorld(t)
	w.ec2.notFor = map[string]*apierr.Error{"m5.large": broken, "m6g.large": mismatch}
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", "You must use a valid fully-formed launch template. The type is broken.")
	for _, option := range []func(*needs){
		func(n *needs) { n.BurstablePerformance = new("required") },
		func(n *needs) { n.BareMetal = new("required") },
		func(n *needs) { n.LocalStorage = new("required") },
		func(n *needs) { n.InstanceGenerations = []string{"previous"} },
		func(n *needs) { n.AcceleratorCount = &autoscalingapi.AcceleratorCountRequest{Min: new(int32(1))} },
		func(n *needs) { n.AcceleratorTypes = []string{"gpu"} },
		func(n *needs) { n.TotalLocalStorageGB = &autoscalingapi.TotalLocalStorageGBRequest{Min: new(10.0)} },
	} {
		w := newWorld(t)
		in := mixed("g", 0, nil)
		r := requirements(1, 1)
		option(r)
		in.MixedInstancesPolicy.LaunchTemplate.Overrides = []autoscalingapi.LaunchTemplateOverrides{{InstanceRequirements: r}}
		guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", "No instance type of this server meets the InstanceRequirements.")
	}
}

// Capacity can be counted in vCPUs or memory if types are chosen by what they must have: an instance counts for what it has.
func TestDesiredCapacityType(t *testing.T) {
	unit := func(unit string, size int32, overrides ...autoscalingapi.LaunchTemplateOverrides) *autoscalingapi.CreateAutoScalingGroupType {
		in := mixed("g", size, nil, "m5.large")
		in.MaxSize, in.DesiredCapacityType = new(int32(1<<20)), &unit
		if overrides != nil {
			in.MixedInstancesPolicy.LaunchTemplate.Overrides = overrides
		}
		return in
	}
	needs := autoscalingapi.LaunchTemplateOverrides{InstanceRequirements: requirements(1, 8192)}
	needs.InstanceRequirements.MemoryMiB.Max = new(int32(8192)) // a larger type has a cheaper MiB
	tests := []struct {
		unit   string
		size   int32
		count  int
		weight string
	}{{"vcpu", 5, 3, "2"}, {"memory-mib", 16384, 2, "8192"}, {"units", 2, 2, ""}}
	for _, tt := range tests {
		t.Run(tt.unit, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			w.must("CreateAutoScalingGroup", unit(tt.unit, tt.size, needs))
			w.Advance(5 * time.Second)
			g := w.group("g")
			if len(g.Instances) != tt.count || api.Val(g.Instances[0].WeightedCapacity) != tt.weight || *g.DesiredCapacityType != tt.unit {
				t.Errorf("%d instances of weight %s, in %s", len(g.Instances), api.Val(g.Instances[0].WeightedCapacity), *g.DesiredCapacityType)
			}
		})
	}
	w := newWorld(t)
	refusal := "DesiredCapacityType vcpu is for groups that choose instance types by InstanceRequirements."
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", unit("vcpu", 0)), "ValidationError", refusal)
	w.must("CreateAutoScalingGroup", unit("units", 0))
	guardtest.WantError(t, w.try("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), DesiredCapacityType: new("vcpu")}),
		"ValidationError", refusal)
}
