//go:build !linux

package trail

import (
	"io"
	"os"
)

// eachPart gives fn what is in a file, part by part, which fn must not keep.
func eachPart(f *os.File, size int64, fn func([]byte) error) error {
	room := make([]byte, min(partSize, size))
	for left := size; left > 0; {
		part := room[:min(partSize, left)]
		if _, err := io.ReadFull(f, part); err != nil {
			return err
		}
		if err := fn(part); err != nil {
			return err
		}
		left -= int64(len(part))
	}
	return nil
}
