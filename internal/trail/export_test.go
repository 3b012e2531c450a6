package trail

import "os"

// AppendJSON writes a record as the log has it, but for its place.
func (r *Record) AppendJSON(b []byte) ([]byte, error) { return r.append(b) }

// Heads reads the head of a line in both ways: a HeadReader's and encoding/json's. The first is nil if a
// line is none.
func Heads() func(line []byte) (fast, slow any) {
	r := newHeadReader()
	return func(line []byte) (fast, slow any) {
		if h, ok := r.read(line); ok {
			fast = h
		}
		if h, ok := decodeHead(line); ok {
			slow = h
		}
		return fast, slow
	}
}

// EachPart is eachPart.
func EachPart(f *os.File, size int64, fn func([]byte) error) error { return eachPart(f, size, fn) }
