package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/app"
)

func newStoreUpgrade(io stdio) *cobra.Command {
	var (
		f      storeFlags
		forget []string
	)
	cmd := &cobra.Command{
		Use: "upgrade", Short: "Have the nodes of a cluster write the newest format",
		Long: `upgrade raises the format of the store that --store names to the newest that this program knows. Nodes go on with the
format that they found, so that nodes of the version before understand what they write: replace all of them by the new
version first, one after the other. It is refused while a node runs that does not know the new format, or one that did
crashed and has not run again: --forget names nodes that will not.

Nodes serve meanwhile. Afterwards nodes of the version before cannot be started any more.

A data directory of a single server needs no command: a newer program raises its format when it serves it.`,
		Example: "  kagimori store upgrade --store etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/kagimori",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := app.Config{Logger: storeLogger(io)}
			var err error
			if cfg.Cluster, err = f.cluster(); err != nil {
				return err
			}
			if cfg.Cluster == nil {
				return errors.New("--store is missing: it names the cluster")
			}
			r, err := app.UpgradeCluster(cmd.Context(), cfg, forget...)
			for _, id := range slices.Sorted(maps.Keys(r.Members)) {
				fmt.Fprintf(io.out, "%s: %s\n", id, r.Members[id])
			}
			if err != nil {
				return failed(err)
			}
			if r.From == r.To {
				fmt.Fprintf(io.out, "the store has format %d already\n", r.To)
			} else {
				fmt.Fprintf(io.out, "the store has format %d now, after %d\n", r.To, r.From)
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringSliceVar(&forget, "forget", nil, "`nodes` that crashed and will not run again")
	f.register(cmd.Flags())
	return cmd
}
