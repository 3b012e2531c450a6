package main

import (
	"fmt"
	"path/filepath"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/incident"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A recording is a file with records of CloudTrail, or with what EC2 and Auto Scaling say of launches
// that failed.
type recording struct {
	file      string
	incidents []*incident.Incident
	symptoms  []incident.Symptom
}

// isRecording reports whether a file is one.
func isRecording(data []byte) bool { return incident.Is(data) || incident.IsDescription(data) }

// readRecording reads such a file.
func readRecording(io stdio, file string, data []byte) (recording, error) {
	name := filepath.ToSlash(file)
	r := recording{file: file}
	if !incident.Is(data) {
		var err error
		if r.symptoms, err = incident.Symptoms(data); err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		if len(r.symptoms) == 0 {
			fmt.Fprintf(io.err, "kagimori: %s tells of nothing that failed for want of a key\n", name)
		}
		return r, nil
	}
	events, seen, err := incident.Read(data)
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	if r.incidents = incident.Gather(events); len(events) == 0 {
		fmt.Fprintf(io.err, "kagimori: none of the %d records in %s is of a call to KMS that failed\n", seen, name)
	}
	return r, nil
}

// explain says of each thing that failed why it did, on the documents of scenarios that have its key.
func (r *recording) explain(judge *doctor.Doctor, scenarios []*format.Scenario) (out []report.Checked) {
	x := &incident.Explainer{Doctor: judge, Scenarios: scenarios}
	id := func() string { return fmt.Sprintf("%s#%d", filepath.ToSlash(r.file), len(out)+1) }
	for _, n := range r.incidents {
		out = append(out, r.checked(x.Explain(id(), n)))
	}
	for i := range r.symptoms {
		out = append(out, r.checked(x.ExplainSymptom(id(), &r.symptoms[i])))
	}
	return out
}

// checked is a finding as the other formats have it.
func (r *recording) checked(f *incident.Finding) report.Checked {
	n := &f.Incident
	fail := doctor.Failure{Explanation: append([]speech.Text{f.Reason}, f.Explanation...)}
	fail.Step, fail.Rule, fail.Actions = "recorded", f.Rule, f.Actions
	if fail.Rule == "" {
		fail.Rule = f.Code
	}
	if len(f.Actions) > 0 {
		fail.Action = f.Actions[0]
	}
	if n.Principal != "" {
		fail.Principal = &n.Principal
	}
	if n.Key != "" {
		fail.Key = &n.Key
	}
	it := &report.Item{File: r.file, Report: doctor.Recorded(f.ID, fail), Own: f}
	message := f.Headline()
	if n.Principal != "" {
		message = speech.Say("%s: %s", message, speech.Say("%s, by %s", n.What(f.Actions), n.Who()))
	}
	found := report.Finding{
		Scenario: f.ID, Code: fail.Rule, Level: report.Error, Message: message, Detail: fail.Explanation,
		Place: report.Place{File: filepath.ToSlash(r.file), Line: 1}, Principal: n.Principal, Action: fail.Action, Key: n.Key,
	}
	if len(f.Fixes) > 0 {
		found.Detail = append(found.Detail, speech.Say("%s: %s", speech.Say("Fix"), f.Fixes[0].Summary))
	}
	return report.Checked{Item: it, Findings: []report.Finding{found}}
}
