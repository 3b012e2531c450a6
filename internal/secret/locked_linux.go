//go:build linux

package secret

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate maps pages that no other data shares: pinning and MADV_DONTDUMP work on whole pages.
func allocate(n int) (*region, error) {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, (n+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// Kernels built without core dumps do not know the advice; then there is nothing to leave out.
	_ = unix.Madvise(mem, unix.MADV_DONTDUMP)
	return &region{data: mem[:n:n], mem: mem, pinned: unix.Mlock(mem) == nil}, nil
}

func (r *region) release() error {
	clear(r.mem)
	// Munmap also ends the pinning.
	return os.NewSyscallError("munmap", unix.Munmap(r.mem))
}
