//go:build linux

package faults_test

import "testing"

// A value that was acknowledged and is not there, one that nobody asked for, and one from before, are noticed.
func TestLossesAreNoticed(t *testing.T) {
	steps := 0
	l := &ledger{mark: func() int { return steps }}
	now := "a"
	r := l.add("r", func(*world) (string, error) { return now, nil })
	set := func(text string, ok bool) {
		steps += 10
		_ = l.set(r, text, func() error {
			steps += 10
			if ok {
				return nil
			}
			return errNoAnswer
		})
	}
	set("a", true)  // asked at 10, acknowledged at 20
	set("b", true)  // 30, 40
	set("c", false) // 50
	for _, tt := range []struct {
		at   int
		now  string
		good bool
	}{
		{45, "b", true}, {45, "a", false}, {45, "c", false}, {45, "", false}, {35, "a", true}, {35, "b", true}, {35, "c", false},
		{25, "", false}, {15, "", true}, {15, "a", true}, {5, "a", false}, {5, "", true}, {end, "b", true}, {end, "x", false}, {60, "c", true},
	} {
		now = tt.now
		copied := &register{name: r.name, read: r.read, past: append([]value(nil), r.past...)}
		if err := copied.check(nil, tt.at); (err == nil) != tt.good {
			t.Errorf("at %d it is %q: %v", tt.at, tt.now, err)
		}
	}
}

// What was acknowledged before it was made may be given up until it is, and not after.
func TestWhatIsMadeIsThere(t *testing.T) {
	for now, good := range map[string][2]bool{"there": {true, true}, "": {true, false}, "other": {false, false}} {
		for i, made := range []error{errNoAnswer, nil} {
			l := &ledger{mark: func() int { return 1 }}
			r := l.start("r", "there", func(*world) (string, error) { return now, nil })
			_ = l.made(r, "there", func() error { return made })
			if err := r.check(nil, end); (err == nil) != good[i] {
				t.Errorf("made: %v, and it is %q: %v", made == nil, now, err)
			}
		}
	}
}

type noAnswer struct{}

// Error is a sentence.
func (noAnswer) Error() string { return "no answer" }

var errNoAnswer = noAnswer{}
