// Package ebs is the EBS direct APIs: snapshots are written and read in blocks of 512 KiB, without a
// volume.
//
// What a snapshot is, EC2 knows; its content is the file of blockdev with its id. While a snapshot of
// StartSnapshot is pending, that file is one that can be written; CompleteSnapshot seals it. Whoever reads
// or writes an encrypted snapshot must be allowed to decrypt its data key at that moment: KMS is asked for
// each block, as the caller, through EC2 (kms:ViaService), with the snapshot's encryption context.
// Source: Amazon EBS User Guide, "Use EBS direct APIs to access the contents of an EBS snapshot".
package ebs

import (
	"context"
	"log/slog"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Keys is KMS as EBS calls it. parent is the call that it serves.
type Keys interface {
	GenerateDataKeyWithoutPlaintext(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error)
	ReEncrypt(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error)
	Decrypt(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error)
	// ResolveKey turns a key identifier into the key's ARN, without deciding anything.
	ResolveKey(ctx context.Context, region, account, id string) (string, error)
}

// A Snapshot is a snapshot of EC2.
type Snapshot struct {
	ID, Owner, OwnerAlias, Region, VolumeID, Description, State string
	SizeGiB                                                     int64
	Encrypted                                                   bool
	KeyARN, ContextID, DataKeyID                                string
	WrappedKey                                                  []byte
	Created                                                     time.Time
	Catalogue                                                   bool // the root disk of a public image, which has no file
	// What follows is only of snapshots that StartSnapshot made.
	Direct   bool
	Parent   string        // snapshot that it began as, or ""
	Progress int           // percent, as its writer says
	Timeout  time.Duration // without a write until it fails
	Touched  time.Time     // last write
}

// States of a snapshot. Source: EBS direct APIs Reference, StartSnapshot.
const (
	pending   = "pending"
	completed = "completed"
)

// Snapshots is what EBS needs of EC2. It decides nothing.
type Snapshots interface {
	// Find is a snapshot that an account may use, with the account's tags of it.
	Find(tx store.Tx, region, account, id string) (snap Snapshot, tags map[string]string, ok bool, err error)
	// Add writes a new pending snapshot.
	Add(tx store.Tx, c *guard.Call, snap Snapshot, tags map[string]string) error
	// Write notes a write to a pending snapshot; progress is -1 if the writer said nothing of it.
	Write(tx store.Tx, snap Snapshot, progress int, now time.Time) error
	// End completes a pending snapshot, or puts it into error for the reason given.
	End(tx store.Tx, snap Snapshot, failure string) error
	// Pending are the snapshots of all accounts that StartSnapshot made and that are not completed.
	Pending(tx store.Tx) ([]Snapshot, error)
	// Defaults are the settings for EBS encryption of an account in a region.
	Defaults(tx store.Tx, region, account string) (byDefault bool, key string, err error)
}

// Config of a [Service].
type Config struct {
	Guard     *guard.Guard
	Clock     *clock.Clock
	Keys      Keys
	Snapshots Snapshots
	Volumes   *blockdev.Shelf // that EC2 uses, too
	// Blocks and Pages seal the tokens of blocks and of lists.
	Blocks, Pages directory.Box
	Logger        *slog.Logger
}

// A Service is the EBS direct APIs for all accounts and regions. Safe for concurrent use.
type Service struct {
	g         *guard.Guard
	clock     *clock.Clock
	keys      Keys
	snapshots Snapshots
	volumes   *blockdev.Shelf
	blocks    directory.Box
	pages     directory.Box
	log       *slog.Logger
	writers   *writers
}

// New makes a Service. Call Start before serving.
func New(cfg Config) *Service {
	return &Service{
		g: cfg.Guard, clock: cfg.Clock, keys: cfg.Keys, snapshots: cfg.Snapshots, volumes: cfg.Volumes,
		blocks: cfg.Blocks, pages: cfg.Pages, log: cfg.Logger, writers: newWriters(cfg.Volumes),
	}
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"StartSnapshot":      guard.Handle(s.StartSnapshot),
		"PutSnapshotBlock":   guard.Handle(s.PutSnapshotBlock),
		"CompleteSnapshot":   guard.Handle(s.CompleteSnapshot),
		"GetSnapshotBlock":   guard.Handle(s.GetSnapshotBlock),
		"ListSnapshotBlocks": guard.Handle(s.ListSnapshotBlocks),
		"ListChangedBlocks":  guard.Handle(s.ListChangedBlocks),
	}
}

// Start sets the timers of pending snapshots and forgets what was noted about others. EC2 must have
// started.
func (s *Service) Start(ctx context.Context) error {
	var open []Snapshot
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		open, err = s.snapshots.Pending(tx)
		return err
	})
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, snap := range open {
		keep[snap.ID] = true
		s.expireLater(snap)
	}
	return s.sweep(ctx, keep)
}

// Stop closes all files: the keys of snapshots that are being written are gone from memory.
func (s *Service) Stop() {
	if err := s.writers.stop(); err != nil {
		s.log.Error("a snapshot was not closed properly", "error", err)
	}
}
