package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A course is what became of one device: its steps up to the first that failed.
type course struct {
	template string // "" for existing volumes
	device   string
	volume   *launch.Volume // nil if no key could be chosen
	steps    []stepTaken
	fail     *failing
	depends  []string
	// refusals are all requests that would be refused, were those before them not: what a fix has
	// to open.
	refusals []answer
}

// A stepTaken is a step of the plan with the answers to its requests.
type stepTaken struct {
	step    launch.Step
	answers []answer
	keyARN  string // of a resolved key
	err     error
}

// A failing is the first refused step of a device, or of the launch.
type failing struct {
	step      string // of the format
	principal string // ARN, or ""
	action    string
	key       string
	rule      string
	where     string
	text      string // what AWS says, where that is known
	answer    *answer
	err       error
	setup     int // the step of the setup, from 1; 0 for the launch
}

// caller is who calls EC2, for a template.
func (w *world) caller(t *format.Template) *subject {
	l := &w.sc.Launch
	if l.Caller != nil {
		return w.subject(*l.Caller)
	}
	if t != nil && t.Kind == format.KindLaunchConfiguration && t.Market == format.MarketSpot {
		return w.subject(arn.Role(l.Account, arn.ServiceLinkedPath("spot.amazonaws.com"), "AWSServiceRoleForEC2Spot"))
	}
	return w.subject(w.groupRole())
}

func (w *world) groupRole() string {
	l := &w.sc.Launch
	if l.Group != nil && l.Group.ServiceLinkedRoleARN != nil {
		return *l.Group.ServiceLinkedRoleARN
	}
	return w.defaultRole()
}

func (w *world) defaultRole() string {
	return arn.Role(w.sc.Launch.Account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
}

// courses drives the plan of every device of the launch.
func (w *world) courses() []course {
	spec := w.spec()
	if len(w.sc.Launch.Templates) == 0 {
		return w.each(spec, nil, w.existing())
	}
	var out []course
	for i := range w.sc.Launch.Templates {
		t := &w.sc.Launch.Templates[i]
		devices, unseen := w.devices(i)
		courses := w.each(spec, t, devices)
		if len(unseen) > 0 {
			courses = append(courses, course{template: t.Name, depends: unseen})
		}
		if f := w.refusedTemplate(t); f != nil {
			if len(courses) == 0 {
				courses = []course{{template: t.Name}}
			}
			for j := range courses {
				courses[j].fail, courses[j].refusals, courses[j].steps = f, nil, nil
				courses[j].depends = nil
			}
			courses = courses[:1]
			courses[0].device = ""
		}
		out = append(out, courses...)
	}
	return out
}

// refusedTemplate is what refuses a whole template before any key is looked for.
func (w *world) refusedTemplate(t *format.Template) *failing {
	step := "request"
	if w.sc.Launch.Group != nil {
		step = "group-create"
	}
	role := w.groupRole()
	switch _, there := w.principals[role]; {
	case !w.shared(t):
		return &failing{step: step, rule: "image-not-shared", text: fmt.Sprintf("The image id '[%s]' does not exist", *t.ImageID)}
	case w.sc.Launch.Group != nil && !there && role != w.defaultRole():
		if _, unknown := w.unknown("/principals"); !unknown {
			return &failing{step: step, rule: "no-service-linked-role", key: "", text: "ARN specified for Service-Linked Role does not exist."}
		}
	}
	return nil
}

// each drives the plan of each device alone.
func (w *world) each(spec launch.Spec, t *format.Template, devices []device) []course {
	var out []course
	for i := range devices {
		d := &devices[i]
		c := course{device: d.Name, depends: d.depends}
		if t != nil {
			c.template = t.Name
		}
		s := spec
		s.Devices = []launch.Device{d.Device}
		if len(c.depends) == 0 {
			c.depends = w.choices(spec, d)
		}
		if len(c.depends) == 0 {
			w.drive(&c, s, w.caller(t))
		}
		out = append(out, c)
	}
	return out
}

// drive drives the plan of one device with decisions. After the first refusal it goes on as if that
// had been allowed, to learn what else would be refused.
func (w *world) drive(c *course, spec launch.Spec, caller *subject) {
	st, err := launch.New(spec)
	if err != nil {
		c.fail = &failing{step: "request", rule: "parameter-dependency", text: err.Error(), err: err}
		if w.sc.Launch.Group != nil {
			c.fail.step = "group-create"
		}
		if p, ok := errors.AsType[*launch.ParameterError](err); !ok || p.Code != "InvalidParameterDependency" {
			c.fail.rule = "parameter-combination"
		}
		return
	}
	made := map[string][]authz.Grant{}
	for step := st.Step(); !step.Terminal(); {
		taken, result := w.take(st, step, caller, made)
		if result.Failure != nil && step.Kind == launch.StepResolveKey && len(taken.depends()) > 0 {
			c.depends = append(c.depends, taken.depends()...)
			return
		}
		c.depends = append(c.depends, taken.depends()...)
		first := c.fail == nil
		if first {
			c.steps = append(c.steps, taken)
		}
		if result.Failure != nil {
			failed, _ := st.Next(result)
			if first {
				c.fail = w.failing(taken, failed, caller)
			}
			if step.Kind == launch.StepResolveKey {
				break // there is no key to go on with
			}
			result.Failure = nil
		}
		for _, a := range taken.answers {
			if !a.ok() {
				c.refusals = append(c.refusals, a)
			}
		}
		st, step = st.Next(result)
	}
	if v := st.Volumes()[0]; v.KeyARN != "" || !v.Encrypted {
		c.volume = &v
	}
}

func (s *stepTaken) depends() []string {
	var out []string
	for _, a := range s.answers {
		out = append(out, a.depends...)
	}
	return out
}

// purposes say what a grant of a launch is for.
var purposes = map[launch.Purpose]string{
	launch.ForSource: " to read the snapshot", launch.ForTarget: " to write the volume", launch.ForAttach: " to open the volume",
}

// take performs a step of the plan: it decides where a driver would call.
func (w *world) take(st launch.State, step launch.Step, caller *subject, made map[string][]authz.Grant) (stepTaken, launch.Result) {
	taken := stepTaken{step: step}
	var r launch.Result
	if step.Kind == launch.StepResolveKey {
		keyARN, depends, err := w.resolve(step.KeyID)
		taken.keyARN, taken.err = keyARN, err
		if len(depends) > 0 {
			taken.answers = []answer{{depends: depends}}
		}
		if r.KeyARN = keyARN; err != nil {
			r.Failure = &launch.Failure{Cause: err.Error()}
		}
		return taken, r
	}
	before := 0
	for _, q := range step.Requests {
		a := w.ask(q, caller, made)
		taken.answers = append(taken.answers, a)
		if !a.ok() && r.Failure == nil && q.Call != launch.RetireGrant {
			r.Failure = &launch.Failure{Part: before + a.part + 1, Cause: "refused"}
		}
		before += len(a.request.Parts)
		if q.Call == launch.CreateGrant {
			g := q.Grant.Authz()
			g.ID = "made by the launch" + purposes[q.Purpose]
			made[q.KeyARN] = append(made[q.KeyARN], g)
			r.Grant = launch.GrantRef{ID: g.ID}
		}
	}
	return taken, r
}

// failing describes the refusal of a step.
func (w *world) failing(taken stepTaken, st launch.State, caller *subject) *failing {
	fail := failOf(st)
	f := &failing{step: string(fail.Phase), action: fail.Action, key: fail.KeyARN, principal: caller.name, err: taken.err}
	if taken.err != nil {
		f.rule, f.text = identifierRule(taken.err, f.key, w), taken.err.Error()
		return f
	}
	for i := range taken.answers {
		if a := &taken.answers[i]; !a.ok() {
			f.answer, f.err, f.principal = a, a.err, a.who.name
			f.rule, f.where = w.rule(a)
			break
		}
	}
	return f
}

// failOf is the failure of a plan that failed, whatever is still to be undone.
func failOf(st launch.State) *launch.Fail {
	step := st.Step()
	for !step.Terminal() {
		st, step = st.Next(launch.Result{})
	}
	return step.Fail
}

// identifierRule is the rule of an identifier that does not resolve.
func identifierRule(err error, given string, w *world) string {
	name := given[strings.LastIndexByte(given, ':')+1:]
	switch {
	case strings.HasPrefix(name, "alias/") && strings.Contains(err.Error(), "is not found"):
		return "alias-not-found"
	}
	if a, e := arn.Parse(given); e == nil && a.Service == "kms" && a.Region != w.sc.Region {
		return "key-wrong-region"
	}
	return "key-not-found"
}
