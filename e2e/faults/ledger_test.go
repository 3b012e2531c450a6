//go:build linux

package faults_test

import (
	"fmt"
	"math"
	"sync"
)

const (
	never = math.MaxInt // the mark of what was not acknowledged
	end   = never - 1   // the mark after all that was
)

// A value that a register was to have: asked for and acknowledged when so many steps of the disk were made.
type value struct {
	text         string
	asked, acked int
}

// A register is something that clients change, one change at a time: a policy, a grant, a sector. "" is that it is not
// there.
type register struct {
	name string
	read func(w *world) (string, error) // what the server says it is

	mu   sync.Mutex
	past []value
}

// A ledger is what was acknowledged.
type ledger struct {
	mark func() int // steps of the disk

	mu        sync.Mutex
	registers []*register
}

// add is a register that nothing is known of but that it is not there.
func (l *ledger) add(name string, read func(*world) (string, error)) *register {
	return l.start(name, "", read)
}

// start is a register that has a value already, as was acknowledged just now.
func (l *ledger) start(name, text string, read func(*world) (string, error)) *register {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &register{name: name, read: read, past: []value{{}}}
	if text != "" {
		r.past = append(r.past, value{text, 0, l.mark()})
	}
	l.registers = append(l.registers, r)
	return r
}

// all are the registers.
func (l *ledger) all() []*register {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*register(nil), l.registers...)
}

// acknowledged is how many values were acknowledged by a mark.
func (l *ledger) acknowledged(by int) (n int) {
	for _, r := range l.all() {
		r.mu.Lock()
		for _, v := range r.past[1:] {
			if v.acked <= by {
				n++
			}
		}
		r.mu.Unlock()
	}
	return n
}

// set has a change made and notes what became of it.
func (l *ledger) set(r *register, text string, change func() error) error {
	r.mu.Lock()
	i := len(r.past)
	r.past = append(r.past, value{text, l.mark(), never})
	r.mu.Unlock()
	err := change()
	if err == nil {
		r.mu.Lock()
		r.past[i].acked = l.mark()
		r.mu.Unlock()
	}
	return err
}

// made waits for something that was acknowledged before it was made: it may be given up until then, and is there after.
func (l *ledger) made(r *register, text string, wait func() error) error {
	r.mu.Lock()
	r.past = append(r.past, value{"", l.mark(), never})
	r.mu.Unlock()
	return l.set(r, text, wait)
}

// may are the values that a register may have after a cut at a mark: the last one that was acknowledged before it, and
// those that were asked for since.
func (r *register) may(at int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := 0
	for i, v := range r.past {
		if v.acked <= at {
			last = i
		}
	}
	texts := []string{r.past[last].text}
	for _, v := range r.past[last+1:] {
		if v.asked <= at {
			texts = append(texts, v.text)
		}
	}
	return texts
}

// settle says that the register has a value that a new life of the server showed.
func (r *register) settle(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past = []value{{text, 0, 0}}
}

// check compares what a server says with what it may.
func (r *register) check(w *world, at int) error {
	got, err := r.read(w)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	may := r.may(at)
	for _, text := range may {
		if got == text {
			if at == end {
				r.settle(got)
			}
			return nil
		}
	}
	return fmt.Errorf("%s is %q, not one of %q", r.name, got, may)
}
