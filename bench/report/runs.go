package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A job is a run of benchmarks: of packages of a module, below the repository's root.
type job struct {
	module   string
	packages []string
	bench    string // a regular expression
	args     []string
	needs    []string // programs
}

func (j job) name() string { return "./" + filepath.Join(j.module, j.packages[0]) + " " + j.bench }

// jobs are all of a report, the most wanted first: what the budget does not reach is missing at the end.
func jobs() []job {
	bench := []string{"internal/bench"}
	once := []string{"-benchtime", "1x"}
	return []job{
		{"", bench, "^BenchmarkPerCPU$", []string{"-benchtime", "30000x", "-count", "3"}, nil},
		{"", bench, "^BenchmarkCommits$", []string{"-benchtime", "8000x", "-count", "3"}, nil},
		{"", bench, "^BenchmarkStart$", slices.Concat(once, undisturbed()), nil},
		{"", bench, "^BenchmarkGrowth$", once, nil},
		{"bench", []string{"."}, ".", []string{"-benchtime", "200ms"}, nil},
		{"e2e/etcdtest", []string{"."}, "^BenchmarkCommits$", []string{"-benchtime", "5000x", "-count", "3"}, nil},
		{"", []string{"internal/store/bolt"}, "^BenchmarkUpdate$", []string{"-count", "3"}, nil},
		{"", []string{"internal/blockdev/crypt"}, "^BenchmarkBesideOpenSSL$", once, []string{"openssl"}},
		{"", bench, "^Benchmark(Signing|ManyGrants|XKS|IAM)$", nil, nil},
		{"", []string{"internal/authz"}, "^Benchmark(Typical|Compile)$", []string{"-benchtime", "200ms"}, nil},
		{"e2e/etcdtest", []string{"partition"}, "^BenchmarkNodes$", once, nil},
		{"e2e", []string{"nbd"}, "^BenchmarkBesideNBDKit$", once, []string{"nbdkit", "nbdcopy"}},
		{"", []string{"internal/blockdev"}, "^Benchmark(SnapshotOfChanges|SparseVolume)$", once, nil},
	}
}

// undisturbed are the arguments that have a benchmark, and what it starts, go before all other programs, if that is
// allowed: times until something happens are of a quiet machine then. Source: chrt(1), sched(7).
func undisturbed() []string {
	if exec.Command("chrt", "-f", "1", "true").Run() != nil {
		return nil
	}
	return []string{"-exec", "chrt -f 1"}
}

// run runs the benchmarks and copies what they print to out.
func (j job) run(ctx context.Context, root, server string, out io.Writer) error {
	for _, p := range j.needs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%s is not installed", p)
		}
	}
	args := append([]string{"test", "-run", "^$", "-bench", j.bench, "-timeout", "30m"}, j.args...)
	for _, p := range j.packages {
		args = append(args, "./"+p)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(root, j.module)
	cmd.Env = append(os.Environ(), "KAGIMORI_BIN="+server)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("the time of a report was over")
	}
	return err
}

// output is what a command prints, in one line; "" if it cannot say.
func output(dir, name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	data, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// build builds the server as `make build` does.
func build(ctx context.Context, root, server string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", server, "./cmd/kagimori")
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stdout, os.Stderr
	return cmd.Run()
}
