package app_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/kagimori/kagimori/internal/app"
)

func TestGarbageIsBounded(t *testing.T) {
	for _, tt := range []struct {
		used uint64
		want int
	}{{0, 400}, {1 << 20, 400}, {64 << 20, 400}, {128 << 20, 200}, {256 << 20, 100}, {8 << 30, 100}} {
		if got := app.GarbagePercent(tt.used); got != tt.want {
			t.Errorf("%d bytes in use: %d, want %d", tt.used, got, tt.want)
		}
	}
}

// What is in use grows, and shrinks again.
func TestGarbageIsBoundedByWhatIsInUse(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	app.CollectLess()
	becomes := func(want func(percent int) bool) {
		t.Helper()
		got := 0
		for range 1000 {
			runtime.GC()
			got = debug.SetGCPercent(400) // there is no other way to ask
			debug.SetGCPercent(got)
			if want(got) {
				return
			}
		}
		t.Errorf("the percentage stays at %d", got)
	}
	becomes(func(p int) bool { return p == 400 })
	large := make([]byte, 512<<20) // of which no page is touched
	becomes(func(p int) bool { return p == 100 })
	runtime.KeepAlive(large)
	large = nil
	becomes(func(p int) bool { return p > 300 })
	_ = large
}
