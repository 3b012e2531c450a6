package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// A Cluster is etcd members on the loopback.
type Cluster struct {
	dir     string
	configs []*embed.Config
	members []*embed.Etcd // nil: stopped
}

// Start runs n members with their data in a folder, and waits until they have a leader.
func Start(dir string, n int) (*Cluster, error) { return StartWith(dir, n, func(*embed.Config) {}) }

// StartWith is Start with settings changed.
func StartWith(dir string, n int, change func(*embed.Config)) (*Cluster, error) {
	c := &Cluster{dir: dir, members: make([]*embed.Etcd, n)}
	peers, err := addresses(2 * n)
	if err != nil {
		return nil, err
	}
	clients := peers[n:]
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("m%d=http://%s", i, peers[i]))
	}
	for i := range n {
		name := fmt.Sprintf("m%d", i)
		cfg := Place{
			Name: name, Dir: filepath.Join(dir, name), Cluster: strings.Join(all, ","), Peer: peers[i], Advertised: peers[i], Client: clients[i],
		}.config()
		cfg.LogLevel, cfg.LogOutputs = "error", []string{filepath.Join(dir, cfg.Name+".log")}
		cfg.TickMs, cfg.ElectionMs = 50, 500
		change(cfg)
		c.configs = append(c.configs, cfg)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	begun := make(chan error, n)
	for i := range n {
		go func() { begun <- c.StartMember(i) }()
	}
	for range n {
		err = errors.Join(err, <-begun)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// A Place is where a member is, in addresses with ports.
type Place struct {
	Name, Dir string
	Cluster   string // all members with their advertised addresses: NAME=http://ADDRESS,...
	// Peer is where it listens for the others, who reach it at Advertised; Client where it listens for clients.
	Peer, Advertised, Client string
}

func (p Place) config() *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = p.Name, p.Dir, p.Cluster
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = urls(p.Peer), urls(p.Advertised)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = urls(p.Client), urls(p.Client)
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the least
	cfg.MaxRequestBytes = embed.DefaultMaxRequestBytes
	return cfg
}

// Serve runs a member alone, with etcd's own times, and calls ready when it serves, until done is closed.
func Serve(p Place, done <-chan struct{}, ready func()) error {
	cfg := p.config()
	cfg.LogLevel, cfg.LogOutputs = "error", []string{"stderr"}
	m, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	select {
	case <-m.Server.ReadyNotify():
		ready()
	case <-done:
	}
	select {
	case err = <-m.Err():
	case <-done:
	}
	return err
}

func serve(cfg *embed.Config) (*embed.Etcd, error) {
	m, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-m.Server.ReadyNotify():
		return m, nil
	case <-time.After(30 * time.Second):
		m.Close()
		return nil, errors.New("etcdtest: a member did not become ready")
	}
}

// StartMember runs a member that is stopped, and waits until it serves.
func (c *Cluster) StartMember(i int) error {
	cfg := *c.configs[i]
	m, err := serve(&cfg)
	if err != nil {
		return err
	}
	c.members[i] = m
	c.configs[i].ClusterState = embed.ClusterStateFlagExisting
	return nil
}

// StopMember ends a member; its data stay.
func (c *Cluster) StopMember(i int) {
	if m := c.members[i]; m != nil {
		c.members[i] = nil
		m.Close()
	}
}

// Leader is the member that leads, -1 if none does.
func (c *Cluster) Leader() int {
	for i, m := range c.members {
		if m != nil && m.Server.Leader() == m.Server.MemberID() {
			return i
		}
	}
	return -1
}

// Endpoints are the addresses for clients.
func (c *Cluster) Endpoints() []string {
	var out []string
	for _, cfg := range c.configs {
		out = append(out, cfg.ListenClientUrls[0].Host)
	}
	return out
}

// Close stops all members.
func (c *Cluster) Close() {
	for i := range c.members {
		c.StopMember(i)
	}
}

// addresses are free ones on the loopback.
func addresses(n int) ([]string, error) {
	var out []string
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

func urls(address string) []url.URL { return []url.URL{{Scheme: "http", Host: address}} }
