package main

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// results are what benchmarks printed: of each, by name without "Benchmark" and the number of
// processors, all values of each unit.
type results struct {
	values map[string]map[string][]float64
	config map[string]string // lines like "commit: 1234abc"; the last of a key counts
}

func newResults() *results {
	return &results{map[string]map[string][]float64{}, map[string]string{}}
}

// procs is what the testing package appends to names.
var procs = regexp.MustCompile(`-[0-9]+$`)

// read adds what is in the output of benchmarks. Other lines are passed over.
func (r *results) read(in io.Reader, name string) error {
	var errs []error
	lines := benchfmt.NewReader(in, name)
	for lines.Scan() {
		switch rec := lines.Result().(type) {
		case *benchfmt.SyntaxError:
			errs = append(errs, rec)
		case *benchfmt.Result:
			r.add(rec)
		}
	}
	return errors.Join(append(errs, lines.Err())...)
}

func (r *results) add(rec *benchfmt.Result) {
	name := procs.ReplaceAllString(string(rec.Name), "")
	if strings.HasSuffix(rec.GetConfig("pkg"), "/etcdtest") {
		name += " over etcd"
	}
	if r.values[name] == nil {
		r.values[name] = map[string][]float64{}
	}
	for _, v := range rec.Values {
		unit, value := v.Unit, v.Value
		if v.OrigUnit != "" { // benchfmt makes seconds of ns
			unit, value = v.OrigUnit, v.OrigValue
		}
		r.values[name][unit] = append(r.values[name][unit], value)
	}
	for _, c := range rec.Config {
		r.config[c.Key] = string(c.Value)
	}
}

// median is the middle one of what a benchmark printed of a unit, false if it printed none.
func (r *results) median(name, unit string) (float64, bool) {
	all := slices.Sorted(slices.Values(r.values[name][unit]))
	if len(all) == 0 {
		return 0, false
	}
	mid := len(all) / 2
	if len(all)%2 == 0 {
		return (all[mid-1] + all[mid]) / 2, true
	}
	return all[mid], true
}

// A point of a series: what a benchmark printed that is named by a number.
type point struct {
	n      float64
	values map[string]float64
}

// series are the benchmarks below a name whose last part is n=NUMBER, by the number.
func (r *results) series(below string) []point {
	var out []point
	for name := range r.values {
		rest, ok := strings.CutPrefix(name, below+"/n=")
		if !ok {
			continue
		}
		n, err := parseNumber(rest)
		if err != nil {
			continue
		}
		p := point{n, map[string]float64{}}
		for unit := range r.values[name] {
			p.values[unit], _ = r.median(name, unit)
		}
		if _, ok := p.values[heapUnit]; ok { // else it failed
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b point) int { return int(a.n - b.n) })
	return out
}
