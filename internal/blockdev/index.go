package blockdev

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
)

const (
	indexMagic   = "kagiindx"
	indexVersion = 1
	indexFixed   = 8 + 4 + 4 + 4 + 4 // magic, version, length of the head, origins, entries
	entrySize    = 4 + 4 + blockSectors/8 + sha256.Size

	maxOrigin = maxID + 1 + originText
	// maxOrigins is the most snapshots whose blocks an index may use.
	maxOrigins = 1 << 20
)

// An index is a snapshot: what it is, and where the data of each of its blocks is. It is one object:
//
//	0   magic "kagiindx"      16  u32 number of origins
//	8   u32 version           20  u32 number of entries
//	12  u32 length of head    24  header as in a volume file, its generation counting snapshots
//
// then u16 length and text of the volume it was made of, of each origin; a SHA-256 of everything so far,
// which ends the head; the entries, ascending by block; and a SHA-256 of everything before.
// An entry is u32 block, u32 number of the origin, one bit for each sector that was written (16 bytes,
// never all clear), and the SHA-256 of the block object: the written sectors one after the other, as they
// are on the volume. The object belongs to the origin: the making of a snapshot that wrote it, this one's or an earlier one's.
type index struct {
	*header
	volume  string   // that it is of; "" for none
	origins []string // of blocks, its own among them if it wrote some
	entries []entry
}

// validOrigin accepts an id with what makes it unique behind it.
func validOrigin(s string) bool {
	n := len(s) - 1 - originText
	return n > 0 && s[n] == '-' && validID(s[:n]) && validID(s[n+1:])
}

// sectorSet has a bit for each sector of a block.
type sectorSet [blockSectors / 64]uint64

type entry struct {
	block   uint32
	origin  uint32 // number in origins
	sectors sectorSet
	sum     [sha256.Size]byte // of the object
}

func (s sectorSet) count() int64 {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return int64(n)
}

func (s sectorSet) has(i int64) bool { return s[i/64]>>(i%64)&1 == 1 }

// before is how many sectors before sector i are in the set.
func (s sectorSet) before(i int64) int64 {
	n := 0
	for w := range i / 64 {
		n += bits.OnesCount64(s[w])
	}
	if i%64 != 0 {
		n += bits.OnesCount64(s[i/64] & (1<<(i%64) - 1))
	}
	return int64(n)
}

// run tells whether sector i is in the set, and where the run of sectors like it ends.
func (s sectorSet) run(i, to int64) (end int64, set bool) {
	set = s.has(i)
	for end = i + 1; end < to && s.has(end) == set; end++ {
	}
	return end, set
}

// find is the entry of a block, or nil.
func (x *index) find(block int64) *entry {
	i := sort.Search(len(x.entries), func(i int) bool { return int64(x.entries[i].block) >= block })
	if i < len(x.entries) && int64(x.entries[i].block) == block {
		return &x.entries[i]
	}
	return nil
}

// object names the data of an entry.
func (x *index) object(e *entry) string { return blockName(x.origins[e.origin], int64(e.block)) }

// encode gives the bytes of the index. It must be valid.
func (x *index) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, indexFixed+4096+len(x.entries)*entrySize)
	b = append(b, indexMagic...)
	b = le.AppendUint32(b, indexVersion)
	b = le.AppendUint32(b, 0) // length of the head, below
	b = le.AppendUint32(b, uint32(len(x.origins)))
	b = le.AppendUint32(b, uint32(len(x.entries)))
	b = append(b, x.header.encode()...)
	for _, s := range append([]string{x.volume}, x.origins...) {
		b = le.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	le.PutUint32(b[12:], uint32(len(b)+sha256.Size))
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	for i := range x.entries {
		e := &x.entries[i]
		b = le.AppendUint32(b, e.block)
		b = le.AppendUint32(b, e.origin)
		for _, w := range e.sectors {
			b = le.AppendUint64(b, w)
		}
		b = append(b, e.sum[:]...)
	}
	sum = sha256.Sum256(b)
	return append(b, sum[:]...)
}

// headLength tells from the first bytes of an index how long its head is.
func headLength(b []byte) (int64, error) {
	if len(b) < indexFixed || string(b[:8]) != indexMagic {
		return 0, corrupt("no index of a snapshot")
	}
	n := int64(binary.LittleEndian.Uint32(b[12:]))
	if n < indexFixed+fixedSize+2*sha256.Size || n > indexFixed+slotSize+(maxOrigins+1)*(2+maxOrigin)+sha256.Size {
		return 0, corrupt("index length")
	}
	return n, nil
}

// parseHead reads the head of an index and checks everything about it; what follows may be missing. entries
// is how many follow, rest where they begin.
func parseHead(b []byte) (x *index, entries, rest int64, err error) {
	le := binary.LittleEndian
	fail := func(what string) (*index, int64, int64, error) { return nil, 0, 0, corrupt(what) }
	length, err := headLength(b)
	if err != nil {
		return nil, 0, 0, err
	}
	if length > int64(len(b)) {
		return fail("index cut off")
	}
	body := b[:length-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):length]) {
		return fail("index checksum")
	}
	if v := le.Uint32(b[8:]); v != indexVersion {
		return nil, 0, 0, versionError(v)
	}
	h, err := parseHeader(body[indexFixed:])
	if err != nil {
		return nil, 0, 0, err
	}
	if h.kind != KindSnapshot {
		return fail("index of what is no snapshot")
	}
	origins, texts := int64(le.Uint32(b[16:])), body[indexFixed+le.Uint32(body[indexFixed+12:]):]
	if origins > maxOrigins || origins > int64(len(texts))/3 {
		return fail("index origins")
	}
	all := make([]string, 0, origins+1)
	for range origins + 1 {
		if len(texts) < 2 || len(texts)-2 < int(le.Uint16(texts)) {
			return fail("index text")
		}
		n := 2 + int(le.Uint16(texts))
		all, texts = append(all, string(texts[2:n])), texts[n:]
	}
	if len(texts) != 0 {
		return fail("index with bytes left over")
	}
	x = &index{header: h, volume: all[0], origins: all[1:]}
	if x.volume != "" && !validID(x.volume) || slices.ContainsFunc(x.origins, func(o string) bool { return !validOrigin(o) }) {
		return fail("index with an id that is none")
	}
	return x, int64(le.Uint32(b[20:])), length, nil
}

// parseIndex reads an index and checks everything about it. Its errors wrap ErrCorrupt or ErrVersion.
func parseIndex(b []byte) (*index, error) {
	le := binary.LittleEndian
	x, n, rest, err := parseHead(b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != rest+n*entrySize+sha256.Size {
		return nil, corrupt("index of another length than it says")
	}
	body := b[:len(b)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return nil, corrupt("index checksum")
	}
	x.entries = make([]entry, n)
	used := make([]bool, len(x.origins))
	for i := range x.entries {
		raw, e := body[rest+int64(i)*entrySize:], &x.entries[i]
		e.block, e.origin = le.Uint32(raw), le.Uint32(raw[4:])
		for w := range e.sectors {
			e.sectors[w] = le.Uint64(raw[8+8*w:])
		}
		e.sum = [sha256.Size]byte(raw[8+blockSectors/8 : entrySize])
		first := int64(e.block) * blockSectors
		switch {
		case i > 0 && e.block <= x.entries[i-1].block, first >= x.sectors():
			return nil, corrupt("index blocks")
		case int64(e.origin) >= int64(len(x.origins)):
			return nil, corrupt("index with an unknown origin")
		case e.sectors.count() == 0, e.sectors.before(min(blockSectors, x.sectors()-first)) != e.sectors.count():
			return nil, corrupt("index sectors")
		}
		used[e.origin] = true
	}
	if slices.Contains(used, false) {
		return nil, corrupt("index with an origin that it does not use")
	}
	return x, nil
}

// bitmap is the allocation map of the snapshot.
func (x *index) bitmap() *bitmap {
	m := newBitmap(x.header)
	for i := range x.entries {
		e := &x.entries[i]
		first := int64(e.block) * blockSectors
		for s := int64(0); s < blockSectors; {
			end, set := e.sectors.run(s, blockSectors)
			if set {
				m.set(first+s, first+end)
			}
			s = end
		}
	}
	return m
}

// pack numbers the origins that are used from 0, in the order of their first use.
func (x *index) pack(names []string) {
	numbers := map[uint32]uint32{}
	x.origins = nil
	for i := range x.entries {
		e := &x.entries[i]
		n, ok := numbers[e.origin]
		if !ok {
			n = uint32(len(x.origins))
			numbers[e.origin] = n
			x.origins = append(x.origins, names[e.origin])
		}
		e.origin = n
	}
}
