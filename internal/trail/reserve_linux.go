package trail

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives a file n bytes of the disk from offset at, without making it longer. Where the file system cannot, or has
// no room, writes find their own.
func allocate(f *os.File, at, n int64) {
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, at, n)
}
