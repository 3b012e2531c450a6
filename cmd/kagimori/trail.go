package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	goio "io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/trail"
)

const trailLong = `verify reads the whole audit log of a data directory and says whether it is as it was written: each record carries the
hash of the one before, numbers are without gaps, and checkpoints are signed with a key below the seal. A record that
was changed, removed, put in or moved is found, and so is a segment that is gone.

It prints the end of the log. Note it elsewhere: a later verify with --since finds, too, that the log was cut off after
that or rewritten as a whole, which no file of the directory could tell.

While a server serves the directory, it verifies; otherwise the command opens the directory with a --seal.

With files it reads these instead, one after the other: what a sink wrote, oldest file first, compressed or not, or what
syslog and webhooks collected of one node. Their end is printed in the same form, and the log's verify says with --since
whether the log has it. Only with --data the signatures of their checkpoints are checked too.`

func newTrail(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "trail", Short: "Look after the audit log", Args: cobra.ArbitraryArgs,
		Example: "  kagimori trail verify --data /var/lib/kagimori\n  kagimori trail sinks --data /var/lib/kagimori",
	}
	cmd.AddCommand(newTrailVerify(io), newTrailSinks(io))
	return cmd
}

func newTrailVerify(io stdio) *cobra.Command {
	c := newSealCommand(io)
	var since string
	cmd := &cobra.Command{
		Use: "verify [FILE...]", Short: "Check that the audit log is whole and unchanged", Long: trailLong,
		Example: "  kagimori trail verify --data /var/lib/kagimori\n  kagimori trail verify --data /var/lib/kagimori --since 1234:0f3a...\n" +
			"  kagimori trail verify /var/log/kagimori/audit-*.jsonl.gz /var/log/kagimori/audit.jsonl",
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) > 0 {
				if since != "" {
					return errors.New("--since is for a log, not for files: verify the log with the end that the files have")
				}
				return verifyFiles(cmd.Context(), io, c, cmd.Flags().Changed("data"), files)
			}
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
	c.flagged(cmd).Flags().StringVar(&since, "since", "", "`END` that an earlier verify printed and that the log has to have still")
	return cmd
}

// verifyFiles checks a copy of the log; signed asks for its signatures too.
func verifyFiles(ctx context.Context, io stdio, c *sealCommand, signed bool, files []string) error {
	var copied trail.Copy
	for _, name := range files {
		if err := readCopy(&copied, name); err != nil {
			return failed(err)
		}
	}
	note := "; the signatures of its checkpoints were not checked: give --data"
	if signed {
		note = ""
		if err := c.with(ctx, func(s *app.Sealer) error { return s.CheckSigned(ctx, copied.Checkpoints) }); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(io.out, "the copy is whole from record %d on; its end is %s%s\n", copied.First, copied.End(), note)
	return err
}

func readCopy(c *trail.Copy, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	br := bufio.NewReader(f)
	var r goio.Reader = br
	magic, _ := br.Peek(10) // an error comes again
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		r, err = gzip.NewReader(br)
	case trail.IsPacked(magic):
		r, err = trail.Unpack(br)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return c.Read(name, r)
}

func newTrailSinks(io stdio) *cobra.Command {
	c := newSealCommand(io)
	cmd := &cobra.Command{
		Use: "sinks", Short: "Say how the sinks of the audit log do", Args: cobra.NoArgs,
		Long:    "sinks asks the server that serves the directory how far each of its sinks has taken the audit log, and what is wrong.",
		Example: "  kagimori trail sinks --data /var/lib/kagimori",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), func(s *app.Sealer) error {
				all, err := s.Sinks(cmd.Context())
				if err != nil {
					return err
				}
				if len(all) == 0 {
					_, err := fmt.Fprintln(io.out, "there are no sinks: no server serves the directory, or it has none")
					return err
				}
				w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tTYPE\tTAKEN\tBEHIND\tLAG\tFAILURES\tLOST\tERROR")
				for _, st := range all {
					fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%d\t%d\t%s\n", st.Name, st.Kind, st.Delivered, st.Behind, st.Lag.Truncate(time.Millisecond), st.Failures, st.Lost, st.Error)
				}
				return w.Flush()
			})
		},
	}
	return c.flagged(cmd)
}
