// Command report runs the benchmarks that have something to be compared with and writes
// docs/performance.md from what they print: `make bench`. The page is made whole from one run. What it
// says of a million keys, which takes longer, is from the last `make bench-million`, whose output is kept
// beside the page.
//
// What a row of the page is made of is in rows.go, what is run for it in runs.go. The reader of
// benchmarks' output is Go's own (golang.org/x/perf/benchfmt).
package main
