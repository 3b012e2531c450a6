package bench

import (
	"context"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/testkit"
)

// batch is how many instances a request of BenchmarkLaunches launches.
const batch = 20

// BenchmarkLaunchOfMany is what an instance with two encrypted volumes costs when one call launches 1,000
// of them, beside one that is one of 20: the server's processor time. "call-ms" is how long the
// call itself takes.
func BenchmarkLaunchOfMany(b *testing.B) {
	const many = 1000
	for b.Loop() {
		l := &launcher{fleet: newFleet(b), volumes: 2}
		l.upTo(batch)
		start := l.p.cpu()
		for range 5 {
			l.launch(batch)
		}
		few := (l.p.cpu() - start).Seconds() / (5 * batch)
		start = l.p.cpu()
		l.launch(many)
		each := (l.p.cpu() - start).Seconds() / many
		b.ReportMetric(each*1e3, "cpu-ms/instance")
		b.ReportMetric(each/few, "of-20-a-call")
		b.ReportMetric(millis(l.call), "call-ms")
	}
}

// A launcher launches instances with encrypted volumes on a server of its own.
type launcher struct {
	*fleet
	volumes int // of an instance
	running int
	calls   int
	call    time.Duration // what the last call took
}

func (l *launcher) do(op string, in, out any) {
	l.b.Helper()
	if err := l.ec2.Do(context.Background(), op, in, out); err != nil {
		l.b.Fatal(err)
	}
}

// upTo launches until so many instances run, with large calls.
func (l *launcher) upTo(n int) {
	const most = 500
	for l.running < n {
		l.launch(min(most, n-l.running))
	}
}

// zone is where the next instances go: in turn, as the default subnets have 4,091 addresses each.
func (l *launcher) zone() *string {
	return new(testkit.Region + "abc"[l.calls%3:][:1])
}

// launch launches instances with one call and waits until they run.
func (l *launcher) launch(n int) (ids []string) {
	volume := &ec2api.EbsBlockDevice{Encrypted: new(true), VolumeSize: new(int32(8)), DeleteOnTermination: new(true)}
	devices := []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: volume}, {DeviceName: new("/dev/sdf"), Ebs: volume}}
	var out ec2api.Reservation
	began := time.Now()
	l.do("RunInstances", &ec2api.RunInstancesRequest{
		ImageId: &l.image, InstanceType: new("m5.large"), MinCount: new(int32(n)), MaxCount: new(int32(n)),
		BlockDeviceMappings: devices[:l.volumes], Placement: &ec2api.Placement{AvailabilityZone: l.zone()},
	}, &out)
	l.call = time.Since(began)
	l.advance("5s")
	for _, i := range out.Instances {
		ids = append(ids, *i.InstanceId)
	}
	var now ec2api.DescribeInstancesResult
	l.do("DescribeInstances", &ec2api.DescribeInstancesRequest{InstanceIds: ids}, &now)
	for _, i := range now.Reservations[0].Instances {
		if *i.State.Name != "running" {
			l.b.Fatalf("%s is %s", *i.InstanceId, *i.State.Name)
		}
	}
	l.running += n
	l.calls++
	return ids
}
