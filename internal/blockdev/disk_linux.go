package blockdev

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Sync is fdatasync: it also writes the file's size, which is all the metadata we need.
func (d osDisk) Sync() error {
	return retry("fdatasync", func() error { return unix.Fdatasync(int(d.Fd())) })
}

func (d osDisk) Punch(off, n int64) error {
	err := retry("fallocate", func() error {
		return unix.Fallocate(int(d.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func (d osDisk) NextData(off int64) (int64, error) { return d.seek(off, unix.SEEK_DATA) }
func (d osDisk) NextHole(off int64) (int64, error) { return d.seek(off, unix.SEEK_HOLE) }

func (d osDisk) seek(off int64, whence int) (int64, error) {
	next, err := unix.Seek(int(d.Fd()), off, whence)
	switch {
	case err == unix.ENXIO: // nothing but a hole from here on
		return d.Size()
	case err == unix.EINVAL && whence == unix.SEEK_DATA:
		return off, nil
	case err == unix.EINVAL:
		return d.Size()
	case err != nil:
		return 0, os.NewSyscallError("lseek", err)
	}
	return next, nil
}

// lock takes the file for one writer or for several readers until it is closed; ErrBusy if somebody
// else has it, in this process or another one.
func lock(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err := retry("flock", func() error { return unix.Flock(int(f.Fd()), how|unix.LOCK_NB) })
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrBusy
	case errors.Is(err, errors.ErrUnsupported): // some network file systems
		return nil
	}
	return err
}

// kernelCopy copies up to n bytes and says how many; errors.ErrUnsupported if the kernel or the file
// systems cannot do it.
func kernelCopy(dst *os.File, dstOff int64, src *os.File, srcOff, n int64) (int64, error) {
	done := int64(0)
	for done < n {
		in, out := srcOff+done, dstOff+done
		k, err := unix.CopyFileRange(int(src.Fd()), &in, int(dst.Fd()), &out, int(min(n-done, 1<<30)), 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EXDEV || err == unix.EINVAL || err == unix.EPERM || err == unix.EIO && done == 0:
			return done, fmt.Errorf("copy_file_range: %w", errors.ErrUnsupported)
		case err != nil:
			return done, os.NewSyscallError("copy_file_range", err)
		case k == 0:
			return done, nil
		}
		done += int64(k)
	}
	return done, nil
}

// retry calls f until no signal interrupted it.
func retry(name string, f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return os.NewSyscallError(name, err)
		}
	}
}
