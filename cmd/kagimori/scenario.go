package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/scenario"
)

// scenarioFlags are the flags of the commands below scenario.
type scenarioFlags struct {
	endpoint          string
	verbose, noLaunch bool
	export            scenario.Selection
}

const scenarioLong = `A launch scenario is a JSON file that describes a small world (accounts, keys, roles, images), one launch and what
must happen. scenario checks such files, builds their worlds on a development server, and writes one of the world
that a server holds.`

const loadLong = `load builds the world of a scenario on a development server by ordinary API calls: service-linked roles, roles and
users, keys with fixed ids, snapshots, images, grants, key policies, defaults, templates and organization policies.
Then it performs the setup and the launch of the scenario, tells what came of it and, if it failed, why.

The accounts of the scenario must not hold what it makes: use a server that was just started or reset.`

func newScenario(io stdio) *cobra.Command {
	var f scenarioFlags
	cmd := &cobra.Command{
		Use: "scenario", Short: "Check, load and write launch scenarios", Long: scenarioLong,
		Example: "  kagimori scenario check-format *.json\n  kagimori scenario load web.json",
	}
	check := &cobra.Command{
		Use: "check-format FILE...", Short: "Say where files are not in the format",
		Long:    "check-format tells everything that is wrong with each file, with its line and column. It fails if a file is not in the\nformat. The file - is standard input.",
		Example: "  kagimori scenario check-format web.json\n  kagimori scenario check-format - < web.json",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(_ *cobra.Command, files []string) error { return checkFormat(io, files) },
	}
	load := &cobra.Command{
		Use: "load FILE", Short: "Build a scenario's world on a server and perform its launch", Long: loadLong,
		Example: "  kagimori scenario load web.json\n  kagimori scenario load web.json --verbose      # with the aws commands that do the same",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.load(cmd.Context(), io, args[0]) },
	}
	load.Flags().SortFlags = false
	load.Flags().BoolVar(&f.verbose, "verbose", false, "print the equivalent aws command of each call")
	load.Flags().BoolVar(&f.noLaunch, "no-launch", false, "leave the launch out")
	export := f.newExport(io)
	for _, c := range []*cobra.Command{load, export} {
		c.Flags().StringVar(&f.endpoint, "endpoint", "", "`URL` of a development server (default AWS_ENDPOINT_URL, or http://127.0.0.1:4566)")
	}
	cmd.AddCommand(check, load, export)
	return cmd
}

func checkFormat(io stdio, files []string) error {
	bad := 0
	for _, file := range files {
		data, err := readText(io, file, maxInput)
		if err != nil {
			return failed(err)
		}
		sc, err := scenario.Parse(data)
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); err == nil && file != "-" && sc.ID != name {
			bad++
			fmt.Fprintf(io.out, "%s: id: the scenario calls itself %q, its file %q\n", file, sc.ID, name)
			continue
		}
		e, wrong := errors.AsType[*scenario.FormatError](err)
		if !wrong {
			continue
		}
		bad++
		for _, p := range e.Problems {
			fmt.Fprintf(io.out, "%s:%v\n", file, p)
		}
	}
	if bad > 0 {
		return failed(fmt.Errorf("%d of %d files are not in the format", bad, len(files)))
	}
	return nil
}

func (f *scenarioFlags) check() error {
	f.endpoint = cmp.Or(f.endpoint, os.Getenv("AWS_ENDPOINT_URL"), "http://127.0.0.1:4566")
	if u, err := url.Parse(f.endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--endpoint %q is not a URL such as http://127.0.0.1:4566", f.endpoint)
	}
	return nil
}

func (f *scenarioFlags) load(ctx context.Context, io stdio, file string) error {
	if err := f.check(); err != nil {
		return err
	}
	data, err := readText(io, file, maxInput)
	if err != nil {
		return failed(err)
	}
	sc, err := scenario.Parse(data)
	if err != nil {
		return failed(fmt.Errorf("%s is not in the format:\n%w", file, err))
	}
	w, err := scenario.Load(ctx, scenario.Config{Endpoint: f.endpoint, Out: io.out, Verbose: f.verbose}, sc)
	if err != nil {
		return failed(err)
	}
	if f.noLaunch {
		return nil
	}
	var attempts []scenario.Attempt
	if w.SetUp() {
		if attempts, err = w.Launch(ctx); err != nil {
			return failed(err)
		}
	}
	return failed(w.Report(ctx, attempts))
}

const exportLong = `export writes what a development server holds in the given accounts and region as a scenario, on standard output.
The launch is that of an Auto Scaling group, or of a launch template that a caller runs. What the format cannot say is
left out and told on standard error. What must happen is written only for a group that is full; else it is null.`

func (f *scenarioFlags) newExport(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "export --account ID", Short: "Write the world of a server as a scenario", Long: exportLong,
		Example: "  kagimori scenario export --account 111122223333 --id web > web.json\n" +
			"  kagimori scenario export --account 111122223333 --account 444455556666 --group web --id web > web.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.write(cmd.Context(), io) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringArrayVar(&f.export.Accounts, "account", nil, "`ID` of an account; the first is that of the launch (can be repeated)")
	fl.StringVar(&f.export.Region, "region", "us-east-1", "AWS `region`")
	fl.StringVar(&f.export.Group, "group", "", "`name` of the group that launches (default the account's only one)")
	fl.StringVar(&f.export.Template, "template", "", "`name` of a launch template that --caller runs, in the place of a group")
	fl.StringVar(&f.export.Caller, "caller", "", "`ARN` of the role or user who runs --template")
	fl.StringVar(&f.export.ID, "id", "exported", "`id` of the scenario, the name of its file without .json")
	return cmd
}

func (f *scenarioFlags) write(ctx context.Context, io stdio) error {
	if err := f.check(); err != nil {
		return err
	}
	if len(f.export.Accounts) == 0 {
		return errors.New("--account is missing")
	}
	if f.export.Template != "" && f.export.Group != "" {
		return errors.New("--group and --template exclude each other")
	}
	if (f.export.Template == "") != (f.export.Caller == "") {
		return errors.New("--template and --caller go together")
	}
	sc, notes, err := scenario.Export(ctx, scenario.Config{Endpoint: f.endpoint}, f.export)
	for _, n := range notes {
		fmt.Fprintf(io.err, "left out: %s\n", n)
	}
	if err != nil {
		return failed(err)
	}
	data, err := sc.Encode()
	if err != nil {
		return failed(err)
	}
	_, err = io.out.Write(data)
	return failed(err)
}
