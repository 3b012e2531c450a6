package blockdev_test

import (
	"io"
	"os"
	"testing"
)

// BenchmarkSequential moves 1 MiB pieces through 64 MiB of an encrypted volume, a plain one and a file,
// all in the page cache: the difference is the price of the map and of the cipher.
func BenchmarkSequential(b *testing.B) {
	const size = 64 * mib
	dir, path := folder(b)
	buf := random(1, mib)
	f, err := os.Create(path + "/raw")
	must(b, err)
	defer f.Close()
	type target struct {
		name string
		rw   interface {
			io.ReaderAt
			io.WriterAt
		}
	}
	create(b, dir, "encrypted", size, 1)
	create(b, dir, "plain", size, 0)
	for _, t := range []target{{"encrypted", open(b, dir, "encrypted", 1)}, {"plain", open(b, dir, "plain", 0)}, {"file", f}} {
		b.Run("write/"+t.name, func(b *testing.B) {
			b.SetBytes(mib)
			off := int64(0)
			for b.Loop() {
				if _, err := t.rw.WriteAt(buf, off); err != nil {
					b.Fatal(err)
				}
				off = (off + mib) % size
			}
		})
		_, err := t.rw.WriteAt(random(1, size), 0)
		must(b, err)
		b.Run("read/"+t.name, func(b *testing.B) {
			b.SetBytes(mib)
			off := int64(0)
			for b.Loop() {
				if _, err := t.rw.ReadAt(buf, off); err != nil {
					b.Fatal(err)
				}
				off = (off + mib) % size
			}
		})
	}
}

// BenchmarkRandomRead reads single sectors in parallel.
func BenchmarkRandomRead(b *testing.B) {
	const size = 16 * mib
	dir, _ := folder(b)
	create(b, dir, "vol-1", size, 1)
	v := open(b, dir, "vol-1", 1)
	write(b, v, random(1, size), 0)
	b.SetBytes(sector)
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, sector)
		for off := int64(0); pb.Next(); off = (off + 37*sector) % size {
			if _, err := v.ReadAt(buf, off); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
