package app

import (
	"time"

	"github.com/kagimori/kagimori/internal/ebs"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// snapshots are EC2's snapshots as EBS calls them.
type snapshots struct{ ec2.Direct }

// Find is a snapshot that an account may use.
func (s snapshots) Find(tx store.Tx, region, account, id string) (ebs.Snapshot, map[string]string, bool, error) {
	snap, tags, ok, err := s.Direct.Find(tx, region, account, id)
	return ebs.Snapshot(snap), tags, ok, err
}

// Add writes a new pending snapshot.
func (s snapshots) Add(tx store.Tx, c *guard.Call, snap ebs.Snapshot, tags map[string]string) error {
	return s.Direct.Add(tx, c, ec2.DirectSnapshot(snap), tags)
}

// Write notes a write to a pending snapshot.
func (s snapshots) Write(tx store.Tx, snap ebs.Snapshot, progress int, now time.Time) error {
	return s.Direct.Write(tx, ec2.DirectSnapshot(snap), progress, now)
}

// End completes a pending snapshot, or puts it into error.
func (s snapshots) End(tx store.Tx, snap ebs.Snapshot, failure string) error {
	return s.Direct.End(tx, ec2.DirectSnapshot(snap), failure)
}

// Pending are the snapshots of StartSnapshot that are not completed.
func (s snapshots) Pending(tx store.Tx) ([]ebs.Snapshot, error) {
	found, err := s.Direct.Pending(tx)
	var out []ebs.Snapshot
	for _, snap := range found {
		out = append(out, ebs.Snapshot(snap))
	}
	return out, err
}
