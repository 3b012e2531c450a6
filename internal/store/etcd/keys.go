package etcd

import (
	"strings"

	"github.com/kagimori/kagimori/internal/store"
)

// A space is the part of etcd's keys that is ours: everything that starts with a prefix. Below it,
// "\x00" and a name are the engine's own keys, and store.Key(bucket) followed by the key is a pair.
type space string

// own is a key of the engine's.
func (p space) own(parts ...string) string { return string(p) + "\x00" + store.Key(parts...) }

// data are the bounds of all pairs, without the engine's own keys.
func (p space) data() (lo, hi string) {
	_, hi = store.Range{Prefix: string(p)}.Bounds()
	if hi == "" {
		hi = "\x00" // etcd's way to say: without end
	}
	return string(p) + "\x01", hi
}

// key is where a pair is.
func (p space) key(bucket, key string) string { return string(p) + store.Key(bucket) + key }

// split undoes key; ok is false for a key that is not ours.
func (p space) split(key string) (bucket, rest string, ok bool) {
	key, ok = strings.CutPrefix(key, string(p))
	if !ok {
		return "", "", false
	}
	end := strings.IndexByte(key, 0)
	if end < 1 {
		return "", "", false
	}
	return store.SplitKey(key[:end+1])[0], key[end+1:], true
}

// bounds are those of a range of a bucket. There always is an end: that of the bucket.
func (p space) bounds(bucket string, r store.Range) (lo, hi string) {
	lo, hi = r.Bounds()
	base := string(p) + store.Key(bucket)
	if hi == "" {
		return base + lo, base[:len(base)-1] + "\x01" // 00 ends a bucket's name, so this is above all of its keys
	}
	return base + lo, base + hi
}

// valid reports whether there can be a pair of that name.
func valid(bucket, key string) bool {
	return bucket != "" && bucket[0] != 0 && key != "" && max(len(bucket), len(key)) <= store.MaxKey
}

// A stored value is a byte and the data. A deleted key keeps a tombstone for a while, so that whoever
// read a range before learns of it: etcd compares the revisions of keys that are there.
const (
	dead  = 0
	alive = 1
)

func encode(data []byte) string {
	var b strings.Builder
	b.Grow(len(data) + 1)
	b.WriteByte(alive)
	b.Write(data)
	return b.String()
}

const tombstone = "\x00"
