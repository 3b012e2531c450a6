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

// fleet is a server with Auto Scaling groups and instances.
type fleet struct {
	b      *testing.B
	p      *process
	data   string
	asg    *client.Client
	ec2    *client.Client
	image  string
	groups int
}

func newFleet(b *testing.B) *fleet {
	b.Helper()
	data := b.TempDir()
	f := &fleet{b: b, p: startProcess(b, roleServer, data), data: data}
	var err error
	if f.ec2, err = client.New(f.p.url, testkit.Region, testkit.Admin(account), ec2api.Service()); err != nil {
		b.Fatal(err)
	}
	if f.asg, err = client.New(f.p.url, testkit.Region, testkit.Admin(account), autoscalingapi.Service()); err != nil {
		b.Fatal(err)
	}
	var images ec2api.DescribeImagesResult
	err = f.ec2.Do(b.Context(), "DescribeImages", &ec2api.DescribeImagesRequest{
		Owners: []string{"amazon"}, Filters: []ec2api.Filter{{Name: new("architecture"), Values: []string{"x86_64"}}},
	}, &images)
	if err != nil {
		b.Fatal(err)
	}
	f.image = *images.Images[0].ImageId
	err = f.ec2.Do(b.Context(), "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("web"),
		LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: &f.image, InstanceType: new("t3.micro")}}, &ec2api.CreateLaunchTemplateResult{})
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
		before := f.p.cpu()
		time.Sleep(10 * time.Second)
		idle := float64(f.p.cpu()-before) / float64(10*time.Second) * 100
		b.ReportMetric(idle, "idle-%")
		f.p.stop()
	}
}
