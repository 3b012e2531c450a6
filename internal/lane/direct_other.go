//go:build !unix

package lane

import "syscall"

func (c *conn) direct() syscall.RawConn { return nil }

func receive(uintptr, []byte) (n int, again bool) { return 0, false }
