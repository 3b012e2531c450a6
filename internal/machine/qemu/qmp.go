package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
)

// maxMessage bounds a message of QEMU.
const maxMessage = 1 << 20

// errGone: QEMU closed its monitor.
var errGone = errors.New("qemu: the monitor is closed")

// A monitor speaks the QEMU Machine Protocol. Source: QEMU documentation, "QEMU Machine Protocol
// Specification".
type monitor struct {
	conn   *net.UnixConn
	events func(name string, data json.RawMessage)

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	closed  bool
}

// A reply is the answer to a command.
type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *struct{ Class, Desc string }
}

// newMonitor greets QEMU and reads what it says until it is gone. events must not wait for commands.
func newMonitor(ctx context.Context, conn *net.UnixConn, events func(string, json.RawMessage)) (*monitor, error) {
	m := &monitor{conn: conn, events: events, waiting: map[int]chan reply{}}
	greeted := make(chan error, 1)
	go m.read(greeted)
	select {
	case err := <-greeted:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	_, err := m.do(ctx, "qmp_capabilities", nil)
	return m, err
}

// read takes messages apart. The first is the greeting.
func (m *monitor) read(greeted chan<- error) {
	lines := bufio.NewScanner(m.conn)
	lines.Buffer(make([]byte, 0, 4096), maxMessage)
	first := true
	for lines.Scan() {
		var msg struct {
			QMP   json.RawMessage
			ID    *int            `json:"id"`
			Event string          `json:"event"`
			Data  json.RawMessage `json:"data"`
			reply
		}
		if err := json.Unmarshal(lines.Bytes(), &msg); err != nil {
			break
		}
		switch {
		case first:
			first = false
			if msg.QMP == nil {
				greeted <- errors.New("qemu: the monitor does not greet")
				m.end()
				return
			}
			greeted <- nil
		case msg.Event != "":
			m.events(msg.Event, msg.Data)
		case msg.ID != nil:
			m.mu.Lock()
			c := m.waiting[*msg.ID]
			delete(m.waiting, *msg.ID)
			m.mu.Unlock()
			if c != nil {
				c <- msg.reply
			}
		}
	}
	if first {
		greeted <- errGone
	}
	m.end()
}

// end wakes whoever waits.
func (m *monitor) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	_ = m.conn.Close() // QEMU is gone, or makes no sense
	for id, c := range m.waiting {
		close(c)
		delete(m.waiting, id)
	}
}

// do performs a command. files go with it, for getfd.
func (m *monitor) do(ctx context.Context, command string, args any, files ...*os.File) (json.RawMessage, error) {
	c := make(chan reply, 1)
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, errGone
	}
	m.next++
	id := m.next
	m.waiting[id] = c
	msg := map[string]any{"execute": command, "id": id}
	if args != nil {
		msg["arguments"] = args
	}
	data, err := json.Marshal(msg)
	if err == nil {
		_, _, err = m.conn.WriteMsgUnix(append(data, '\n'), rights(files), nil)
	}
	if err != nil {
		delete(m.waiting, id)
		m.mu.Unlock()
		return nil, fmt.Errorf("qemu: %s: %w", command, err)
	}
	m.mu.Unlock()
	select {
	case r, ok := <-c:
		switch {
		case !ok:
			return nil, errGone
		case r.Error != nil:
			return nil, fmt.Errorf("qemu: %s: %s", command, r.Error.Desc)
		}
		return r.Return, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
