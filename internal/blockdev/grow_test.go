package blockdev_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/kagimori/kagimori/internal/blockdev"
)

// Volumes grow in place, and into another file when their map outgrows its room; open or not.
func TestVolumesGrow(t *testing.T) {
	const gib = 1 << 30
	for _, x := range []struct {
		from, to int64
		open     bool
	}{{1 * gib, 8 * gib, false}, {1 * gib, 8 * gib, true}, {1 * gib, 64 * gib, false}, {1 * gib, 64 * gib, true}, {2 * gib, 1 * gib, true}} {
		t.Run(fmt.Sprintf("%d to %d, open %v", x.from/gib, x.to/gib, x.open), func(t *testing.T) {
			dir, _ := folder(t)
			key := make([]byte, 64)
			rand.Read(key)
			enc := &blockdev.Encryption{KeyARN: "arn:aws:kms:us-east-1:111122223333:key/x", DataKeyID: "d", ContextID: "vol-1", WrappedKey: []byte("w")}
			must(t, blockdev.Create(dir, blockdev.Spec{ID: "vol-1", Size: x.from, Encryption: enc}))
			v, err := blockdev.Open(dir, "vol-1", bytes.Clone(key))
			must(t, err)
			want := []byte("at the end of the old size")
			_, err = v.WriteAt(want, x.from-int64(len(want)))
			must(t, err)
			if x.open {
				must(t, v.Grow(dir, x.to))
			} else {
				must(t, v.Close())
				must(t, blockdev.Grow(dir, "vol-1", x.to))
				v, err = blockdev.Open(dir, "vol-1", bytes.Clone(key))
				must(t, err)
			}
			size := max(x.from, x.to)
			if v.Size() != size {
				t.Errorf("the size is %d, want %d", v.Size(), size)
			}
			_, err = v.WriteAt([]byte("new"), size-4096)
			must(t, err)
			must(t, v.Close())
			must(t, blockdev.Check(dir, "vol-1"))
			v, err = blockdev.Open(dir, "vol-1", bytes.Clone(key))
			must(t, err)
			got := make([]byte, len(want))
			_, err = v.ReadAt(got, x.from-int64(len(want)))
			if must(t, err); !bytes.Equal(got, want) {
				t.Errorf("after growing the old content reads %q", got)
			}
			_, err = v.ReadAt(got[:3], size-4096)
			if must(t, err); string(got[:3]) != "new" {
				t.Errorf("the new space reads %q", got[:3])
			}
			must(t, v.Close())
			if n, err := blockdev.Sweep(dir); n != 0 || err != nil {
				t.Errorf("%d files are left behind, %v", n, err)
			}
		})
	}
}
