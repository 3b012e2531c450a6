package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/app"
)

const trailLong = `verify reads the whole audit log of a data directory and says whether it is as it was written: each record carries the
hash of the one before, numbers are without gaps, and checkpoints are signed with a key below the seal. A record that
was changed, removed, put in or moved is found, and so is a segment that is gone.

It prints the end of the log. Note it elsewhere: a later verify with --since finds, too, that the log was cut off after
that or rewritten as a whole, which no file of the directory could tell.

While a server serves the directory, it verifies; otherwise the command opens the directory with a --seal.`

func newTrail(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "trail", Short: "Look after the audit log", Args: cobra.ArbitraryArgs,
		Example: "  kagimori trail verify --data /var/lib/kagimori",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q", "trail "+args[0])
			}
			return errors.New("a command is missing")
		},
	}
	c := newSealCommand(io)
	var since string
	verify := &cobra.Command{
		Use: "verify", Short: "Check that the audit log is whole and unchanged", Long: trailLong, Args: cobra.NoArgs,
		Example: "  kagimori trail verify --data /var/lib/kagimori\n  kagimori trail verify --data /var/lib/kagimori --since 1234:0f3a...",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), func(s *app.Sealer) error {
				end, err := s.VerifyTrail(cmd.Context(), since)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(io.out, "the audit log is whole; its end is %s\n", end)
				return err
			})
		},
	}
	c.flagged(verify).Flags().StringVar(&since, "since", "", "`END` that an earlier verify printed and that the log has to have still")
	cmd.AddCommand(verify)
	return cmd
}
