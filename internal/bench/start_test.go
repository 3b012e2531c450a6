package bench

import (
	"net/http"
	"testing"
	"time"
)

// BenchmarkStart starts servers on empty data directories. The metrics: "first-ms" is the time from the
// start of the process to its first answer (limit: 100), "cpu-ms" the processor time that took, and
// "idle-MB" the resident memory of a server that has answered once and has been idle for two seconds, with
// the program's pages in it, the largest seen (limit: 40); "anon-MB" is the part that is no file's.
func BenchmarkStart(b *testing.B) {
	var first, cpu time.Duration
	idle, anon := 0, 0
	for b.Loop() {
		began := time.Now()
		p := startProcess(b, roleServer, b.TempDir())
		res, err := http.Get(p.url + "/_kagimori/health")
		if err != nil {
			b.Fatal(err)
		}
		_ = res.Body.Close()
		first += time.Since(began)
		cpu += p.cpu()
		if res.StatusCode != http.StatusOK {
			b.Fatal(res.Status)
		}
		http.DefaultClient.CloseIdleConnections()
		time.Sleep(2 * time.Second)
		idle, anon = max(idle, p.resident("VmRSS:")), max(anon, p.memory())
		p.stop()
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "first-ms")
	b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms")
	b.ReportMetric(float64(idle)/memoryPerUnit, "idle-MB")
	b.ReportMetric(float64(anon)/memoryPerUnit, "anon-MB")
}
