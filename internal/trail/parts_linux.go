package trail

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
)

// eachPart gives fn what is in a file, part by part, which fn must not keep. The parts are the kernel's pages: they are not
// copied to be read.
func eachPart(f *os.File, size int64, fn func([]byte) error) error {
	for at := int64(0); at < size; at += partSize {
		part, err := syscall.Mmap(int(f.Fd()), at, int(min(partSize, size-at)), syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_POPULATE)
		if err != nil {
			return fmt.Errorf("mmap: %w", err)
		}
		if err := errors.Join(faultless(part, fn), syscall.Munmap(part)); err != nil {
			return err
		}
	}
	return nil
}

// faultless calls fn, and makes an error of a page that cannot be read.
func faultless(part []byte, fn func([]byte) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch v := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr
		}:
			err = fmt.Errorf("a part of it cannot be read: %w", v)
		default:
			panic(v)
		}
	}()
	return fn(part)
}
