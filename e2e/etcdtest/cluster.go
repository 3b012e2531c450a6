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
func Start(dir string, n int) (*Cluster, error) {
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
		cfg := embed.NewConfig()
		cfg.Name, cfg.Dir = fmt.Sprintf("m%d", i), filepath.Join(dir, fmt.Sprintf("m%d", i))
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = urls(peers[i]), urls(peers[i])
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = urls(clients[i]), urls(clients[i])
		cfg.InitialCluster = strings.Join(all, ",")
		cfg.LogLevel, cfg.LogOutputs = "error", []string{filepath.Join(dir, cfg.Name+".log")}
		cfg.TickMs, cfg.ElectionMs = 50, 500
		cfg.UnsafeNoFsync = true
		cfg.BcryptCost = 4 // the least
		cfg.MaxRequestBytes = embed.DefaultMaxRequestBytes
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

// StartMember runs a member that is stopped, and waits until it serves.
func (c *Cluster) StartMember(i int) error {
	cfg := *c.configs[i]
	m, err := embed.StartEtcd(&cfg)
	if err != nil {
		return err
	}
	select {
	case <-m.Server.ReadyNotify():
	case <-time.After(30 * time.Second):
		m.Close()
		return errors.New("etcdtest: a member did not become ready")
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
