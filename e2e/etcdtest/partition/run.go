package partition

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Result is what happened in a run, and what the checkers said.
type Result struct {
	Took       time.Duration
	Operations int
	Unknown    int // writes
	Refused    int // answers with 503
	Faults     map[string]int
	Worst      Worst
	Verdict    Verdict
	Violations []Violation
	Oddities   []string // answers that nobody expects
}

// Good reports whether nothing was wrong.
func (r *Result) Good() bool {
	return len(r.Violations)+len(r.Verdict.Illegal)+len(r.Verdict.Undecided)+len(r.Oddities) == 0
}

// String tells the result in a few lines.
func (r *Result) String() string {
	var b strings.Builder
	count := 0
	for _, f := range slices.Sorted(maps.Keys(r.Faults)) {
		count += r.Faults[f]
		fmt.Fprintf(&b, "%4d  %s\n", r.Faults[f], f)
	}
	return fmt.Sprintf("%s, %d operations, %d faults, %d unknown outcomes, %d answers of 503, oldest answers: states %s, policies %s, grants %s; %d histories searched, %d violations, %d without order, %d undecided, %d odd answers\n",
		r.Took.Round(time.Second), r.Operations, count, r.Unknown, r.Refused, r.Worst.State.Round(time.Millisecond), r.Worst.Policy.Round(time.Millisecond),
		r.Worst.Grants.Round(time.Millisecond), r.Verdict.Parts, len(r.Violations), len(r.Verdict.Illegal), len(r.Verdict.Undecided), len(r.Oddities)) + b.String()
}

// add takes another result in.
func (r *Result) add(o *Result) {
	r.Took += o.Took
	r.Operations += o.Operations
	r.Unknown += o.Unknown
	r.Refused += o.Refused
	if r.Faults == nil {
		r.Faults = map[string]int{}
	}
	for f, n := range o.Faults {
		r.Faults[f] += n
	}
	r.Worst = Worst{max(r.Worst.State, o.Worst.State), max(r.Worst.Policy, o.Worst.Policy), max(r.Worst.Grants, o.Worst.Grants)}
	r.Verdict.Parts += o.Verdict.Parts
	r.Verdict.Illegal = append(r.Verdict.Illegal, o.Verdict.Illegal...)
	r.Verdict.Undecided = append(r.Verdict.Undecided, o.Verdict.Undecided...)
	r.Violations = append(r.Violations, o.Violations...)
	r.Oddities = append(r.Oddities, o.Oddities...)
}

// perRound is how many keys clients work on in a round.
const perRound = 3

// Round has clients work on fresh keys while faults happen, one after the other, and checks what they saw.
func (w *World) Round(people crowd, seed uint64, faults []string, unit time.Duration) (*Result, error) {
	began := time.Now()
	r := rand.New(rand.NewPCG(seed, 0))
	first, err := w.newCaller(0, 0, people, seed, 20*time.Second)
	if err != nil {
		return nil, err
	}
	keys, err := first.keys(context.Background(), perRound)
	if err != nil {
		return nil, err
	}
	var callers []*caller
	for i := range size * perNode {
		c, err := w.newCaller(i+1, i%size, people, seed, patience)
		if err != nil {
			return nil, err
		}
		c.reader = i < size*readers
		callers = append(callers, c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for _, c := range callers {
		working.Go(func() { c.run(ctx, keys) })
	}
	res := &Result{Faults: map[string]int{}}
	var offs []off
	time.Sleep(unit / 2)
	for _, f := range faults {
		o, err := w.inject(r, f, unit)
		if err != nil {
			cancel()
			working.Wait()
			return nil, err
		}
		res.Faults[f]++
		offs = append(offs, o)
		time.Sleep(unit/2 + time.Duration(r.Int64N(int64(unit))))
	}
	cancel()
	working.Wait()
	if err := w.Healthy(2 * time.Minute); err != nil {
		return nil, err
	}
	time.Sleep(Bound)
	for n := range size {
		c, err := w.newCaller(100+n, n, people, seed, 20*time.Second)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			c.last(k)
		}
		callers = append(callers, c)
	}
	res.judge(callers, offs, w.cfg.Linearizable)
	res.Took = time.Since(began)
	return res, nil
}

// judge runs the checkers.
func (r *Result) judge(callers []*caller, offs []off, linearizable bool) {
	var ops []Op
	for _, c := range callers {
		ops = append(ops, c.ops...)
		r.Refused += c.refused
		r.Oddities = append(r.Oddities, c.oddities...)
	}
	slices.SortFunc(ops, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
	r.Operations = len(ops)
	for _, o := range ops {
		if o.Outcome == Unknown && o.Kind.Writes() {
			r.Unknown++
		}
	}
	bound := Bound
	if linearizable {
		bound = 0
	}
	r.Worst, r.Violations = Ages(ops, bound)
	r.Violations = append(r.Violations, Deaf(ops, offs)...)
	r.Verdict = Linear(ops, linearizable, time.Minute)
}

// Deaf are operations that a node answered while it could not know anything of the last second.
func Deaf(ops []Op, offs []off) (wrong []Violation) {
	for _, o := range ops {
		for _, f := range offs {
			if o.Node == f.node && o.Outcome != Unknown && o.Call > f.from+Bound && o.Return < f.to {
				wrong = append(wrong, Violation{o, fmt.Sprintf("answered %s after the node was cut off", o.Call-f.from)})
			}
		}
	}
	return wrong
}
