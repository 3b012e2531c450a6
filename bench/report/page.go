package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

const notMeasured = "not measured"

// A run is what is said of where figures come from.
type run struct {
	commit, date, machine string
	took                  time.Duration
	load                  string   // of the machine, before and after
	failed                []string // what was to run and did not end well
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

// number writes three digits or all that are before the point.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		return group(math.Round(v))
	case a >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// group writes a whole number with commas.
func group(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		s = "-" + s
	}
	return s
}

// bytesText writes a size.
func bytesText(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 30, "GB"}, {1 << 20, "MB"}, {1 << 10, "KB"}} {
		if math.Abs(v) >= u.size {
			return number(v/u.size) + " " + u.name
		}
	}
	return number(math.Round(v)) + " B"
}

func (m measure) text(r *results, bench string) string {
	v, ok := r.median(bench, m.unit)
	if !ok {
		return ""
	}
	if m.scale != 0 {
		v *= m.scale
	}
	return number(v) + m.suffix
}

// write writes a section, and returns how its rows stand to their targets.
func (s section) write(w io.Writer, r *results) (out []outcome) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n| what | figure | limit | ratio | target | |\n|---|---:|---:|---:|---:|---|\n", s.title, s.text)
	for _, row := range s.rows {
		cells := []string{row.what, row.figure.text(r, row.bench), row.limit.text(r, row.bench), "", "", ""}
		judged, ok := r.median(row.bench, row.figure.unit)
		if ok && row.ratio != "" {
			if judged, ok = r.median(row.bench, row.ratio); ok {
				cells[3] = fmt.Sprintf("%.2f", judged)
			}
		}
		if !ok {
			cells[1] = notMeasured
		}
		if t := row.want; t != nil {
			cells[4] = map[bool]string{true: "≤ ", false: "≥ "}[t.most] + number(t.than) + t.unit
			if ok {
				o := outcome{what: s.title + ": " + row.what, told: number(judged) + t.unit + " (" + cells[4] + ")", met: t.met(judged)}
				cells[5] = verdict(o.met)
				out = append(out, o)
			}
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	return out
}

// writePage writes docs/performance.md: of one run, and of the kept run of a million keys.
func writePage(w io.Writer, of run, r, kept *results) error {
	var body strings.Builder
	var all []outcome
	for _, s := range sections() {
		all = append(all, s.write(&body, r)...)
	}
	fmt.Fprint(&body, "\n## Growth\n\nWhat things cost as their number grows by powers of ten: used pages of the store, volumes and snapshots on disk, without the audit log, which grows with requests; the live heap of the server after a collection; and the processor time of a typical request. "+
		"The exponent is that of the power law that fits best: of disk and heap what is added to an empty server, 1 is proportion; of processor time 0 is the same however many there are.\n")
	for _, g := range growths() {
		all = append(all, g.write(&body, r)...)
	}
	all = append(all, million(&body, kept)...)
	met := 0
	var missed strings.Builder
	for _, o := range all {
		if o.met {
			met++
		} else {
			fmt.Fprintf(&missed, "- %s: %s\n", o.what, o.told)
		}
	}
	_, err := fmt.Fprintf(w, `# Performance

Written by `+"`make bench`"+`; do not edit. All figures but those of a million keys are of one run:

| commit | date | machine | took | load of the machine, before and after |
|---|---|---|---|---|
| %s | %s | %s | %s | %s |

Figures are medians where a benchmark ran more than once. What a row is compared with runs in turns with it, in the same minutes; processor times are the server's alone, so that what else the machine does disturbs them little. MB are 2^20 bytes.

**%d of %d targets are met.**%s
%s`, of.commit, of.date, of.machine, of.took.Round(time.Second), of.load, met, len(all), missedText(missed.String(), of.failed), body.String())
	return err
}

func missedText(missed string, failed []string) string {
	var out strings.Builder
	if missed != "" {
		out.WriteString(" Missed:\n\n" + missed)
	} else {
		out.WriteString("\n")
	}
	if len(failed) > 0 {
		out.WriteString("\nDid not run, or not to the end:\n\n")
		for _, f := range failed {
			out.WriteString("- " + f + "\n")
		}
	}
	return out.String()
}

// million writes what was found with a million keys.
func million(w io.Writer, kept *results) []outcome {
	s := section{
		title: "A million keys", text: "Each with an alias and five grants (`make bench-million`, whose output is in docs/performance/million.txt): GenerateDataKey with random keys once each was used and the server was idle again, beside a server that has 100, in turns, with what requests leave to be done later; and a start on the store, with all records of the run in the audit log. `--key-cache` bounds how many keys are kept ready in memory, 4,096 without it; memory is resident, without mapped files, after the requests, with garbage.",
		rows: []row{
			{"GenerateDataKey", "Keys/1000000", us("us"), us("few-us"), "x-few", atMost(1.3, "")},
			{"its memory", "Keys/1000000", mb("MB"), measure{}, "", nil},
			{"GenerateDataKey, `--key-cache 1000000`", "Keys/1000000-kept", us("us"), us("few-us"), "x-few", nil},
			{"its memory", "Keys/1000000-kept", mb("MB"), measure{}, "", nil},
			{"start to first answer", "Keys/start", ms("start-ms"), measure{}, "", atMost(2000, " ms")},
		},
	}
	var body strings.Builder
	out := s.write(&body, kept)
	fmt.Fprint(w, body.String())
	if c := kept.config; c["commit"] != "" {
		fmt.Fprintf(w, "\nCommit %s, %s, %s.\n", c["commit"], c["date"], c["machine"])
	}
	return out
}
