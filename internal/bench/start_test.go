package bench

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// binVar names the program; without it the benchmark builds it.
const binVar = "KAGIMORI_BIN"

// starts is how often a program is started; the median counts.
const starts = 21

// build builds a command as `make build` does.
func build(b *testing.B, pkg string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return path
}

// program is the path of kagimori.
func program(b *testing.B) string {
	b.Helper()
	if path := os.Getenv(binVar); path != "" {
		return path
	}
	return build(b, "../../cmd/kagimori")
}

// BenchmarkStart starts the program on empty data directories, in turns with one that is nothing but
// net/http. The metrics: "first-ms" is the time from the start of the process to its first answer, which
// is to a signed request that is decided and recorded (limit: 100), "best-ms" the shortest, "cpu-ms" the processor time of it,
// "bare-ms" what the other needs to answer; medians of many. "idle-MB" is the resident memory of a server that
// has answered once and has been idle for two seconds, with the program's pages in it (limit: 40); "anon-MB"
// is the part that is no file's.
func BenchmarkStart(b *testing.B) {
	bin, bare := program(b), build(b, "./testdata/bare")
	var first, cpu, other []time.Duration
	for b.Loop() {
		for range starts {
			began := time.Now()
			p := startProgram(b, bin, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", b.TempDir())
			c := newClient(b, p.url)
			if err := c.Do(b.Context(), "ListKeys", &kmsapi.ListKeysRequest{}, &kmsapi.ListKeysResponse{}); err != nil {
				b.Fatal(err)
			}
			first, cpu = append(first, time.Since(began)), append(cpu, p.cpu())
			c.HTTP.CloseIdleConnections()
			p.stop()
			began = time.Now()
			p = startProgram(b, bare)
			res, err := http.Get(p.url)
			if err != nil {
				b.Fatal(err)
			}
			_ = res.Body.Close()
			other = append(other, time.Since(began))
			http.DefaultClient.CloseIdleConnections()
			p.stop()
		}
	}
	b.ReportMetric(millis(median(first)), "first-ms")
	b.ReportMetric(millis(slices.Min(first)), "best-ms")
	b.ReportMetric(millis(median(cpu)), "cpu-ms")
	b.ReportMetric(millis(median(other)), "bare-ms")
	p := startProgram(b, bin, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", b.TempDir())
	c := newClient(b, p.url)
	if err := c.Do(b.Context(), "ListKeys", &kmsapi.ListKeysRequest{}, &kmsapi.ListKeysResponse{}); err != nil {
		b.Fatal(err)
	}
	c.HTTP.CloseIdleConnections()
	time.Sleep(2 * time.Second)
	b.ReportMetric(float64(p.resident("VmRSS:"))/memoryPerUnit, "idle-MB")
	b.ReportMetric(float64(p.memory())/memoryPerUnit, "anon-MB")
	p.stop()
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// millis is a time for a metric.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
