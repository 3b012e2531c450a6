package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// Exit codes of check and test, beside exitOK.
const (
	exitWillNot    = 1 // something does not launch
	exitCannotTell = 2 // something depends on what is not known
	exitBadInput   = 3 // a file, or the command line, cannot be read
)

const checkLong = `check says beforehand whether a launch gets through KMS: an Auto Scaling group, or RunInstances, StartInstances,
AttachVolume, CreateVolume or CopySnapshot by anybody. If it does not, check tells which request by whom is refused,
by which statement or for want of which, what you will see in AWS, and the smallest change that helps. Each fix was
applied and the launch checked again before it is named. It needs no server and no account.

A FILE is a launch scenario (see kagimori scenario), what terraform show -json prints of a plan or a state, or a template of
CloudFormation (also of SAM, and the folder cdk.out), of which every group, new instance, volume, attachment and copy is
checked; the file - is standard input. Templates may refer to one another's exports. With --live it
reads accounts itself, with the credentials and profiles of other AWS tools.

A FILE may also tell of what failed already: CloudTrail's records (log files, also compressed, or the output of LookupEvents) or
the output of DescribeScalingActivities or DescribeInstances. Each refused call to KMS is explained, on the documents of the
other files or of the live account if they have its key.

Exit codes: 0 everything launches, 1 something will not, 2 it cannot be told, 3 the input cannot be read.`

const checkExample = `  kagimori check web.json
  kagimori check -v web.json                              # every step, and all fixes
  kagimori check --format json *.json | jq -c '{id, launches, failures}'
  terraform plan -out plan && terraform show -json plan | kagimori check -
  kagimori check --parameters KeyArn=arn:aws:kms:us-east-1:111122223333:key/... template.yaml
  cdk synth --quiet && kagimori check cdk.out
  kagimori check --live --profile web --group web-prod --save web-prod.json
  kagimori check --on web-prod.json plan.json             # the plan, in the account as it is
  aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventSource,AttributeValue=kms.amazonaws.com | kagimori check -
  kagimori check --live --group web-prod 2026-*.json.gz   # refused calls, on the documents that decide now
  kagimori check --output check.sarif --output comment.md plan.json
  kagimori check --fix-as aws web.json                    # commands to copy
  kagimori check --fix web.json                           # the file itself is corrected
  kagimori check --lang ja web.json`

// checkFlags are the flags of check.
type checkFlags struct {
	told        tellFlags
	fixAs       []string
	fix         bool
	keyPolicies []string
	source      string
	failOn      string
	baseline    baselineFlags
	strict      bool
	plainImages bool

	live       liveFlags
	parameters []string
	accounts   []string          // ID or PROVIDER=ID
	accountOf  map[string]string // the same, by provider; "" is the default one
	encryption string            // what encryption by default is, where nothing tells
	on         []string
	ground     *format.Scenario // the world that on tells of, or nil

	recordings []recording       // of what failed: explained after all scenarios are read
	values     map[string]string // what parameters says
	overlays   *overlays
}

func newCheck(io stdio) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use: "check [FILE...]", Short: "Say whether a launch gets through KMS, and what to change if not", Long: checkLong, Example: checkExample,
		Args: f.live.args,
		RunE: func(cmd *cobra.Command, files []string) error {
			if f.live.printPolicy {
				_, err := io.out.Write(live.Policy())
				return failed(err)
			}
			return f.check(cmd.Context(), io, files)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit{exitBadInput, err, true} })
	fl := cmd.Flags()
	fl.SortFlags = false
	f.told.add(fl, "tell every step of every device, all fixes, and notes on the policies; in JSON the steps")
	fl.StringSliceVar(&f.fixAs, "fix-as", nil, "show fixes as `FORM`: aws, terraform, cloudformation or patch; several with commas")
	fl.BoolVar(&f.fix, "fix", false, "write the first fix into the file: it keeps every byte that the fix does not change")
	fl.StringArrayVar(&f.keyPolicies, "key-policy", nil, "`KEY=FILE`: the policy of a key is in a file of its own, which is checked and, with --fix, written;\nKEY is an ARN, id, alias or address")
	fl.StringVar(&f.failOn, "fail-on", "error", "the least `LEVEL` that makes the exit code 1: error, warning, or never")
	f.baseline.add(fl)
	fl.StringVar(&f.source, "source", "", "of Terraform: `DIR` with the files that a plan was made of, for lines in findings and policies that the plan\ndoes not tell (default: the plan's folder)")
	fl.BoolVar(&f.strict, "strict", false, "of plans and templates: who applies them may do with keys only what they say, and not all that policies can allow")
	fl.BoolVar(&f.plainImages, "plain-images", false, "of plans and templates: take an image that they only name for one whose only device is not encrypted")
	fl.StringArrayVar(&f.parameters, "parameters", nil, "of templates: value of a parameter, `Name=Value`, or a file with several; may be given again")
	fl.StringArrayVar(&f.accounts, "account", nil, "of plans and templates: `ID` of the account, where they do not tell; of another provider of a plan\nPROVIDER=ID, such as aws.keys=444455556666. May be given again")
	fl.StringVar(&f.encryption, "default-encryption", "", "of plans and templates: encryption by default of EBS in the account, where they do not tell: off, or the `KEY`\n(its ARN, or alias/aws/ebs) if it is on")
	fl.StringArrayVar(&f.on, "on", nil, "of plans and templates: `FILE` or folder of scenarios that tell of what is there already, as --live --save writes\nthem; what a plan does not say is taken from it. May be given again")
	f.live.add(cmd)
	return cmd
}

// check checks the files and the live accounts. The worst of them decides the exit code.
func (f *checkFlags) check(ctx context.Context, io stdio, files []string) error {
	t, err := f.prepare(io)
	if err != nil {
		return exit{exitBadInput, err, true}
	}
	bad, worst, warned := 0, doctor.Launches, false
	judge := doctor.New() // launches of a plan share documents
	var all []report.Checked
	var scenarios []*format.Scenario
	if err := errors.Join(f.readValues(), f.readGround()); err != nil {
		return exit{exitBadInput, err, false}
	}
	sources := f.sources(io, files)
	if f.live.on {
		sources = append([]source{{func() ([]input, error) { return f.live.read(ctx, io, f.told.lang) }}}, sources...)
	}
	for _, from := range sources {
		inputs, err := from.read()
		if err != nil {
			bad++
			fmt.Fprintf(io.err, "kagimori: %v\n", err)
			continue
		}
		for done := range f.judgeAll(judge, inputs) {
			c := done.c
			if done.err != nil {
				return exit{exitBadInput, done.err, false}
			}
			f.baseline.accept(c.Findings)
			all, scenarios = append(all, c), append(scenarios, c.Report.Scenario())
			if err := t.one(c); err != nil {
				return failed(err)
			}
			v := report.Told(c.Report, c.Findings)
			if f.fix && c.Report.Fix != nil {
				if v, err = f.mend(io, judge, done.in, c); err != nil {
					return exit{exitBadInput, err, false}
				}
			}
			if v == doctor.Fails || worst == doctor.Launches {
				worst = v
			}
			warned = warned || report.Warned(c.Findings)
		}
	}
	for i := range f.recordings {
		for _, c := range f.recordings[i].explain(judge, scenarios) {
			f.baseline.accept(c.Findings)
			if all = append(all, c); report.Told(c.Report, c.Findings) == doctor.Fails {
				worst = doctor.Fails
			}
			if err := t.one(c); err != nil {
				return failed(err)
			}
		}
	}
	if err := f.baseline.end(io, all); err != nil {
		return exit{exitBadInput, err, false}
	}
	if err := t.end(all); err != nil {
		return failed(err)
	}
	switch {
	case bad > 0:
		word := "files"
		if f.live.on {
			word = "inputs"
		}
		return exit{exitBadInput, fmt.Errorf("%d of %d %s cannot be read", bad, len(sources), word), false}
	case f.failOn == "never":
	case worst == doctor.Fails, warned && f.failOn == "warning":
		return exit{code: exitWillNot}
	case worst == doctor.CannotTell:
		return exit{code: exitCannotTell}
	}
	return nil
}

// prepare reads the flags.
func (f *checkFlags) prepare(io stdio) (*teller, error) {
	if f.failOn != "error" && f.failOn != "warning" && f.failOn != "never" {
		return nil, fmt.Errorf("--fail-on %q is neither error, warning nor never", f.failOn)
	}
	t, err := f.told.teller(io)
	if err != nil {
		return nil, err
	}
	if t.style.Forms, err = formsNamed(f.fixAs); err != nil {
		return nil, err
	}
	if f.overlays, err = newOverlays(f.keyPolicies); err != nil {
		return nil, err
	}
	return t, f.baseline.read(io)
}

// judge checks one input.
func (f *checkFlags) judge(judge *doctor.Doctor, in input) (report.Checked, error) {
	sc, err := f.overlays.over(in)
	if err != nil {
		return report.Checked{}, err
	}
	it := &report.Item{File: in.file, Report: judge.Check(sc), Origin: in.origin, Source: in.source}
	return report.Checked{Item: it, Findings: report.Findings(it)}, nil
}
