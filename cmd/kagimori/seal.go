package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/unseal"
)

// sealFlags are how a seal is opened, or made.
type sealFlags struct {
	seals  []string
	helper string
}

func (f *sealFlags) register(fl *pflag.FlagSet, note string) {
	fl.StringArrayVar(&f.seals, "seal", nil, "`seal` that opens the root key, and keeps that of a new directory (repeatable): "+unseal.Usage+note)
	fl.StringVar(&f.helper, "pkcs11-helper", "", "`program` that opens PKCS#11 tokens (default kagimori-pkcs11, beside this one or on the path)")
}

// parse makes a lock; what is no seal is an error of usage, a file that cannot be read a failure.
func (f *sealFlags) parse(spec string) (soft.Lock, error) {
	web, err := httpClient(os.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, err
	}
	cfg := unseal.Config{
		HTTP: web, PKCS11: f.helper, Endpoint: cmp.Or(os.Getenv("AWS_ENDPOINT_URL_KMS"), os.Getenv("AWS_ENDPOINT_URL")),
		Credentials: func() (sigv4.Credentials, error) {
			s, err := new(clientFlags).settings()
			return s.creds, err
		},
	}
	l, err := cfg.Parse(spec)
	if usage, ok := errors.AsType[unseal.UsageError](err); ok {
		return nil, fmt.Errorf("--seal: %w", usage)
	}
	return l, failed(err)
}

func (f *sealFlags) locks() (out []soft.Lock, err error) {
	for _, spec := range f.seals {
		l, err := f.parse(spec)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// sealCommand are the flags of all seal commands.
type sealCommand struct {
	io   stdio
	data string
	seal sealFlags
	fips bool
}

const sealLong = `seal looks after the seal of a data directory: the file seal.json, without which nothing in the directory opens.

While a server serves the directory, the commands reach it through the directory's socket and nothing stops; only its
own user and root can. Otherwise they open the directory themselves, and need a --seal that opens it.`

func newSeal(io stdio) *cobra.Command {
	c := newSealCommand(io)
	cmd := &cobra.Command{
		Use: "seal", Short: "Look after the seal of the root key", Long: sealLong,
		Example: "  kagimori seal status --data /var/lib/kagimori",
	}
	cmd.AddCommand(c.status(), c.rotate(), c.endSessions(), c.add(), c.remove(), c.backup(), c.restore())
	for _, sub := range cmd.Commands() {
		c.flagged(sub)
	}
	return cmd
}

func newSealCommand(io stdio) *sealCommand { return &sealCommand{io: io} }

// flagged gives a command the flags of all.
func (c *sealCommand) flagged(cmd *cobra.Command) *cobra.Command {
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&c.data, "data", defaultData, "data `directory`")
	c.seal.register(fl, "")
	fl.BoolVar(&c.fips, "fips", false, "take only seals with approved algorithms")
	return cmd
}

func (c *sealCommand) config() (app.Config, error) {
	locks, err := c.seal.locks()
	return app.Config{
		Data: c.data, Locks: locks, ParseLock: c.seal.parse, Version: version(), FIPS: c.fips,
		Logger: slog.New(slog.NewTextHandler(c.io.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, err
}

// with does something with the seal.
func (c *sealCommand) with(ctx context.Context, f func(*app.Sealer) error) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	s, err := app.OpenSealer(ctx, cfg)
	if err != nil {
		return failed(err)
	}
	return failed(errors.Join(f(s), s.Close()))
}

func (c *sealCommand) status() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say how the root key is sealed",
		Long: `status says what opens the seal, in which epoch it is, and what of removed keys is not final yet. Without a running
server and without --seal it says only what everybody can read in the seal file.`,
		Example: "  kagimori seal status --data /var/lib/kagimori", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(c.seal.seals) == 0 {
				report, found, err := c.publicStatus(cmd.Context())
				if err != nil {
					return failed(err)
				}
				if found {
					return failed(c.print(report))
				}
			}
			return c.with(cmd.Context(), func(s *app.Sealer) error {
				r, err := s.Status(cmd.Context())
				if err != nil {
					return err
				}
				return c.print(r)
			})
		},
	}
}

// publicStatus reads the seal file if no server answers.
func (c *sealCommand) publicStatus(ctx context.Context) (app.SealReport, bool, error) {
	if app.Served(ctx, c.data) {
		return app.SealReport{}, false, nil
	}
	dir, err := os.OpenRoot(c.data)
	if err != nil {
		return app.SealReport{}, false, fmt.Errorf("%s is not a data directory of kagimori", c.data)
	}
	defer dir.Close()
	st, err := soft.Seal{Dir: dir}.Status()
	if errors.Is(err, fs.ErrNotExist) {
		return app.SealReport{}, false, fmt.Errorf("%s has no seal", c.data)
	}
	return app.SealReport{SealStatus: st}, err == nil, err
}

func (c *sealCommand) print(r app.SealReport) error {
	var b strings.Builder
	fmt.Fprintf(&b, "seal format %d, change %d\n", r.Format, r.Generation)
	for i, s := range r.Slots {
		fmt.Fprintf(&b, "slot %d: %s", i+1, s.Kind)
		for _, k := range slices.Sorted(maps.Keys(s.Params)) {
			fmt.Fprintf(&b, " %s=%s", k, s.Params[k])
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "epoch %d", r.Epochs[len(r.Epochs)-1])
	if n := len(r.Epochs); n > 1 {
		fmt.Fprintf(&b, "; keys are still being wrapped anew, epochs %v have not ended", r.Epochs[:n-1])
	}
	b.WriteByte('\n')
	if n := len(r.SessionKeys); n > 0 {
		fmt.Fprintf(&b, "session tokens: key %d", r.SessionKeys[n-1])
		if n > 1 {
			fmt.Fprintf(&b, "; those of keys %v are still accepted", r.SessionKeys[:n-1])
		}
		b.WriteByte('\n')
	}
	if r.Bound > 0 {
		if r.Pending.Count > 0 {
			fmt.Fprintf(&b, "removed key material that is not final: %d, since %s\n", r.Pending.Count, r.Pending.Since.Format("2006-01-02T15:04:05Z"))
		}
		fmt.Fprintf(&b, "keys in memory: %d of at most %d, kept out of the swap space: %s\n", r.Ready, r.Bound, yes(r.Pinned))
		fmt.Fprintf(&b, "FIPS profile: %s; Go Cryptographic Module %s in FIPS 140-3 mode: %s\n", yes(r.FIPS), r.FIPSVersion, yes(r.FIPSMode))
	}
	_, err := c.io.out.Write([]byte(b.String()))
	return err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// changed prints what is the case after a change.
func (c *sealCommand) changed(r app.SealReport, err error) error {
	if err != nil {
		return err
	}
	return c.print(r)
}

func (c *sealCommand) rotate() *cobra.Command {
	var fresh []string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Seal anew, and make removals of keys final",
		Long: `rotate begins a new epoch, wraps all key material under it, and destroys the key of the epoch before: what was removed
until now is unreadable from then on, even for who has an old copy of the store and today's seal. With --new-seal it
seals anew as well: the new seals replace all that there were. A running server goes on serving; give it the new seal
at its next start. The key of session tokens is renewed with it; those before it open tokens for 37 hours more.`,
		Example: "  kagimori seal rotate --data /var/lib/kagimori\n  kagimori seal rotate --data /var/lib/kagimori --new-seal passphrase-file:/etc/kagimori/new",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			specs, err := c.absolute(fresh)
			if err != nil {
				return err
			}
			return c.with(cmd.Context(), func(s *app.Sealer) error { return c.changed(s.Rotate(cmd.Context(), specs...)) })
		},
	}
	cmd.Flags().StringArrayVar(&fresh, "new-seal", nil, "`seal` that replaces the old ones (repeatable)")
	return cmd
}

func (c *sealCommand) endSessions() *cobra.Command {
	return &cobra.Command{
		Use: "end-sessions", Short: "End all temporary credentials",
		Long: `end-sessions makes a new key for session tokens and destroys all others: temporary credentials that were given out until
now are invalid from then on, whoever made them. It is for the case that somebody had the open seal, who could make
tokens himself.`,
		Example: "  kagimori seal end-sessions --data /var/lib/kagimori", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), func(s *app.Sealer) error { return c.changed(s.EndSessions(cmd.Context())) })
		},
	}
}

// absolute checks seals before anything is opened, and makes their paths absolute for the server.
func (c *sealCommand) absolute(specs []string) ([]string, error) {
	var out []string
	for _, s := range specs {
		if _, err := c.seal.parse(s); err != nil {
			return nil, err
		}
		a, err := unseal.Absolute(s)
		if err != nil {
			return nil, failed(err)
		}
		out = append(out, a)
	}
	return out, nil
}

func (c *sealCommand) add() *cobra.Command {
	var fresh string
	cmd := &cobra.Command{
		Use: "add", Short: "Add another way to open the seal",
		Long:    "add makes another slot in the seal, such as one for a recipient whose key lies in a safe.",
		Example: "  kagimori seal add --data /var/lib/kagimori --new-seal age-recipients:age1...",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if fresh == "" {
				return errors.New("--new-seal is missing")
			}
			specs, err := c.absolute([]string{fresh})
			if err != nil {
				return err
			}
			return c.with(cmd.Context(), func(s *app.Sealer) error { return c.changed(s.Add(cmd.Context(), specs[0])) })
		},
	}
	cmd.Flags().StringVar(&fresh, "new-seal", "", "`seal` to add")
	return cmd
}

func (c *sealCommand) remove() *cobra.Command {
	var slot int
	cmd := &cobra.Command{
		Use: "remove", Short: "Remove a way to open the seal",
		Long: `remove takes one slot away and seals anew for the others, so that who could open the slot opens nothing that is made
from then on. Each slot that stays needs its --seal, but for age recipients. The last slot cannot be removed.`,
		Example: "  kagimori seal remove --data /var/lib/kagimori --slot 2 --seal passphrase-file:/etc/kagimori/passphrase",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if slot < 1 {
				return errors.New("--slot is missing; seal status numbers the slots")
			}
			specs, err := c.absolute(c.seal.seals)
			if err != nil {
				return err
			}
			return c.with(cmd.Context(), func(s *app.Sealer) error { return c.changed(s.Remove(cmd.Context(), slot, specs...)) })
		},
	}
	cmd.Flags().IntVar(&slot, "slot", 0, "`number` of the slot, as seal status has it")
	return cmd
}

func (c *sealCommand) backup() *cobra.Command {
	var volumes bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write a backup and the seal that opens it",
		Long: `backup writes the store, as of one moment, to FILE, and the seal that opens it to FILE.seal; with --volumes the volumes
too, as they are while they are copied. Neither file opens without the other and what opens the seal. Keys that are
removed later stay readable in a backup as long as its own seal exists: delete FILE.seal when that must end.`,
		Example: "  kagimori seal backup --data /var/lib/kagimori /backup/kagimori-1", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(s *app.Sealer) error { return writeBackup(cmd.Context(), s, args[0], volumes) })
		},
	}
	cmd.Flags().BoolVar(&volumes, "volumes", false, "copy the volumes too")
	return cmd
}

// writeBackup leaves both files whole, or neither.
func writeBackup(ctx context.Context, s *app.Sealer, path string, volumes bool) (err error) {
	for _, p := range []string{path, path + ".seal"} {
		if _, err := os.Lstat(p); err == nil {
			return fmt.Errorf("%s exists; a backup replaces nothing", p)
		}
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(part)), ignoreMissing(os.Remove(part+".seal")))
		}
	}()
	err = s.Backup(ctx, volumes, func(seal []byte) error { return writeNew(part+".seal", seal) }, f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(part+".seal", path+".seal"), os.Rename(part, path)); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeNew writes a private file, durably.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (c *sealCommand) restore() *cobra.Command {
	var sealFile string
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Make a data directory of a backup",
		Long: `restore makes the data directory --data, which must not exist or be empty, of a backup and its seal (FILE.seal, or
another with --seal-file: a newer copy of the same seal opens it as long as the backup's epoch has not ended). It checks
all of the backup before it puts the directory in place.`,
		Example: "  kagimori seal restore --data /var/lib/kagimori --seal passphrase-file:/etc/kagimori/passphrase /backup/kagimori-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			seal, err := os.ReadFile(cmp.Or(sealFile, args[0]+".seal"))
			if err != nil {
				return failed(err)
			}
			f, err := os.Open(args[0])
			if err != nil {
				return failed(err)
			}
			err = app.Restore(cmd.Context(), cfg, f, seal)
			if err := errors.Join(err, f.Close()); err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintf(c.io.out, "restored into %s\n", c.data)
			return failed(err)
		},
	}
	cmd.Flags().StringVar(&sealFile, "seal-file", "", "`file` with the seal (default FILE.seal)")
	return cmd
}
