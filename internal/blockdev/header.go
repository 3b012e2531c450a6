package blockdev

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	// SectorSize is the unit of allocation and encryption in bytes.
	SectorSize = 4096
	// BlockSize is the unit of snapshots and of progress in bytes.
	BlockSize = 512 << 10
	// MaxSize is the largest volume in bytes (64 TiB).
	MaxSize = 64 << 40
	// MaxWrappedKey is the largest wrapped data key in bytes.
	MaxWrappedKey = 6144

	magic         = "kagimori"
	formatVersion = 1
	slotSize      = 16 << 10
	mapOffset     = 2 * slotSize
	dataAlign     = 1 << 20
	fixedSize     = 120 // of the header, before its texts

	maxID  = 128
	maxARN = 2048
	maxRef = 256
)

// Kind tells volumes from snapshots.
type Kind uint8

const (
	// KindVolume can be written.
	KindVolume Kind = 1
	// KindSnapshot never changes.
	KindSnapshot Kind = 2
)

const (
	flagEncrypted = 1 << iota
	flagClean
)

// header is what a header slot holds:
//
//	0   magic "kagimori"          56  SHA-256 of the map, if clean, else zeros
//	8   u32 format version        88  key check, or zeros (see keycheck in volume.go)
//	12  u32 length with checksum  120 id, key ARN, data key id, context id, wrapped key:
//	16  u64 generation                each u16 length, then the bytes
//	24  u8 kind, u8 flags, u16 0      then SHA-256 of everything before
//	28  u32 sector size
//	32  u64 size                  40  16 zero bytes
//
// The checksum finds accidents. It is no protection against whoever can write the file.
type header struct {
	generation uint64
	kind       Kind
	clean      bool
	size       int64
	mapSum     [32]byte
	keyCheck   [32]byte
	id         string
	encryption *Encryption // nil: plain
}

func (h *header) sectors() int64    { return h.size / SectorSize }
func (h *header) mapPages() int64   { return (h.sectors() + pageSectors - 1) / pageSectors }
func (h *header) dataOffset() int64 { return roundUp(mapOffset+h.mapPages()*pageBytes, dataAlign) }
func (h *header) fileSize() int64   { return h.dataOffset() + h.size }

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// encode gives the bytes of the header. The header must be valid.
func (h *header) encode() []byte {
	le := binary.LittleEndian
	enc := h.encryption
	var flags byte
	if enc != nil {
		flags |= flagEncrypted
	} else {
		enc = &Encryption{}
	}
	if h.clean {
		flags |= flagClean
	}
	b := make([]byte, 0, fixedSize+512+len(enc.WrappedKey))
	b = append(b, magic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, 0) // length, below
	b = le.AppendUint64(b, h.generation)
	b = append(b, byte(h.kind), flags, 0, 0)
	b = le.AppendUint32(b, SectorSize)
	b = le.AppendUint64(b, uint64(h.size))
	b = append(b, make([]byte, 16)...)
	b = append(b, h.mapSum[:]...)
	b = append(b, h.keyCheck[:]...)
	for _, s := range []string{h.id, enc.KeyARN, enc.DataKeyID, enc.ContextID, string(enc.WrappedKey)} {
		b = le.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	le.PutUint32(b[12:], uint32(len(b)+sha256.Size))
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseHeader reads the header at the start of b and checks everything about it. Its errors wrap
// ErrCorrupt or, for a later format, ErrVersion.
func parseHeader(b []byte) (*header, error) {
	le := binary.LittleEndian
	if len(b) < fixedSize+sha256.Size || string(b[:8]) != magic {
		return nil, corrupt("no header")
	}
	length := int64(le.Uint32(b[12:]))
	if length < fixedSize+sha256.Size || length > min(int64(len(b)), slotSize) {
		return nil, corrupt("header length")
	}
	b = b[:length]
	body := b[:length-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return nil, corrupt("header checksum")
	}
	// Only a whole header may claim to be of a later version: then a torn one never does.
	if v := le.Uint32(b[8:]); v != formatVersion {
		return nil, versionError(v)
	}
	h := &header{
		generation: le.Uint64(b[16:]), kind: Kind(b[24]), clean: b[25]&flagClean != 0, size: int64(le.Uint64(b[32:])),
		mapSum: [32]byte(b[56:88]), keyCheck: [32]byte(b[88:120]),
	}
	if le.Uint32(b[28:]) != SectorSize || b[25]&^(flagEncrypted|flagClean) != 0 || [2]byte(b[26:]) != [2]byte{} || [16]byte(b[40:]) != [16]byte{} {
		return nil, corrupt("header with unknown properties")
	}
	if !h.clean && h.mapSum != [32]byte{} {
		return nil, corrupt("map checksum of an open volume")
	}
	var texts [5]string
	rest := body[fixedSize:]
	for i := range texts {
		if len(rest) < 2 || len(rest)-2 < int(le.Uint16(rest)) {
			return nil, corrupt("header text")
		}
		n := 2 + int(le.Uint16(rest))
		texts[i], rest = string(rest[2:n]), rest[n:]
	}
	if len(rest) != 0 {
		return nil, corrupt("header with bytes left over")
	}
	h.id = texts[0]
	enc := Encryption{KeyARN: texts[1], DataKeyID: texts[2], ContextID: texts[3], WrappedKey: []byte(texts[4])}
	if b[25]&flagEncrypted != 0 {
		h.encryption = &enc
	} else if strings.Join(texts[1:], "") != "" || h.keyCheck != [32]byte{} {
		return nil, corrupt("plain volume with a key")
	}
	if err := h.validate(); err != nil {
		return nil, corrupt(err.Error())
	}
	return h, nil
}

func versionError(v uint32) error { return fmt.Errorf("%w: %d", ErrVersion, v) }

// validate checks what a caller of Create chooses.
func (h *header) validate() error {
	if !validID(h.id) {
		return fmt.Errorf("blockdev: %q is not a valid id", h.id)
	}
	if h.kind != KindVolume && h.kind != KindSnapshot {
		return fmt.Errorf("blockdev: unknown kind %d", h.kind)
	}
	if h.size <= 0 || h.size > MaxSize || h.size%SectorSize != 0 {
		return fmt.Errorf("blockdev: a size of %d bytes is not a multiple of %d up to %d", h.size, SectorSize, int64(MaxSize))
	}
	e := h.encryption
	if e == nil {
		return nil
	}
	for _, t := range []struct {
		name, text string
		most       int
	}{{"key ARN", e.KeyARN, maxARN}, {"data key id", e.DataKeyID, maxRef}, {"context id", e.ContextID, maxRef}} {
		if len(t.text) > t.most {
			return fmt.Errorf("blockdev: a %s of %d bytes is longer than %d", t.name, len(t.text), t.most)
		}
	}
	if e.KeyARN == "" {
		return fmt.Errorf("blockdev: encryption without a key ARN")
	}
	if n := len(e.WrappedKey); n == 0 || n > MaxWrappedKey {
		return fmt.Errorf("blockdev: a wrapped key of %d bytes is not between 1 and %d", n, MaxWrappedKey)
	}
	return nil
}

// validID accepts ids that are safe as file names everywhere: letters, digits, and inside also
// ".", "_" and "-".
func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}
