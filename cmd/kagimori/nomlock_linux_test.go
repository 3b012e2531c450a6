package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// noMlock runs a program that may lock no memory, whoever runs it: the limit is zero, and the
// capability that does without a limit is gone for good.
func noMlock() {
	runtime.LockOSThread()                                           // capabilities are a thread's, which execve makes the process's
	_ = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, 0, 0, 0) // who may not drop it does not have it
	path, err := exec.LookPath(os.Args[1])
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{})
	}
	if err == nil {
		err = syscall.Exec(path, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "nomlock:", err)
	os.Exit(125)
}
