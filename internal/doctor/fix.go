package doctor

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// Bounds of the search for fixes.
const (
	maxProposals = 5  // of one scenario
	maxRounds    = 8  // changes that one proposal takes
	maxTries     = 40 // checks for one proposal
)

// A change is one edit of the world that may help against a failure.
type change struct {
	kind    string
	summary speech.Text
	// family is what changes of one proposal have in common: all grants, say.
	family   string
	edits    []format.Edit
	commands []string
	opens    []speech.Text
	run      []speech.Text
}

// fix looks for changes after which the scenario launches. Each that it names was applied and the
// scenario checked again, until nothing failed.
func (o *outcome) fix() *Fix {
	found := o.proposals(o.candidates())
	if f := o.failures()[0]; len(found) == 0 && f.answer != nil && f.answer.err == nil {
		found = o.proposals(o.loosened(f)) // opens more than the launch needs
	}
	if len(found) == 0 {
		return nil
	}
	return &Fix{Proposal: found[0], Alternatives: ranked(append([]Proposal{}, found[1:]...))}
}

// proposals are those of the changes that lead to a launch, with what they need besides.
func (o *outcome) proposals(changes []change) []Proposal {
	var found []Proposal
	for _, c := range changes {
		if len(found) == maxProposals {
			break
		}
		tries := maxTries
		done := o.pursue(c, map[string]bool{}, &tries)
		if done == nil {
			continue
		}
		p := propose(done)
		if !slices.ContainsFunc(found, func(q Proposal) bool { return covers(p.Patch, q.Patch) }) {
			found = append(found, p)
		}
	}
	return found
}

// pursue applies a change and others after it until nothing fails. nil: that leads nowhere.
func (o *outcome) pursue(c change, seen map[string]bool, tries *int) []change {
	if *tries--; *tries < 0 || len(seen) >= maxRounds {
		return nil
	}
	seen[o.failures()[0].id()] = true
	sc, err := o.world.sc.Patched(c.edits)
	if err != nil {
		return nil
	}
	next := run(sc, o.world.docs)
	failures := next.failures()
	if len(failures) == 0 {
		return []change{c}
	}
	if seen[failures[0].id()] { // it did not help
		return nil
	}
	rest := next.candidates()
	slices.SortStableFunc(rest, func(a, b change) int {
		switch {
		case a.family == c.family && b.family != c.family:
			return -1
		case a.family != c.family && b.family == c.family:
			return 1
		}
		return 0
	})
	for _, d := range rest {
		if done := next.pursue(d, seen, tries); done != nil {
			return append([]change{c}, done...)
		}
	}
	return nil
}

// id tells one failure from another.
func (f *failing) id() string {
	return strings.Join([]string{f.step, f.principal, f.action, f.key, f.rule, f.text}, "\x00")
}

// propose puts changes into one proposal.
func propose(changes []change) Proposal {
	var p Proposal
	var kinds []string
	var summaries []speech.Text
	add := func(list *[]string, more ...string) {
		for _, s := range more {
			if s != "" && !slices.Contains(*list, s) {
				*list = append(*list, s)
			}
		}
	}
	say := func(list *[]speech.Text, more ...speech.Text) {
		for _, t := range more {
			if !t.Empty() && !speech.Has(*list, t) {
				*list = append(*list, t)
			}
		}
	}
	for i, c := range changes {
		add(&kinds, c.kind)
		say(&summaries, c.summary)
		add(&p.Commands, c.commands...)
		say(&p.Opens, c.opens...)
		say(&p.Run, c.run...)
		p.Patch = append(p.Patch, c.edits...)
		switch {
		case i == 0:
			p.Name = setName(c.family)
		case p.Name != setName(c.family):
			p.Name = ""
		}
	}
	p.Kind, p.Summary = strings.Join(kinds, "+"), speech.Sentences(summaries...)
	return p
}

// setName is the name of a family that is a named set of fixes.
func setName(family string) string {
	if family == "least" || family == "documented" {
		return family
	}
	return ""
}

// covers reports whether a patch does all that another does.
func covers(p, q []format.Edit) bool {
	for _, e := range q {
		if !slices.ContainsFunc(p, func(f format.Edit) bool {
			return e.Op == f.Op && e.Path == f.Path && e.From == f.From && string(e.Value) == string(f.Value)
		}) {
			return false
		}
	}
	return true
}

// edit makes an operation of a patch.
func edit(op, path string, value any) format.Edit {
	e := format.Edit{Op: op, Path: path}
	if op != "remove" {
		e.Value = encode(value)
	}
	return e
}

func encode(value any) format.Value {
	if raw, ok := value.(json.RawMessage); ok {
		return format.Value(raw)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value) // strings, bools, lists and maps of them always encode
	return format.Value(strings.TrimSpace(b.String()))
}

// escape makes a name a part of a JSON Pointer.
func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
