// Package sink takes the audit log elsewhere: into files that rotate, to syslog, to webhooks.
//
// A sink reads the log's lines from the place that it was told is delivered, in a goroutine of its own, and
// notes the place when they are: a slow sink or a dead one holds nobody up, and nothing waits in memory. The
// log is what is kept for it, as long as the log's own bounds allow; what a sink missed then is counted and
// logged. After a crash the last lines may be delivered once more, never too few: they are read when the
// disk has them, and so a crash takes back nothing that a sink has.
//
// Lines are delivered as they are in the log, checkpoints too, so that [trail.Copy] can check them.
package sink

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/trail"
)

// A Line is one of the log, without its end.
type Line struct {
	Text []byte
	trail.Link
}

// A Batch is lines in the log's order.
type Batch struct {
	Lines []Line
	// Fresh says that the first line does not follow what was delivered before: it is the first, lines
	// between were removed, or the log is another one.
	Fresh bool
}

// A Target is where a sink delivers. Only one goroutine uses it.
type Target interface {
	// Send delivers a batch; nil says that it is kept there. What failed is sent again, whole.
	Send(ctx context.Context, b Batch) error
	Close() error
}

// A WaitError is a failure after which the target wants to be left alone for a while.
type WaitError struct {
	Wait time.Duration
	Err  error
}

// Error is that of what failed.
func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap is what failed.
func (e *WaitError) Unwrap() error { return e.Err }

// Config of a [Sink].
type Config struct {
	Name, Kind string
	Target     Target
	Trail      *trail.Trail
	Cursors    *os.Root // folder of the places that sinks have delivered to; stays open while the sink runs
	// FromNow has a sink that never ran begin with what is written from now on, instead of the oldest record.
	FromNow bool
	// Timeout bounds one attempt to deliver; 10 seconds if 0.
	Timeout time.Duration
	Logger  *slog.Logger
}

const (
	// poll is how often the log is looked at for new lines.
	poll = 200 * time.Millisecond
	// A batch has at most so many lines and bytes, unless one line is longer.
	batchLines = 1000
	batchBytes = 1 << 20
	// After a failure it is tried again this much later, twice as much after each further one, and up to
	// the most; each time between half and all of it, so that servers do not come together.
	retryFirst, retryMost = 200 * time.Millisecond, 30 * time.Second
	// noteEvery is how long the note of what is delivered may be behind.
	noteEvery = time.Second
)

// A Status is how a sink does.
type Status struct {
	Name, Kind string
	Delivered  uint64        // sequence number of the last record that is delivered
	Behind     uint64        // records that are not
	Lag        time.Duration // about how long the oldest of them has waited
	Failures   uint64        // attempts that failed since the server began
	Lost       uint64        // records that were removed from the log before they could be delivered
	Error      string        // of the last attempt, if it failed
}

// A Sink delivers the log to a target until it is closed. Safe for concurrent use.
type Sink struct {
	cfg  Config
	stop context.CancelFunc
	done chan struct{}
	wake chan struct{}

	// Used by run alone.
	at    trail.Place // delivered
	fresh bool        // the next line does not follow what was delivered
	noted time.Time   // when at was written down

	mu        sync.Mutex
	delivered uint64    // guarded by mu
	settled   time.Time // all that was appended before it is delivered; guarded by mu
	failures  uint64    // guarded by mu
	lost      uint64    // guarded by mu
	failed    error     // of the last attempt; guarded by mu
}

// Open begins to deliver. The sink owns the target.
func Open(cfg Config) (*Sink, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = cfg.Logger.With("sink", cfg.Name)
	s := &Sink{cfg: cfg, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	c, found, err := readCursor(cfg.Cursors, cfg.Name)
	if err != nil {
		return nil, errors.Join(err, cfg.Target.Close())
	}
	s.at, s.settled = c.Place, c.Settled
	if !found {
		s.fresh, s.settled = true, time.Now()
		if cfg.FromNow {
			if s.at, err = cfg.Trail.Durable(); err != nil {
				return nil, errors.Join(err, cfg.Target.Close())
			}
		}
	}
	s.delivered = s.at.Sequence
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.run(ctx)
	return s, nil
}

// Close ends the sink and notes what it delivered. What is in the log by then is delivered first, if that
// takes no longer than ctx allows.
func (s *Sink) Close(ctx context.Context) error {
	select {
	case s.wake <- struct{}{}:
	default:
	}
	for ctx.Err() == nil && s.behind() {
		select {
		case <-ctx.Done():
		case <-time.After(poll / 10):
		}
	}
	s.stop()
	<-s.done
	return errors.Join(s.note(), s.cfg.Target.Close())
}

func (s *Sink) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed == nil && s.delivered < s.cfg.Trail.Sequence()
}

// Status is how the sink does now.
func (s *Sink) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Name: s.cfg.Name, Kind: s.cfg.Kind, Delivered: s.delivered, Failures: s.failures, Lost: s.lost}
	if s.failed != nil {
		st.Error = s.failed.Error()
	}
	if end := s.cfg.Trail.Sequence(); end > s.delivered {
		st.Behind, st.Lag = end-s.delivered, max(0, time.Since(s.settled))
	}
	return st
}

// Lag is about how long the oldest record that is not delivered has waited: 0 if all are.
func (s *Sink) Lag() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Trail.Sequence() <= s.delivered {
		return 0
	}
	return max(0, time.Since(s.settled))
}

func (s *Sink) run(ctx context.Context) {
	defer close(s.done)
	for ctx.Err() == nil {
		begun := time.Now()
		end, err := s.cfg.Trail.Durable()
		if err == nil && end != s.at {
			err = s.deliverTo(ctx, end)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.mu.Lock()
			s.settled = begun
			s.mu.Unlock()
			if s.noted.IsZero() || time.Since(s.noted) >= noteEvery {
				err = s.note()
			}
		}
		if err != nil {
			s.cfg.Logger.Error("the audit log cannot be read for a sink, or what it delivered not be noted", "error", err)
			pause(ctx, nil, retryMost)
			continue
		}
		pause(ctx, s.wake, poll)
	}
}

// pause waits, but not when ctx ends or for what comes on wake.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

// deliverTo delivers what the log has up to a place.
func (s *Sink) deliverTo(ctx context.Context, end trail.Place) error {
	err := s.deliverFrom(ctx, s.at, end)
	if !errors.Is(err, trail.ErrMoved) {
		return err
	}
	s.cfg.Logger.Error("a sink goes on with the oldest record of the audit log: that where it stopped is not there any more", "record", s.at.Sequence)
	s.fresh = true
	return s.deliverFrom(ctx, trail.Place{}, end)
}

func (s *Sink) deliverFrom(ctx context.Context, from, end trail.Place) error {
	var b Batch
	size := 0
	at := from
	for l, err := range s.cfg.Trail.Lines(ctx, from, end) {
		if err != nil {
			return errors.Join(s.deliver(ctx, &b, at), err)
		}
		if len(b.Lines) > 0 && (len(b.Lines) >= batchLines || size+len(l.Text) > batchBytes) {
			if err := s.deliver(ctx, &b, at); err != nil {
				return err
			}
			size = 0
		}
		if s.fresh && l.Link.Record && len(b.Lines) == 0 {
			s.miss(l.Link.Sequence)
		}
		b.Lines = append(b.Lines, Line{l.Text, l.Link})
		size += len(l.Text)
		at = l.After
	}
	return s.deliver(ctx, &b, at)
}

// miss counts what was removed before the record that comes next.
func (s *Sink) miss(next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delivered > 0 && next > s.delivered+1 {
		n := next - s.delivered - 1
		s.lost += n
		s.cfg.Logger.Error("records of the audit log were removed for their age before a sink took them", "records", n)
	}
}

// deliver sends a batch, which ends at a place, until it is kept or ctx ends, and empties it.
func (s *Sink) deliver(ctx context.Context, b *Batch, at trail.Place) error {
	if len(b.Lines) == 0 {
		return nil
	}
	b.Fresh = s.fresh
	for n, wait := 1, retryFirst; ; n++ {
		err := s.attempt(ctx, *b)
		if ctx.Err() != nil && err != nil {
			return ctx.Err()
		}
		if err == nil {
			s.kept(at)
			b.Lines = b.Lines[:0]
			return nil
		}
		s.mu.Lock()
		s.failures, s.failed = s.failures+1, err
		s.mu.Unlock()
		if n&(n-1) == 0 { // the first, second, fourth, ...
			s.cfg.Logger.Error("the audit log waits for a sink", "error", err, "attempts", n)
		}
		d := wait/2 + rand.N(wait/2+1)
		if w, ok := errors.AsType[*WaitError](err); ok {
			d = max(d, w.Wait)
		}
		pause(ctx, nil, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait = min(2*wait, retryMost)
	}
}

func (s *Sink) attempt(ctx context.Context, b Batch) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.cfg.Target.Send(ctx, b)
}

// kept notes that everything before a place is delivered.
func (s *Sink) kept(at trail.Place) {
	s.at, s.fresh = at, false
	s.mu.Lock()
	again := s.failed != nil
	s.delivered, s.failed = at.Sequence, nil
	s.mu.Unlock()
	if again {
		s.cfg.Logger.Info("a sink takes the audit log again", "record", at.Sequence)
	}
	if time.Since(s.noted) >= noteEvery {
		if err := s.note(); err != nil {
			s.cfg.Logger.Error("what a sink delivered cannot be noted", "error", err)
		}
	}
}

// note writes down what is delivered.
func (s *Sink) note() error {
	s.mu.Lock()
	settled := s.settled
	s.mu.Unlock()
	s.noted = time.Now()
	return writeCursor(s.cfg.Cursors, s.cfg.Name, cursor{Place: s.at, Settled: settled})
}
