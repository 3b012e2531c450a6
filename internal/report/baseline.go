package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/glob"
)

// BaselineSchema is the value of a baseline's member "schema".
const BaselineSchema = "kagimori.baseline/1"

// A Baseline accepts known findings.
type Baseline struct {
	Schema   string       `json:"schema"`
	Accepted []Acceptance `json:"accepted"`
}

// An Acceptance accepts findings of one kind, for a reason and until a day. Members that are empty
// match everything; scenario, device, principal and key may have wildcards.
type Acceptance struct {
	Scenario  string `json:"scenario"`
	Rule      string `json:"rule"`
	Device    string `json:"device,omitempty"`
	Principal string `json:"principal,omitempty"`
	Action    string `json:"action,omitempty"`
	Key       string `json:"key,omitempty"`
	Text      string `json:"text,omitempty"` // of a warning, in English
	Reason    string `json:"reason"`
	Until     string `json:"until"` // the last day, as 2026-12-31

	used bool
}

// ParseBaseline reads a baseline. Members that are not known, and acceptances without a scenario,
// rule, reason or day, are errors.
func ParseBaseline(src []byte) (*Baseline, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	var b Baseline
	if err := d.Decode(&b); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the value")
	}
	if b.Schema != BaselineSchema {
		return nil, fmt.Errorf("its schema is %q, not %q", b.Schema, BaselineSchema)
	}
	for i, a := range b.Accepted {
		lacks := ""
		for name, v := range map[string]string{"scenario": a.Scenario, "rule": a.Rule, "reason": a.Reason, "until": a.Until} {
			if v == "" && (lacks == "" || name < lacks) {
				lacks = name
			}
		}
		if lacks != "" {
			return nil, fmt.Errorf("accepted[%d] has no %s", i, lacks)
		}
		if _, err := time.Parse(time.DateOnly, a.Until); err != nil {
			return nil, fmt.Errorf("accepted[%d].until %q is not a day such as 2026-12-31", i, a.Until)
		}
		for _, pattern := range []string{a.Scenario, a.Device, a.Principal, a.Key} {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, fmt.Errorf("accepted[%d]: %q is not a pattern", i, pattern)
			}
		}
	}
	return &b, nil
}

// Accept marks the findings that the baseline accepts on a day.
func (b *Baseline) Accept(findings []Finding, today time.Time) {
	day := today.UTC().Format(time.DateOnly)
	for i := range findings {
		for j := range b.Accepted {
			a := &b.Accepted[j]
			if !a.matches(&findings[i]) {
				continue
			}
			a.used = true
			if a.Until >= day {
				findings[i].Accepted = a
			}
		}
	}
}

func (a *Acceptance) matches(f *Finding) bool {
	like := func(pattern, s string) bool { return pattern == "" || pattern == s || glob.Match(pattern, s) }
	return like(a.Scenario, f.Scenario) && a.Rule == f.Code && like(a.Device, f.Device) && like(a.Principal, f.Principal) &&
		(a.Action == "" || a.Action == f.Action) && like(a.Key, f.Key) && (a.Text == "" || a.Text == f.Message.String())
}

// Stale are the acceptances that are past their day or met no finding, each with why, after all items
// were checked.
func (b *Baseline) Stale(today time.Time) []string {
	day := today.UTC().Format(time.DateOnly)
	var out []string
	for i := range b.Accepted {
		switch a := &b.Accepted[i]; {
		case a.Until < day:
			out = append(out, fmt.Sprintf("accepted[%d] (%s of %s) ended on %s", i, a.Rule, a.Scenario, a.Until))
		case !a.used:
			out = append(out, fmt.Sprintf("accepted[%d] (%s of %s) is not found any more", i, a.Rule, a.Scenario))
		}
	}
	return out
}

// NewBaseline accepts findings, those of a file before as they were.
func NewBaseline(before *Baseline, findings []Finding, reason, until string) *Baseline {
	b := &Baseline{Schema: BaselineSchema, Accepted: []Acceptance{}}
	if before != nil {
		b.Accepted = slices.Clone(before.Accepted)
	}
	for i := range findings {
		f := &findings[i]
		if f.Accepted != nil {
			continue
		}
		a := Acceptance{Scenario: f.Scenario, Rule: f.Code, Device: f.Device, Principal: f.Principal, Action: f.Action, Key: f.Key, Reason: reason, Until: until}
		if f.Level != Error {
			a.Text = f.Message.String()
		}
		if !slices.Contains(b.Accepted, a) {
			b.Accepted = append(b.Accepted, a)
		}
	}
	return b
}

// Encode is the baseline as a file.
func (b *Baseline) Encode() ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(b)
	return buf.Bytes(), err
}
