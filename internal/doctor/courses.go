package doctor

import (
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Course is what becomes of one device.
type Course struct {
	Template, Device string // "" for existing volumes
	// Volume is what is known of the volume; nil if no key could be chosen.
	Volume  *launch.Volume
	Failure *Failure // nil if it goes well
	Depends []string // facts that would settle what cannot be told
	Steps   []Step   // if they were asked for
}

// Courses are those of all devices, in the order of the launch.
func (r *Report) Courses(withSteps bool) []Course {
	var steps []Step
	if withSteps {
		steps = r.Detailed().Steps
	}
	var out []Course
	for i := range r.outcome.courses {
		c := &r.outcome.courses[i]
		n := Course{Template: c.template, Device: c.device, Volume: c.volume, Depends: c.depends}
		if c.fail != nil {
			n.Failure = new(failureOf(c.fail, c))
		}
		for _, s := range steps {
			if s.Template == c.template && s.Device == c.device {
				n.Steps = append(n.Steps, s)
			}
		}
		out = append(out, n)
	}
	return out
}

// A Call is what becomes of a direct call before the launch.
type Call struct {
	Operation, As string
	Error         string // the code of its refusal, or ""
	Failure       *Failure
	Depends       []string
}

// Calls are those of the setup, up to the first that is refused.
func (r *Report) Calls() []Call {
	var out []Call
	for i, s := range r.outcome.setup {
		n := Call{Operation: s.call, As: r.outcome.world.sc.Setup[i].As, Depends: s.depends}
		if s.fail != nil {
			n.Failure, n.Error = new(failureOf(s.fail, nil)), code(s.fail.err)
			n.As = s.fail.principal
		}
		out = append(out, n)
	}
	return out
}

// Document names the policy that a place of the scenario is in, and the place in it. The name is
// empty for places that are in none.
func (r *Report) Document(path string) (name speech.Text, rest string) {
	if name, rest = r.outcome.world.nameOf(path); name.Empty() && r.bare != nil {
		return r.bare.world.nameOf(path)
	}
	return name, rest
}

// Scenario is what was checked.
func (r *Report) Scenario() *format.Scenario { return r.outcome.world.sc }

// purpose says what a grant of the launch is for.
func (s *Step) purpose(p launch.Purpose) {
	switch p {
	case launch.ForSource:
		s.Purpose = speech.Say(" to read the snapshot")
	case launch.ForTarget:
		s.Purpose = speech.Say(" to write the volume")
	case launch.ForAttach:
		s.Purpose = speech.Say(" to open the volume")
	}
}
