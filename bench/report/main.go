package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	root := flag.String("root", "..", "the repository")
	budget := flag.Duration("budget", 25*time.Minute, "what would begin after this is left out")
	only := flag.String("only", "", "run the jobs that match, and print the page instead of writing it")
	keep := flag.String("million", "", "read the output of make bench-million on standard input, and keep it here for the page")
	flag.Parse()
	err := error(nil)
	if *keep != "" {
		err = keepMillion(os.Stdin, *root, *keep)
	} else {
		err = report(*root, *budget, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Where the page is, and the output of `make bench-million`, below the root.
const (
	page        = "docs/performance.md"
	millionFile = "docs/performance/million.txt"
)

// report runs everything and writes the page.
func report(root string, budget time.Duration, only string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	of := newRun(root)
	began, before := time.Now(), load()
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	tmp, err := os.MkdirTemp("", "kagimori-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	server := filepath.Join(tmp, "kagimori")
	if err := build(ctx, root, server); err != nil {
		return err
	}
	r := newResults()
	for _, j := range jobs() {
		if !match.MatchString(j.name()) {
			continue
		}
		var out bytes.Buffer
		if err := j.run(ctx, root, server, io.MultiWriter(os.Stdout, &out)); err != nil {
			of.failed = append(of.failed, fmt.Sprintf("%s: %v", j.name(), err))
		}
		if err := r.read(&out, j.name()); err != nil {
			return err
		}
	}
	kept := newResults()
	if data, err := os.ReadFile(filepath.Join(root, millionFile)); err == nil {
		if err := kept.read(bytes.NewReader(data), millionFile); err != nil {
			return err
		}
	}
	of.took, of.load = time.Since(began), before+"; "+load()
	var text bytes.Buffer
	if err := writePage(&text, of, r, kept); err != nil {
		return err
	}
	if only != "" {
		_, err := text.WriteTo(os.Stdout)
		return err
	}
	if err := os.WriteFile(filepath.Join(root, page), text.Bytes(), 0o644); err != nil {
		return err
	}
	if len(of.failed) > 0 {
		return fmt.Errorf("not everything was measured:\n%s", strings.Join(of.failed, "\n"))
	}
	return nil
}

func newRun(root string) run {
	commit := output(root, "git", "rev-parse", "--short", "HEAD")
	if output(root, "git", "status", "--porcelain", "--untracked-files=no") != "" {
		commit += " with changes"
	}
	return run{commit: commit, date: time.Now().UTC().Format(time.DateOnly), machine: machine()}
}

var (
	model  = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)
	memory = regexp.MustCompile(`(?m)^MemTotal:\s*([0-9]+) kB$`)
)

// machine says what this runs on. Source: proc(5).
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := model.FindSubmatch(data); m != nil {
			parts[0] += " of " + string(m[1])
		}
	}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		if m := memory.FindSubmatch(data); m != nil {
			if kb, err := parseNumber(string(m[1])); err == nil {
				parts = append(parts, bytesText(kb*1024))
			}
		}
	}
	if v := output(".", "uname", "-sr"); v != "" {
		parts = append(parts, v)
	}
	return strings.Join(append(parts, runtime.Version()), ", ")
}

// load is how many processes there were to run in the last minute, on average.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// keepMillion copies the output of a run with a million keys into a file that says where it is from.
func keepMillion(in io.Reader, root, file string) error {
	data, err := io.ReadAll(io.TeeReader(in, os.Stdout))
	if err != nil {
		return err
	}
	r := newResults()
	if err := r.read(bytes.NewReader(data), "standard input"); err != nil {
		return err
	}
	if len(r.values) == 0 {
		return fmt.Errorf("no benchmark came to its end; %s stays as it is", file)
	}
	of := newRun(root)
	head := fmt.Sprintf("commit: %s\ndate: %s\nmachine: %s\n", of.commit, of.date, of.machine)
	return os.WriteFile(file, append([]byte(head), data...), 0o644)
}
