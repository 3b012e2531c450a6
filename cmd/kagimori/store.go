package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/app"
)

const storeLong = `store looks after where everything is kept: a file in the data directory, or an etcd cluster that several nodes share.`

func newStore(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "store", Short: "Check a store, or move it between a file and etcd", Long: storeLong,
		Example: "  kagimori store check --data /var/lib/kagimori", Args: cobra.ArbitraryArgs,
	}
	cmd.AddCommand(newStoreCheck(io), newStoreMigrate(io), newStoreUpgrade(io), newStoreBackup(io), newStoreRestore(io))
	return cmd
}

func storeLogger(io stdio) *slog.Logger {
	return slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func newStoreCheck(io stdio) *cobra.Command {
	var f storeFlags
	var data string
	cmd := &cobra.Command{
		Use: "check", Short: "Read everything and say what is damaged",
		Long: `check reads every record: of a data directory that nobody serves, or of the cluster that --store names, while its nodes
go on. It needs no seal.`,
		Example: "  kagimori store check --data /var/lib/kagimori\n  kagimori store check --store etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/kagimori",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := app.Config{Data: data, Logger: storeLogger(io)}
			var err error
			if cfg.Cluster, err = f.cluster(); err != nil {
				return err
			}
			r, err := app.CheckStore(cmd.Context(), cfg)
			total := 0
			for _, b := range slices.Sorted(maps.Keys(r.Buckets)) {
				fmt.Fprintf(io.out, "%8d %s\n", r.Buckets[b], b)
				total += r.Buckets[b]
			}
			if err != nil {
				return failed(err)
			}
			fmt.Fprintf(io.out, "%8d records, %d bytes: nothing is damaged\n", total, r.Bytes)
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&data, "data", defaultData, "data `directory`")
	f.register(cmd.Flags())
	return cmd
}

func newStoreMigrate(io stdio) *cobra.Command {
	var (
		f    storeFlags
		seal sealFlags
		data string
		back bool
	)
	cmd := &cobra.Command{
		Use: "migrate", Short: "Move a store into etcd, or back",
		Long: `migrate copies the store and the seal of the data directory --data into the cluster that --store names, where nothing may
be below the prefix. The directory keeps its volumes and its audit log, and its old store and seal under names that end
with .moved: remove them once all is well. Serve the directory with the same --store then, and start the other nodes on
directories of their own.

With --back it copies from the cluster into the directory, which keeps what is in etcd as it is.

No server may run meanwhile.`,
		Example: "  kagimori store migrate --data /var/lib/kagimori --seal passphrase-file:/etc/kagimori/passphrase --store etcd://10.0.0.1:2379/kagimori\n" +
			"  kagimori store migrate --back --data /var/lib/kagimori --store etcd://10.0.0.1:2379/kagimori",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := app.Config{Data: data, Logger: storeLogger(io), ParseLock: seal.parse}
			var err error
			if cfg.Cluster, err = f.cluster(); err != nil {
				return err
			}
			if cfg.Cluster == nil {
				return errors.New("--store is missing: it names the cluster")
			}
			if cfg.Locks, err = seal.locks(); err != nil {
				return err
			}
			move := app.MigrateToCluster
			if back {
				move = app.MigrateToFile
			}
			return migrate(cmd.Context(), io, cfg, move)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&back, "back", false, "from the cluster into the directory")
	cmd.Flags().StringVar(&data, "data", defaultData, "data `directory`")
	seal.register(cmd.Flags(), "")
	f.register(cmd.Flags())
	return cmd
}

func migrate(ctx context.Context, io stdio, cfg app.Config, move func(context.Context, app.Config) (app.Migration, error)) error {
	m, err := move(ctx, cfg)
	if err != nil {
		return failed(err)
	}
	fmt.Fprintf(io.out, "%d records were copied\n", m.Pairs)
	if len(m.Moved) > 0 {
		fmt.Fprintf(io.out, "the old ones are in %s: remove them once all is well\n", strings.Join(m.Moved, " and "))
	}
	switch {
	case m.Node != "" && len(m.Moved) > 0:
		fmt.Fprintf(io.out, "the volumes stay in %s, which is %s from now on: serve it with --store, and they are there\n", cfg.Data, m.Node)
	case m.Node != "":
		fmt.Fprintf(io.out, "the volumes of %s are in %s: serve it without --store, and they are there; those of other nodes are in their directories\n", m.Node, cfg.Data)
	}
	return nil
}

// Backup and restore are those of the seal: the store is of no use without it.
func newStoreBackup(io stdio) *cobra.Command {
	c := newSealCommand(io)
	cmd := c.backup()
	cmd.Example = "  kagimori store backup --data /var/lib/kagimori /backup/kagimori-1"
	cmd.Long += `

In a cluster any node can be asked, through its data directory: the backup has the whole store and the seal of one moment,
in the form of a single server, and the volumes of that node's directory.`
	return c.flagged(cmd)
}

func newStoreRestore(io stdio) *cobra.Command {
	c := newSealCommand(io)
	cmd := c.restore()
	cmd.Example = "  kagimori store restore --data /var/lib/kagimori --seal passphrase-file:/etc/kagimori/passphrase /backup/kagimori-1"
	cmd.Long += `

For a cluster, restore into a directory and put that into etcd with store migrate.`
	return c.flagged(cmd)
}
