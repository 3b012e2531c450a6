//go:build !amd64 || purego

package crypt

import "github.com/kagimori/kagimori/internal/secret"

// newEngine is the engine in plain Go, whose AES blocks are the processor's where it has them.
func newEngine(key secret.Bytes) (engine, error) { return newPortable(key) }
