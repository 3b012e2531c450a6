//go:build !linux

package main

import (
	"fmt"
	"os"
)

// noMlock is for Linux; the script that runs it asks first.
func noMlock() {
	fmt.Fprintln(os.Stderr, "nomlock: not here")
	os.Exit(125)
}
