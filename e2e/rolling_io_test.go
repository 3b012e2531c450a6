package e2e_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kagimori/kagimori/e2e/internal/block"
)

const (
	ioSlots = 64
	ioSize  = 4096
	// ioBurst is how many writes go before a flush: fewer than slots, so that a slot has one value in doubt at most.
	ioBurst = 8
	// ioForbidden is a place that nobody writes to who may write.
	ioForbidden = ioSlots * ioSize
)

// A diskUser writes to a volume wherever it is served, flushes, and knows what has to be there. When a connection
// ends it asks for another export, until it is given one.
type diskUser struct {
	volume string
	export func(volume string) (socket, name string, err error)

	last, doubt [ioSlots]uint64 // what was flushed, or read; and what was written since
	next        uint64

	flushed atomic.Int64           // writes that were acknowledged as durable
	socket  atomic.Pointer[string] // where it is served now
	opened  int
	pause   time.Duration // the longest between two flushes
}

// use writes until stop is closed, and then reads everything once more. An error is something lost, or a volume
// that two hosts serve.
func (d *diskUser) use(ctx context.Context, stop <-chan struct{}) error {
	var idle *block.Client // of the export before: nobody used it, so it is only dead if its host let go
	var before string
	rested := time.Now()
	for {
		socket, name, err := d.export(d.volume)
		var busy, watch *block.Client
		if err == nil {
			busy, err = block.Open(socket, name)
		}
		if err == nil {
			watch, err = block.Open(socket, name)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if since := time.Since(rested); since > patience {
				return fmt.Errorf("%s is not served for %s: %w", d.volume, since, err)
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if _, err := d.check(busy); err != nil {
			return err
		}
		if idle != nil {
			if err := idle.Write(ioForbidden, bytes.Repeat([]byte{0xee}, ioSize)); err == nil {
				return fmt.Errorf("%s is served at %s, and still at %s", d.volume, socket, before)
			}
			_ = idle.Close()
		}
		idle, before = watch, socket
		d.socket.Store(&socket)
		d.opened++
		for err == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-stop:
				if whole, err := d.check(busy); whole || err != nil {
					return err
				}
			default:
			}
			if err = d.burst(busy); err == nil {
				d.pause, rested = max(d.pause, time.Since(rested)), time.Now()
				time.Sleep(5 * time.Millisecond)
			}
		}
		_ = busy.Close()
	}
}

func ioContent(number uint64) []byte {
	if number == 0 {
		return make([]byte, ioSize)
	}
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, number), ioSize/8)
}

func (d *diskUser) burst(b *block.Client) error {
	var slots [ioBurst]int
	for i := range slots {
		d.next++
		slots[i] = int(d.next % ioSlots)
		d.doubt[slots[i]] = d.next
		if err := b.Write(int64(slots[i])*ioSize, ioContent(d.next)); err != nil {
			return err
		}
	}
	if err := b.Flush(); err != nil {
		return err
	}
	for _, s := range slots {
		d.last[s] = d.doubt[s]
	}
	d.flushed.Add(ioBurst)
	return nil
}

// check compares what is there with what was flushed; a write whose flush was not answered may have come through,
// and is what has to be there from then on. whole is false if the connection ended before all was read.
func (d *diskUser) check(b *block.Client) (whole bool, err error) {
	for s := range ioSlots {
		got, err := b.Read(int64(s)*ioSize, ioSize)
		if err != nil {
			return false, nil
		}
		switch {
		case bytes.Equal(got, ioContent(d.last[s])):
		case bytes.Equal(got, ioContent(d.doubt[s])):
			d.last[s] = d.doubt[s]
		default:
			return false, fmt.Errorf("%s: slot %d has %x, not %d or %d", d.volume, s, got[:8], d.last[s], d.doubt[s])
		}
		d.doubt[s] = d.last[s]
	}
	got, err := b.Read(ioForbidden, ioSize)
	if err == nil && !bytes.Equal(got, ioContent(0)) {
		return false, fmt.Errorf("%s: a host wrote that had lost it", d.volume)
	}
	return err == nil, nil
}
