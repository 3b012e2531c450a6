// Package objects keeps named pieces of data that are written once, read in whole or in part, and
// deleted: in a folder ([Folder]) or in a bucket (package s3). The snapshots of blockdev are kept so.
package objects

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// A Store keeps objects. Safe for concurrent use; no name is written by two callers at a time.
type Store interface {
	// Put makes an object, whole or not at all, in the place of one that has the name already. It is
	// durable after the next Sync.
	Put(ctx context.Context, name string, data []byte) error
	// Get reads n bytes from an offset on, or less at the end of the object; all of the rest if n is
	// negative. An object that does not exist is fs.ErrNotExist.
	Get(ctx context.Context, name string, off, n int64) ([]byte, error)
	// Delete removes an object; it is no error that there is none. Durable after the next Sync.
	Delete(ctx context.Context, name string) error
	// List calls fn for the objects whose names begin with a prefix, which is empty or ends with a slash, in
	// no particular order, until fn returns an error.
	List(ctx context.Context, prefix string, fn func(Object) error) error
	// Sync returns when what was put and deleted before is durable.
	Sync(ctx context.Context) error
	// Recover removes what an interrupted process left half written. Nobody else may use the store.
	Recover(ctx context.Context) error
}

// An Object is what List tells.
type Object struct {
	Name string
	Size int64 // bytes
}

// ErrName means that something cannot be the name of an object.
var ErrName = errors.New("objects: not a name")

// CheckName refuses what is not a name: parts of letters, digits, "-", "_" and ".", joined by slashes, none
// of which begins with a dot. Up to 512 bytes.
func CheckName(name string) error {
	ok := name != "" && len(name) <= 512 && path.Clean(name) == name && name[0] != '/'
	for part := range strings.SplitSeq(name, "/") {
		ok = ok && part != "" && part[0] != '.'
	}
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_./", c) >= 0)
	}
	if !ok {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}
