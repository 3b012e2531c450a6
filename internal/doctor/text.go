package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// explanation says in plain words why something is refused.
func (f *failing) explanation() []string {
	switch {
	case f.answer != nil && f.answer.err == nil:
		out := explain.Text(*f.answer.refused(), f.principal)
		if f.rule == "cross-account-needs-grant" {
			out = append(out, "A service-linked role cannot be given an IAM policy: only a grant on the key can allow this.")
		}
		return out
	case f.text != "":
		return []string{f.text}
	case f.err != nil:
		return []string{f.err.Error()}
	}
	return nil
}

// A writer writes a report, and remembers the first error.
type writer struct {
	out     io.Writer
	verbose bool
	err     error
}

func (w *writer) line(depth int, format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, "%s%s\n", strings.Repeat("  ", depth), fmt.Sprintf(format, args...))
	}
}

// Write writes a report for people: the verdict, what fails and why, and what helps; verbose with
// every step of every device.
func (r *Report) Write(out io.Writer, verbose bool) error {
	w := &writer{out: out, verbose: verbose}
	w.line(0, "%s: %s", r.ID, map[Verdict]string{Launches: "launches", Fails: "will not launch", CannotTell: "cannot tell"}[r.Told()])
	o := r.outcome
	for i, s := range o.setup {
		w.setup(i, &s, o)
	}
	for i := range o.courses {
		w.course(&o.courses[i], o)
	}
	if r.Symptom != nil {
		w.line(1, "You will see: %s", r.sight())
	}
	if r.Fix != nil {
		w.proposal("Fix", &r.Fix.Proposal, o)
		for i := range r.Fix.Alternatives {
			if i > 0 && !verbose {
				w.line(1, "%d more with -v", len(r.Fix.Alternatives)-i)
				break
			}
			w.proposal("Or", &r.Fix.Alternatives[i], o)
		}
	} else if r.Told() == Fails {
		w.line(1, "No change of policies, grants or templates that kagimori knows of would help.")
		for _, text := range r.Hopeless {
			w.line(2, "%s", text)
		}
	}
	for _, d := range r.Depends {
		w.line(1, "Not known: %s", d)
	}
	if r.Wanted != nil {
		w.proposal("What could not be read would have to contain", &r.Wanted.Proposal, r.bare)
	}
	for _, text := range r.Warnings {
		w.line(1, "Warning: %s", text)
	}
	if verbose {
		for _, text := range r.Notes {
			w.line(1, "Note: %s", text)
		}
	}
	return w.err
}

func (w *writer) setup(i int, s *setupStep, o *outcome) {
	switch {
	case s.fail != nil:
		w.line(1, "Setup step %d, %s by %s: refused with %s (%s)", i+1, s.call, s.fail.principal, code(s.fail.err), s.fail.rule)
		w.why(2, s.fail)
	case len(s.depends) > 0:
		w.line(1, "Setup step %d, %s by %s: depends on what is not known", i+1, s.call, o.world.sc.Setup[i].As)
	case w.verbose:
		w.line(1, "Setup step %d, %s by %s: allowed", i+1, s.call, o.world.sc.Setup[i].As)
	}
}

// course tells what becomes of a device.
func (w *writer) course(c *course, o *outcome) {
	if c.fail == nil && len(c.depends) == 0 && !w.verbose {
		return
	}
	name := strings.TrimSpace(c.template + " " + c.device)
	switch {
	case c.volume == nil:
	case !c.volume.Encrypted:
		name += ", not encrypted"
	default:
		name += ", under " + c.volume.KeyARN + " (" + chosen(c.volume.ChosenBy) + ")"
	}
	switch {
	case c.fail != nil && c.fail.action != "":
		w.line(1, "%s: %s refused to %s at step %s", name, c.fail.action, c.fail.principal, c.fail.step)
	case c.fail != nil:
		w.line(1, "%s: fails at step %s", name, c.fail.step)
	case len(c.depends) > 0:
		w.line(1, "%s: depends on what is not known", name)
	default:
		w.line(1, "%s: allowed", name)
	}
	if w.verbose {
		for _, s := range c.steps {
			w.step(&s)
		}
	}
	if c.fail != nil {
		w.why(2, c.fail)
	}
}

func chosen(by launch.ChosenBy) string {
	return map[launch.ChosenBy]string{
		launch.ByTemplate: "named by the template", launch.BySnapshot: "that of the snapshot", launch.ByAccountDefault: "the account's default",
		launch.ByAWSManaged: "AWS managed", launch.ByExisting: "that of the volume",
	}[by]
}

// why explains a failure: without -v the decision and what is missing alone.
func (w *writer) why(depth int, f *failing) {
	lines := f.explanation()
	if f.answer != nil && f.answer.err == nil && len(lines) > 1 {
		lines = lines[1:] // the first says again who asked for what
	}
	if !w.verbose && len(lines) > 6 {
		lines = append(slices.Clone(lines[:6]), "...")
	}
	w.line(depth, "Rule: %s", strings.TrimSpace(f.rule+" "+quoted(f.where)))
	for _, text := range lines {
		w.line(depth, "%s", text)
	}
}

func quoted(where string) string {
	if where == "" {
		return ""
	}
	return "(" + where + ")"
}

// step tells who asked for what in a step, and by which statement or grant that was allowed.
func (w *writer) step(s *stepTaken) {
	if s.keyARN != "" {
		w.line(2, "%s: %s is %s", s.step.Kind, s.step.KeyID, s.keyARN)
	}
	for i, a := range s.answers {
		if a.decision.Parts == nil {
			continue
		}
		q := s.step.Requests[i]
		for j := range a.decision.Parts {
			n, text := a.step(j), ""
			switch n.Result {
			case "allowed":
				text = "allowed by " + strings.Join(n.By, ", ")
			case "unknown":
				text = "depends on " + strings.Join(n.Why, ", ")
			default:
				text = n.Result
			}
			w.line(2, "%s%s by %s on %s: %s", n.Action, purposes[q.Purpose], n.Principal, n.Key, text)
		}
	}
}

// deciding names the statements and grants that allowed a part.
func deciding(p *authz.PartDecision) []string {
	var out []string
	for _, m := range explain.Deciding(*p) {
		if m.GrantID != "" {
			out = append(out, "the grant "+m.GrantID)
		} else {
			out = append(out, fmt.Sprintf("statement %q of %s", m.Sid, m.Document))
		}
	}
	if len(out) == 0 {
		out = append(out, "the "+p.By.String())
	}
	return out
}

// sight is what the user sees, in one line, as the consoles and command lines show it.
func (r *Report) sight() string {
	s := r.Symptom
	switch {
	case s.APIError != nil:
		text := s.APIError.Operation + " is refused with " + s.APIError.Code
		if s.APIError.Operation == format.AttachVolume {
			_, message := launch.AttachError("vol-...")
			text += ": " + message
		}
		return text
	case s.SeenBy == "volume":
		return "CreateVolume succeeds, and the volume disappears."
	case s.SeenBy == "snapshot":
		return "CopySnapshot succeeds, and the copy ends in state error: " + launch.CopyStateMessage
	case s.SeenBy == "auto-scaling-activity":
		return *s.ActivityStatusCode + ": " + launch.ActivityDied("", s.StateReasonMessages[0]).StatusMessage + " (or: " + s.StateReasonMessages[1] + ")"
	}
	return "the instance is " + *s.InstanceEndsAs + ": " + s.StateReasonMessages[0] + " (or: " + s.StateReasonMessages[1] + ")"
}

// proposal tells of a fix: what, then the statements or commands.
func (w *writer) proposal(word string, p *Proposal, o *outcome) {
	if p.Name != "" {
		word += " (" + p.Name + ")"
	}
	w.line(1, "%s: %s", word, p.Summary)
	shown, last := false, ""
	for _, e := range p.Patch {
		doc, rest := o.world.nameOf(e.Path)
		switch {
		case doc == "":
			continue // the sentence says it all
		case rest == "/Statement/-":
			if doc != last {
				w.line(2, "Add to %s:", doc)
			}
			var value any
			if json.Unmarshal(e.Value, &value) == nil {
				w.indented(3, ordered(value))
			}
		case e.Op == "remove":
			w.line(2, "In %s, remove %s", doc, rest)
		default:
			w.line(2, "In %s, set %s to %s", doc, rest, e.Value)
		}
		shown, last = true, doc
	}
	if !shown || w.verbose {
		for _, c := range p.Commands {
			w.line(2, "%s", c)
		}
	}
	if !w.verbose {
		return
	}
	for _, text := range p.Run {
		w.line(2, "By: %s", text)
	}
	for _, text := range p.Opens {
		w.line(2, "Also opens: %s", text)
	}
	for _, e := range p.Patch {
		if line, err := json.Marshal(e); err == nil {
			w.line(2, "Patch: %s", line)
		}
	}
}

func (w *writer) indented(depth int, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		w.line(depth, "%s", line)
	}
}

// ordered is a statement laid out as policies have it.
func ordered(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		out, _ := json.MarshalIndent(v, "", "  ") // came from JSON
		return string(out)
	}
	var members []string
	for _, name := range []string{"Sid", "Effect", "Principal", "Action", "Resource", "Condition"} {
		if value, there := m[name]; there {
			members = append(members, fmt.Sprintf("  %q: %s", name, encode(value)))
		}
	}
	return "{\n" + strings.Join(members, ",\n") + "\n}"
}

// nameOf names the document that a place is in; rest is the place in it.
func (w *world) nameOf(path string) (doc, rest string) {
	for i, st := range w.sc.Setup {
		at := fmt.Sprintf("/setup/%d/params/policy", i)
		if strings.HasPrefix(path, at+"/") {
			return "the policy of setup step " + itoa(i+1) + " for " + st.Params.Key, path[len(at):]
		}
	}
	for _, d := range w.written() {
		if strings.HasPrefix(path, d.path+"/") {
			return d.name, path[len(d.path):]
		}
	}
	return "", ""
}
