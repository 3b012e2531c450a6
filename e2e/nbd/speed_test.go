package nbd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkBesideNBDKit copies 256 MiB to and from a volume and to and from a file that nbdkit exports in
// the clear, in one run. The limit is half of nbdkit's speed, each way.
func BenchmarkBesideNBDKit(b *testing.B) {
	const size = 256 << 20
	d := newDisk(b)
	source, _ := random(b, size)
	plain := filepath.Join(b.TempDir(), "plain")
	f, err := os.Create(plain)
	must(b, err)
	must(b, f.Truncate(1<<30))
	must(b, f.Close())
	socket := filepath.Join(b.TempDir(), "kit")
	kit := exec.CommandContext(b.Context(), "nbdkit", "-f", "-U", socket, "file", plain)
	must(b, kit.Start())
	defer func() { _ = kit.Wait() }() // killed
	defer func() { _ = kit.Process.Kill() }()
	for range 100 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	ours, theirs := d.export(), "nbd+unix:///?socket="+socket
	took := func(args ...string) time.Duration {
		start := time.Now()
		d.tool("nbdcopy", args...)
		return time.Since(start)
	}
	const never = time.Hour
	best := [4]time.Duration{never, never, never, never} // of each the best counts: others use the machine too
	for b.Loop() {
		for range 5 {
			for i, args := range [][]string{{source, ours}, {source, theirs}, {ours, "null:"}, {theirs, "null:"}} {
				best[i] = min(best[i], took(args...))
			}
		}
	}
	speed := func(i int) float64 { return size / best[i].Seconds() / 1e6 }
	for i, way := range []string{"write", "read"} {
		b.ReportMetric(speed(2*i), way+"-MB/s")
		b.ReportMetric(speed(2*i+1), way+"-nbdkit-MB/s")
		b.ReportMetric(speed(2*i)/speed(2*i+1), way+"-ratio")
	}
}
