package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot makes the command tree. Subcommands are listed here and nowhere else.
func newRoot(io stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "kagimori",
		Short: "Keep keys: AWS's KMS, IAM, STS, EC2 and Auto Scaling APIs in one program",
		Long: `kagimori (keeper of keys) speaks the wire APIs of AWS KMS, IAM, STS, EC2/EBS and EC2 Auto Scaling. It decides every
request as AWS documents it, really encrypts, and says why a request was denied.`,
		Example: `  kagimori serve --dev                       # a development server on http://127.0.0.1:4566
  AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_ACCESS_KEY_ID=111122223333ADMIN AWS_SECRET_ACCESS_KEY=test \
    AWS_REGION=us-east-1 aws kms create-key`,
		Args:          cobra.ArbitraryArgs,
		RunE:          noCommand,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.AddCommand(
		newCheck(io),
		newTest(io),
		newPolicy(io),
		newScenario(io),
		newServe(io),
		newConfig(io),
		newTrail(io),
		newSeal(io),
		newStore(io),
		newDecide(io),
		newTour(io),
		newExplain(io),
		newWhoCan(io),
		newWhatCan(io),
		newImpact(io),
		newXKS(io),
		newVolume(io),
		newVersion(io),
	)
	root.InitDefaultCompletionCmd("")
	root.InitDefaultHelpCmd()
	describeDefaults(root)
	tidy(root)
	return root
}

// tidy has all commands below one say alike what is wrong with their arguments.
func tidy(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.HasSubCommands() {
			c.Args, c.RunE = cobra.ArbitraryArgs, noCommand
			tidy(c)
			continue
		}
		check := c.Args
		if check == nil || c.Name() == "help" {
			continue
		}
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if _, ours := errors.AsType[exit](err); err == nil || ours {
				return err
			}
			if _, takes, ok := strings.Cut(cmd.Use, " "); ok {
				return fmt.Errorf("%s takes %s", cmd.Name(), takes)
			}
			return fmt.Errorf("%s takes no arguments: %q is one", cmd.Name(), args[0])
		}
	}
}

// noCommand is the program without a command, or with one that it does not have.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		text := "a command is missing"
		if cmd.HasParent() {
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			text += ": " + strings.Join(names, ", ")
		}
		return errors.New(text)
	}
	_, path, _ := strings.Cut(cmd.CommandPath()+" ", " ")
	name := path + args[0]
	for _, cmd.SuggestionsMinimumDistance = range []int{1, min(2, (len(args[0])-1)/2)} { // the nearest first
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return fmt.Errorf("there is no command %q; did you mean %q?", name, near[0])
		}
	}
	return fmt.Errorf("there is no command %q", name)
}

// misnamed is the error about a command that is to be explained and is not there.
func misnamed(root *cobra.Command, args []string) error {
	about, rest, err := root.Find(args)
	if err != nil || !about.HasSubCommands() {
		return err
	}
	if i := slices.IndexFunc(rest, func(a string) bool { return !strings.HasPrefix(a, "-") }); i >= 0 {
		return noCommand(about, rest[i:i+1])
	}
	return nil
}

// describeDefaults gives the commands that cobra makes what ours have.
func describeDefaults(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Short = "Print a completion script for a shell"
			c.Example = "  kagimori completion bash > /etc/bash_completion.d/kagimori\n  source <(kagimori completion zsh)"
		case "help":
			c.Short = "Help about a command"
			c.Run, c.RunE = nil, func(cmd *cobra.Command, args []string) error {
				if err := misnamed(root, args); err != nil {
					return err
				}
				about, _, err := root.Find(args)
				if err != nil {
					return err
				}
				return about.Help()
			}
			c.Example = "  kagimori help serve"
		}
	}
}
