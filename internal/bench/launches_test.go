package bench

import (
	"context"
	"log/slog"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// batch is how many instances a request of BenchmarkLaunches launches.
const batch = 20

// BenchmarkLaunches is what an instance with two encrypted volumes costs from RunInstances until it
// runs, while 10, 100, 1,000 ... instances run already: CPU time of the process, server and client,
// with its files on disk. The metric "exponent" is the slope of a line through the logarithms of
// cost and instances, 0 if the cost is the same however many run; "descriptors" and "kB/instance" are
// what the process has in the end. KAGIMORI_BENCH_INSTANCES is the number to go up to, 1000 if unset.
func BenchmarkLaunches(b *testing.B) {
	most := 1000
	if s := os.Getenv("KAGIMORI_BENCH_INSTANCES"); s != "" {
		var err error
		if most, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		l := newLauncher(b)
		before := memory()
		var at, cost []float64
		for n := 10; n <= most; n *= 10 {
			l.upTo(n)
			const rounds = 3
			start := processor()
			for range rounds {
				l.launch(batch)
			}
			each := (processor() - start).Seconds() / (rounds * batch)
			at, cost = append(at, math.Log(float64(n))), append(cost, math.Log(each))
			b.ReportMetric(each*1e3, "cpu-ms/at-"+strconv.Itoa(n))
		}
		b.ReportMetric(slope(at, cost), "exponent")
		b.ReportMetric(float64(descriptors(b)), "descriptors")
		b.ReportMetric((memory()-before)/float64(l.running)/1024, "kB/instance")
	}
}

// BenchmarkLaunchOfMany is what an instance with two encrypted volumes costs when one call launches 1,000
// of them, beside one that is one of 20: CPU time as in BenchmarkLaunches. "call-ms" is how long the
// call itself takes.
func BenchmarkLaunchOfMany(b *testing.B) {
	const many = 1000
	for b.Loop() {
		l := newLauncher(b)
		l.upTo(batch)
		start := processor()
		for range 5 {
			l.launch(batch)
		}
		few := (processor() - start).Seconds() / (5 * batch)
		start = processor()
		took := l.launch(many)
		each := (processor() - start).Seconds() / many
		b.ReportMetric(each*1e3, "cpu-ms/instance")
		b.ReportMetric(each/few, "of-20-a-call")
		b.ReportMetric(took.Seconds()*1e3, "call-ms")
	}
}

// A launcher launches instances on a server of its own.
type launcher struct {
	b       *testing.B
	srv     *testkit.Server
	ec2     *client.Client
	image   string
	running int
}

func newLauncher(b *testing.B) *launcher {
	srv := testkit.Start(b, testkit.Options{Logger: slog.New(slog.DiscardHandler)})
	c, err := client.New(srv.URL, testkit.Region, testkit.Admin(account), ec2api.Service())
	if err != nil {
		b.Fatal(err)
	}
	l := &launcher{b: b, srv: srv, ec2: c}
	var images ec2api.DescribeImagesResult
	l.do("DescribeImages", &ec2api.DescribeImagesRequest{
		Owners: []string{"amazon"}, Filters: []ec2api.Filter{{Name: new("architecture"), Values: []string{"x86_64"}}},
	}, &images)
	l.image = *images.Images[0].ImageId
	return l
}

func (l *launcher) do(op string, in, out any) {
	l.b.Helper()
	if err := l.ec2.Do(context.Background(), op, in, out); err != nil {
		l.b.Fatal(err)
	}
}

// upTo launches until so many instances run.
func (l *launcher) upTo(n int) {
	for l.running < n {
		l.launch(min(batch, n-l.running))
	}
}

// launch launches instances with one call and waits until they run. It tells how long the call took.
func (l *launcher) launch(n int) (call time.Duration) {
	volume := &ec2api.EbsBlockDevice{Encrypted: new(true), VolumeSize: new(int32(8)), DeleteOnTermination: new(true)}
	var out ec2api.Reservation
	began := time.Now()
	l.do("RunInstances", &ec2api.RunInstancesRequest{
		ImageId: &l.image, InstanceType: new("m5.large"), MinCount: new(int32(n)), MaxCount: new(int32(n)),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: volume}, {DeviceName: new("/dev/sdf"), Ebs: volume}},
	}, &out)
	call = time.Since(began)
	l.srv.Advance(5 * time.Second)
	var ids []string
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
	return call
}

// slope of a line through the points.
func slope(x, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	n := float64(len(x))
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// processor is the CPU time of the process.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is the live heap in bytes.
func memory() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// descriptors is how many files the process has open.
func descriptors(b *testing.B) int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		b.Fatal(err)
	}
	return len(all)
}
