package partition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"
)

// spaces is a network of Linux's network namespaces, one for each host, at one bridge. The process itself
// has to be in a namespace that it may change; the bridge goes with that.
type spaces struct {
	holders map[string]*holder
}

// A holder is a process whose namespace is a host.
type holder struct {
	cmd *exec.Cmd
	in  io.Closer // it ends when this is closed
}

// NeedsSpaces is what to do where namespaces cannot be made.
const NeedsSpaces = "network namespaces cannot be made here: run it as root (sudo make partition), in Docker with --privileged or --cap-add SYS_ADMIN --cap-add NET_ADMIN"

// number is the last byte of a host's address.
func number(host string) int {
	if host == clients {
		return 254
	}
	n, _ := strconv.Atoi(host[1:])
	if host[0] == 'n' {
		return 11 + n
	}
	return 1 + n
}

func ip(host string) string  { return fmt.Sprintf("10.77.0.%d", number(host)) }
func mac(host string) string { return fmt.Sprintf("02:00:00:77:00:%02x", number(host)) }

// nowhere is the hardware address of nobody.
const nowhere = "02:00:00:77:ff:ff"

const bridge = "kmbr0"

// newSpaces makes the network in this process's namespace.
func newSpaces(hosts ...string) (*spaces, error) {
	s := &spaces{holders: map[string]*holder{}}
	if err := command("ip", "link", "set", "lo", "up"); err != nil {
		return nil, fmt.Errorf("%s: %w", NeedsSpaces, err)
	}
	for _, args := range [][]string{
		{"link", "add", bridge, "address", mac(clients), "type", "bridge"},
		{"addr", "add", ip(clients) + "/24", "dev", bridge},
		{"link", "set", bridge, "up"},
	} {
		if err := command("ip", args...); err != nil {
			return nil, fmt.Errorf("%s: %w", NeedsSpaces, err)
		}
	}
	for _, h := range hosts {
		if err := s.add(h); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	for _, a := range append(hosts, clients) {
		for _, b := range append(hosts, clients) {
			if a != b {
				if err := s.neighbour(a, b, mac(b)); err != nil {
					return nil, errors.Join(err, s.Close())
				}
			}
		}
	}
	return s, nil
}

func (s *spaces) add(host string) error {
	h := &holder{cmd: exec.Command("unshare", "--net", "cat")}
	in, err := h.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := h.cmd.Start(); err != nil {
		return err
	}
	h.in = in
	s.holders[host] = h
	if _, err := io.WriteString(in, "there\n"); err != nil { // cat answers once it is in its namespace
		return err
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		return fmt.Errorf("%s: %w", NeedsSpaces, err)
	}
	link := "km" + host
	for _, args := range [][]string{
		{"link", "add", link, "type", "veth", "peer", "name", "eth0", "address", mac(host), "netns", strconv.Itoa(h.cmd.Process.Pid)},
		{"link", "set", link, "master", bridge, "up"},
	} {
		if err := command("ip", args...); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", ip(host) + "/24", "dev", "eth0"}, {"link", "set", "eth0", "up"}} {
		if err := s.in(host, args...); err != nil {
			return err
		}
	}
	return nil
}

// in runs ip on a host.
func (s *spaces) in(host string, args ...string) error {
	if host == clients {
		return command("ip", args...)
	}
	return command("nsenter", append([]string{"--net=" + s.path(host), "ip"}, args...)...)
}

func (s *spaces) path(host string) string {
	return fmt.Sprintf("/proc/%d/ns/net", s.holders[host].cmd.Process.Pid)
}

func command(name string, args ...string) error {
	if text, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", name, args, err, bytes.TrimSpace(text))
	}
	return nil
}

// neighbour tells a host the hardware address of another one.
func (s *spaces) neighbour(at, of, address string) error {
	dev := "eth0"
	if at == clients {
		dev = bridge
	}
	return s.in(at, "neigh", "replace", ip(of), "lladdr", address, "dev", dev, "nud", "permanent")
}

var ports = map[string]string{"client": "2379", "peer": "2380", "api": "4566"}

// Listen implements [Network].
func (s *spaces) Listen(host, what string) (string, error) { return ip(host) + ":" + ports[what], nil }

// Reach implements [Network].
func (s *spaces) Reach(_, host, what string) (string, error) { return s.Listen(host, what) }

// Command implements [Network].
func (s *spaces) Command(host, name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=" + s.path(host), name}, args...)...)
}

// Cut implements [Network]: what is sent has the address of nobody.
func (s *spaces) Cut(from, to string) error { return s.neighbour(from, to, nowhere) }

// Slow implements [Network].
func (s *spaces) Slow(string, string, time.Duration) bool { return false }

// Break implements [Network].
func (s *spaces) Break(string, string) bool { return false }

// Mend implements [Network].
func (s *spaces) Mend() (err error) {
	hosts := []string{clients}
	for h := range s.holders {
		hosts = append(hosts, h)
	}
	for _, a := range hosts {
		for _, b := range hosts {
			if a != b {
				err = errors.Join(err, s.neighbour(a, b, mac(b)))
			}
		}
	}
	return err
}

// Close implements [Network].
func (s *spaces) Close() error {
	for _, h := range s.holders {
		_ = h.in.Close()
		_ = h.cmd.Wait()
	}
	return command("ip", "link", "del", bridge)
}
