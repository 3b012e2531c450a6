package main

import (
	"math"
	"strings"
	"testing"
)

const printed = `goos: linux
commit: 1234abc
cpu: Some Processor
BenchmarkPerCPU/server/Decrypt-2   	   10000	     81234 ns/op	        50.00 cpu-us/op	        45.00 bare-us/op	         0.90 of-bare
BenchmarkPerCPU/server/Decrypt-2   	   10000	     81234 ns/op	        70.00 cpu-us/op	        45.00 bare-us/op	         0.70 of-bare
BenchmarkPerCPU/server/Decrypt-2   	   10000	     81234 ns/op	        60.00 cpu-us/op	        45.00 bare-us/op	         0.75 of-bare
    bench_test.go:1: a line of a log
BenchmarkGrowth/keys/n=0-2   1   1 ns/op   1000 disk-B   500 heap-B
BenchmarkGrowth/keys/n=10-2   1   1 ns/op   2000 disk-B   600 heap-B   30 cpu-us/op
BenchmarkGrowth/keys/n=100-2   1   1 ns/op   11000 disk-B   400 heap-B   30 cpu-us/op
BenchmarkGrowth/keys/n=1000-2   1   1 ns/op   101000 disk-B   10500 heap-B   60 cpu-us/op
PASS
`

func parsed(t *testing.T, text string) *results {
	t.Helper()
	r := newResults()
	if err := r.read(strings.NewReader(text), "test"); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMedians(t *testing.T) {
	r := parsed(t, printed)
	for unit, want := range map[string]float64{"cpu-us/op": 60, "bare-us/op": 45, "of-bare": 0.75, "ns/op": 81234} {
		if got, ok := r.median("PerCPU/server/Decrypt", unit); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v %v, want %v", unit, got, ok, want)
		}
	}
	if v, ok := r.median("PerCPU/server/Decrypt", "other"); ok {
		t.Errorf("a unit that nobody printed is %v", v)
	}
	if got := r.config["commit"]; got != "1234abc" {
		t.Errorf("commit %q", got)
	}
}

func TestExponent(t *testing.T) {
	tests := []struct {
		name string
		x, y []float64
		want float64
		ok   bool
	}{
		{"proportion", []float64{10, 100, 1000}, []float64{20, 200, 2000}, 1, true},
		{"the same", []float64{10, 100, 1000}, []float64{7, 7, 7}, 0, true},
		{"square", []float64{1, 10, 100}, []float64{3, 300, 30000}, 2, true},
		{"one is not positive", []float64{10, 100, 1000}, []float64{-5, 200, 2000}, 1, true},
		{"too few", []float64{10}, []float64{1}, 0, false},
		{"nothing", nil, nil, 0, false},
		{"one number only", []float64{10, 10}, []float64{1, 2}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := exponent(tt.x, tt.y); ok != tt.ok || math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("%v %v, want %v %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.8: "0.80", 1: "1", 12.34: "12.3", 123.4: "123", 1234.5: "1,235", 1234567: "1,234,567", -2000: "-2,000"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{12: "12 B", 1536: "1.50 KB", 3 << 20: "3 MB", -2048: "-2 KB", 5 << 30: "5 GB"} {
		if got := bytesText(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

// A page says of each row what was found and whether that is enough, and which rows have nothing.
func TestPage(t *testing.T) {
	of := run{commit: "abcdef1", date: "2026-01-02", machine: "a machine", load: "0.1; 0.2", failed: []string{"./e2e/nbd: nbdkit is not installed"}}
	kept := parsed(t, "commit: 7654321\ndate: 2026-01-01\nmachine: another\nBenchmarkKeys/1000000-2 1 1 ns/op 33 few-us 40 us 1.21 x-few 300 MB\nBenchmarkKeys/1000000-kept-2 1 1 ns/op 33 few-us 45 us 1.36 x-few 5000 MB\n")
	var page strings.Builder
	if err := writePage(&page, of, parsed(t, printed), kept); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| abcdef1 | 2026-01-02 | a machine |",
		"| Decrypt | 60 µs | 45 µs | 0.75 | ≥ 0.80 | **missed** |",
		"| GenerateDataKey | not measured |",
		"- Requests: Decrypt: 0.75 (≥ 0.80)\n",
		"- ./e2e/nbd: nbdkit is not installed\n",
		"| 10 | 1.95 KB | 100 B | 600 B | 10 B | 30 µs |",
		"| 100 | 10.7 KB | 100 B | 400 B | -2 B | 30 µs |",
		"| **exponent** | 1.00 (at most 1.10), met | | 1.00 (at most 1.10), met | | 0.15 (at most 0.10), **missed** |",
		"| GenerateDataKey | 40 µs | 33 µs | 1.21 | ≤ 1.30 | met |",
		"| GenerateDataKey, `--key-cache 1000000` | 45 µs | 33 µs | 1.36 |  |  |",
		"Commit 7654321, 2026-01-01, another.",
		"**3 of 5 targets are met.** Missed:",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(page.String())
	}
}

// FuzzRead has what prints nothing that can be read do no harm.
func FuzzRead(f *testing.F) {
	f.Add(printed)
	f.Add("BenchmarkGrowth/keys/n=x-2 1 1 ns/op\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := newResults()
		err := r.read(strings.NewReader(text), "fuzz")
		var page strings.Builder
		if writePage(&page, run{}, r, r) != nil || !strings.HasPrefix(page.String(), "# Performance") {
			t.Errorf("no page, %v", err)
		}
	})
}
