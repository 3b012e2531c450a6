package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// Packed is how a [Table] keeps its records in another form than JSON, because they are read too often for
// JSON. Records that were written as JSON before are read still, and are packed when they are written next.
type Packed[T any] struct {
	// Append appends a record, and Parse reads it back from what is Append's alone. Parse keeps nothing of
	// data, and refuses what Append does not make.
	Append func(dst []byte, rec *T) ([]byte, error)
	Parse  func(data []byte, rec *T) error
	// Since is the level of a store that may have such records (see [Level]): below it the table writes
	// JSON, of JSON's version.
	Since int
	// JSON is the newest version of the records that is JSON; the table's own is later.
	JSON uint8
}

// A packed record has, behind its version, this byte, with which no JSON begins, then what Append made, then
// a checksum of all before it: there is nothing in it otherwise that damage would break.
const (
	packedMark = 0
	packedHead = 2
	packedSum  = 4
)

// castagnoli is fixed.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (p *Packed[T]) encode(version uint8, rec *T) ([]byte, error) {
	const usual = 1 << 10
	out, err := p.Append(append(make([]byte, 0, usual), version, packedMark), rec)
	return sum(out), err
}

func sum(out []byte) []byte {
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

// Pack makes a record of what Append made, for tools that change records by themselves.
func Pack(version uint8, body []byte) []byte {
	return sum(append([]byte{version, packedMark}, body...))
}

// Unpack undoes Pack: it is what Append made. ok is false if the record is damaged, or not packed.
func Unpack(data []byte) (body []byte, ok bool) {
	n := len(data) - packedSum
	if n < packedHead || data[1] != packedMark || binary.LittleEndian.Uint32(data[n:]) != crc32.Checksum(data[:n], castagnoli) {
		return nil, false
	}
	return data[packedHead:n:n], true
}

// Whole reports whether data can be a record of a [Table], packed or not, as far as that can be told
// without the table.
func Whole(data []byte) bool {
	if len(data) < packedHead {
		return false
	}
	if data[1] == packedMark {
		_, ok := Unpack(data)
		return ok
	}
	return json.Valid(data[1:])
}

func (p *Packed[T]) decode(bucket string, data []byte, rec *T) error {
	body, ok := Unpack(data)
	if !ok {
		return fmt.Errorf("%w: a record of %s is damaged", ErrCorrupt, bucket)
	}
	if err := p.Parse(body, rec); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, bucket, err)
	}
	return nil
}

// A leveled transaction is of a store that older programs share.
type leveled interface{ Level() int }

// Level is what the programs that share a store have agreed to write; ok is false where they write what is
// newest, as a program does that has the store for itself.
func Level(tx Tx) (level int, ok bool) {
	l, ok := tx.(leveled)
	if !ok {
		return 0, false
	}
	level = l.Level()
	return level, level > 0
}
