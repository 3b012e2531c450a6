package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// CollectLess lets the garbage collector of a process that is a server run less often than Go would: the
// memory that is in use is small, and what requests leave behind would be collected many times a second.
// Where much is in use, as with a large cache of keys, garbage is bounded by [GarbagePercent].
// The variable GOGC is obeyed. The profile of what is allocated samples as much less often, for it costs a
// walk of the stack each time.
func CollectLess() {
	const usual, seldom = 512 << 10, 8 << 20
	if runtime.MemProfileRate == usual {
		runtime.MemProfileRate = seldom
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(mostPercent)
		afterEachCollection(mostPercent)
	}
}

const (
	mostPercent  = 400 // of the memory in use
	leastPercent = 100
	someGarbage  = 256 << 20
)

// GarbagePercent is how much garbage may be made before it is collected, in hundredths of the memory that is in
// use: four times as much, but not more than 256 MB, or than what is in use if that is more.
func GarbagePercent(used uint64) int {
	if used == 0 {
		return mostPercent
	}
	return int(min(mostPercent, max(leastPercent, someGarbage*100/used)))
}

// afterEachCollection sets the percentage anew: what it hangs on is garbage itself.
func afterEachCollection(set int) {
	type mark struct{ _ *byte } // with a pointer, so that it is no part of a block with others
	runtime.AddCleanup(new(mark), func(set int) {
		used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(used)
		// Setting it stops the world for a moment.
		if to := GarbagePercent(used[0].Value.Uint64()); to*10 < set*9 || to*9 > set*10 {
			set = to
			debug.SetGCPercent(set)
		}
		afterEachCollection(set)
	}, set)
}
