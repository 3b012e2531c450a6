package nbd

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/kagimori/kagimori/internal/blockdev"
)

// Numbers of errors, the same on every system.
const (
	errPermission   uint32 = 1
	errIO           uint32 = 5
	errNoMemory     uint32 = 12
	errInvalid      uint32 = 22
	errNoSpace      uint32 = 28
	errOverflow     uint32 = 75
	errNotSupported uint32 = 95
	errShutdown     uint32 = 108
)

// errno is what a client is told of an error of a device.
func errno(err error) uint32 {
	switch {
	case errors.Is(err, blockdev.ErrClosed):
		return errShutdown
	case errors.Is(err, blockdev.ErrReadOnly):
		return errPermission
	case errors.Is(err, blockdev.ErrRange):
		return errInvalid
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errNoSpace
	case errors.Is(err, syscall.ENOMEM):
		return errNoMemory
	}
	return errIO
}

// simple sends a simple reply.
func (t *transmission) simple(cookie uint64, code uint32, data []byte) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 16), magicSimple)
	b = binary.BigEndian.AppendUint32(b, code)
	return t.send(binary.BigEndian.AppendUint64(b, cookie), data)
}

// chunk sends one chunk of a structured reply; head and data together are its payload.
func (t *transmission) chunk(cookie uint64, flags, kind uint16, head, data []byte) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 20+len(head)), magicChunk)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint64(b, cookie)
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)+len(data)))
	return t.send(append(b, head...), data)
}

func (t *transmission) send(head, data []byte) error {
	t.out.Lock()
	defer t.out.Unlock()
	if len(data) == 0 {
		_, err := t.conn.Write(head)
		return err
	}
	parts := net.Buffers{head, data}
	_, err := parts.WriteTo(t.conn)
	return err
}

// fail answers with an error.
func (t *transmission) fail(r request, code uint32) error {
	if !t.structured || r.command != cmdRead && r.command != cmdBlockStatus {
		return t.simple(r.cookie, code, nil)
	}
	b := binary.BigEndian.AppendUint32(nil, code)
	return t.chunk(r.cookie, chunkDone, chunkError, append(b, 0, 0), nil) // no text
}

// read answers READ.
func (t *transmission) read(r request) error {
	off, n := int64(r.offset), int64(r.length)
	if !t.structured {
		buf := t.buffer(int(n))
		defer t.recycle(buf)
		if err := t.fetch(buf, off); err != nil {
			return t.fail(r, errno(err))
		}
		return t.simple(r.cookie, 0, buf)
	}
	if n == 0 {
		return t.chunk(r.cookie, chunkDone, chunkNone, nil, nil)
	}
	for n > 0 {
		length, written := n, true
		if r.flags&cmdDF == 0 {
			length, written = t.piece(off, n)
		}
		var flags uint16
		if length == n {
			flags = chunkDone
		}
		sent, err := t.readPiece(r, flags, off, length, written)
		if err != nil || !sent {
			return err
		}
		off, n = off+length, n-length
	}
	return nil
}

// shortHole is the length below which a hole is not worth a chunk of its own.
const shortHole = 64 << 10

// piece is how much at off is best told in one chunk, and whether it is data.
func (t *transmission) piece(off, n int64) (length int64, data bool) {
	for length < n {
		k, written := t.e.Device.Written(off+length, n-length)
		if !written && k >= shortHole {
			if length == 0 {
				return k, false
			}
			break
		}
		length += k
	}
	return length, true
}

// readPiece sends one chunk; sent is false if it was an error, the last chunk of the reply.
func (t *transmission) readPiece(r request, flags uint16, off, n int64, data bool) (sent bool, err error) {
	head := binary.BigEndian.AppendUint64(make([]byte, 0, 12), uint64(off))
	if !data {
		return true, t.chunk(r.cookie, flags, chunkHole, binary.BigEndian.AppendUint32(head, uint32(n)), nil)
	}
	buf := t.buffer(int(n))
	defer t.recycle(buf)
	if err := t.fetch(buf, off); err != nil {
		return false, t.fail(r, errno(err))
	}
	return true, t.chunk(r.cookie, flags, chunkData, head, buf)
}

func (t *transmission) fetch(p []byte, off int64) error {
	if n, err := t.e.Device.ReadAt(p, off); n < len(p) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the device shrank
		}
		return err
	}
	return nil
}

// maxExtents is the most extents of one answer; the client asks again for the rest.
const maxExtents = 8192

// blockStatus answers BLOCK_STATUS with the extents of base:allocation.
func (t *transmission) blockStatus(r request) error {
	off, n, most := int64(r.offset), int64(r.length), maxExtents
	if r.flags&cmdReqOne != 0 {
		most = 1
	}
	b := binary.BigEndian.AppendUint32(nil, metaID)
	for ; n > 0 && most > 0; most-- {
		length, written := t.e.Device.Written(off, n)
		state := stateHole | stateZero
		if written {
			state = 0
		}
		b = binary.BigEndian.AppendUint32(b, uint32(length))
		b = binary.BigEndian.AppendUint32(b, state)
		off, n = off+length, n-length
	}
	return t.chunk(r.cookie, chunkDone, chunkBlockStatus, b, nil)
}
