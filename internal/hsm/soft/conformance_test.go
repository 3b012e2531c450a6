package soft_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

func TestConformance(t *testing.T) {
	hsmtest.Run(t, func(t *testing.T) hsm.Module { return hsmtest.New(t) })
}

// With room for one key, nearly every use unwraps and evicts.
func TestConformanceWithTinyCache(t *testing.T) {
	hsmtest.Run(t, func(t *testing.T) hsm.Module { return open(t, soft.Config{CacheSize: 1}) })
}

func open(t testing.TB, cfg soft.Config) *soft.Module {
	t.Helper()
	if cfg.Root == nil {
		root, err := soft.NewRootKey()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Root = root
	}
	m, err := soft.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}
