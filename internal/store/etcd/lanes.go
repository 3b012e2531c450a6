package etcd

import (
	"strconv"
	"sync"
)

// A lane is a key that each commit of it writes: if the answer to a commit is lost, the key tells
// whether it took place, and writing it anew keeps one that is still under way from taking place.
// A lane has one commit at a time.
type lane struct {
	key string
	rev int64 // of its last commit; 0 before the first
}

type lanes struct {
	mu   sync.Mutex
	free []*lane // guarded by mu
	made int     // guarded by mu
}

// take gives a lane that nobody else has.
func (l *lanes) take(p space, node string) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		last := l.free[n-1]
		l.free = l.free[:n-1]
		return last
	}
	l.made++
	return &lane{key: p.own(commitKey, node, strconv.Itoa(l.made))}
}

// give takes a lane back whose last commit is known.
func (l *lanes) give(it *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, it)
}
