package main

import (
	"fmt"
	"io"
	"strings"
)

// A growth is a table of what things cost as their number grows by powers of ten.
type growth struct {
	title, text string
	series      string  // the benchmarks' name before /n=NUMBER
	request     string  // what the processor time is of
	most        float64 // limit of its exponent
}

// Units of growth: of everything together, and of one request. n=0 is a server without any.
const (
	diskUnit    = "disk-B"
	heapUnit    = "heap-B"
	requestUnit = "cpu-us/op"
)

// Limits of exponents: what things cost is in proportion to their number, what a request costs is not
// to grow with it. Each has room for noise.
const (
	mostOfThings   = 1.1
	mostOfRequests = 0.1
	mostOfChanges  = 0.06 // 1.5 times as much for 1,000 times as many
)

func growths() []growth {
	return []growth{
		{"Keys", "Each with an alias and five grants, made as in `make bench-million`.", "Growth/keys", "GenerateDataKey with a random key", mostOfRequests},
		{"Grants", "Of one key, each for another user.", "Growth/grants", "GenerateDataKey of a user whom one grant allows, and nothing else", mostOfRequests},
		{"Instances", "Each with an encrypted volume, running.", "Growth/instances", "RunInstances until the instance runs, with its encrypted volume", mostOfRequests},
		{"Groups", "Auto Scaling groups, empty but for the one that is resized.", "Growth/groups", "a group is resized by one instance, until it has it or is rid of it", mostOfChanges},
	}
}

// added is what a unit has more at each number than at 0, and the numbers.
func added(points []point, unit string) (x, y []float64) {
	base := 0.0
	for _, p := range points {
		v, ok := p.values[unit]
		switch {
		case !ok:
		case p.n == 0:
			base = v
		default:
			x, y = append(x, p.n), append(y, v-base)
		}
	}
	return x, y
}

// each is what a unit has at each number.
func each(points []point, unit string) (x, y []float64) {
	for _, p := range points {
		if v, ok := p.values[unit]; ok && p.n > 0 {
			x, y = append(x, p.n), append(y, v)
		}
	}
	return x, y
}

// An outcome is a target and whether it is met.
type outcome struct {
	what string
	told string
	met  bool
}

// write writes the table, and returns how the exponents stand to their limits.
func (g growth) write(w io.Writer, r *results) []outcome {
	points := r.series(g.series)
	fmt.Fprintf(w, "\n### %s\n\n%s Processor time: %s.\n\n", g.title, g.text, g.request)
	if len(points) == 0 {
		fmt.Fprintln(w, notMeasured)
		return nil
	}
	fmt.Fprintf(w, "| %s | disk | for each more | heap | for each more | processor time |\n|---:|---:|---:|---:|---:|---:|\n", strings.ToLower(g.title))
	var last point
	for i, p := range points {
		cells := []string{group(p.n)}
		for _, unit := range []string{diskUnit, heapUnit} {
			v := p.values[unit]
			if i == 0 {
				cells = append(cells, bytesText(v), "")
			} else {
				cells = append(cells, bytesText(v), bytesText((v-last.values[unit])/(p.n-last.n)))
			}
		}
		last = p
		cpu := ""
		if v, ok := p.values[requestUnit]; ok {
			cpu = number(v) + " µs"
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(append(cells, cpu), " | "))
	}
	var out []outcome
	cells := make([]string, 3)
	for i, fit := range []struct {
		what, unit string
		of         func([]point, string) (x, y []float64)
		most       float64
	}{{"disk", diskUnit, added, mostOfThings}, {"heap", heapUnit, added, mostOfThings}, {"processor time", requestUnit, each, g.most}} {
		e, ok := exponent(fit.of(points, fit.unit))
		if !ok {
			cells[i] = "none fits"
			continue
		}
		o := outcome{what: fmt.Sprintf("%s: exponent of %s", g.title, fit.what), told: fmt.Sprintf("%.2f (at most %.2f)", e, fit.most), met: e <= fit.most}
		cells[i] = o.told + ", " + verdict(o.met)
		out = append(out, o)
	}
	fmt.Fprintf(w, "| **exponent** | %s | | %s | | %s |\n", cells[0], cells[1], cells[2])
	return out
}
