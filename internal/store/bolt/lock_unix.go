//go:build unix

package bolt

import (
	"os"
	"syscall"
)

// unlock gives up bbolt's lock on a file that bbolt did not get to close. Closing it is not enough:
// the mapping that is left behind keeps the open file, and with it the lock.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
