//go:build unix

package blockdev_test

import (
	"os"
	"syscall"
	"testing"
)

// diskUse is how many bytes of disk a file takes.
func diskUse(t testing.TB, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	must(t, err)
	return fi.Sys().(*syscall.Stat_t).Blocks * 512
}
