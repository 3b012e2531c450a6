//go:build linux

package faults_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// Commands of NBD's transmission phase.
const (
	nbdRead  = 0
	nbdWrite = 1
	nbdFlush = 3
)

// A block is a client of an exported volume, one request at a time.
type block struct{ conn net.Conn }

// dialBlock connects to an export by its URI.
func dialBlock(uri string) (*block, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("unix", u.Query().Get("socket"))
	if err != nil {
		return nil, err
	}
	b := &block{conn}
	name := strings.TrimPrefix(u.Path, "/")
	hello := binary.BigEndian.AppendUint32(nil, 3)
	hello = binary.BigEndian.AppendUint32(append(hello, "IHAVEOPT"...), 1) // EXPORT_NAME
	hello = append(binary.BigEndian.AppendUint32(hello, uint32(len(name))), name...)
	if _, err = io.ReadFull(conn, make([]byte, 18)); err == nil {
		_, err = conn.Write(hello)
	}
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 10))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return b, nil
}

// nbdError is what the server answers to a request.
type nbdError uint32

// Error is its number.
func (e nbdError) Error() string { return fmt.Sprintf("NBD error %d", uint32(e)) }

func (b *block) ask(command uint16, off int64, n int, data []byte) ([]byte, error) {
	req := binary.BigEndian.AppendUint32(nil, 0x25609513)
	req = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(req, 0), command)
	req = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(req, 1), uint64(off))
	req = append(binary.BigEndian.AppendUint32(req, uint32(n)), data...)
	if err := b.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if _, err := b.conn.Write(req); err != nil {
		return nil, err
	}
	answer := make([]byte, 16)
	if _, err := io.ReadFull(b.conn, answer); err != nil {
		return nil, err
	}
	if e := binary.BigEndian.Uint32(answer[4:]); e != 0 {
		return nil, nbdError(e)
	}
	if command != nbdRead {
		return nil, nil
	}
	out := make([]byte, n)
	_, err := io.ReadFull(b.conn, out)
	return out, err
}

func (b *block) write(off int64, data []byte) error {
	_, err := b.ask(nbdWrite, off, len(data), data)
	return err
}

func (b *block) read(off int64, n int) ([]byte, error) { return b.ask(nbdRead, off, n, nil) }

func (b *block) flush() error {
	_, err := b.ask(nbdFlush, 0, 0, nil)
	return err
}
