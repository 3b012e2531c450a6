package main

import (
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/report"
)

// A judgment is an input that was checked.
type judgment struct {
	in  input
	c   report.Checked
	err error
}

// judgeAll checks inputs, several at a time, and gives them in their order, each as soon as it can.
// With --fix it is one after the other: what is written for one is read by the next.
func (f *checkFlags) judgeAll(judge *doctor.Doctor, inputs []input) iter.Seq[judgment] {
	one := func(in input) judgment {
		if in.origin != nil && f.ground != nil {
			in.scenario = in.scenario.Over(f.ground)
		}
		c, err := f.judge(judge, in)
		return judgment{in, c, err}
	}
	return func(yield func(judgment) bool) {
		workers := min(runtime.GOMAXPROCS(0), len(inputs))
		if f.fix {
			workers = 0
		}
		done := make([]chan judgment, len(inputs))
		for i := range done {
			done[i] = make(chan judgment, 1)
		}
		var (
			begun atomic.Int64
			ended atomic.Bool
			all   sync.WaitGroup
		)
		defer all.Wait()
		defer ended.Store(true)
		for range workers {
			all.Go(func() {
				for i := begun.Add(1) - 1; i < int64(len(inputs)) && !ended.Load(); i = begun.Add(1) - 1 {
					done[i] <- one(inputs[i])
				}
			})
		}
		for i := range inputs {
			if workers == 0 {
				done[i] <- one(inputs[i])
			}
			if !yield(<-done[i]) {
				return
			}
		}
	}
}
