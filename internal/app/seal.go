package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
func unseal(root *os.Root, s Seal, served bool) (*soft.Module, error) {
	seal := soft.Seal{Dir: root, File: sealFile, Kind: s.Kind, Passphrase: s.Passphrase, WorkFactor: s.WorkFactor}
	key, err := soft.Unseal(seal)
	if errors.Is(err, soft.ErrNoSeal) {
		if served {
			return nil, fmt.Errorf("%s is missing, and only it opens the keys of this data directory; put it back", filepath.Join(root.Name(), sealFile))
		}
		key, err = soft.Create(seal)
	}
	switch {
	case errors.Is(err, hsm.ErrWrongSeal):
		return nil, fmt.Errorf("the passphrase does not open %s", filepath.Join(root.Name(), sealFile))
	case errors.Is(err, soft.ErrSealExists):
		return nil, inUse(root.Name())
	case err != nil:
		return nil, err
	}
	return soft.Open(soft.Config{Root: key})
}

func inUse(path string) error {
	return fmt.Errorf("the data directory %s is in use by another kagimori", path)
}
