package blockdev

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/kagimori/kagimori/internal/secret"
)

// Errors that callers may branch on. A volume that does not exist is fs.ErrNotExist, one that exists
// already is fs.ErrExist.
var (
	// ErrWrongKey means that the key given is not the volume's data key.
	ErrWrongKey = errors.New("blockdev: this is not the data key of the volume")
	// ErrNeedsKey means that an encrypted volume was opened without a key.
	ErrNeedsKey = errors.New("blockdev: the volume is encrypted and no key was given")
	// ErrPlain means that a key was given for a volume that is not encrypted.
	ErrPlain = errors.New("blockdev: a key was given for a volume that is not encrypted")
	// ErrCorrupt means that a file is damaged.
	ErrCorrupt = errors.New("blockdev: damaged volume file")
	// ErrVersion means that a later kagimori wrote the file.
	ErrVersion = errors.New("blockdev: the volume file has an unknown format version")
	// ErrBusy means that the file is open for writing, or is open and was to be written.
	ErrBusy = errors.New("blockdev: the volume is in use")
	// ErrReadOnly means that a snapshot was to be written.
	ErrReadOnly = errors.New("blockdev: a snapshot cannot be written")
	// ErrRange means that an offset or a length is outside the volume.
	ErrRange = errors.New("blockdev: outside the volume")
	// ErrClosed means that the volume was closed.
	ErrClosed = errors.New("blockdev: the volume is closed")
	// ErrTooSmall means that a source does not fit on the volume.
	ErrTooSmall = errors.New("blockdev: the volume is smaller than its source")
	// ErrUnencrypted means that encrypted content was to be copied to a plain volume.
	ErrUnencrypted = errors.New("blockdev: a copy of an encrypted snapshot is encrypted")
)

func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

// Encryption says under which key a volume is encrypted. Nothing of it is secret.
type Encryption struct {
	KeyARN string // of the KMS key that wrapped the data key; 1 to 2048 bytes
	// DataKeyID names the data key: equal ids mean the same data key. It is what EC2 calls
	// DataEncryptionKeyId; up to 256 bytes.
	DataKeyID string
	// ContextID is the value of aws:ebs:id in the encryption context under which WrappedKey was
	// wrapped: the id of a volume or snapshot; up to 256 bytes.
	ContextID  string
	WrappedKey []byte // the data key as KMS encrypted it, 1 to 6144 bytes
}

func (e *Encryption) clone() *Encryption {
	if e == nil {
		return nil
	}
	c := *e
	c.WrappedKey = slices.Clone(e.WrappedKey)
	return &c
}

// Spec describes a volume to make.
type Spec struct {
	ID         string      // also the file name: letters, digits, inside also ".", "_", "-"; up to 128 bytes
	Size       int64       // bytes, a multiple of 4096 up to 64 TiB
	Encryption *Encryption // nil: plain
	// Key is the 64-byte data key. Without it an empty encrypted volume can be made all the same: no
	// data key is at hand when EC2 creates one. Then the first Open decides which key is right.
	Key secret.Bytes
}

// Info is what the header of a volume or snapshot says.
type Info struct {
	ID         string
	Kind       Kind
	Size       int64       // bytes
	Encryption *Encryption // nil: plain
	// DataOffset is where in the file sector 0 is, in bytes.
	DataOffset int64
	// Clean tells that the volume was closed properly, or never written.
	Clean bool
}

func (h *header) info() Info {
	return Info{
		ID: h.id, Kind: h.kind, Size: h.size, Encryption: h.encryption.clone(), DataOffset: h.dataOffset(), Clean: h.clean,
	}
}

// An Extent is a range of bytes.
type Extent struct{ Offset, Length int64 }

// A Source is content to fill a volume with: an open volume or snapshot, an image. What is not in an
// extent reads as zeros.
type Source interface {
	io.ReaderAt
	// Size in bytes.
	Size() int64
	// Extents are the ranges that were ever written: ascending, disjoint, within Size.
	Extents() iter.Seq[Extent]
}

// Progress is told how many of how many bytes were copied: after each block and once at the start.
type Progress func(done, total int64)
