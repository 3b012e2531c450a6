//go:build !unix

package lane

import "net"

// gone reports whether the client of a connection has closed it, which cannot be seen here.
func gone(net.Conn) bool { return false }
