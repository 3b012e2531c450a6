package partition

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const size = 3 // members, and nodes

// Config of a [World].
type Config struct {
	Binary, Member string // programs: kagimori, and the member of this module
	Dir            string
	Spaces         bool // Linux's network namespaces, instead of proxies
	Linearizable   bool // reads of the newest
}

// A World is three members and three nodes.
type World struct {
	cfg     Config
	net     Network
	members [size]*process
	nodes   [size]*process
	begun   time.Time
	admin   *clientv3.Client

	mu  sync.Mutex
	ids map[uint64]int // of members; guarded by mu
}

// NewWorld starts everything, and waits until all nodes serve.
func NewWorld(cfg Config) (w *World, err error) {
	w = &World{cfg: cfg, begun: time.Now(), ids: map[uint64]int{}}
	if cfg.Spaces {
		w.net, err = newSpaces("m0", "m1", "m2", "n0", "n1", "n2")
	} else {
		w.net = newProxies(w.hostOf)
	}
	if err != nil {
		return nil, err
	}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// now is the time since the world began.
func (w *World) now() time.Duration { return time.Since(w.begun) }

func (w *World) start() error {
	for i := range size {
		if err := w.startMember(i); err != nil {
			return err
		}
	}
	var endpoints []string
	for i := range size {
		if err := w.members[i].says("ready", time.Minute); err != nil {
			return err
		}
		a, err := w.net.Reach(clients, fmt.Sprint("m", i), "client")
		if err != nil {
			return err
		}
		endpoints = append(endpoints, a)
	}
	var err error
	if w.admin, err = clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	list, err := w.admin.MemberList(ctx)
	if err != nil {
		return err
	}
	w.know(list.Members)
	for i := range size {
		if err := w.StartNode(i); err != nil {
			return err
		}
	}
	return w.Healthy(2 * time.Minute)
}

func (w *World) know(list []*etcdserverpb.Member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range list {
		w.ids[m.ID] = int(m.Name[1] - '0')
	}
}

// hostOf is the host of a member by its id; "" while nobody knows.
func (w *World) hostOf(id uint64) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i, ok := w.ids[id]; ok {
		return fmt.Sprint("m", i)
	}
	return ""
}

func (w *World) startMember(i int) error {
	host := fmt.Sprint("m", i)
	var all []string
	for j := range size {
		a, err := w.net.Reach("", fmt.Sprint("m", j), "peer")
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprintf("m%d=http://%s", j, a))
	}
	peer, err := w.net.Listen(host, "peer")
	if err != nil {
		return err
	}
	client, err := w.net.Listen(host, "client")
	if err != nil {
		return err
	}
	w.members[i], err = start(w.net.Command(host, w.cfg.Member, "-name", host, "-dir", filepath.Join(w.cfg.Dir, host),
		"-cluster", strings.Join(all, ","), "-peer", peer, "-advertised", strings.TrimPrefix(all[i], host+"=http://"), "-client", client))
	return err
}

// StartNode starts a node that does not run, and does not wait for it.
func (w *World) StartNode(i int) error {
	host := fmt.Sprint("n", i)
	var etcd []string
	for j := range size {
		a, err := w.net.Reach(host, fmt.Sprint("m", j), "client")
		if err != nil {
			return err
		}
		etcd = append(etcd, a)
	}
	listen, err := w.net.Listen(host, "api")
	if err != nil {
		return err
	}
	peer, err := w.net.Reach("", host, "api")
	if err != nil {
		return err
	}
	reads := "bounded"
	if w.cfg.Linearizable {
		reads = "linearizable"
	}
	w.nodes[i], err = start(w.net.Command(host, w.cfg.Binary, "serve", "--dev", "--dev-allow-remote", "--allowed-host", strings.Split(peer, ":")[0], "--listen", listen,
		"--data", filepath.Join(w.cfg.Dir, host), "--store", "etcd://"+strings.Join(etcd, ",")+"/kagimori", "--peer-url", "http://"+peer, "--store-reads", reads))
	return err
}

// RestartNodes ends all nodes and starts them with another kind of reads.
func (w *World) RestartNodes(linearizable bool) error {
	w.cfg.Linearizable = linearizable
	for i := range size {
		w.nodes[i].end()
		if err := w.StartNode(i); err != nil {
			return err
		}
	}
	return w.Healthy(2 * time.Minute)
}

// HTTP is how a client asks a node.
func (w *World) HTTP(node int, timeout time.Duration) (*http.Client, error) {
	a, err := w.net.Reach(clients, fmt.Sprint("n", node), "api")
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial(a), MaxIdleConnsPerHost: 16}, Timeout: timeout}, nil
}

// endpoint is what clients believe to ask: the network decides where they arrive.
const endpoint = "http://localhost:4566"

// health is the status of a node's health page; 0 if there is no answer.
func (w *World) health(node int, timeout time.Duration) int {
	c, err := w.HTTP(node, timeout)
	if err != nil {
		return 0
	}
	defer c.CloseIdleConnections()
	resp, err := c.Get(endpoint + "/_kagimori/health")
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Healthy waits until all nodes say that they serve.
func (w *World) Healthy(patience time.Duration) error {
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		last = nil
		for i := range size {
			if code := w.health(i, 2*time.Second); code != http.StatusOK {
				last = fmt.Errorf("node %d does not serve: %d\n%s", i, code, w.nodes[i].log.tail(2000))
			}
		}
		if last == nil {
			return nil
		}
	}
	return last
}

// Leader is the member that leads, as they say themselves; -1 if nobody does.
func (w *World) Leader() int {
	for i, e := range w.admin.Endpoints() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := w.admin.Status(ctx, e)
		cancel()
		if err == nil && st.Leader == st.Header.MemberId {
			return i
		}
	}
	return -1
}

// MoveLeader has another member lead.
func (w *World) MoveLeader() error {
	from := w.Leader()
	if from < 0 {
		return errors.New("nobody leads")
	}
	to := (from + 1 + rand.IntN(size-1)) % size
	c, err := clientv3.New(clientv3.Config{Endpoints: w.admin.Endpoints()[from : from+1], DialTimeout: 2 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	w.mu.Lock()
	id := uint64(0)
	for k, i := range w.ids {
		if i == to {
			id = k
		}
	}
	w.mu.Unlock()
	_, err = c.MoveLeader(ctx, id)
	return err
}

// trouble are lines of the nodes' logs that no fault explains.
func (w *World) trouble() (out []string) {
	for i, n := range w.nodes {
		if n == nil {
			continue
		}
		for line := range strings.Lines(string(n.log.all())) {
			if strings.Contains(line, "DATA RACE") || strings.Contains(line, "panic") || strings.Contains(line, "fatal error") {
				out = append(out, fmt.Sprintf("node %d: %s", i, line))
			}
		}
	}
	return out
}

// logs are the ends of what the nodes said.
func (w *World) logs() string {
	var b strings.Builder
	for i, n := range w.nodes {
		if n != nil {
			fmt.Fprintf(&b, "node %d:\n%s\n", i, n.log.tail(3000))
		}
	}
	return b.String()
}

// Close ends everything.
func (w *World) Close() error {
	err := w.net.Mend()
	if w.admin != nil {
		_ = w.admin.Close()
	}
	var all sync.WaitGroup
	for _, p := range append(w.nodes[:], w.members[:]...) {
		if p != nil {
			all.Go(p.kill)
		}
	}
	all.Wait()
	return errors.Join(err, w.net.Close())
}
