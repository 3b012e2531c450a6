package ebs

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A blockRecord is a block that was written to a pending snapshot.
type blockRecord struct {
	Sum []byte `json:"sum"` // SHA-256 of its content
}

// blockTable is keyed by (snapshot, block number with leading zeros).
var blockTable = store.Table[blockRecord]{Bucket: "ebs/block", Version: 1}

func blockKey(block int64) string { return fmt.Sprintf("%010d", block) }

// idleTime is how long the file of a pending snapshot stays open without a write, at least.
const idleTime = 5 * time.Second

// PutSnapshotBlock writes a block of a pending snapshot. When it answers, the block is on disk.
// Source: EBS direct APIs Reference, PutSnapshotBlock.
func (s *Service) PutSnapshotBlock(ctx context.Context, c *guard.Call, in *ebsapi.PutSnapshotBlockRequest) (*ebsapi.PutSnapshotBlockResponse, error) {
	block := int64(api.Val(in.BlockIndex))
	sum, err := checkContent(in)
	if err != nil {
		return nil, err
	}
	var snap Snapshot
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if snap, err = s.find(tx, c, api.Val(in.SnapshotId)); err != nil {
			return err
		}
		if err := snap.writable(c.Account()); err != nil {
			return err
		}
		return snap.inside(block)
	})
	if err != nil {
		return nil, err
	}
	key, err := s.decrypt(ctx, c, &snap)
	if err != nil {
		return nil, err
	}
	fresh := !s.writers.isOpen(snap.ID)
	err = s.writers.use(snap.ID, key, func(v *blockdev.Volume) error {
		if _, err := v.WriteAt(in.BlockData, block*blockdev.BlockSize); err != nil {
			return err
		}
		return v.Flush()
	})
	if err != nil {
		return nil, fileError(err, &snap)
	}
	if fresh {
		s.clock.AfterFunc(idleTime, func() { s.closeIdle(snap.ID) })
	}
	progress := -1
	if in.Progress != nil {
		progress = int(*in.Progress)
	}
	out := &ebsapi.PutSnapshotBlockResponse{Checksum: in.Checksum, ChecksumAlgorithm: new(ebsapi.ChecksumAlgorithmSHA256)}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		c.Respond(out)
		found, _, ok, err := s.snapshots.Find(tx, c.Region, c.Account(), snap.ID)
		if err == nil && !ok {
			err = errNoSnapshot(snap.ID)
		}
		if err == nil {
			err = found.writable(c.Account()) // it may have been completed meanwhile
		}
		if err != nil {
			return err
		}
		if err := s.snapshots.Write(tx, snap, progress, s.g.Now()); err != nil {
			return err
		}
		return blockTable.Put(tx, blockRecord{sum}, snap.ID, blockKey(block))
	})
}

// checkContent verifies length and checksum of a block, and gives the checksum.
func checkContent(in *ebsapi.PutSnapshotBlockRequest) ([]byte, error) {
	switch n := int64(api.Val(in.DataLength)); {
	case n != blockdev.BlockSize:
		return nil, invalid("INVALID_BLOCK", "The data length must be %d bytes.", int64(blockdev.BlockSize))
	case int64(len(in.BlockData)) != n:
		return nil, invalid("INVALID_BLOCK", "The block has %d bytes of data; its data length is %d.", len(in.BlockData), n)
	case api.Val(in.ChecksumAlgorithm) != ebsapi.ChecksumAlgorithmSHA256:
		return nil, invalid("INVALID_PARAMETER_VALUE", "The checksum algorithm must be SHA256.")
	}
	sum := sha256.Sum256(in.BlockData)
	given, err := base64.StdEncoding.DecodeString(api.Val(in.Checksum))
	if err != nil || subtle.ConstantTimeCompare(given, sum[:]) != 1 {
		return nil, invalid("INVALID_PARAMETER_VALUE", "The checksum does not match the data of the block.")
	}
	return sum[:], nil
}

// inside is the refusal of a block that the snapshot does not have.
func (s *Snapshot) inside(block int64) error {
	if block*blockdev.BlockSize < s.SizeGiB*gibibyte {
		return nil
	}
	return invalid("INVALID_BLOCK", "The block index %d is outside of the snapshot '%s'.", block, s.ID)
}

// fileError is what a client is told when the file of a snapshot cannot be written.
func fileError(err error, snap *Snapshot) error {
	switch {
	case errors.Is(err, blockdev.ErrReadOnly), errors.Is(err, blockdev.ErrClosed), errors.Is(err, blockdev.ErrBusy):
		return apierr.Newf("ValidationException", "The snapshot '%s' is being completed.", snap.ID).With("Reason", "CONFLICTING_BLOCK_UPDATE").Because(err)
	case errors.Is(err, fs.ErrNotExist):
		return errNoSnapshot(snap.ID)
	}
	return err
}

func (s *Service) closeIdle(id string) {
	open, err := s.writers.idle(id)
	if err != nil {
		s.log.Error("a snapshot was not closed properly", "snapshot", id, "error", err)
	}
	if open {
		s.clock.AfterFunc(idleTime, func() { s.closeIdle(id) })
	}
}

// CompleteSnapshot seals a snapshot. The number of blocks that were written must be the one given, and so
// must the checksum, if there is one: that of the blocks' checksums in the order of the blocks. A retry
// finds a completed snapshot. Source: EBS direct APIs Reference, CompleteSnapshot.
func (s *Service) CompleteSnapshot(ctx context.Context, c *guard.Call, in *ebsapi.CompleteSnapshotRequest) (*ebsapi.CompleteSnapshotResponse, error) {
	id := api.Val(in.SnapshotId)
	if in.Checksum != nil && (in.ChecksumAlgorithm == nil || in.ChecksumAggregationMethod == nil) {
		return nil, invalid("INVALID_PARAMETER_VALUE", "A checksum needs the parameters ChecksumAlgorithm and ChecksumAggregationMethod.")
	}
	var snap Snapshot
	out := &ebsapi.CompleteSnapshotResponse{Status: new(ebsapi.StatusCompleted)}
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if snap, err = s.find(tx, c, id); err != nil {
			return err
		}
		if snap.Direct && snap.Owner == c.Account() && snap.State == completed {
			return nil
		}
		if err := snap.writable(c.Account()); err != nil {
			return err
		}
		return checkComplete(tx, id, in)
	})
	if err != nil || snap.State == completed {
		return out, err
	}
	if err := s.writers.close(id); err != nil {
		return nil, err
	}
	if err := blockdev.Seal(s.volumes, id); err != nil {
		return nil, fileError(err, &snap)
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		c.Respond(out)
		return s.snapshots.End(tx, snap, "")
	})
	if err != nil {
		return nil, err
	}
	s.forget(ctx, id)
	return out, nil
}

func checkComplete(tx store.Tx, id string, in *ebsapi.CompleteSnapshotRequest) error {
	n, all := 0, sha256.New()
	for r, err := range blockTable.Scan(tx, id) {
		if err != nil {
			return err
		}
		n++
		_, _ = all.Write(r.Value.Sum) // a hash takes everything
	}
	if n != int(api.Val(in.ChangedBlocksCount)) {
		return invalid("INVALID_PARAMETER_VALUE", "The number of changed blocks is %d, not %d.", n, api.Val(in.ChangedBlocksCount))
	}
	if in.Checksum == nil {
		return nil
	}
	given, err := base64.StdEncoding.DecodeString(*in.Checksum)
	if err != nil || subtle.ConstantTimeCompare(given, all.Sum(nil)) != 1 {
		return invalid("INVALID_PARAMETER_VALUE", "The checksum does not match the blocks of the snapshot.")
	}
	return nil
}

// expireLater sets the timer with which a pending snapshot ends that nobody writes to.
func (s *Service) expireLater(snap Snapshot) {
	s.clock.AfterFunc(max(0, snap.Touched.Add(snap.Timeout).Sub(s.g.Now())), func() { s.expire(snap) })
}

func (s *Service) expire(snap Snapshot) {
	ctx := context.Background()
	again := false
	err := s.g.Change(ctx, func(tx store.Tx) error {
		again = false
		found, _, ok, err := s.snapshots.Find(tx, snap.Region, snap.Owner, snap.ID)
		if err != nil || !ok || found.State != pending {
			return err
		}
		if s.g.Now().Before(found.Touched.Add(found.Timeout)) {
			again, snap = true, found
			return nil
		}
		return s.snapshots.End(tx, found, "The snapshot was cancelled: no block was written for "+strconv.Itoa(int(found.Timeout.Minutes()))+" minutes.")
	})
	switch {
	case store.Over(err):
	case err != nil:
		store.Report(ctx, s.log, "a snapshot that nobody writes to is still pending", err, "snapshot", snap.ID)
		s.clock.AfterFunc(time.Minute, func() { s.expire(snap) })
	case again:
		s.expireLater(snap)
	default:
		if err := s.writers.close(snap.ID); err != nil {
			s.log.Error("a snapshot was not closed properly", "snapshot", snap.ID, "error", err)
		}
		s.forget(ctx, snap.ID)
	}
}

// forget drops what was noted about the blocks of a snapshot that is not pending any more.
func (s *Service) forget(ctx context.Context, id string) {
	err := s.drop(ctx, func(snapshot string) bool { return snapshot == id }, id)
	store.Report(ctx, s.log, "what is noted about the blocks of a snapshot stays until the next start", err, "snapshot", id)
}

// sweep drops what is noted about blocks of other snapshots than these, and old client tokens.
func (s *Service) sweep(ctx context.Context, keep map[string]bool) error {
	var old [][]string
	err := s.g.Read(ctx, func(tx store.Tx) error {
		old = nil
		for r, err := range tokenTable.Scan(tx) {
			if err != nil {
				return err
			}
			if s.g.Now().Sub(r.Value.Made) > tokenLife {
				old = append(old, r.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(old, store.MaxOps/2) {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			for _, key := range batch {
				if err := tokenTable.Delete(tx, key...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.drop(ctx, func(snapshot string) bool { return !keep[snapshot] })
}

// drop deletes records of blocks, a few in each transaction.
func (s *Service) drop(ctx context.Context, of func(snapshot string) bool, prefix ...string) error {
	var keys [][]string
	err := s.g.Read(ctx, func(tx store.Tx) error {
		keys = nil
		for r, err := range blockTable.Scan(tx, prefix...) {
			if err != nil {
				return err
			}
			if of(r.Key[0]) {
				keys = append(keys, r.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(keys, store.MaxOps/2) {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			for _, key := range batch {
				if err := blockTable.Delete(tx, key...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
