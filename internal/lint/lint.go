package lint

import (
	"cmp"
	"slices"
	"sync"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Severity says how much a finding matters.
type Severity uint8

// Severities.
const (
	Note    Severity = iota + 1 // depends on something outside the document
	Warning                     // does something, but more or less than it seems
	Error                       // is refused, or does nothing of what it says
)

// String is the severity's name in output for programs: "note", "warning" or "error".
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return ""
}

// text is the severity's name for people.
func (s Severity) text() speech.Text {
	switch s {
	case Note:
		return speech.Say("note")
	case Warning:
		return speech.Say("warning")
	case Error:
		return speech.Say("error")
	}
	return speech.Text{}
}

// ParseSeverity is the opposite of [Severity.String].
func ParseSeverity(s string) (Severity, bool) {
	for _, v := range []Severity{Note, Warning, Error} {
		if v.String() == s {
			return v, true
		}
	}
	return 0, false
}

// Options say what is known around the document. The zero Options are those of an identity-based
// policy of an unknown account.
type Options struct {
	Kind policy.Kind // what the document is attached to; 0 is [policy.Identity]
	// Account owns the document, or the resource that it is attached to; 12 digits, or "".
	Account string
	// Resource is the ARN of the key that a key policy is attached to, or "".
	Resource string
	// Known is what is known of the world; nil is nothing.
	Known *World
}

// A Point is a place in the document: 1-based, Column in characters.
type Point struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// A Range is a piece of the document; End is just behind it.
type Range struct {
	Start Point `json:"start"`
	End   Point `json:"end"`
}

// A Finding is something that a rule found.
type Finding struct {
	Rule     string
	Severity Severity
	// Statement is the statement's place, from 1, or 0 for the document as a whole; Sid is its Sid.
	Statement int
	Sid       string
	Range     Range
	Reason    speech.Text // what is wrong, one or two sentences
	Fix       speech.Text // what to do about it
	offset    int
}

// A linter gathers the findings of one document.
type linter struct {
	opts     Options
	known    *Linter
	doc      *policy.Document
	table    *actions.Table
	lines    *lines
	findings []Finding
}

// maxEntries bounds the entries of Action that a Linter remembers.
const maxEntries = 10_000

// A Linter lints many documents and remembers what the entries of Action mean that they share. Safe
// for concurrent use.
type Linter struct {
	mu      sync.Mutex // guards entries
	entries map[string]entry
}

// New makes a Linter.
func New() *Linter { return &Linter{entries: map[string]entry{}} }

func (x *Linter) entry(pattern string) (entry, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.entries[pattern]
	return e, ok
}

func (x *Linter) keep(pattern string, e entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.entries) < maxEntries {
		x.entries[pattern] = e
	}
}

// Check lints one document; see [Linter.Check].
func Check(src []byte, opts Options) []Finding { return New().Check(src, opts) }

// Check lints a document. The findings come in the order of the document.
func (x *Linter) Check(src []byte, opts Options) []Finding {
	if opts.Kind == 0 {
		opts.Kind = policy.Identity
	}
	l := &linter{opts: opts, known: x, table: actions.Load(), lines: newLines(src)}
	l.refused(src)
	if l.doc != nil {
		l.document()
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.CompactFunc(l.findings, func(a, b Finding) bool {
		return a.Rule == b.Rule && a.Range == b.Range && a.Reason.Equal(b.Reason)
	})
}

func (l *linter) document() {
	l.opts = l.inferred()
	statements := make([]*statement, len(l.doc.Statements))
	for i := range l.doc.Statements {
		statements[i] = l.analyse(&l.doc.Statements[i])
	}
	for _, s := range statements {
		l.elements(s)
		l.actionRules(s)
		l.resourceRules(s)
		l.conditionRules(s)
		l.wideRules(s)
		l.principalRules(s)
		l.perimeterRules(s)
		l.accountRules(s)
	}
	l.guardrailRules(statements)
	l.partialRules(statements)
	l.variableRules()
	l.sidRules()
	if l.opts.Kind == policy.Key {
		l.keyRules(statements)
	}
}

// inferred adds the account that the document itself tells: a key's, by its ARN.
func (l *linter) inferred() Options {
	o := l.opts
	if a, ok := parseARN(o.Resource); ok && o.Account == "" {
		o.Account = a.Account
	}
	return o
}

// add adds a finding with the severity of its rule.
func (l *linter) add(rule string, s *policy.Statement, pos policy.Pos, reason, fix speech.Text) {
	l.addAs(rules[rule].Severity, rule, s, pos, reason, fix)
}

func (l *linter) addAs(severity Severity, rule string, s *policy.Statement, pos policy.Pos, reason, fix speech.Text) {
	f := Finding{
		Rule: rule, Severity: severity, Reason: reason, Fix: fix, offset: pos.Start,
		Range: Range{Point{pos.Line, pos.Column}, l.lines.point(pos.End)},
	}
	if s != nil {
		f.Statement, f.Sid = s.Index+1, s.Sid
	}
	l.findings = append(l.findings, f)
}
