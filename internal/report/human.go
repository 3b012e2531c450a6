package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Color is one of ANSI's.
type color string

const (
	plain  color = ""
	red    color = "\x1b[31m"
	green  color = "\x1b[32m"
	yellow color = "\x1b[33m"
	bold   color = "\x1b[1m"
	reset  color = "\x1b[0m"
)

// A writer writes lines for people.
type writer struct {
	buf   bytes.Buffer
	style Style
}

// say writes a message on a line of its own.
func (w *writer) say(depth int, c color, t speech.Text) { w.line(depth, c, t.In(w.style.Language)) }

func (w *writer) line(depth int, c color, text string) {
	w.buf.WriteString(strings.Repeat("  ", depth))
	if w.style.Color && c != plain {
		text = string(c) + text + string(reset)
	}
	w.buf.WriteString(text + "\n")
}

func (w *writer) lines(depth int, text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		w.line(depth, plain, line)
	}
}

// Human writes an item for people: the verdict, what fails and why, and what helps; verbose with
// every step of every device.
func Human(out io.Writer, it *Item, findings []Finding, style Style) error {
	if it.Own != nil {
		return it.Own.Write(out, style.Language, style.Verbose)
	}
	w := &writer{style: style}
	r := it.Report
	w.verdict(r, findings)
	for i, c := range r.Calls() {
		w.setup(i, &c)
	}
	for _, c := range r.Courses(style.Verbose) {
		w.course(&c)
	}
	if r.Symptom != nil {
		w.say(1, plain, speech.Say("You will see: %s", Sight(r.Symptom)))
	}
	w.fixes(it)
	w.unknown(it)
	w.wanted(r)
	for _, text := range r.Warnings {
		w.say(1, yellow, speech.Say("Warning: %s", text))
	}
	for _, text := range r.Later {
		w.say(1, yellow, speech.Say("Later: %s", text))
	}
	if style.Verbose {
		for _, text := range r.Notes {
			w.say(1, plain, speech.Say("Note: %s", text))
		}
	}
	w.origin(it)
	for _, f := range findings {
		if f.Accepted != nil {
			w.say(1, plain, speech.Say("Accepted until %s: %s (%s)", f.Accepted.Until, f.Code, f.Accepted.Reason))
		}
	}
	_, err := it.names().WriteString(out, w.buf.String())
	return err
}

// pointerIn is the place in a scenario of a fact that is not known, in what tells of it.
var pointerIn = regexp.MustCompile(`(^|\()(/(?:accounts|keys|principals|snapshots|images|launch|setup)(?:/[^ :()]*)*): `)

// unknown tells what is not known, and which options tell it of a plan or template. Who gave one of
// those knows nothing of places in a scenario.
func (w *writer) unknown(it *Item) {
	var help []string
	add := func(option string) {
		if !slices.Contains(help, option) {
			help = append(help, option)
		}
	}
	for _, d := range it.Report.Depends {
		if it.Origin != nil {
			d = pointerIn.ReplaceAllString(d, "$1")
			add("--on FILE")
			for _, hint := range []struct{ says, option string }{
				{"image ", "--plain-images"}, {"encrypts EBS volumes by default", "--default-encryption off|KEY"},
				{"the default key for EBS", "--default-encryption off|KEY"}, {"the account of the provider", "--account ID"},
			} {
				if strings.Contains(d, hint.says) {
					add(hint.option)
				}
			}
		}
		w.say(1, yellow, speech.Say("Not known: %s", speech.Written(d)))
	}
	if len(help) > 0 && it.Report.Told() == doctor.CannotTell {
		w.say(1, plain, speech.Say("What settles it: %s (FILE is what kagimori check --live --save FILE reads in the account)", strings.Join(help, ", ")))
	}
}

// verdict is the first line.
func (w *writer) verdict(r *doctor.Report, findings []Finding) {
	c := map[doctor.Verdict]color{doctor.Launches: green, doctor.Fails: red, doctor.CannotTell: yellow}[r.Told()]
	t := speech.Say("%s: %s", r.ID, Verdict(r.Told()))
	if r.Told() != doctor.Launches && Told(r, findings) == doctor.Launches {
		t, c = speech.Say("%s: %s, which is accepted", r.ID, Verdict(r.Told())), yellow
	}
	w.say(0, c, t)
}

// Verdict is a verdict in words.
func Verdict(v doctor.Verdict) speech.Text {
	switch v {
	case doctor.Launches:
		return speech.Say("launches")
	case doctor.Fails:
		return speech.Say("will not launch")
	}
	return speech.Say("cannot tell")
}

func (w *writer) setup(i int, c *doctor.Call) {
	switch {
	case c.Failure != nil:
		w.say(1, red, speech.Say("Setup step %d, %s by %s: refused with %s (%s)", i+1, c.Operation, c.As, c.Error, c.Failure.Rule))
		w.why(2, c.Failure)
	case len(c.Depends) > 0:
		w.say(1, yellow, speech.Say("Setup step %d, %s by %s: depends on what is not known", i+1, c.Operation, c.As))
	case w.style.Verbose:
		w.say(1, plain, speech.Say("Setup step %d, %s by %s: allowed", i+1, c.Operation, c.As))
	}
}

// device names a device with its key.
func device(c *doctor.Course) speech.Text {
	name := strings.TrimSpace(c.Template + " " + c.Device)
	switch {
	case c.Volume == nil && c.Template != "" && c.Device == "":
		return speech.Say("%s, other devices of its image", name)
	case c.Volume == nil:
		return speech.Raw(name)
	case !c.Volume.Encrypted:
		return speech.Say("%s, not encrypted", name)
	}
	return speech.Say("%s, under %s (%s)", name, c.Volume.KeyARN, chosen(c.Volume.ChosenBy))
}

// Headline says what fails of a device.
func headline(c *doctor.Course) speech.Text {
	f := c.Failure
	if f.Action == "" {
		return speech.Say("%s: fails at step %s", device(c), f.Step)
	}
	return speech.Say("%s: %s refused to %s at step %s", device(c), f.Action, deref(f.Principal), f.Step)
}

// course tells what becomes of a device.
func (w *writer) course(c *doctor.Course) {
	switch {
	case c.Failure != nil:
		w.say(1, red, headline(c))
	case len(c.Depends) > 0:
		w.say(1, yellow, speech.Say("%s: depends on what is not known", device(c)))
	case !w.style.Verbose:
		return
	default:
		w.say(1, green, speech.Say("%s: allowed", device(c)))
	}
	if w.style.Verbose {
		for i := range c.Steps {
			w.step(&c.Steps[i])
		}
	}
	if c.Failure != nil {
		w.why(2, c.Failure)
	}
}

func chosen(by launch.ChosenBy) speech.Text {
	switch by {
	case launch.ByTemplate:
		return speech.Say("named by the template")
	case launch.BySnapshot:
		return speech.Say("that of the snapshot")
	case launch.ByAccountDefault:
		return speech.Say("the account's default")
	case launch.ByAWSManaged:
		return speech.Say("AWS managed")
	case launch.ByExisting:
		return speech.Say("that of the volume")
	}
	return speech.Text{}
}

// why explains a failure: without -v the decision and what is missing alone.
func (w *writer) why(depth int, f *doctor.Failure) {
	rule := f.Rule
	if where := deref(f.Where); where != "" {
		rule += " (" + where + ")"
	}
	w.say(depth, plain, speech.Say("Rule: %s", strings.TrimSpace(rule)))
	lines := reasons(f)
	more := !w.style.Verbose && len(lines) > 6
	if more {
		lines = lines[:6]
	}
	for _, text := range lines {
		w.say(depth, plain, text)
	}
	if more {
		w.line(depth, plain, "...")
	}
}

// reasons are the sentences that explain a failure, without the one that says again who asked for what.
func reasons(f *doctor.Failure) []speech.Text {
	if f.Decided && len(f.Explanation) > 1 {
		return f.Explanation[1:]
	}
	return f.Explanation
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// step tells who asked for what in a step, and by which statement or grant that was allowed.
func (w *writer) step(s *doctor.Step) {
	if s.Action == "" {
		if s.Key != "" && s.Result == "allowed" {
			w.say(2, plain, speech.Say("%s: %s is %s", s.Step, s.Given, s.Key))
		}
		return
	}
	var text speech.Text
	switch s.Result {
	case "allowed":
		text = speech.Say("allowed by %s", speech.List(", ", s.By...))
	case "unknown":
		text = speech.Say("depends on %s", speech.List(", ", s.Why...))
	default:
		text = speech.Say("refused")
	}
	w.say(2, plain, speech.Say("%s%s by %s on %s: %s", s.Action, s.Purpose, s.Principal, s.Key, text))
}

// Sight is what the user sees, in one line, as the consoles and command lines show it.
func Sight(s *format.Symptom) speech.Text {
	switch {
	case s.APIError != nil && s.APIError.Operation == format.AttachVolume:
		_, message := launch.AttachError("vol-...")
		return speech.Say("%s is refused with %s: %s", s.APIError.Operation, s.APIError.Code, message)
	case s.APIError != nil:
		return speech.Say("%s is refused with %s", s.APIError.Operation, s.APIError.Code)
	case s.SeenBy == "volume":
		return speech.Say("CreateVolume succeeds, and the volume disappears.")
	case s.SeenBy == "snapshot":
		return speech.Say("CopySnapshot succeeds, and the copy ends in state error: %s", launch.CopyStateMessage)
	case s.SeenBy == "auto-scaling-activity":
		return speech.Say("%s: %s (or: %s)", *s.ActivityStatusCode, launch.ActivityDied("", s.StateReasonMessages[0]).StatusMessage, s.StateReasonMessages[1])
	}
	return speech.Say("the instance is %s: %s (or: %s)", *s.InstanceEndsAs, s.StateReasonMessages[0], s.StateReasonMessages[1])
}

// fixes tells what helps.
func (w *writer) fixes(it *Item) {
	r := it.Report
	if r.Fix == nil {
		if r.Told() == doctor.Fails {
			w.say(1, plain, speech.Say("No change of policies, grants or templates that kagimori knows of would help."))
			for _, text := range r.Hopeless {
				w.say(2, plain, text)
			}
		}
		return
	}
	w.proposal(it, speech.Say("Fix"), &r.Fix.Proposal)
	for i := range r.Fix.Alternatives {
		if i > 0 && !w.style.Verbose {
			w.say(1, plain, speech.Say("%d more with -v", len(r.Fix.Alternatives)-i))
			break
		}
		w.proposal(it, speech.Say("Or"), &r.Fix.Alternatives[i])
	}
}

// wanted tells what policies that nobody could read would have to contain: the statements alone, for
// nobody knows what else is in them.
func (w *writer) wanted(r *doctor.Report) {
	if r.Wanted == nil {
		return
	}
	word := speech.Say("What could not be read would have to contain")
	if r.Wanted.Name != "" {
		word = speech.Join(word, speech.Raw(" ("+r.Wanted.Name+")"))
	}
	w.say(1, bold, speech.Say("%s: %s", word, r.Wanted.Summary))
	w.edits(r, &r.Wanted.Proposal)
	w.grants(&r.Wanted.Proposal)
}

// proposal tells of a fix: what, then the statements or commands.
func (w *writer) proposal(it *Item, word speech.Text, p *doctor.Proposal) {
	if p.Name != "" {
		word = speech.Join(word, speech.Raw(" ("+p.Name+")"))
	}
	w.say(1, bold, speech.Say("%s: %s", word, p.Summary))
	shown := false
	if len(w.style.Forms) == 0 {
		shown = w.edits(it.Report, p)
	}
	if !shown || w.style.Verbose || len(w.style.Forms) > 0 {
		w.forms(it, p)
	} else {
		w.grants(p)
	}
	if !w.style.Verbose {
		return
	}
	for _, text := range p.Run {
		w.say(2, plain, speech.Say("By: %s", text))
	}
	for _, text := range p.Opens {
		w.say(2, plain, speech.Say("Also opens: %s", text))
	}
}

// grants shows the commands that make grants: the statements beside them are shown already.
func (w *writer) grants(p *doctor.Proposal) {
	for _, c := range p.Commands {
		if strings.HasPrefix(c, "aws kms create-grant ") {
			w.lines(2, c)
		}
	}
}

// edits shows what a patch adds to and changes in policies.
func (w *writer) edits(r *doctor.Report, p *doctor.Proposal) (shown bool) {
	last := ""
	for _, e := range p.Patch {
		doc, rest := r.Document(e.Path)
		name := doc.String()
		switch {
		case name == "":
			continue // the sentence says it all
		case rest == "/Statement/-":
			if name != last {
				w.say(2, plain, speech.Say("Add to %s:", doc))
			}
			var value any
			if json.Unmarshal(e.Value, &value) == nil {
				w.lines(3, remedy.Statement(value))
			}
		case e.Op == "remove":
			w.say(2, plain, speech.Say("In %s, remove %s", doc, rest))
		default:
			w.say(2, plain, speech.Say("In %s, set %s to %s", doc, rest, string(e.Value)))
		}
		shown, last = true, name
	}
	return shown
}

// forms shows a fix in the forms that were asked for.
func (w *writer) forms(it *Item, p *doctor.Proposal) {
	forms := formsFor(it, w.style)
	for _, f := range forms {
		text, err := write(it, p, f, w.style)
		if err != nil {
			text = err.Error()
		}
		if len(forms) > 1 || len(w.style.Forms) > 0 {
			w.say(2, bold, speech.Say("As %s:", f.Name()))
		}
		w.lines(0, text) // to be copied: here-documents end at the start of a line
	}
}

// formsFor are the forms in which the fixes of an item are shown: those that were asked for, or what
// fits its origin.
func formsFor(it *Item, style Style) []remedy.Form {
	if len(style.Forms) > 0 {
		return style.Forms
	}
	forms := []remedy.Form{remedy.AWS}
	if it.Origin != nil {
		forms[0] = it.Origin.Form
	}
	if style.Verbose {
		for _, f := range []remedy.Form{remedy.AWS, remedy.Patch} {
			if f != forms[0] {
				forms = append(forms, f)
			}
		}
	}
	return forms
}

// write writes a fix in a form.
func write(it *Item, p *doctor.Proposal, f remedy.Form, style Style) (string, error) {
	steps, err := remedy.Steps(it.Report.Scenario(), p.Patch)
	if err != nil {
		return "", err
	}
	target := remedy.Target{Language: style.Language}
	if it.Origin != nil {
		target.At, target.Names = it.Origin.At, it.Origin.Names
	}
	return f.Write(steps, target), nil
}

// origin tells where in the configuration what was found is, and what was assumed.
func (w *writer) origin(it *Item) {
	if it.Origin == nil {
		return
	}
	if it.Report.Fix != nil {
		for _, at := range changed(it) {
			w.say(1, plain, speech.Say("To change: %s", at))
		}
	}
	for _, text := range it.Origin.Assumed {
		w.say(1, yellow, speech.Say("Assumed: %s", speech.Written(text)))
	}
}

// changed are the resources that the fix changes, with their places.
func changed(it *Item) []string {
	var out []string
	for _, e := range it.Report.Fix.Patch {
		resource := it.Origin.At(e.Path)
		if l, ok := it.Origin.Locate(e.Path); ok {
			if l.Path != "" {
				resource += "." + l.Path
			}
			resource = fmt.Sprintf("%s (%s:%d)", resource, l.File, l.Line)
		}
		if !slices.Contains(out, resource) {
			out = append(out, resource)
		}
	}
	return out
}
