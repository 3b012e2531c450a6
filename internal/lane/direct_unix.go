//go:build unix

package lane

import (
	"net"
	"syscall"
)

// direct is the connection as [conn.turns] is called by it; nil if it is none of the kernel's, with TLS for one.
func (c *conn) direct() syscall.RawConn {
	t, ok := c.rw.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// receive reads what is there into buf: again if nothing is yet, 0 if there is an end or an error, which the next read finds too.
func receive(fd uintptr, buf []byte) (n int, again bool) {
	n, err := syscall.Read(int(fd), buf)
	return max(n, 0), err == syscall.EAGAIN
}
