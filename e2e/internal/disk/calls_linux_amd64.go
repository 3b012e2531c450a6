package disk

import "golang.org/x/sys/unix"

// oldCalls are those that only old architectures have.
func oldCalls() []uint32 {
	return []uint32{unix.SYS_CREAT, unix.SYS_RENAME, unix.SYS_LINK, unix.SYS_UNLINK, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_SYMLINK}
}
