package desk

import (
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// maxLaunches is how many launches of one input are checked.
const maxLaunches = 200

// CheckLaunch says of a launch scenario, a plan or state of Terraform, or a template of
// CloudFormation whether what it launches gets through KMS, as `kagimori check` does. A template
// stands alone: nested ones are not read. The input is sensitive, and no record has it.
func (s *Service) CheckLaunch(ctx context.Context, c *guard.Call, in *kagimoriapi.CheckLaunchRequest) (*kagimoriapi.CheckLaunchResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	account := c.Account()
	if in.Account != nil {
		account = *in.Account
	}
	items, notes, err := read([]byte(in.Input.Reveal()), cfn.Options{Account: account, Region: c.Region, Strict: api.Val(in.Strict)}, language(in.Language))
	if err != nil {
		return nil, apierr.Validation("The input cannot be read: %v", err)
	}
	if len(items) > maxLaunches {
		return nil, apierr.Validation("The input has %d launches; at most %d are checked at once.", len(items), maxLaunches)
	}
	out := &kagimoriapi.CheckLaunchResponse{Launches: []kagimoriapi.CheckedLaunch{}, Notes: list(notes)}
	judge := doctor.New()
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := told(judge, it, language(in.Language))
		if err != nil {
			return nil, err
		}
		out.Launches = append(out.Launches, l)
	}
	return out, nil
}

// language is the one that is asked for.
func language(tag *string) speech.Language {
	l, _ := speech.Parse(api.Val(tag))
	return l
}

// An item is a launch before it is checked.
type item struct {
	scenario *format.Scenario
	origin   *report.Origin
	source   []byte
}

// told checks a launch and puts the report into words.
func told(judge *doctor.Doctor, i item, l speech.Language) (kagimoriapi.CheckedLaunch, error) {
	it := &report.Item{File: "input", Report: judge.Check(i.scenario), Origin: i.origin, Source: i.source}
	findings := report.Findings(it)
	var words strings.Builder
	if err := report.Human(&words, it, findings, report.Style{Language: l}); err != nil {
		return kagimoriapi.CheckedLaunch{}, err
	}
	line, err := it.Report.Detailed().Line()
	if err != nil {
		return kagimoriapi.CheckedLaunch{}, err
	}
	return kagimoriapi.CheckedLaunch{
		Id: &it.Report.ID, Verdict: new(verdicts[report.Told(it.Report, findings)]), Told: new(words.String()), Report: new(string(line)),
	}, nil
}

// read makes launches of an input of any kind.
func read(data []byte, opt cfn.Options, in speech.Language) ([]item, []string, error) {
	switch {
	case tfplan.Is(data):
		p, err := tfplan.Read(data, tfplan.Options{Strict: opt.Strict})
		if err != nil {
			return nil, nil, err
		}
		return launches(p.Launches, "terraform", remedy.Terraform), notesOf(p.Notes, in), nil
	case cfn.Is(data):
		r, err := cfn.Read([]cfn.File{{Name: "input", Data: data}}, opt)
		if err != nil {
			return nil, nil, err
		}
		return launches(r.Launches, "cloudformation", remedy.CloudFormation), notesOf(r.Notes, in), nil
	}
	sc, err := format.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	return []item{{scenario: sc, source: data}}, nil, nil
}

// launches are those of a plan or template. Its places are in no file that is known here.
func launches(ls []tfplan.Launch, kind string, form remedy.Form) []item {
	var out []item
	for i := range ls {
		l := &ls[i]
		out = append(out, item{scenario: l.Scenario, origin: &report.Origin{
			Kind: kind, At: l.At, Names: l.Names, Assumed: l.Assumed, Form: form,
			Locate: func(string) (report.Location, bool) { return report.Location{}, false },
		}})
	}
	return out
}

func notesOf(ns []tfplan.Note, in speech.Language) []string {
	var out []string
	for _, n := range ns {
		out = append(out, strings.TrimPrefix(n.Address+": "+speech.Written(n.Text).In(in), ": "))
	}
	return out
}
