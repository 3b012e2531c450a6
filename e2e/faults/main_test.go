//go:build linux

// Package faults_test breaks what a server stands on: it kills the server, cuts the power of its disk, fills the
// disk, has it fail or wait, and damages files. Whatever a server acknowledged is to be there afterwards, whole,
// and what is damaged is to be refused.
//
// Each test has a short form; KAGIMORI_FAULTS=100, as `make faults` sets it, runs the full one, a smaller number so many
// hundredths of it.
package faults_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/kagimori/kagimori/e2e/internal/disk"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

func TestMain(m *testing.M) {
	disk.Launch()
	code := m.Run()
	server.Clean()
	os.Exit(code)
}

// times is how often something is done: in the short form, or in the full one.
func times(short, full int) int {
	n, err := strconv.Atoi(os.Getenv("KAGIMORI_FAULTS"))
	if err != nil {
		return short
	}
	return max(short, full*n/100)
}
