package partition

import (
	"context"
	"net"
	"os/exec"
	"time"
)

// Hosts are m0 to m2, which etcd's members are on, n0 to n2, where nodes are, and c, where clients are.
const clients = "c"

// A Network is what is between hosts.
type Network interface {
	// Listen is the address at which a program on a host is to listen for something.
	Listen(host, what string) (address string, err error)
	// Reach is the address of that for programs on another host. from is "" for all but clients: then
	// everybody uses the same address.
	Reach(from, host, what string) (address string, err error)
	// Command is a program on a host.
	Command(host, name string, args ...string) *exec.Cmd
	// Cut has everything vanish that goes from one host to another, until Mend.
	Cut(from, to string) error
	// Slow has it arrive later, until Mend. ok is false if this network cannot.
	Slow(from, to string, by time.Duration) (ok bool)
	// Break ends the connections between two hosts. ok is false if this network cannot.
	Break(a, b string) (ok bool)
	// Mend undoes everything.
	Mend() error
	Close() error
}

// dial connects to an address whatever name is asked for.
func dial(address string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}
