package lane_test

import (
	"net"
	"syscall"
	"testing"
)

// hold keeps what is written until the connection's side ends.
func hold(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
}
