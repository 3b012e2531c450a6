package qemu

import (
	"os"
	"syscall"
)

// dieWithUs has a process end when the thread that started it does, however that ends.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// pair is a connected pair of Unix sockets.
func pair() (ours, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs"), nil
}

// rights are descriptors that go with a message.
func rights(files []*os.File) []byte {
	var out []byte
	for _, f := range files {
		out = append(out, syscall.UnixRights(int(f.Fd()))...)
	}
	return out
}
