package trail

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// Config of a [Trail].
type Config struct {
	Dir   *os.Root    // folder of the segments, used by nobody else; stays open while the trail is
	Store store.Store // holds the outbox and the causes; nil for a log without them
	// Node names the log among several over one store: each moves its own records. "" is the only one.
	Node string
	Sync bool // fsync each append; the records of changes are on the disk before it, in the store
	// MaxSegment and MaxTotal bound one segment and all of them, in bytes; 64 MiB and 4 GiB if 0.
	// A segment may exceed its bound by what is written at once.
	MaxSegment, MaxTotal int64
	// MinAge is how long a segment stays after its last record although all are over MaxTotal, up to
	// twice that; 24 hours if 0. Wall time: it is that of the files.
	MinAge time.Duration
	// Recent is how many records can be found without reading segments; 20000 if 0.
	Recent int
	Now    func() time.Time // of checkpoints; time.Now if nil
	// Key makes a MAC or a signature of a checkpoint, the same one for the same data. Nil leaves
	// checkpoints unsigned. A trail with a key calls a log with unsigned checkpoints broken.
	Key    func(data []byte) []byte
	Logger *slog.Logger
}

// A Trail is the log. Safe for concurrent use.
//
// Locks are taken in this order: flushing, writeMu, then one of the others.
type Trail struct {
	cfg Config

	queueMu sync.Mutex
	queue   []*pending // waits for the next write; guarded by queueMu
	led     bool       // somebody is about to write the queue; guarded by queueMu
	spare   []*pending // room for the next queue; guarded by queueMu
	alone   int        // writes in a row that were of one record; of who leads

	spansMu sync.Mutex
	spans   map[int]span // of full segments that are not compressed yet; guarded by spansMu

	writeMu sync.Mutex
	file    *os.File // current segment; guarded by writeMu
	segment int      // its number; guarded by writeMu
	size    int64    // its size; guarded by writeMu
	last    hash     // of the last line; guarded by writeMu
	dirty   bool     // records follow the last checkpoint; guarded by writeMu
	broken  error    // why nothing can be appended any more; guarded by writeMu
	out     []byte   // the write being made; guarded by writeMu
	entries []entry  // of it; guarded by writeMu
	span    span     // of what was written to the segment; guarded by writeMu
	room    int64    // where the disk's room for the segment ends, as far as it was asked for; guarded by writeMu
	whole   bool     // span is of all of the segment; guarded by writeMu
	durable Place    // what Durable returned last; guarded by writeMu
	seq     atomic.Uint64

	index index

	namesMu sync.RWMutex // held to change the names of segments, shared to list them

	outbox   store.Table[outboxEntry] // by event id
	prepared prepared
	pendings sync.Pool             // of *pending
	marks    store.Table[synced]   // markKey
	flushing chan struct{}         // holds a token while the outbox is moved
	moved    map[string]bool       // events in the log that are still in the outbox; guarded by flushing
	arrivals arrivals              // what came into the outbox
	scanned  store.Revision        // what the outbox had then is in the log; guarded by flushing
	synced   synced                // how far the log is on the disk, at least; guarded by writeMu
	refused  atomic.Pointer[error] // why the outbox could not be moved, while it cannot

	kick, full, stop chan struct{}
	unfollow         context.CancelFunc
	loops            sync.WaitGroup
	closing          sync.Once
}

// Open opens the log in a folder and moves what the outbox still holds into it. A last line that a
// crash cut off is removed. A damaged log opens too: what is there stays as it is, records follow
// in a new segment, and Verify tells.
func Open(cfg Config) (*Trail, error) {
	if cfg.MaxSegment == 0 {
		cfg.MaxSegment = 64 << 20
	}
	if cfg.MinAge == 0 {
		cfg.MinAge = 24 * time.Hour
	}
	if cfg.MaxTotal == 0 {
		cfg.MaxTotal = 4 << 30
	}
	if cfg.Recent == 0 {
		cfg.Recent = 20000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Trail{
		cfg: cfg, index: newIndex(cfg.Recent), flushing: make(chan struct{}, 1), moved: map[string]bool{}, spans: map[int]span{},
		outbox: outboxOf(cfg.Node), marks: marksOf(cfg.Node), kick: make(chan struct{}, 1), full: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	if err := t.load(); err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := t.findMoved(ctx); err != nil {
		return nil, errors.Join(err, t.file.Close())
	}
	if err := t.Flush(ctx); err != nil {
		return nil, errors.Join(err, t.file.Close())
	}
	t.full <- struct{}{} // segments that an earlier run left
	t.loops.Go(t.drain)
	t.loops.Go(t.compact)
	ctx, t.unfollow = context.WithCancel(ctx)
	if cfg.Store != nil {
		t.loops.Go(func() { t.follow(ctx) })
	}
	return t, nil
}

// pending is a record on its way into the log.
type pending struct {
	rec  *Record
	buf  bytes.Buffer  // the record as encode leaves it
	wake chan struct{} // tells who appends that err or lead is set
	tell bool          // the record is to have its place in the log
	lead bool          // it is to write the queue
	err  error
}

// keepBuffer is the largest buffer that is used again, in bytes.
const keepBuffer = 64 << 10

// borrow is room for a record on its way.
func (t *Trail) borrow() *pending {
	if p, ok := t.pendings.Get().(*pending); ok {
		return p
	}
	return &pending{wake: make(chan struct{}, 1)}
}

func (t *Trail) giveBack(p *pending) {
	if p.buf.Cap() > keepBuffer {
		return
	}
	p.rec, p.lead, p.err = nil, false, nil
	t.pendings.Put(p)
}

// Append writes a record before it returns, and sets its version, sequence number and hash. An
// error means that the record is not in the log. Appends that come together share a write: the first
// makes it for all, and one that came meanwhile makes the next.
func (t *Trail) Append(rec *Record) error { return t.append(rec, true) }

// Log is Append for who asks nothing of the record any more: it stays as it is, and nothing of it is kept.
func (t *Trail) Log(rec *Record) error { return t.append(rec, false) }

func (t *Trail) append(rec *Record, tell bool) error {
	p := t.borrow()
	defer t.giveBack(p)
	p.rec, p.tell = rec, tell
	if err := p.encode(); err != nil {
		return err
	}
	t.queueMu.Lock()
	t.queue = append(t.queue, p)
	lead := !t.led
	t.led = true
	t.queueMu.Unlock()
	if !lead {
		<-p.wake
		lead = p.lead
	}
	if lead {
		t.lead(p)
	}
	return p.err
}

// aloneAfter is how many writes in a row of one record mean that records come one at a time; one write of as many looks whether
// they still do.
const aloneAfter = 64

// lead writes the queue, in which p is, and hands over. Requests that run, or could, come to their own
// record first, while there are any: one write costs as much as many do, but to let others run costs a lone
// caller more than its write.
func (t *Trail) lead(p *pending) {
	if t.alone < aloneAfter || t.alone%aloneAfter == 0 {
		runtime.Gosched()
	}
	t.queueMu.Lock()
	batch := t.queue
	t.queue, t.spare = t.spare, nil
	t.queueMu.Unlock()

	t.writeMu.Lock()
	err := t.write(batch, t.cfg.Sync)
	t.writeMu.Unlock()

	for _, q := range batch {
		q.err, q.lead = err, false
		if q != p {
			q.wake <- struct{}{} // never blocks; q is not ours any more
		}
	}
	if t.alone++; len(batch) > 1 {
		t.alone = 0
	}
	clear(batch)
	t.queueMu.Lock()
	defer t.queueMu.Unlock()
	t.spare = batch[:0]
	if t.led = len(t.queue) > 0; t.led {
		t.queue[0].lead = true
		t.queue[0].wake <- struct{}{}
	}
}

// write puts records at the end of the log, all or none. writeMu is held.
func (t *Trail) write(batch []*pending, sync bool) error {
	if t.broken != nil {
		return t.broken
	}
	if t.size >= t.cfg.MaxSegment {
		if err := t.rotate(); err != nil {
			return err
		}
	}
	seq, last := t.seq.Load(), t.last
	t.entries, t.out = t.entries[:0], t.out[:0]
	for _, p := range batch {
		from := len(t.out)
		seq++
		t.out = appendLine(t.out, p.buf.Bytes(), seq, last)
		if p.tell {
			p.rec.Kagimori.Version, p.rec.Kagimori.Sequence, p.rec.Kagimori.Previous = format, seq, hex.EncodeToString(last[:])
		}
		last = lineHash(t.out[from:])
		h := headOf(p.rec)
		t.entries = append(t.entries, t.index.entry(&h, seq, t.segment, t.size+int64(from), len(t.out)-from))
	}
	if err := t.put(t.out, sync); err != nil {
		return err
	}
	t.last, t.dirty = last, true
	t.seq.Store(seq)
	for i := range t.entries {
		t.span.add(t.entries[i].time, t.entries[i].seq)
	}
	t.index.add(t.entries)
	if cap(t.out) > maxLine {
		t.out = nil
	}
	return nil
}

// Room on the disk is asked for in as large pieces as the segment is already, in bytes from and to: writes into room that is there
// take less time.
const leastRoom, mostRoom = 64 << 10, 1 << 20

// put writes bytes at the end of the segment. What a failed write left is taken back; if that
// fails too, or if it is not known what reached the disk, nothing more is appended until the log is
// opened anew. writeMu is held.
func (t *Trail) put(data []byte, sync bool) error {
	if end := t.size + int64(len(data)); end > t.room {
		n := int64(len(data)) + min(max(t.size, leastRoom), mostRoom)
		allocate(t.file, t.size, n)
		t.room = t.size + n
	}
	if _, err := t.file.WriteAt(data, t.size); err != nil {
		err = fmt.Errorf("trail: %w", err)
		if terr := t.file.Truncate(t.size); terr != nil {
			t.broken = errors.Join(err, terr)
			return t.broken
		}
		return err
	}
	if sync {
		if err := t.file.Sync(); err != nil {
			t.broken = errors.Join(fmt.Errorf("trail: %w", err), t.file.Truncate(t.size))
			return t.broken
		}
	}
	t.size += int64(len(data))
	return nil
}

// checkpoint writes a checkpoint unless one is the last line already. writeMu is held.
func (t *Trail) checkpoint() error {
	if !t.dirty {
		return nil
	}
	c := checkpoint{
		Version: format, Time: stamp(t.cfg.Now()), Segment: t.segment, Sequence: t.seq.Load(), Previous: hex.EncodeToString(t.last[:]),
	}
	var err error
	if c.MAC, err = c.signature(t.cfg.Key); err != nil {
		return err
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	if err := t.put(line, t.cfg.Sync); err != nil {
		return err
	}
	t.last, t.dirty = lineHash(line), false
	return nil
}

// Close moves the outbox, writes a checkpoint and closes the log. Everything fails after it.
func (t *Trail) Close() error {
	var err error
	t.closing.Do(func() {
		close(t.stop)
		t.unfollow()
		t.loops.Wait()
		if err = t.Flush(context.Background()); store.Passing(err) {
			t.cfg.Logger.Warn("records of the last changes wait in the store until the next start", "error", err)
			err = nil
		}
		t.writeMu.Lock()
		defer t.writeMu.Unlock()
		if t.broken == nil {
			err = errors.Join(err, t.checkpoint(), t.file.Truncate(t.size), t.file.Sync())
		}
		err = errors.Join(err, t.file.Close())
		closed := fmt.Errorf("trail: %w", os.ErrClosed)
		t.broken = closed
		t.refused.Store(&closed)
	})
	return err
}
