//go:build !unix

package blockdev_test

import "testing"

// diskUse is not known here.
func diskUse(t testing.TB, _ string) int64 {
	t.Helper()
	t.Fatal("this system has no way to ask for the disk use of a file: run these tests on Unix")
	return 0
}
