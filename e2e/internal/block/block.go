// Package block is a small client of NBD for exported volumes: one request at a time, as the tests of volumes
// need it.
package block

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
	read  = 0
	write = 1
	flush = 3
)

// A Client has a connection to an exported volume.
type Client struct{ conn net.Conn }

// Dial connects to an export on a Unix socket by its URI.
func Dial(uri string) (*Client, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, err
	}
	return Open(u.Query().Get("socket"), strings.TrimPrefix(u.Path, "/"))
}

// Open connects to an export by its socket and name.
func Open(socket, name string) (*Client, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
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
	return &Client{conn}, nil
}

// Close ends the connection.
func (b *Client) Close() error { return b.conn.Close() }

// An Error is what the server answers to a request.
type Error uint32

// Error is its number.
func (e Error) Error() string { return fmt.Sprintf("NBD error %d", uint32(e)) }

func (b *Client) ask(command uint16, off int64, n int, data []byte) ([]byte, error) {
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
		return nil, Error(e)
	}
	if command != read {
		return nil, nil
	}
	out := make([]byte, n)
	_, err := io.ReadFull(b.conn, out)
	return out, err
}

// Write has data written at off; it is durable after the next Flush.
func (b *Client) Write(off int64, data []byte) error {
	_, err := b.ask(write, off, len(data), data)
	return err
}

// Read is the n bytes at off.
func (b *Client) Read(off int64, n int) ([]byte, error) { return b.ask(read, off, n, nil) }

// Flush makes what was written durable.
func (b *Client) Flush() error {
	_, err := b.ask(flush, 0, 0, nil)
	return err
}
