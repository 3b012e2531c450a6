package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/report"
)

// baselineFlags are those of findings that are accepted.
type baselineFlags struct {
	file, write, reason, until string

	known *report.Baseline
	today time.Time
}

func (f *baselineFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.file, "baseline", "", "`FILE` with findings that are accepted, each for a reason and until a day")
	fl.StringVar(&f.write, "write-baseline", "", "write a baseline `FILE` that accepts what is found, with --reason and --until")
	fl.StringVar(&f.reason, "reason", "", "of --write-baseline: `WHY` the findings are accepted")
	fl.StringVar(&f.until, "until", "", "of --write-baseline: the last `DAY`, such as 2026-12-31")
}

// read reads the baseline.
func (f *baselineFlags) read(_ stdio) error {
	f.today = time.Now()
	if f.write == "" && (f.reason != "" || f.until != "") {
		return errors.New("--reason and --until are for --write-baseline")
	}
	if f.write != "" {
		if f.reason == "" || f.until == "" {
			return errors.New("--write-baseline needs --reason and --until")
		}
		if _, err := time.Parse(time.DateOnly, f.until); err != nil {
			return fmt.Errorf("--until %q is not a day such as 2026-12-31", f.until)
		}
	}
	if f.file == "" {
		return nil
	}
	src, err := os.ReadFile(f.file)
	if err != nil {
		return fmt.Errorf("--baseline: %w", err)
	}
	if f.known, err = report.ParseBaseline(src); err != nil {
		return fmt.Errorf("--baseline %s: %w", f.file, err)
	}
	return nil
}

func (f *baselineFlags) accept(findings []report.Finding) {
	if f.known != nil {
		f.known.Accept(findings, f.today)
	}
}

// end says which acceptances are of no use any more, and writes a baseline.
func (f *baselineFlags) end(io stdio, all []report.Checked) error {
	if f.known != nil {
		for _, text := range f.known.Stale(f.today) {
			fmt.Fprintf(io.err, "kagimori: %s: %s\n", f.file, text)
		}
	}
	if f.write == "" {
		return nil
	}
	var findings []report.Finding
	for _, c := range all {
		findings = append(findings, c.Findings...)
	}
	src, err := report.NewBaseline(f.known, findings, f.reason, f.until).Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(f.write, src, 0o644)
}
