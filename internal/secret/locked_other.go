//go:build !linux

package secret

// allocate uses the Go heap: the bytes are wiped in the end but may be swapped out or dumped.
func allocate(n int) (*region, error) {
	mem := make([]byte, n)
	return &region{data: mem, mem: mem}, nil
}

func (r *region) release() error {
	clear(r.mem)
	return nil
}
