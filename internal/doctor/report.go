package doctor

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Report is what becomes of a scenario. As JSON it has the members of a scenario's expected, and
// some more.
type Report struct {
	ID       string                  `json:"id"`
	Verdict  string                  `json:"verdict"`  // launches, fails or cannot-tell
	Launches *bool                   `json:"launches"` // null if it cannot be told
	Setup    []format.ExpectedStep   `json:"setup"`
	Volumes  []format.ExpectedVolume `json:"volumes"`
	// Templates tell which of them launch; null if it cannot be told.
	Templates map[string]*bool `json:"templates,omitempty"`
	Failures  []Failure        `json:"failures"`
	Symptom   *format.Symptom  `json:"symptom"`
	Fix       *Fix             `json:"fix"`
	Warnings  []speech.Text    `json:"warnings"`
	// Hopeless tells why there is no fix, if that is known.
	Hopeless []speech.Text `json:"hopeless,omitempty"`
	// Depends are the facts that would settle what cannot be told.
	Depends []string `json:"depends,omitempty"`
	// Wanted is what key policies and grants that nobody could read would have to contain.
	Wanted *Fix `json:"wanted,omitempty"`
	// Later is what goes well now and fails afterwards, or hangs by one thing: a grant, say.
	Later []speech.Text `json:"later,omitempty"`
	// Notes are what else was seen in the policies.
	Notes []speech.Text `json:"notes,omitempty"`
	// Steps are all requests of all devices, if they were asked for; see [Report.Detailed].
	Steps []Step `json:"steps,omitempty"`

	outcome *outcome
	bare    *outcome // that of Wanted
}

// A Failure is the first refused step of a device.
type Failure struct {
	format.Failure
	Action      string        `json:"action"` // the refused one, or ""
	Explanation []speech.Text `json:"explanation,omitempty"`
	Decided     bool          `json:"-"` // the explanation is that of a decision, and begins with it
}

// A Fix is a change of the scenario after which it launches, with others that do as well.
type Fix struct {
	Proposal
	Alternatives []Proposal `json:"alternatives"`
}

// A Proposal is one such change. It was applied and the scenario checked again.
type Proposal struct {
	Kind    string        `json:"kind"`
	Summary speech.Text   `json:"summary"`
	Patch   []format.Edit `json:"patch"`
	// Name is "least" or "documented"; "" for others.
	Name     string   `json:"name,omitempty"`
	Commands []string `json:"commands,omitempty"`
	// Opens are what the change allows beside the launch, Run who must make it, and where.
	Opens []speech.Text `json:"opens,omitempty"`
	Run   []speech.Text `json:"run,omitempty"`
}

// A Doctor checks many scenarios and remembers the documents that they share, and the fixes of those
// that are alike. Safe for concurrent use.
type Doctor struct {
	docs  *authz.Cache
	lint  *lint.Linter
	known known
}

// New makes a Doctor.
func New() *Doctor { return &Doctor{docs: authz.NewCache(cacheSize), lint: lint.New()} }

// Check says what becomes of a scenario.
func Check(sc *format.Scenario) *Report { return New().Check(sc) }

// Check says what becomes of a scenario.
func (d *Doctor) Check(sc *format.Scenario) *Report {
	o := run(sc, d.docs)
	v := o.verdict()
	r := &Report{
		ID: sc.ID, Verdict: v.String(), Setup: []format.ExpectedStep{}, Volumes: []format.ExpectedVolume{}, Failures: []Failure{},
		Warnings: []speech.Text{}, outcome: o,
	}
	if v != CannotTell {
		r.Launches = new(v == Launches)
	}
	for _, s := range o.setup {
		e := format.ExpectedStep{OK: s.fail == nil}
		if s.fail != nil {
			e.Error, e.Rule = code(s.fail.err), s.fail.rule
		}
		r.Setup = append(r.Setup, e)
	}
	r.addCourses(o)
	for _, f := range o.failures() {
		if f.setup > 0 {
			r.Failures = append(r.Failures, failureOf(f, nil))
		}
	}
	if fs := o.failures(); len(fs) > 0 {
		r.Symptom = o.symptom(earliest(fs))
		if r.Fix = d.fixOf(o); r.Fix == nil {
			r.Hopeless = fs[0].hopeless()
		}
	}
	if r.Depends = o.depends(); v == CannotTell {
		r.Wanted, r.bare = d.wanted(sc)
	}
	r.Warnings, r.Notes = o.warnings(d.lint)
	r.Later = o.later()
	return r
}

// addCourses tells what becomes of the devices.
func (r *Report) addCourses(o *outcome) {
	sc := o.world.sc
	for i := range o.courses {
		c := &o.courses[i]
		if c.template != "" || len(sc.Launch.Templates) > 0 {
			if r.Templates == nil {
				r.Templates = map[string]*bool{}
			}
			r.Templates[c.template] = both(r.Templates, c)
		}
		if c.fail != nil {
			r.Failures = append(r.Failures, failureOf(c.fail, c))
		}
		if c.volume == nil {
			continue
		}
		v := format.ExpectedVolume{Device: c.device, Encrypted: c.volume.Encrypted, ChosenBy: string(c.volume.ChosenBy)}
		if c.template != "" {
			v.Template = &c.template
		}
		if c.volume.KeyARN != "" {
			v.Key = &c.volume.KeyARN
		}
		r.Volumes = append(r.Volumes, v)
	}
}

// both is what becomes of a template with one more device.
func both(have map[string]*bool, c *course) *bool {
	before, seen := have[c.template]
	switch {
	case c.fail != nil, seen && before != nil && !*before:
		return new(false)
	case len(c.depends) > 0, seen && before == nil:
		return nil
	}
	return new(true)
}

// hopeless says what the engine knows of a refusal that nothing helps against.
func (f *failing) hopeless() []speech.Text {
	if f.answer == nil || f.answer.err != nil {
		return nil
	}
	var out []speech.Text
	_, notes := explain.Advise(&f.answer.request, f.answer.decision)
	for _, n := range notes {
		if n.Part == f.answer.part {
			out = append(out, n.Text)
		}
	}
	return out
}

func failureOf(f *failing, c *course) Failure {
	out := Failure{Action: f.action}
	out.Step, out.Rule, out.Actions = f.step, f.rule, []string{}
	if f.action != "" {
		out.Actions = []string{f.action}
	}
	opt := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	if c != nil {
		out.Template, out.Device = opt(c.template), opt(c.device)
	}
	out.Principal, out.Key, out.Where = opt(f.principal), opt(f.key), opt(f.where)
	out.Explanation, out.Decided = f.explanation(), f.answer != nil && f.answer.err == nil
	return out
}

// symptom is what the user sees of a failure.
func (o *outcome) symptom(f *failing) *format.Symptom {
	l := &o.world.sc.Launch
	s := &format.Symptom{SeenBy: "api", StateReasonMessages: []string{}}
	switch {
	case f.setup > 0:
		s.APIError = &format.APIError{Operation: strings.TrimPrefix(o.world.sc.Setup[f.setup-1].Call, "kms:"), Code: code(f.err)}
		return s
	case f.step == "group-create":
		s.APIError = &format.APIError{Operation: "CreateAutoScalingGroup", Code: "ValidationError"}
		return s
	case f.step == "request":
		s.APIError = &format.APIError{Operation: l.Operation, Code: requestCode(f)}
		return s
	}
	messages := func() {
		for _, style := range []launch.ReasonStyle{launch.ReasonInvalidKey, launch.ReasonClientError} {
			_, m := launch.StateReason(style)
			s.StateReasonMessages = append(s.StateReasonMessages, m)
		}
	}
	switch l.Operation {
	case format.AttachVolume:
		c, _ := launch.AttachError(newVolume)
		s.APIError = &format.APIError{Operation: l.Operation, Code: c}
	case format.CreateVolume:
		s.SeenBy = "volume" // the call succeeds; the volume disappears
	case format.CopySnapshot:
		s.SeenBy, s.StateReasonMessages = "snapshot", []string{launch.CopyStateMessage}
	case format.StartInstances:
		s.SeenBy, s.InstanceEndsAs = "instance", new("stopped")
		messages()
	case format.AutoScalingLaunch:
		s.SeenBy, s.InstanceEndsAs = "auto-scaling-activity", new("terminated")
		s.ActivityStatusCode = new(launch.ActivityDied("", "").StatusCode)
		messages()
	default:
		s.SeenBy, s.InstanceEndsAs = "instance", new("terminated")
		messages()
	}
	return s
}

// requestCode is the code with which EC2 refuses a call at once.
func requestCode(f *failing) string {
	if f.rule == "image-not-shared" {
		return "InvalidAMIID.NotFound"
	}
	c, _, _ := strings.Cut(f.text, ":")
	return c
}

// A Request is one evaluation that a launch asks KMS for.
type Request struct {
	Template, Device string // "" for existing volumes
	Principal        string // ARN of the role or user, or a service principal
	Action, Key      string
	Outcome          authz.Outcome
}

// Requests are those of all devices, in the order of the plan: of each up to the first that is
// refused.
func (r *Report) Requests() []Request {
	var out []Request
	for i := range r.outcome.courses {
		c := &r.outcome.courses[i]
		for _, s := range c.steps {
			for _, a := range s.answers {
				for _, p := range a.decision.Parts {
					out = append(out, Request{c.template, c.device, a.who.name, p.Action, p.Resource, p.Outcome})
				}
			}
		}
	}
	return out
}

// A Step is one evaluation of a launch, with what decided it.
type Step struct {
	Template  string        `json:"template,omitempty"`
	Device    string        `json:"device,omitempty"`
	Step      string        `json:"step"`
	Principal string        `json:"principal,omitempty"`
	Action    string        `json:"action,omitempty"`
	Key       string        `json:"key,omitempty"`
	Given     string        `json:"-"`            // the name of a key that was to be resolved
	Purpose   speech.Text   `json:"-"`            // of a grant, as part of a sentence
	Result    string        `json:"result"`       // allowed, refused or unknown
	By        []speech.Text `json:"by,omitempty"` // statements and grants that allowed it
	Why       []speech.Text `json:"why,omitempty"`
}

// Detailed is the report with its steps.
func (r *Report) Detailed() *Report {
	out := *r
	for i := range r.outcome.courses {
		c := &r.outcome.courses[i]
		for _, s := range c.steps {
			if s.step.Kind == launch.StepResolveKey {
				n := Step{Template: c.template, Device: c.device, Step: string(s.step.Kind), Given: s.step.KeyID, Key: s.keyARN, Result: "allowed"}
				if s.err != nil {
					n.Key, n.Result, n.Why = s.step.KeyID, "refused", []speech.Text{speech.Raw(s.err.Error())}
				}
				out.Steps = append(out.Steps, n)
			}
			for i := range s.answers {
				a := &s.answers[i]
				for j := range a.decision.Parts {
					n := a.step(j)
					n.purpose(s.step.Requests[i].Purpose)
					n.Template, n.Device, n.Step = c.template, c.device, string(s.step.Kind)
					out.Steps = append(out.Steps, n)
				}
			}
		}
	}
	return &out
}

// step is one part of an answer.
func (a *answer) step(i int) Step {
	p := &a.decision.Parts[i]
	n := Step{Principal: a.who.name, Action: p.Action, Key: p.Resource, Result: "allowed"}
	switch {
	case p.Outcome == authz.Undetermined:
		n.Result, n.Why = "unknown", speech.AllWritten(facts(p.Depends))
	case p.Outcome != authz.Allowed && len(a.depends) > 0:
		n.Result, n.Why = "unknown", speech.AllWritten(a.depends)
	case p.Outcome != authz.Allowed:
		n.Result, n.Why = "refused", explain.Lines(*p, a.who.name)
	case a.err != nil && a.part == i:
		n.Result, n.Why = "refused", []speech.Text{speech.Raw(a.err.Error())}
	default:
		n.By = deciding(p)
	}
	return n
}

// Line is the report as one line of JSON.
func (r *Report) Line() ([]byte, error) {
	line, err := json.Marshal(r)
	return append(line, '\n'), err
}

// Told reports the verdict.
func (r *Report) Told() Verdict {
	return Verdict(slices.Index([]string{"cannot-tell", "launches", "fails"}, r.Verdict))
}
