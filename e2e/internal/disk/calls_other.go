//go:build linux && !amd64

package disk

// oldCalls are those that only old architectures have.
func oldCalls() []uint32 { return nil }
