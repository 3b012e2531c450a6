package partition

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A process is a program that runs.
type process struct {
	cmd  *exec.Cmd
	in   io.Closer
	log  *logged
	gone chan struct{}
}

// start runs a program. Its standard input ends with this process.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, log: &logged{}, gone: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.in = in
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.gone)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill ends it at once, also while it is stopped.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.gone
	_ = p.in.Close()
}

// end has it end by itself.
func (p *process) end() {
	_ = p.signal(syscall.SIGCONT)
	_ = p.signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(20 * time.Second):
		p.kill()
	}
	_ = p.in.Close()
}

// says waits until the log has a text.
func (p *process) says(text string, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if bytes.Contains(p.log.all(), []byte(text)) {
			return nil
		}
		select {
		case <-p.gone:
			return errors.New("it ended: " + p.log.tail(2000))
		default:
		}
	}
	return errors.New("it does not say " + text + ": " + p.log.tail(2000))
}

// logged keeps what a program prints.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is for the program.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) all() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

func (l *logged) tail(n int) string {
	all := l.all()
	return string(all[max(0, len(all)-n):])
}
