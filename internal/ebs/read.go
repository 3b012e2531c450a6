package ebs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxPage is the most blocks of a page, and the number of them if none is asked for.
// Source: EBS direct APIs Reference, ListSnapshotBlocks.
const maxPage = 10000

// sourceOfCopies is the volume that copies show, and snapshots of StartSnapshot: it says nothing of where
// they come from.
const sourceOfCopies = "vol-ffffffff"

// GetSnapshotBlock reads a block of a completed snapshot.
// Source: EBS direct APIs Reference, GetSnapshotBlock.
func (s *Service) GetSnapshotBlock(ctx context.Context, c *guard.Call, in *ebsapi.GetSnapshotBlockRequest) (*ebsapi.GetSnapshotBlockResponse, error) {
	id, block := api.Val(in.SnapshotId), int64(api.Val(in.BlockIndex))
	var snap Snapshot
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if snap, err = s.find(tx, c, id); err != nil {
			return err
		}
		return snap.readable()
	})
	if err == nil {
		err = s.checkBlock(api.Val(in.BlockToken), id, block, s.g.Now())
	}
	if err != nil {
		return nil, err
	}
	data := make([]byte, blockdev.BlockSize)
	if err := s.read(ctx, c, &snap, data, block*blockdev.BlockSize); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return &ebsapi.GetSnapshotBlockResponse{
		DataLength: new(int32(blockdev.BlockSize)), BlockData: data, Checksum: new(base64.StdEncoding.EncodeToString(sum[:])),
		ChecksumAlgorithm: new(ebsapi.ChecksumAlgorithmSHA256),
	}, nil
}

// read fills p with the content at an offset.
func (s *Service) read(ctx context.Context, c *guard.Call, snap *Snapshot, p []byte, off int64) error {
	if snap.Catalogue {
		src, err := image.Open(snap.ID)
		if err != nil {
			return err
		}
		return readAll(src, p, off)
	}
	key, err := s.decrypt(ctx, c, snap)
	if err != nil {
		return err
	}
	defer key.Wipe()
	v, err := blockdev.Open(s.volumes, snap.ID, key)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoSnapshot(snap.ID)
	}
	if err != nil {
		return err
	}
	return errors.Join(readAll(v, p, off), v.Close())
}

func readAll(src io.ReaderAt, p []byte, off int64) error {
	if n, err := src.ReadAt(p, off); err != nil && (!errors.Is(err, io.EOF) || n == 0) {
		return err
	}
	return nil
}

// A page is where a list goes on, and how long it may become.
type page struct {
	from  int64
	most  int
	token func(block int64) *string
}

func (s *Service) page(c *guard.Call, subject string, token *string, starting, most *int32) (page, error) {
	p := page{from: int64(api.Val(starting)), most: maxPage, token: func(block int64) *string {
		return s.pageToken(c, subject, block, s.g.Now())
	}}
	if most != nil {
		p.most = int(*most)
	}
	if token == nil {
		return p, nil
	}
	var err error
	p.from, err = s.openPage(c, subject, *token, s.g.Now())
	return p, err
}

// ListSnapshotBlocks lists the blocks of a completed snapshot that have data.
// Source: EBS direct APIs Reference, ListSnapshotBlocks.
func (s *Service) ListSnapshotBlocks(ctx context.Context, c *guard.Call, in *ebsapi.ListSnapshotBlocksRequest) (*ebsapi.ListSnapshotBlocksResponse, error) {
	id := api.Val(in.SnapshotId)
	var snap Snapshot
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if snap, err = s.find(tx, c, id); err != nil {
			return err
		}
		return snap.readable()
	})
	if err != nil {
		return nil, err
	}
	p, err := s.page(c, id, in.NextToken, in.StartingBlockIndex, in.MaxResults)
	if err != nil {
		return nil, err
	}
	expires := s.g.Now().Add(blockLife)
	out := &ebsapi.ListSnapshotBlocksResponse{
		Blocks: []ebsapi.Block{}, ExpiryTime: &expires, VolumeSize: &snap.SizeGiB, BlockSize: new(int32(blockdev.BlockSize)),
	}
	err = s.written(&snap, p.from, func(block int64) bool {
		if len(out.Blocks) == p.most {
			out.NextToken = p.token(block)
			return false
		}
		out.Blocks = append(out.Blocks, ebsapi.Block{BlockIndex: new(int32(block)), BlockToken: new(s.blockToken(id, block, expires))})
		return true
	})
	return out, err
}

// written calls fn for the blocks of a snapshot that have data.
func (s *Service) written(snap *Snapshot, from int64, fn func(block int64) bool) error {
	if !snap.Catalogue {
		err := blockdev.WrittenBlocks(s.volumes, snap.ID, from, fn)
		if errors.Is(err, fs.ErrNotExist) {
			return errNoSnapshot(snap.ID)
		}
		return err
	}
	src, err := image.Open(snap.ID)
	if err != nil {
		return err
	}
	for b := range blockdev.Blocks(src) {
		if b >= from && !fn(b) {
			break
		}
	}
	return nil
}

// ListChangedBlocks lists the blocks that differ between two snapshots of one lineage, or those of the
// second if there is no first. Source: EBS direct APIs Reference, ListChangedBlocks.
func (s *Service) ListChangedBlocks(ctx context.Context, c *guard.Call, in *ebsapi.ListChangedBlocksRequest) (*ebsapi.ListChangedBlocksResponse, error) {
	first, second := api.Val(in.FirstSnapshotId), api.Val(in.SecondSnapshotId)
	var a, b Snapshot
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		a = Snapshot{}
		if b, err = s.find(tx, c, second); err != nil {
			return err
		}
		if first != "" {
			if a, err = s.find(tx, c, first); err != nil {
				return err
			}
			if err := a.readable(); err != nil {
				return err
			}
		}
		if err := b.readable(); err != nil || first == "" {
			return err
		}
		return s.related(tx, c, &a, &b)
	})
	if err != nil {
		return nil, err
	}
	p, err := s.page(c, first+"\x00"+second, in.NextToken, in.StartingBlockIndex, in.MaxResults)
	if err != nil {
		return nil, err
	}
	expires := s.g.Now().Add(blockLife)
	out := &ebsapi.ListChangedBlocksResponse{
		ChangedBlocks: []ebsapi.ChangedBlock{}, ExpiryTime: &expires, VolumeSize: &b.SizeGiB, BlockSize: new(int32(blockdev.BlockSize)),
	}
	add := func(ch blockdev.Change) bool {
		if len(out.ChangedBlocks) == p.most {
			out.NextToken = p.token(ch.Block)
			return false
		}
		item := ebsapi.ChangedBlock{BlockIndex: new(int32(ch.Block))}
		if ch.First {
			item.FirstBlockToken = new(s.blockToken(first, ch.Block, expires))
		}
		if ch.Second {
			item.SecondBlockToken = new(s.blockToken(second, ch.Block, expires))
		}
		out.ChangedBlocks = append(out.ChangedBlocks, item)
		return true
	}
	switch {
	case first == "":
		err = s.written(&b, p.from, func(block int64) bool { return add(blockdev.Change{Block: block, Second: true}) })
	case first != second:
		err = blockdev.ChangedBlocks(s.volumes, first, second, p.from, add)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errNoSnapshot(second)
	}
	return out, err
}

// maxAncestors bounds the search for a common lineage.
const maxAncestors = 1000

// related is the refusal to compare snapshots that do not come from one volume, nor one from the other.
func (s *Service) related(tx store.Tx, c *guard.Call, a, b *Snapshot) error {
	unrelated := invalid("UNRELATED_SNAPSHOTS", "The snapshots '%s' and '%s' are not related.", a.ID, b.ID)
	if a.Catalogue || b.Catalogue {
		return unrelated
	}
	if a.DataKeyID != b.DataKeyID || a.Encrypted != b.Encrypted {
		return unrelated
	}
	if a.ID == b.ID || a.VolumeID == b.VolumeID && a.VolumeID != sourceOfCopies {
		return nil
	}
	for _, pair := range [][2]*Snapshot{{a, b}, {b, a}} {
		at := *pair[1]
		for range maxAncestors {
			if at.Parent == "" {
				break
			}
			if at.Parent == pair[0].ID {
				return nil
			}
			next, _, ok, err := s.snapshots.Find(tx, c.Region, c.Account(), at.Parent)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			at = next
		}
	}
	return unrelated
}
