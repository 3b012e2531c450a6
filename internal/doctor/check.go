package doctor

import (
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A Verdict says whether a launch gets through KMS. The zero Verdict is [CannotTell].
type Verdict uint8

// Verdicts.
const (
	CannotTell Verdict = iota
	Launches
	Fails
)

// String is the verdict in machine-readable output.
func (v Verdict) String() string {
	return [...]string{"cannot-tell", "launches", "fails"}[v]
}

// cacheSize bounds the documents that are kept compiled: of scenarios and their variants.
const cacheSize = 1000

// An outcome is a scenario checked once, without fixes.
type outcome struct {
	world   *world
	setup   []setupStep
	courses []course
}

// run checks a scenario once.
func run(sc *format.Scenario, docs *authz.Cache) *outcome {
	o := &outcome{world: newWorld(sc, docs).clone()}
	o.setup = o.world.setUp()
	if o.setupFailure() == nil {
		o.courses = o.world.courses()
	}
	return o
}

func (o *outcome) setupFailure() *failing {
	for _, s := range o.setup {
		if s.fail != nil {
			return s.fail
		}
	}
	return nil
}

// failures are those of the setup, else of each device.
func (o *outcome) failures() []*failing {
	if f := o.setupFailure(); f != nil {
		return []*failing{f}
	}
	var out []*failing
	for i := range o.courses {
		if f := o.courses[i].fail; f != nil {
			out = append(out, f)
		}
	}
	return out
}

// depends are the facts that would settle what cannot be told.
func (o *outcome) depends() []string {
	out := slices.Clone(o.world.invalid)
	for _, s := range o.setup {
		out = append(out, s.depends...)
	}
	for _, c := range o.courses {
		if c.fail == nil {
			out = append(out, c.depends...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (o *outcome) verdict() Verdict {
	switch {
	case len(o.failures()) > 0:
		return Fails
	case len(o.depends()) > 0:
		return CannotTell
	}
	return Launches
}

// earliest is the failure that the user sees: a launch takes each step for all devices before the
// next one.
func earliest(all []*failing) *failing {
	order := []string{"setup", "group-create", "request", "resolve-key", "create-volume", "attach", "decrypt"}
	return slices.MinFunc(all, func(a, b *failing) int { return slices.Index(order, a.step) - slices.Index(order, b.step) })
}
