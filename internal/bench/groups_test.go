package bench

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// fleet is a server with Auto Scaling groups.
type fleet struct {
	b      *testing.B
	p      *process
	asg    *client.Client
	groups int
}

func newFleet(b *testing.B) *fleet {
	b.Helper()
	f := &fleet{b: b, p: startProcess(b, roleServer, b.TempDir())}
	ec2, err := client.New(f.p.url, testkit.Region, testkit.Admin(account), ec2api.Service())
	if err != nil {
		b.Fatal(err)
	}
	if f.asg, err = client.New(f.p.url, testkit.Region, testkit.Admin(account), autoscalingapi.Service()); err != nil {
		b.Fatal(err)
	}
	var images ec2api.DescribeImagesResult
	if err := ec2.Do(b.Context(), "DescribeImages", &ec2api.DescribeImagesRequest{Owners: []string{"amazon"}}, &images); err != nil {
		b.Fatal(err)
	}
	err = ec2.Do(b.Context(), "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("web"),
		LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: images.Images[0].ImageId, InstanceType: new("t3.micro")}}, &ec2api.CreateLaunchTemplateResult{})
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// grow makes groups until there are n, each of so many instances.
func (f *fleet) grow(n int, instances int32) {
	f.b.Helper()
	var made atomic.Int64
	first := f.groups
	together(f.b, n-first, func() error {
		return f.asg.Do(context.Background(), "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
			AutoScalingGroupName: new(fmt.Sprintf("g%05d", first+int(made.Add(1)))), MinSize: new(int32(0)), MaxSize: new(int32(20)), DesiredCapacity: &instances,
			AvailabilityZones: []string{testkit.Region + "a", testkit.Region + "b", testkit.Region + "c"},
			LaunchTemplate:    &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web")},
		}, nil)
	})
	f.groups = n
	f.advance("2m")
}

// advance moves the server's clock; what is due on the way is done when it returns.
func (f *fleet) advance(d string) {
	f.b.Helper()
	res, err := http.Post(f.p.url+"/_kagimori/clock", "application/json", bytes.NewBufferString(`{"advance":"`+d+`"}`))
	if err != nil {
		f.b.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		f.b.Fatalf("the clock does not move: %s", res.Status)
	}
}

// inService counts the instances that serve.
func (f *fleet) inService() (n int) {
	f.b.Helper()
	in := &autoscalingapi.DescribeAutoScalingInstancesType{}
	for {
		var out autoscalingapi.AutoScalingInstancesType
		if err := f.asg.Do(f.b.Context(), "DescribeAutoScalingInstances", in, &out); err != nil {
			f.b.Fatal(err)
		}
		for _, i := range out.AutoScalingInstances {
			if *i.LifecycleState == "InService" {
				n++
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return n
		}
	}
}

// change resizes one group to n instances, waits until it has them, and gives the processor time that it took.
func (f *fleet) change(group string, n int32) time.Duration {
	f.b.Helper()
	before := f.p.cpu()
	err := f.asg.Do(f.b.Context(), "SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: &group, DesiredCapacity: &n}, nil)
	if err != nil {
		f.b.Fatal(err)
	}
	f.advance("30s")
	var out autoscalingapi.AutoScalingGroupsType
	err = f.asg.Do(f.b.Context(), "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{AutoScalingGroupNames: []string{group}}, &out)
	if err != nil {
		f.b.Fatal(err)
	}
	if got := len(out.AutoScalingGroups[0].Instances); got != int(n) {
		f.b.Fatalf("%s has %d instances, want %d", group, got, n)
	}
	return f.p.cpu() - before
}

// exponent is that of the power law which fits the points best: the slope in logarithms.
func exponent(x, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range x {
		a, b := math.Log(x[i]), math.Log(y[i])
		sx, sy, sxx, sxy = sx+a, sy+b, sxx+a*a, sxy+a*b
	}
	n := float64(len(x))
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// BenchmarkGroupsReachCapacity brings 1,000 groups to ten instances each, doubling their number from 62.
// "exponent" is that of the server's processor time over the number of instances; linear is 1. Limit:
// 1.15. "idle-%" is the share of one core that the server uses for ten seconds after that. Limit: 1.
func BenchmarkGroupsReachCapacity(b *testing.B) {
	for b.Loop() {
		f := newFleet(b)
		base := f.p.cpu()
		var instances, costs []float64
		for _, n := range []int{62, 125, 250, 500, 1000} {
			f.grow(n, 10)
			instances, costs = append(instances, float64(10*n)), append(costs, (f.p.cpu()-base).Seconds())
			b.Logf("%d groups: %.2f s of processor time", n, costs[len(costs)-1])
		}
		if n := f.inService(); n != 10_000 {
			b.Fatalf("%d instances are in service", n)
		}
		fit := exponent(instances, costs)
		b.ReportMetric(fit, "exponent")
		b.ReportMetric(costs[len(costs)-1]*1000/instances[len(instances)-1], "ms-cpu/instance")
		if fit > 1.15 {
			b.Errorf("the cost grows with the instances to the power of %.2f", fit)
		}
		before := f.p.cpu()
		time.Sleep(10 * time.Second)
		idle := float64(f.p.cpu()-before) / float64(10*time.Second) * 100
		b.ReportMetric(idle, "idle-%")
		if idle > 1 {
			b.Errorf("an idle server uses %.1f %% of a core", idle)
		}
		f.p.stop()
	}
}

// BenchmarkGroupChange resizes one group, up by an instance and down again, beside 10 groups and beside
// 10,000: "x-ten" is how much more processor time it takes. Limit: 1.5.
func BenchmarkGroupChange(b *testing.B) {
	for b.Loop() {
		f := newFleet(b)
		const times = 50
		cost := func(groups int) float64 {
			f.grow(groups, 0)
			f.change("g00005", 1)
			var sum time.Duration
			for range times {
				sum += f.change("g00005", 2) + f.change("g00005", 1)
			}
			return sum.Seconds() * 1000 / (2 * times)
		}
		few := cost(10)
		many := cost(10_000)
		b.ReportMetric(few, "ms-cpu/change-of-10")
		b.ReportMetric(many, "ms-cpu/change-of-10000")
		b.ReportMetric(many/few, "x-ten")
		if many > 1.5*few {
			b.Errorf("a change costs %.1f ms beside 10 groups, %.1f ms beside 10,000", few, many)
		}
		f.p.stop()
	}
}
