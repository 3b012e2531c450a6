//go:build linux

package faults_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/kagimori/kagimori/e2e/internal/block"
)

const (
	sector = 4096
	piece  = 512 // what a disk writes at once
	many   = 128 // sectors that are written
)

// sectors are what a client wrote to a volume: one client at a time.
type sectors struct {
	mu   sync.Mutex
	next uint64
	past [many][]stamp
}

// A stamp is what a sector was filled with. It is durable when a flush was acknowledged.
type stamp struct {
	number       uint64
	asked, acked int
}

func newSectors() *sectors {
	s := &sectors{}
	for i := range s.past {
		s.past[i] = []stamp{{}}
	}
	return s
}

func filled(number uint64) []byte {
	return bytes.Repeat(binary.LittleEndian.AppendUint64(nil, number), sector/8)
}

// write writes sectors and flushes, until something fails.
func (s *sectors) write(b *block.Client, mark func() int, stop func() bool) error {
	for !stop() {
		var written []int
		for range 8 {
			i := rand.IntN(many)
			s.mu.Lock()
			s.next++
			n := s.next
			s.past[i] = append(s.past[i], stamp{n, mark(), never})
			s.mu.Unlock()
			if err := b.Write(int64(i)*sector, filled(n)); err != nil {
				return err
			}
			written = append(written, i)
		}
		if err := b.Flush(); err != nil {
			return err
		}
		s.mu.Lock()
		at := mark()
		for _, i := range written {
			for k := range s.past[i] {
				s.past[i][k].acked = min(s.past[i][k].acked, at)
			}
		}
		s.mu.Unlock()
	}
	return nil
}

// acknowledged is how many writes were flushed by a mark.
func (s *sectors) acknowledged(by int) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.past {
		for _, st := range s.past[i] {
			if st.number > 0 && st.acked <= by {
				n++
			}
		}
	}
	return n
}

// check compares what the volume holds with what it may after a cut at a mark. A sector that was written and not
// flushed may be a mix.
func (s *sectors) check(b *block.Client, at int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i := range s.past {
		last := 0
		for k, st := range s.past[i] {
			if st.acked <= at {
				last = k
			}
		}
		may := []uint64{s.past[i][last].number}
		for _, st := range s.past[i][last+1:] {
			if st.asked <= at {
				may = append(may, st.number)
			}
		}
		got, err := b.Read(int64(i)*sector, sector)
		if err != nil {
			return err
		}
		for p := 0; p < sector; p += piece {
			n := binary.LittleEndian.Uint64(got[p:])
			// A write that was under way into a hole may read as zeros.
			if !slices.Contains(may, n) && !(n == 0 && len(may) > 1) || !bytes.Equal(got[p:p+piece], filled(n)[:piece]) {
				errs = append(errs, fmt.Errorf("sector %d at %d holds %d, not one of %d", i, p, n, may))
				break
			}
		}
		if at == end && len(may) > 1 { // the next life starts from here: any mix
			for k := range s.past[i] {
				if k >= last {
					s.past[i][k].asked = 0
				}
			}
		}
	}
	return errors.Join(errs...)
}
