//go:build unix

package lane

import (
	"errors"
	"net"
	"syscall"
)

// gone reports whether the client of a connection has closed it, or its sending side. It takes nothing of
// what is there to be read.
func gone(c net.Conn) bool {
	for {
		under, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = under.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	ended := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = err == nil && n == 0 || errors.Is(err, syscall.ECONNRESET)
	})
	return err == nil && ended
}
