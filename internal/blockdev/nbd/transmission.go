package nbd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/blockdev"
)

const (
	// inFlight is the most requests of one connection that run at a time; together they hold at most
	// maxPayload bytes.
	inFlight = 32
	// pooled is the largest buffer that is used again.
	pooled = blockdev.BlockSize
)

// A transmission is a connection after its negotiation.
type transmission struct {
	conn       net.Conn
	in         *bufio.Reader
	e          Export
	size       uint64
	structured bool
	allocation bool

	slots   chan struct{}
	bytes   *budget
	running sync.WaitGroup
	ended   atomic.Bool // the export ended
	out     sync.Mutex  // of writing to conn
	buffers sync.Pool   // *[pooled]byte; they hold plaintext, and go with the connection
}

func newTransmission(c net.Conn, in *bufio.Reader, e Export, structured, allocation bool) *transmission {
	return &transmission{
		conn: c, in: in, e: e, size: uint64(e.Device.Size()), structured: structured, allocation: allocation,
		slots: make(chan struct{}, inFlight), bytes: newBudget(maxPayload),
		buffers: sync.Pool{New: func() any { return new([pooled]byte) }},
	}
}

// end makes every further request fail.
func (t *transmission) end() { t.ended.Store(true) }

// run reads requests until the client leaves; it returns when all are answered.
func (t *transmission) run() error {
	defer t.running.Wait()
	for {
		var b [requestLen]byte
		if _, err := io.ReadFull(t.in, b[:]); err != nil {
			if errors.Is(err, io.EOF) { // between requests: rude, but nothing is lost
				return nil
			}
			return fmt.Errorf("nbd: %w", err)
		}
		r, ok := parseRequest(b)
		switch {
		case !ok:
			return errProtocol
		case r.command == cmdDisconnect:
			return nil
		case r.command == cmdWrite && r.length > maxPayload:
			return errProtocol // its data cannot be skipped with good conscience
		}
		if err := t.begin(r); err != nil {
			return err
		}
	}
}

// begin takes the data of a request and has it answered. It waits while too much is in flight.
func (t *transmission) begin(r request) error {
	held := 0
	if (r.command == cmdRead || r.command == cmdWrite) && r.length <= maxPayload {
		held = int(r.length)
	}
	t.slots <- struct{}{}
	t.bytes.take(held)
	release := func() {
		t.bytes.give(held)
		<-t.slots
	}
	var data []byte
	if r.command == cmdWrite {
		data = t.buffer(held)
		if _, err := io.ReadFull(t.in, data); err != nil {
			release()
			return fmt.Errorf("nbd: %w", err)
		}
	}
	t.running.Go(func() {
		defer release()
		if err := t.answer(r, data); err != nil {
			_ = t.conn.Close() // run notices
		}
		t.recycle(data)
	})
	return nil
}

func (t *transmission) buffer(n int) []byte {
	if n > pooled {
		return make([]byte, n)
	}
	return t.buffers.Get().(*[pooled]byte)[:n]
}

func (t *transmission) recycle(b []byte) {
	if cap(b) == pooled {
		t.buffers.Put((*[pooled]byte)(b[:pooled]))
	}
}

// answer performs a request and answers it. Its error is one of sending.
func (t *transmission) answer(r request, data []byte) error {
	if code := t.check(r); code != 0 {
		return t.fail(r, code)
	}
	switch r.command {
	case cmdRead:
		return t.read(r)
	case cmdBlockStatus:
		return t.blockStatus(r)
	}
	if err := t.change(r, data); err != nil {
		return t.fail(r, errno(err))
	}
	return t.simple(r.cookie, 0, nil)
}

// check refuses requests for what they are: 0 is none.
func (t *transmission) check(r request) uint32 {
	allowed := map[uint16]uint16{
		cmdRead: cmdFUA | cmdDF, cmdWrite: cmdFUA, cmdFlush: cmdFUA, cmdTrim: cmdFUA,
		cmdWriteZeroes: cmdFUA | cmdNoHole | cmdFastZero, cmdBlockStatus: cmdFUA | cmdReqOne,
	}
	flags, known := allowed[r.command]
	changes := r.command == cmdWrite || r.command == cmdTrim || r.command == cmdWriteZeroes
	outside := r.offset > t.size || uint64(r.length) > t.size-r.offset
	switch {
	case t.ended.Load():
		return errShutdown
	case !known || r.flags&^flags != 0,
		r.flags&cmdDF != 0 && !t.structured,
		r.command == cmdBlockStatus && (!t.allocation || r.length == 0),
		r.command == cmdFlush && (r.offset != 0 || r.length != 0):
		return errInvalid
	case changes && t.e.ReadOnly:
		return errPermission
	case r.command == cmdRead && r.length > maxPayload:
		return errOverflow
	case outside && (r.command == cmdWrite || r.command == cmdWriteZeroes):
		return errNoSpace
	case outside:
		return errInvalid
	case r.flags&cmdFastZero != 0 && r.flags&cmdNoHole != 0:
		return errNotSupported // only holes are faster than zeros
	}
	return 0
}

// change performs the commands that change something, or make it durable.
func (t *transmission) change(r request, data []byte) error {
	d, off, n := t.e.Device, int64(r.offset), int64(r.length)
	var err error
	switch r.command {
	case cmdWrite:
		_, err = d.WriteAt(data, off)
	case cmdTrim:
		err = d.Trim(off, n)
	case cmdWriteZeroes:
		if r.flags&cmdNoHole != 0 {
			err = fill(d, off, n)
		} else {
			err = d.WriteZeroes(off, n)
		}
	case cmdFlush:
		if t.e.ReadOnly {
			return nil
		}
		return d.Flush()
	}
	if err != nil || r.flags&cmdFUA == 0 {
		return err
	}
	return d.Flush()
}

// fill writes zeros that take space.
func fill(d Device, off, n int64) error {
	zeros := make([]byte, min(n, blockdev.BlockSize))
	for n > 0 {
		k, err := d.WriteAt(zeros[:min(n, int64(len(zeros)))], off)
		if err != nil {
			return err
		}
		off, n = off+int64(k), n-int64(k)
	}
	return nil
}

// A budget is a number of bytes that may be held at a time.
type budget struct {
	mu   sync.Mutex
	more sync.Cond
	left int
}

func newBudget(n int) *budget {
	b := &budget{left: n}
	b.more.L = &b.mu
	return b
}

// take waits until n, at most the whole, are left.
func (b *budget) take(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.left < n {
		b.more.Wait()
	}
	b.left -= n
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
	b.more.Signal() // only run waits
}
