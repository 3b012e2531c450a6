package sink_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/trail/sink"
)

func closeNow(t testing.TB, s *sink.Sink) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// All lines come in their order, each once, over a restart too.
func TestASinkGetsTheWholeLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4000)
		w.add(t, 2500)
		f := &target{}
		s := w.open(t, f, nil)
		time.Sleep(time.Second)
		if st := s.Status(); st.Delivered != 2500 || st.Behind != 0 || st.Lag != 0 || st.Error != "" || st.Name != "one" {
			t.Errorf("status %+v", st)
		}
		w.add(t, 10)
		closeNow(t, s) // takes what there is along
		if !f.closed {
			t.Error("the target stays open")
		}
		w.add(t, 10)
		s = w.open(t, f, nil)
		time.Sleep(time.Second)
		w.add(t, 3)
		time.Sleep(time.Second)
		closeNow(t, s)
		lines := w.lines(t)
		if got := f.got(); len(got) != len(lines) {
			t.Errorf("%d of %d lines", len(got), len(lines))
		}
		checkCopy(t, f.got(), 1, 2523)
		if f.fresh != 1 {
			t.Errorf("%d batches that follow nothing", f.fresh)
		}
	})
}

// A dead sink holds nobody up. It is asked less and less often, says how far it is behind, and goes on where
// it was.
func TestADeadSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		f := &target{}
		s := w.open(t, f, nil)
		w.add(t, 5)
		time.Sleep(time.Second)
		f.set(errDead)
		begun := time.Now()
		w.add(t, 20)
		if time.Since(begun) != 0 {
			t.Error("requests waited")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait() // an attempt that just began has failed
		early := f.called()
		if early < 6 || early > 12 {
			t.Errorf("%d attempts in ten seconds", early)
		}
		st := s.Status()
		if st.Delivered != 5 || st.Behind != 20 || st.Lag < 10*time.Second || st.Lag > 11*time.Second || st.Error != "dead" || st.Failures != uint64(early-1) {
			t.Errorf("%d attempts, status %+v", early, st)
		}
		time.Sleep(time.Hour)
		if late := f.called() - early; late < 120 || late > 245 {
			t.Errorf("%d attempts in an hour", late)
		}
		f.set(nil)
		time.Sleep(31 * time.Second)
		if st := s.Status(); st.Delivered != 25 || st.Behind != 0 || st.Lag != 0 || st.Error != "" {
			t.Errorf("status %+v", st)
		}
		closeNow(t, s)
		checkCopy(t, f.got(), 1, 25)
	})
}

// How long a record has waited is known over a restart, and a sink that keeps up is never late.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		f := &target{}
		s := w.open(t, f, nil)
		for range 100 {
			w.add(t, 1)
			if s.Lag() > time.Second {
				t.Fatalf("late by %v", s.Lag())
			}
			time.Sleep(300 * time.Millisecond)
		}
		f.set(errDead)
		w.add(t, 1)
		time.Sleep(time.Minute)
		closeNow(t, s)
		time.Sleep(time.Minute)
		s = w.open(t, f, nil)
		if lag := s.Lag(); lag < 2*time.Minute || lag > 2*time.Minute+5*time.Second {
			t.Errorf("late by %v", lag)
		}
		f.set(nil)
		time.Sleep(time.Minute)
		if s.Lag() != 0 {
			t.Errorf("late by %v", s.Lag())
		}
		closeNow(t, s)
		checkCopy(t, f.got(), 1, 101)
	})
}

// A target may say how long it wants to be left alone.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		f := &target{}
		f.set(&sink.WaitError{Wait: time.Minute, Err: errDead})
		s := w.open(t, f, nil)
		w.add(t, 1)
		time.Sleep(59 * time.Second)
		if f.called() != 1 {
			t.Errorf("%d attempts in a minute", f.called())
		}
		f.set(nil)
		time.Sleep(2 * time.Second)
		if f.called() != 2 || s.Status().Behind != 0 {
			t.Errorf("%d attempts, %+v", f.called(), s.Status())
		}
		closeNow(t, s)
	})
}

// Records that were removed before a sink took them are counted, and the sink goes on.
func TestRecordsAreMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3000)
		f := &target{}
		s := w.open(t, f, nil)
		w.add(t, 3)
		time.Sleep(time.Second)
		f.set(errDead)
		closeNow(t, s)
		w.add(t, 60)
		for _, name := range []string{"trail-00000001.jsonl", "trail-00000001.jsonl.s2"} {
			if err := os.Remove(filepath.Join(w.path, name)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		f.set(nil)
		s = w.open(t, f, nil)
		time.Sleep(time.Second)
		st := s.Status()
		closeNow(t, s)
		got := f.got()
		if st.Delivered != 63 || st.Lost == 0 || f.fresh != 2 {
			t.Errorf("status %+v, %d batches that follow nothing", st, f.fresh)
		}
		checkCopy(t, got[3:], 4+st.Lost, 63)
	})
}

// Where the log is another one, all of it comes.
func TestAnotherLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, other := newWorld(t, 0), newWorld(t, 0)
		f := &target{}
		s := w.open(t, f, nil)
		w.add(t, 30)
		time.Sleep(time.Second)
		closeNow(t, s)
		other.add(t, 10)
		s = w.open(t, f, func(c *sink.Config) { c.Trail = other.log })
		time.Sleep(time.Second)
		other.add(t, 10)
		time.Sleep(time.Second)
		closeNow(t, s)
		checkCopy(t, f.got()[30:], 1, 20)
		if st := s.Status(); st.Lost != 0 || f.fresh != 2 {
			t.Errorf("status %+v, %d batches that follow nothing", st, f.fresh)
		}
	})
}

// A new sink may begin with now.
func TestFromNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.add(t, 30)
		f := &target{}
		now := func(c *sink.Config) { c.FromNow = true }
		s := w.open(t, f, now)
		w.add(t, 1)
		time.Sleep(time.Second)
		closeNow(t, s)
		w.add(t, 5)
		s = w.open(t, f, now) // it is not new any more
		time.Sleep(time.Second)
		closeNow(t, s)
		checkCopy(t, f.got(), 31, 36)
	})
}

// What a sink delivered is read strictly: to begin anew by mistake would flood what is behind it.
func TestADamagedCursor(t *testing.T) {
	w := newWorld(t, 0)
	for _, text := range []string{"", "{}", `{"version":2}`, `{"version":1,"place":{"segment":-1}}`} {
		if err := w.cursors.WriteFile("one.json", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := &target{}
		if _, err := sink.Open(sink.Config{Name: "one", Target: f, Trail: w.log, Cursors: w.cursors}); err == nil || !f.closed {
			t.Errorf("%q: %v", text, err)
		}
	}
}
