package hosts

import (
	"context"
	"io"
	"net"
)

// A volume with Multi-Attach stays on one host. Machines of other hosts have it over a line: a connection on which
// the host of the volume answers NBD, so that all of them see one order of what was written, and a flush of any
// makes durable what was acknowledged to all.

// A lineKey is who has a line: one for each instance and volume.
type lineKey struct{ volume, instance string }

// A line is served to the machine of an instance on another host.
type line struct {
	conn net.Conn
	over chan struct{} // closed when nothing is done for it any more
}

// ServeLine serves a volume of this node's host to the machine of an instance on another one, for which it is
// held, until it is released. A line that the instance had before ends first, with everything that was asked on
// it. Error: [ErrNotHeld].
func (a *Agent) ServeLine(ctx context.Context, c net.Conn, volume, instance string) error {
	h, key := a.host, lineKey{volume, instance}
	l := &line{c, make(chan struct{})}
	h.mu.Lock()
	e := h.held[volume]
	if h.closed || e == nil || !e.holders[instance] {
		h.mu.Unlock()
		_ = c.Close() // nobody is answered
		return ErrNotHeld
	}
	before := h.lines[key]
	h.lines[key] = l
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		if h.lines[key] == l {
			delete(h.lines, key)
		}
		h.mu.Unlock()
		close(l.over)
	}()
	if before != nil {
		before.end()
	}
	return h.serveDisk(ctx, c, volume, a.cfg.Logger)
}

// end ends a line, and waits until nothing is done for it any more.
func (l *line) end() {
	_ = l.conn.Close() // whoever serves it notices
	<-l.over
}

// endLines ends the lines of a volume to an instance, or with "" to all.
func (h *Host) endLines(volume, instance string) {
	h.mu.Lock()
	var all []*line
	for key, l := range h.lines {
		if key.volume == volume && (instance == "" || key.instance == instance) {
			all = append(all, l)
		}
	}
	h.mu.Unlock()
	for _, l := range all {
		l.end()
	}
}

// splice carries what two connections say to each other until one of them ends, or ctx.
func splice(ctx context.Context, a, b net.Conn) error {
	end := func() {
		_ = a.Close()
		_ = b.Close()
	}
	defer context.AfterFunc(ctx, end)()
	results := make(chan error, 2)
	carry := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		end()
		results <- err
	}
	go carry(a, b)
	go carry(b, a)
	first := <-results
	<-results
	return first
}
