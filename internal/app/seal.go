package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// hasStore reports whether the directory was served before.
func hasStore(root *os.Root) (bool, error) {
	_, err := root.Lstat(storeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// unseal opens the root key. Only a directory that was never served gets a new one: a store
// without its seal is lost, and a new root key would hide that.
func unseal(ctx context.Context, root *os.Root, cfg Config, served bool) (*soft.Module, error) {
	m, err := unsealAt(ctx, soft.Seal{Dir: root, File: sealFile}, filepath.Join(root.Name(), sealFile), "this data directory", cfg, served)
	if errors.Is(err, soft.ErrSealExists) {
		return nil, inUse(root.Name())
	}
	return m, err
}

// unsealShared opens the root key of a cluster. Of several nodes that start on an empty store one makes
// it, and the others open that.
func unsealShared(ctx context.Context, e *engine, cfg Config) (*soft.Module, error) {
	if !cfg.Dev && slices.ContainsFunc(cfg.Locks, func(l soft.Lock) bool { return l.Kind() == soft.PlainFile }) {
		return nil, errors.New("--seal=plain-file would keep the root key in etcd in plain, for everybody who reads there; name another seal")
	}
	served, err := holdsMore(ctx, e.node.etcd)
	if err != nil {
		return nil, err
	}
	open := func() (*soft.Module, error) {
		return unsealAt(ctx, e.place(cfg), e.place(cfg).Shared.Name(), "this store", cfg, served)
	}
	m, err := open()
	if errors.Is(err, soft.ErrSealExists) {
		m, err = open()
	}
	return m, err
}

// holdsMore reports whether there is more in a cluster's store than what nodes write when they begin.
func holdsMore(ctx context.Context, st pairs) (bool, error) {
	more := errors.New("more")
	err := st.Each(ctx, func(bucket, _ string, _ []byte) error {
		if bucket == modeTable.Bucket || bucket == memberTable.Bucket {
			return nil
		}
		return more
	})
	if errors.Is(err, more) {
		return true, nil
	}
	return false, err
}

// unsealAt is unseal for a seal wherever it is.
func unsealAt(ctx context.Context, seal soft.Seal, path, whole string, cfg Config, served bool) (*soft.Module, error) {
	key, err := soft.Unseal(ctx, seal, cfg.Locks...)
	if errors.Is(err, soft.ErrNoSeal) {
		if served {
			return nil, fmt.Errorf("%s is missing, and only it opens the keys of %s; put it back", path, whole)
		}
		key, err = soft.Create(ctx, seal, cfg.Locks...)
	}
	switch {
	case errors.Is(err, hsm.ErrWrongSeal) && len(cfg.Locks) == 1 && cfg.Locks[0].Kind() == soft.Passphrase:
		return nil, fmt.Errorf("the passphrase does not open %s", path)
	case errors.Is(err, hsm.ErrWrongSeal):
		return nil, fmt.Errorf("none of the seals that were given opens %s", path)
	case err != nil:
		return nil, err
	}
	if !key.Sealed() { // of an older format, which unwraps destroyed material for ever
		if err := key.Reseal(ctx, cfg.Locks...); err != nil {
			return nil, errors.Join(err, key.Close())
		}
	}
	m, err := soft.Open(soft.Config{Root: key, CacheSize: cfg.KeyCache, Approved: cfg.FIPS})
	if err != nil {
		return nil, errors.Join(err, key.Close())
	}
	return m, checkPinned(m, cfg)
}

// checkPinned warns once, or refuses, where keys may be swapped out.
func checkPinned(m *soft.Module, cfg Config) error {
	switch {
	case m.Pinned():
		return nil
	case cfg.RequireMlock:
		return errors.Join(errors.New("the system does not let keys be kept out of the swap space, as --require-mlock asks; raise the memlock limit (ulimit -l, LimitMEMLOCK=)"), m.Close())
	}
	cfg.Logger.Warn("keys may be swapped out to disk: the memlock limit is too low (ulimit -l, LimitMEMLOCK=)")
	return nil
}

// checkFIPS refuses to call something FIPS that is not.
func checkFIPS(locks []soft.Lock) error {
	if on, _ := soft.FIPS(); !on {
		return errors.New("--fips needs Go's FIPS 140-3 mode: set GODEBUG=fips140=on, or use a build made with GOFIPS140=v1.0.0")
	}
	for _, l := range locks {
		if k := l.Kind(); k == soft.Passphrase || k == soft.Age {
			return fmt.Errorf("a seal of kind %q uses scrypt or ChaCha20-Poly1305, which are not approved; --fips takes kms, pkcs11 or pbkdf2-file seals", k)
		}
	}
	return nil
}

func inUse(path string) error {
	return fmt.Errorf("the data directory %s is in use by another kagimori", path)
}
