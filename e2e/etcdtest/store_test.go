package etcdtest_test

import (
	"cmp"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/e2e/etcdtest"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
	"github.com/kagimori/kagimori/internal/store/storetest"
)

// single is the one member that tests share which need only a place of their own.
var single *etcdtest.Cluster

var prefixes atomic.Int64

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "etcdtest-")
	if err == nil {
		single, err = etcdtest.Start(dir, 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	single.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

// open opens a store in a place of its own, or in that of cfg.
func open(t *testing.T, cfg etcd.Config) *etcd.Store {
	t.Helper()
	if cfg.Endpoints == nil {
		cfg.Endpoints = single.Endpoints()
		cfg.Staleness = cmp.Or(cfg.Staleness, 10*time.Second) // how fast the machine is, is no matter
	}
	if cfg.Prefix == "" {
		cfg.Prefix = place()
	}
	s, err := etcd.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func place() string { return fmt.Sprintf("test%d/", prefixes.Add(1)) }

func TestStore(t *testing.T) {
	for _, linearizable := range []bool{false, true} {
		t.Run(fmt.Sprintf("linearizable=%v", linearizable), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				return open(t, etcd.Config{Linearizable: linearizable})
			})
		})
	}
}

func TestCompaction(t *testing.T) {
	storetest.Compaction(t, func(t *testing.T, history int) store.Store {
		return open(t, etcd.Config{HistoryLimit: history})
	})
}
