package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/live/awsconfig"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// liveFlags are the flags of check for live accounts.
type liveFlags struct {
	on          bool
	from        awsconfig.Options
	what        live.Selection
	save        string
	mask        bool
	trust       bool
	printPolicy bool
}

func (f *liveFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVar(&f.on, "live", false, "read AWS accounts, with calls that change nothing; without a selection every Auto Scaling group")
	fs.StringArrayVar(&f.from.Profiles, "profile", nil, "live: `name` of a profile; again for each further account, the first has the launch")
	fs.StringArrayVar(&f.from.Roles, "role-arn", nil, "live: `ARN` of a role to assume with the first profile, for one more account; may be repeated")
	fs.StringVar(&f.from.Region, "region", "", "live: `region`, in the place of the configured one; of templates: where they do not tell")
	fs.StringVar(&f.from.Endpoint, "endpoint-url", "", "live: `URL` of all services, such as that of kagimori serve")
	fs.StringSliceVar(&f.what.Groups, "group", nil, "live: `name` of an Auto Scaling group; may be repeated, as the next three")
	fs.StringSliceVar(&f.what.Templates, "template", nil, "live: `name` or id of a launch template, with :VERSION if not the default: a group launches it, or --caller runs it")
	fs.StringSliceVar(&f.what.Instances, "instance", nil, "live: `id` of an instance: its next start")
	fs.StringSliceVar(&f.what.Volumes, "volume", nil, "live: `id` of a volume: its attachment")
	fs.StringVar(&f.what.Caller, "caller", "", "live: `ARN` of the role or user that runs, starts or attaches; you, if it is left out")
	fs.StringVar(&f.what.Role, "service-linked-role", "", "live: `ARN` of the role of the group that launches --template")
	fs.StringVar(&f.save, "save", "", "live: write what was read to this `file`, or several launches to files in this folder, as scenarios")
	fs.BoolVar(&f.mask, "mask-accounts", false, "live: put other account ids in the place of the real ones, wherever they are")
	fs.BoolVar(&f.trust, "trust-organization", false, "live: take organization policies that cannot be read for ones that deny nothing")
	fs.BoolVar(&f.printPolicy, "print-policy", false, "print the IAM policy that --live needs, and do nothing else")
}

// args checks the arguments: a file, or a live account, or both.
func (f *liveFlags) args(cmd *cobra.Command, args []string) error {
	if !f.on && !f.printPolicy {
		for _, name := range []string{"profile", "role-arn", "endpoint-url", "group", "template", "instance", "volume", "caller", "service-linked-role", "save", "mask-accounts", "trust-organization"} {
			if cmd.Flags().Changed(name) {
				return exit{exitBadInput, fmt.Errorf("--%s needs --live", name), true}
			}
		}
		if len(args) == 0 {
			return exit{exitBadInput, errors.New("a file is missing"), true}
		}
	}
	if u, err := url.Parse(f.from.Endpoint); f.from.Endpoint != "" && (err != nil || u.Host == "") {
		return exit{exitBadInput, fmt.Errorf("--endpoint-url %q is not a URL such as http://127.0.0.1:4566", f.from.Endpoint), true}
	}
	return nil
}

// read reads the live accounts.
func (f *liveFlags) read(ctx context.Context, io stdio, lang string) ([]input, error) {
	accesses, err := awsconfig.Load(ctx, f.from)
	if err != nil {
		return nil, err
	}
	in, err := language(lang)
	if err != nil {
		return nil, err
	}
	p := &progress{out: io.err}
	cfg := live.Config{Accesses: accesses, TrustOrganization: f.trust}
	if terminal(io.err) {
		cfg.Progress = p.made
	}
	session, err := live.Open(ctx, cfg)
	var launches []live.Launch
	if err == nil {
		launches, err = session.Read(ctx, f.what)
	}
	p.end()
	if err != nil {
		return nil, err
	}
	if len(launches) == 0 {
		fmt.Fprintln(io.err, "kagimori: "+speech.Say("the account has no Auto Scaling group in this region; name a --template, --instance or --volume").In(in))
	}
	var out []input
	for _, l := range launches {
		if f.mask {
			if l, err = live.Masked(l); err != nil {
				return nil, err
			}
		}
		for _, n := range l.Notes {
			fmt.Fprintf(io.err, "kagimori: %s: %s\n", l.Scenario.ID, speech.Written(n).In(in))
		}
		out = append(out, input{file: "live", scenario: l.Scenario})
	}
	return out, f.write(out)
}

// write writes the scenarios.
func (f *liveFlags) write(launches []input) error {
	if f.save == "" || len(launches) == 0 {
		return nil
	}
	if len(launches) == 1 {
		return writeScenario(f.save, launches[0].scenario)
	}
	if err := os.MkdirAll(f.save, 0o700); err != nil {
		return err
	}
	for _, in := range launches {
		if err := writeScenario(filepath.Join(f.save, in.scenario.ID+".json"), in.scenario); err != nil {
			return err
		}
	}
	return nil
}

// writeScenario writes a scenario, which is called as its file is.
func writeScenario(file string, sc *format.Scenario) error {
	named := *sc
	named.ID = strings.TrimSuffix(filepath.Base(file), ".json")
	data, err := named.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// A progress tells somebody at a terminal that something goes on.
type progress struct {
	out   interface{ Write([]byte) (int, error) }
	mu    sync.Mutex
	calls int
	last  time.Time
}

// progressEvery is the time between two lines.
const progressEvery = 100 * time.Millisecond

func (p *progress) made(service, operation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls++; time.Since(p.last) >= progressEvery {
		p.last = time.Now()
		fmt.Fprintf(p.out, "\r\x1b[Kreading: %d calls, %s %s", p.calls, service, operation)
	}
}

// end takes the line away.
func (p *progress) end() {
	if p.calls > 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
