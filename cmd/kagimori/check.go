package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/live"
)

// Exit codes of check, beside exitOK.
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

Exit codes: 0 everything launches, 1 something will not, 2 it cannot be told, 3 the input cannot be read.`

// checkFlags are the flags of check.
type checkFlags struct {
	format      string
	verbose     bool
	strict      bool
	plainImages bool
	live        liveFlags

	parameters []string
	account    string
	values     map[string]string // what parameters says
}

func newCheck(io stdio) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use: "check [FILE...]", Short: "Say whether a launch gets through KMS, and what to change if not", Long: checkLong,
		Example: "  kagimori check web.json\n  kagimori check -v web.json                    # every step, and all fixes\n" +
			"  kagimori check --format json *.json | jq -c '{id, launches, failures}'\n" +
			"  terraform plan -out plan && terraform show -json plan | kagimori check -\n" +
			"  kagimori check --parameters KeyArn=arn:aws:kms:us-east-1:111122223333:key/... template.yaml\n" +
			"  cdk synth --quiet && kagimori check cdk.out\n" +
			"  kagimori check --live --profile web --group web-prod --save web-prod.json",
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
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&f.format, "format", "human", "`form` of the output: human, or json (one object a line for each scenario)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "tell every step of every device, all fixes, and notes on the policies; in JSON the steps")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "of plans and templates: who applies them may do with keys only what they say, and not all that policies can allow")
	cmd.Flags().BoolVar(&f.plainImages, "plain-images", false, "of plans and templates: take an image that they only name for one whose only device is not encrypted")
	cmd.Flags().StringArrayVar(&f.parameters, "parameters", nil, "of templates: value of a parameter, `Name=Value`, or a file with several; may be given again")
	cmd.Flags().StringVar(&f.account, "account", "", "of templates: `id` of the account, where they do not tell")
	f.live.add(cmd)
	return cmd
}

// check checks the files and the live accounts. The worst of them decides the exit code.
func (f *checkFlags) check(ctx context.Context, io stdio, files []string) error {
	if f.format != "human" && f.format != "json" {
		return exit{exitBadInput, fmt.Errorf("--format %q is neither human nor json", f.format), true}
	}
	bad, worst, written := 0, doctor.Launches, 0
	judge := doctor.New() // launches of a plan share documents
	if err := f.readValues(); err != nil {
		return exit{exitBadInput, err, false}
	}
	sources := f.sources(io, files)
	if f.live.on {
		sources = append([]source{{func() ([]input, error) { return f.live.read(ctx, io) }}}, sources...)
	}
	for _, from := range sources {
		inputs, err := from.read()
		if err != nil {
			bad++
			fmt.Fprintf(io.err, "kagimori: %v\n", err)
			continue
		}
		for _, in := range inputs {
			r := judge.Check(in.scenario)
			if v := r.Told(); v == doctor.Fails || worst == doctor.Launches {
				worst = v
			}
			if err := f.write(io, in, r, written > 0); err != nil {
				return failed(err)
			}
			written++
		}
	}
	switch {
	case bad > 0:
		word := "files"
		if f.live.on {
			word = "inputs"
		}
		return exit{exitBadInput, fmt.Errorf("%d of %d %s cannot be read", bad, len(sources), word), false}
	case worst == doctor.Fails:
		return exit{code: exitWillNot}
	case worst == doctor.CannotTell:
		return exit{code: exitCannotTell}
	}
	return nil
}
