//go:build !unix

package lane

import "syscall"

// direct is no way here: every request is read by serve.
func (c *conn) direct() syscall.RawConn { return nil }

// receive is not called.
func receive(uintptr, []byte) (n int, again bool) { return 0, false }
