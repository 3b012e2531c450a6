package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// A fault breaks something. undo has it work again, beside what Mend of the network does.
type fault struct {
	name string
	do   func(r *rand.Rand) (undo func() error, err error)
	// long is how long it lasts at least, and as much longer at most.
	long time.Duration
	// off is the node that knows nothing of the cluster meanwhile; -1 if it may.
	off int
}

func host(kind string, i int) string { return fmt.Sprint(kind, i) }

// between cuts two hosts off from each other.
func (w *World) between(a, b string) error {
	if err := w.net.Cut(a, b); err != nil {
		return err
	}
	return w.net.Cut(b, a)
}

// isolate cuts a member off from the other members.
func (w *World) isolate(m int) error {
	for j := range size {
		if j != m {
			if err := w.between(host("m", m), host("m", j)); err != nil {
				return err
			}
		}
	}
	return nil
}

func nothing() error { return nil }

// faults are all kinds. Times are in units: one is longer than the bound, five are longer than leases.
func (w *World) faults(r *rand.Rand, unit time.Duration) []fault {
	n, m := r.IntN(size), r.IntN(size)
	cutOff := func(only int) func(*rand.Rand) (func() error, error) {
		return func(*rand.Rand) (func() error, error) {
			for j := range size {
				if j != only {
					if err := w.between(host("n", n), host("m", j)); err != nil {
						return nil, err
					}
				}
			}
			if only >= 0 {
				return nothing, w.isolate(only)
			}
			return nothing, nil
		}
	}
	stop := func(p *process) (func() error, error) {
		return func() error { return p.signal(syscall.SIGCONT) }, p.signal(syscall.SIGSTOP)
	}
	all := []fault{
		{"node cut off from etcd", cutOff(-1), 2 * unit, n},
		{"node alone with a member that is cut off", cutOff(m), 2 * unit, n},
		{"member cut off from the others", func(*rand.Rand) (func() error, error) { return nothing, w.isolate(m) }, 2 * unit, -1},
		{"leader cut off from the others", func(*rand.Rand) (func() error, error) {
			if l := w.Leader(); l >= 0 {
				return nothing, w.isolate(l)
			}
			return nothing, nil
		}, 2 * unit, -1},
		{"one way between members", func(*rand.Rand) (func() error, error) {
			return nothing, w.net.Cut(host("m", m), host("m", (m+1)%size))
		}, 2 * unit, -1},
		{"one way from a member to a node", func(*rand.Rand) (func() error, error) {
			return nothing, w.net.Cut(host("m", m), host("n", n))
		}, 2 * unit, -1},
		{"node cut off from clients", func(*rand.Rand) (func() error, error) {
			return nothing, w.net.Cut(host("n", n), clients)
		}, unit, -1},
		{"node paused", func(*rand.Rand) (func() error, error) { return stop(w.nodes[n]) }, unit, -1},
		{"node paused for longer than leases", func(*rand.Rand) (func() error, error) { return stop(w.nodes[n]) }, 6 * unit, -1},
		{"member paused", func(*rand.Rand) (func() error, error) { return stop(w.members[m]) }, 2 * unit, -1},
		{"member paused for longer than leases", func(*rand.Rand) (func() error, error) { return stop(w.members[m]) }, 6 * unit, -1},
		{"member killed", func(*rand.Rand) (func() error, error) {
			w.members[m].kill()
			return func() error { return w.startMember(m) }, nil
		}, 2 * unit, -1},
		{"node killed", func(*rand.Rand) (func() error, error) {
			w.nodes[n].kill()
			return func() error { return w.StartNode(n) }, nil
		}, unit, -1},
		{"leader moved", func(r *rand.Rand) (func() error, error) {
			for range 3 {
				_ = w.MoveLeader() // there may be none for a moment
				time.Sleep(time.Duration(r.Int64N(int64(unit / 3))))
			}
			return nothing, nil
		}, unit / 4, -1},
	}
	if _, can := w.net.(*proxies); can {
		all = append(all, fault{"slow network", func(r *rand.Rand) (func() error, error) {
			for i := range size {
				by := time.Duration(20+r.IntN(200)) * time.Millisecond
				w.net.Slow(host("m", m), host("n", i), by)
				w.net.Slow(host("m", m), host("m", i), by)
				w.net.Slow(host("n", n), host("m", i), by)
			}
			return nothing, nil
		}, 2 * unit, -1}, fault{"connections break", func(*rand.Rand) (func() error, error) {
			for i := range size { // answers are under way for long enough to be lost
				for j := range size {
					w.net.Slow(host("m", i), host("n", j), 100*time.Millisecond)
				}
			}
			for k := range 12 {
				for i := range size {
					w.net.Break(host("n", (n+k)%size), host("m", i))
				}
				w.net.Break(host("m", m), host("m", (m+1)%size))
				time.Sleep(unit / 6)
			}
			return nothing, nil
		}, unit / 4, -1}, fault{"connections of clients break", func(*rand.Rand) (func() error, error) {
			for range 3 {
				w.net.Break(host("n", n), clients)
				time.Sleep(unit / 5)
			}
			return nothing, nil
		}, unit / 4, -1})
	}
	return all
}

// kinds are the names of all faults of a network.
func (w *World) kinds() (out []string) {
	for _, f := range w.faults(rand.New(rand.NewPCG(0, 0)), time.Second) {
		out = append(out, f.name)
	}
	return out
}

// An off is a time for which a node could not know anything.
type off struct {
	node     int
	from, to time.Duration
}

// inject breaks something, waits, and mends it.
func (w *World) inject(r *rand.Rand, name string, unit time.Duration) (o off, err error) {
	all := w.faults(r, unit)
	f := all[slices.IndexFunc(all, func(f fault) bool { return f.name == name })]
	undo, err := f.do(r)
	o = off{node: f.off, from: w.now()}
	if err != nil {
		return o, fmt.Errorf("%s: %w", name, err)
	}
	time.Sleep(f.long + time.Duration(r.Int64N(int64(f.long))))
	o.to = w.now()
	if err := w.net.Mend(); err != nil {
		return o, err
	}
	return o, undo()
}
