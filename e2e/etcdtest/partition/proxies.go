package partition

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// proxies is a network on the loopback: whoever reaches another host reaches a proxy. It needs no rights.
type proxies struct {
	// hostOf tells which host an etcd member is on, by its id: a member says who it is when it
	// connects to another one.
	hostOf func(member uint64) string

	mu    sync.Mutex
	at    map[string]string    // host and what -> address; guarded by mu
	ways  map[string]*listener // from, host and what; guarded by mu
	cut   map[[2]string]bool   // guarded by mu
	slow  map[[2]string]time.Duration
	heal  chan struct{} // closed by Mend; guarded by mu
	conns map[*through]bool
	wg    sync.WaitGroup
}

type listener struct {
	net.Listener
	from, to string
}

// through is a connection through a proxy.
type through struct {
	mu       sync.Mutex
	from, to string // from is "" until it is known
	member   uint64 // the id of who connected, once it said so
	in, out  net.Conn
}

func newProxies(hostOf func(uint64) string) *proxies {
	return &proxies{
		hostOf: hostOf, at: map[string]string{}, ways: map[string]*listener{}, heal: make(chan struct{}),
		cut: map[[2]string]bool{}, slow: map[[2]string]time.Duration{}, conns: map[*through]bool{},
	}
}

// Listen implements [Network].
func (p *proxies) Listen(host, what string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.at[host+what]; a != "" {
		return a, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	p.at[host+what] = l.Addr().String()
	return p.at[host+what], l.Close()
}

// Reach implements [Network].
func (p *proxies) Reach(from, host, what string) (string, error) {
	target, err := p.Listen(host, what)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name := from + ">" + host + what
	if w := p.ways[name]; w != nil {
		return w.Addr().String(), nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	w := &listener{l, from, host}
	p.ways[name] = w
	p.wg.Go(func() { p.serve(w, target) })
	return l.Addr().String(), nil
}

// Command implements [Network].
func (p *proxies) Command(_, name string, args ...string) *exec.Cmd {
	return exec.Command(name, args...)
}

func (p *proxies) serve(w *listener, target string) {
	for {
		in, err := w.Accept()
		if err != nil {
			return
		}
		t := &through{from: w.from, to: w.to, in: in}
		p.mu.Lock()
		p.conns[t] = true
		p.mu.Unlock()
		p.wg.Go(func() {
			p.pass(t, target)
			p.mu.Lock()
			delete(p.conns, t)
			p.mu.Unlock()
		})
	}
}

// pass joins a connection with its target.
func (p *proxies) pass(t *through, target string) {
	defer t.in.Close()
	p.wait(t, true)
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	t.mu.Lock()
	t.out = out
	t.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(t, true); out.Close(); t.in.Close() })
	both.Go(func() { p.copy(t, false); out.Close(); t.in.Close() })
	both.Wait()
}

// sender is in front of the id of the member that makes a request to another one.
var sender = []byte("X-Server-From: ")

func (p *proxies) copy(t *through, forth bool) {
	from, to := t.in, t.out
	if !forth {
		from, to = to, from
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if forth {
				t.identify(buf[:n], p.hostOf)
			}
			p.wait(t, forth)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err == io.EOF {
				p.wait(t, forth) // that a connection ends is not told through a cut either
			}
			return
		}
	}
}

// identify finds which member connected.
func (t *through) identify(data []byte, hostOf func(uint64) string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from != "" {
		return
	}
	if _, after, ok := bytes.Cut(data, sender); ok && t.member == 0 {
		id, _, _ := strings.Cut(string(after), "\r\n")
		t.member, _ = strconv.ParseUint(id, 16, 64)
	}
	if t.member != 0 {
		t.from = hostOf(t.member) // not known while members begin
	}
}

// wait waits until data may go through.
func (p *proxies) wait(t *through, forth bool) {
	t.mu.Lock()
	from, to := t.from, t.to
	t.mu.Unlock()
	if !forth {
		from, to = to, from
	}
	for {
		p.mu.Lock()
		blocked, slow, heal := p.cut[[2]string{from, to}], p.slow[[2]string{from, to}], p.heal
		for c := range p.cut { // nobody knows which member's it is: the strictest
			blocked = blocked || from == "" && c[0][0] == 'm' && c[1] == to || to == "" && c[1][0] == 'm' && c[0] == from
		}
		p.mu.Unlock()
		if !blocked {
			if slow > 0 {
				time.Sleep(slow)
			}
			return
		}
		<-heal
	}
}

// Cut implements [Network].
func (p *proxies) Cut(from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut[[2]string{from, to}] = true
	return nil
}

// Slow implements [Network].
func (p *proxies) Slow(from, to string, by time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow[[2]string{from, to}] = by
	return true
}

// Break implements [Network].
func (p *proxies) Break(a, b string) bool {
	p.end(func(from, to string) bool { return from == a && to == b || from == b && to == a })
	return true
}

// end ends connections.
func (p *proxies) end(which func(from, to string) bool) {
	p.mu.Lock()
	conns := maps.Clone(p.conns)
	p.mu.Unlock()
	for t := range conns {
		t.mu.Lock()
		if which(t.from, t.to) {
			t.in.Close()
			if t.out != nil {
				t.out.Close()
			}
		}
		t.mu.Unlock()
	}
}

// Mend implements [Network]. Some of the connections that were cut have ended meanwhile, the others go on.
func (p *proxies) Mend() error {
	p.mu.Lock()
	cut := p.cut
	p.cut, p.slow = map[[2]string]bool{}, map[[2]string]time.Duration{}
	p.mu.Unlock()
	p.end(func(from, to string) bool {
		return (cut[[2]string{from, to}] || cut[[2]string{to, from}]) && rand.IntN(2) == 0
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.heal)
	p.heal = make(chan struct{})
	return nil
}

// Close implements [Network].
func (p *proxies) Close() error {
	err := p.Mend()
	p.mu.Lock()
	for _, w := range p.ways {
		w.Close()
	}
	p.mu.Unlock()
	p.end(func(string, string) bool { return true })
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("proxies do not end")
	}
	return err
}
