package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names inside a data directory.
const (
	markerFile = "kagimori.json"
	markerTemp = "kagimori.json.new" // what a crash may leave of it; nothing reads it
	storeFile  = "store.db"
	sealFile   = "seal.json"
	trailDir   = "trail"
	volumeDir  = "volumes"
	snapDir    = "snapshots"
	sinkDir    = "sinks" // what sinks of the audit log have delivered
	rootFile   = "root-credentials"
)

// dataFormat is the version of the layout of a data directory. Since 2 snapshots are objects, which a kagimori
// that knows 1 would not find, and some are being stored. Since 3 keys are packed, since 4 grants. Since 5 full
// segments of the audit log are packed with S2.
const dataFormat = 5

// nodeFormat is that of the directory of a node, whose keys are in the cluster: nodes of the version before can go on
// with it until the cluster's format is raised.
const nodeFormat = 2

type marker struct {
	Format int `json:"format"`
	// Dev: of a development server. Everybody knows the credentials of one, so no data directory
	// may ever be served both ways.
	Dev bool `json:"dev,omitempty"`
}

// openDataDir opens the data directory, making it if it does not exist. A folder that holds
// something else, or belongs to the other kind of server, is refused and left as it is.
func openDataDir(path string, dev bool) (*os.Root, error) {
	if err := makeLasting(path); err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be made: %w", path, cause(err))
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be opened: %w", path, cause(err))
	}
	err = checkFolders(root, path)
	if err == nil {
		err = checkMarker(root, path, dev)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// makeLasting makes a folder, and those above it, so that a power cut leaves them.
func makeLasting(path string) error {
	_, err := os.Stat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(path)
	if above != path {
		if err := makeLasting(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncPath(above)
}

func checkMarker(root *os.Root, path string, dev bool) error {
	data, err := root.ReadFile(markerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return initDataDir(root, path, dev)
	}
	if err != nil {
		return fmt.Errorf("the data directory %s cannot be read: %w", path, cause(err))
	}
	var m marker
	if err := json.Unmarshal(data, &m); err != nil || m.Format < 1 {
		return fmt.Errorf("%s is damaged: it does not say which format the data directory has", filepath.Join(path, markerFile))
	}
	switch {
	case m.Format > dataFormat:
		return newerDir(path, m.Format)
	case m.Dev && !dev:
		return fmt.Errorf("the data directory %s belongs to a development server, whose credentials everybody knows; serve it with --dev or choose another", path)
	case !m.Dev && dev:
		return fmt.Errorf("the data directory %s is not a development server's; serving it with --dev would open it to everybody", path)
	}
	return nil
}

func newerDir(path string, format int) error {
	return fmt.Errorf("the data directory %s was written by a newer kagimori (format %d; this one knows %d)", path, format, dataFormat)
}

// checkFormat refuses a directory of a newer format, for commands that look at one; what else is wrong with it they
// find themselves.
func checkFormat(path string) error {
	data, err := os.ReadFile(filepath.Join(path, markerFile))
	if err != nil {
		return nil
	}
	var m marker
	if json.Unmarshal(data, &m) == nil && m.Format > dataFormat {
		return newerDir(path, m.Format)
	}
	return nil
}

// raiseMarker says that the directory has a format from now on, so that a kagimori which does not know it
// refuses it. Call it before the first change that an earlier one does not understand.
func raiseMarker(root *os.Root, format int) error {
	data, err := root.ReadFile(markerFile)
	if err != nil {
		return fmt.Errorf("the data directory %s cannot be read: %w", root.Name(), cause(err))
	}
	var m marker
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("%s is damaged: %w", filepath.Join(root.Name(), markerFile), err)
	}
	if m.Format >= format {
		return nil
	}
	m.Format = format
	return writeMarker(root, root.Name(), m)
}

func writeMarker(root *os.Root, path string, m marker) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := replaceFile(root, markerTemp, markerFile, append(data, '\n')); err != nil {
		return fmt.Errorf("the data directory %s cannot be written: %w", path, cause(err))
	}
	return nil
}

func initDataDir(root *os.Root, path string, dev bool) error {
	names, err := folder(root, ".")
	if err != nil {
		return fmt.Errorf("the data directory %s cannot be read: %w", path, cause(err))
	}
	for _, name := range names {
		if name != markerTemp {
			return fmt.Errorf("%s holds other files and is not a data directory of kagimori; choose an empty folder with --data", path)
		}
	}
	return writeMarker(root, path, marker{Format: dataFormat, Dev: dev})
}

// folders are those of a data directory.
func folders() []string { return []string{trailDir, volumeDir, snapDir, sinkDir} }

// checkFolders refuses what is in the way of a folder.
func checkFolders(root *os.Root, path string) error {
	for _, name := range folders() {
		if fi, err := root.Stat(name); err == nil && !fi.IsDir() {
			return fmt.Errorf("the data directory %s cannot be used: %s is not a folder", path, filepath.Join(path, name))
		}
	}
	return nil
}

// makeFolders makes the folders that are missing. What will be acknowledged is in them: they are on disk first.
func makeFolders(root *os.Root, path string) error {
	for _, name := range folders() {
		if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("the data directory %s cannot be written: %w", path, cause(err))
		}
	}
	if err := syncFolder(root, "."); err != nil {
		return fmt.Errorf("the data directory %s cannot be written: %w", path, cause(err))
	}
	return nil
}

// emptyDataDir removes what the server remembers, and keeps the directory and its seal.
func emptyDataDir(root *os.Root, cluster bool) error {
	var err error
	if !cluster {
		err = root.Remove(storeFile)
	}
	for _, dir := range folders() {
		names, lerr := folder(root, dir)
		err = errors.Join(err, lerr)
		for _, name := range names {
			err = errors.Join(err, root.RemoveAll(filepath.Join(dir, name)))
		}
	}
	return err
}

// folder lists the names in a folder.
func folder(root *os.Root, name string) ([]string, error) {
	dir, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	return names, errors.Join(err, dir.Close())
}

// replaceFile writes a file so that a crash leaves the old one or the whole new one, readable by
// the owner alone. When it returns, the new one is there to stay.
func replaceFile(root *os.Root, temp, name string, data []byte) error {
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return syncFolder(root, ".")
}

// cause is the reason of a file error without its path, which the caller names.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
