package blockdev_test

import (
	"bytes"
	"crypto/aes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/xts"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/crypt"
	"github.com/kagimori/kagimori/internal/secret"
)

// Random operations give what the same operations on plain memory give, also after opening again.
func TestAgainstModel(t *testing.T) {
	for _, key := range []uint64{0, 1} {
		t.Run(fmt.Sprintf("key %d", key), func(t *testing.T) {
			const size = 3*mib + 3*sector // the last block is not a whole one
			dir, _ := folder(t)
			create(t, dir, "vol-1", size, key)
			model := make([]byte, size)
			r := rand.New(rand.NewPCG(7, key))
			for range 5 {
				v := open(t, dir, "vol-1", key)
				for range 150 {
					step(t, r, v, model)
				}
				same(t, "before closing", read(t, v, 0, size), model)
				must(t, v.Close())
				must(t, blockdev.Check(dir, "vol-1"))
			}
		})
	}
}

// step does one random operation on both.
func step(t *testing.T, r *rand.Rand, v *blockdev.Volume, model []byte) {
	t.Helper()
	size := int64(len(model))
	off := r.Int64N(size)
	n := r.Int64N(size-off) + 1
	if r.IntN(3) > 0 {
		n = min(n, r.Int64N(3*sector)+1)
	}
	if r.IntN(4) == 0 {
		off, n = off/sector*sector, n/sector*sector
	}
	switch r.IntN(8) {
	case 0, 1, 2:
		p := random(r.Uint64(), n)
		write(t, v, p, off)
		copy(model[off:], p)
	case 3:
		must(t, v.Trim(off, n))
		if from, to := (off+sector-1)/sector*sector, (off+n)/sector*sector; from < to {
			clear(model[from:to])
		}
	case 4:
		must(t, v.WriteZeroes(off, n))
		clear(model[off : off+n])
	case 5:
		must(t, v.Flush())
	default:
		same(t, "read", read(t, v, off, n), model[off:off+n])
	}
}

// Each goroutine owns every fourth range of 700 bytes, so that they meet in sectors all the time.
func TestConcurrentWrites(t *testing.T) {
	for _, key := range []uint64{0, 1} {
		t.Run(fmt.Sprintf("key %d", key), func(t *testing.T) {
			const size, part, workers, rounds = 8 * 4096, 700, 4, 60
			dir, _ := folder(t)
			create(t, dir, "vol-1", size, key)
			v := open(t, dir, "vol-1", key)
			want := make([]byte, size)
			var wg sync.WaitGroup
			for g := range workers {
				wg.Go(func() {
					for round := range rounds {
						for i := g; (i+1)*part <= size; i += workers {
							p := random(uint64(round<<8+i), part)
							copy(want[i*part:], p)
							if _, err := v.WriteAt(p, int64(i*part)); err != nil {
								t.Error(err)
							}
							got := make([]byte, part)
							if _, err := v.ReadAt(got, int64(i*part)); err != nil || !bytes.Equal(got, p) {
								t.Errorf("part %d reads back other bytes (%v)", i, err)
							}
						}
						if round%20 == 0 {
							if err := v.Flush(); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
			same(t, "all parts", read(t, v, 0, size), want)
			must(t, v.Close())
			same(t, "all parts, opened again", read(t, open(t, dir, "vol-1", key), 0, size), want)
		})
	}
}

// Writers, trimmers, flushers and readers of the same sectors: a sector is always one that somebody
// wrote as a whole, or zeros.
func TestConcurrentTrim(t *testing.T) {
	const sectors = 16
	dir, _ := folder(t)
	create(t, dir, "vol-1", sectors*sector, 1)
	v := open(t, dir, "vol-1", 1)
	var wg sync.WaitGroup
	for g := range uint64(3) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 1))
			buf := make([]byte, sector)
			for range 400 {
				var err error
				off := r.Int64N(sectors) * sector
				switch r.IntN(4) {
				case 0:
					_, err = v.WriteAt(bytes.Repeat([]byte{byte(r.IntN(255) + 1)}, int(sector)), off)
				case 1:
					err = v.Trim(off, sector)
				case 2:
					err = v.Flush()
				case 3:
					if _, err = v.ReadAt(buf, off); err == nil && bytes.Count(buf, buf[:1]) != len(buf) {
						t.Errorf("sector %d is a mix", off/sector)
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, v.Close())
	must(t, blockdev.Check(dir, "vol-1"))
}

func TestKeys(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "plain", mib, 0)
	create(t, dir, "vol-1", mib, 1)
	half := dataKey(1)[:32]
	tests := []struct {
		name, id string
		key      secret.Bytes
		want     error
	}{
		{"a key for a plain volume", "plain", dataKey(1), blockdev.ErrPlain},
		{"no key", "vol-1", nil, blockdev.ErrNeedsKey},
		{"another key", "vol-1", dataKey(2), blockdev.ErrWrongKey},
		{"the tweak half is another", "vol-1", append(bytes.Clone(half), dataKey(2)[32:]...), blockdev.ErrWrongKey},
		{"the data half is another", "vol-1", append(bytes.Clone(dataKey(2)[:32]), dataKey(1)[32:]...), blockdev.ErrWrongKey},
		{"half a key", "vol-1", half, crypt.ErrKeySize},
		{"empty key", "vol-1", secret.Bytes{}, crypt.ErrKeySize},
		{"equal halves", "vol-1", append(bytes.Clone(half), half...), crypt.ErrWeakKey},
		{"no such volume", "vol-2", dataKey(1), fs.ErrNotExist},
		{"no such name", "../vol-1", dataKey(1), fs.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := blockdev.Open(dir, tt.id, tt.key)
			if v != nil {
				t.Error("opened all the same")
			}
			wantErr(t, err, tt.want)
		})
	}
	// A refused key leaves the volume free for the right one.
	open(t, dir, "vol-1", 1)
}

// EC2 creates a volume before anybody holds its data key.
func TestFirstKeyDecides(t *testing.T) {
	dir, _ := folder(t)
	must(t, blockdev.Create(dir, blockdev.Spec{ID: "vol-1", Size: mib, Encryption: encryption(1)}))
	must(t, open(t, dir, "vol-1", 1).Close())
	_, err := blockdev.Open(dir, "vol-1", dataKey(2))
	wantErr(t, err, blockdev.ErrWrongKey)
	must(t, open(t, dir, "vol-1", 1).Close())
	must(t, blockdev.Check(dir, "vol-1"))
}

func TestOpenDoesNotKeepTheKey(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", mib, 1)
	key := dataKey(1)
	v, err := blockdev.Open(dir, "vol-1", key)
	must(t, err)
	key.Wipe()
	write(t, v, []byte("hello"), 3)
	must(t, v.Close())
	same(t, "content", read(t, open(t, dir, "vol-1", 1), 3, 5), []byte("hello"))
}

// What is on disk is what a separate implementation of XTS gives with the same data key, and nothing
// of the plaintext.
func TestCiphertextOnDisk(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", 8*mib, 1)
	v := open(t, dir, "vol-1", 1)
	pattern := []byte("a pattern that should be nowhere")
	plain := bytes.Repeat(pattern, 4096)
	const at = 5*mib + 5*sector
	write(t, v, plain, at)
	write(t, v, pattern, 100) // inside a sector
	must(t, v.Close())

	raw, err := os.ReadFile(rawFile(path, "vol-1"))
	must(t, err)
	if bytes.Contains(raw, pattern) || bytes.Contains(raw, pattern[:16]) {
		t.Error("plaintext on disk")
	}
	if key := dataKey(1); bytes.Contains(raw, key[:16]) || bytes.Contains(raw, key[32:48]) {
		t.Error("the data key is on disk")
	}
	info, err := blockdev.ReadInfo(dir, "vol-1")
	must(t, err)
	oracle, err := xts.NewCipher(aes.NewCipher, dataKey(1))
	must(t, err)
	for i := int64(0); i < int64(len(plain)); i += sector {
		got := make([]byte, sector)
		oracle.Decrypt(got, raw[info.DataOffset+at+i:][:sector], uint64((at+i)/sector))
		same(t, fmt.Sprintf("sector at %d", i), got, plain[i:i+sector])
	}
	got := make([]byte, sector)
	oracle.Decrypt(got, raw[info.DataOffset:][:sector], 0)
	want := make([]byte, sector)
	copy(want[100:], pattern)
	same(t, "sector 0", got, want)
}

func TestPlainOnDisk(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "plain", mib, 0)
	v := open(t, dir, "plain", 0)
	write(t, v, []byte("as it is"), 5000)
	must(t, v.Close())
	raw, err := os.ReadFile(rawFile(path, "plain"))
	must(t, err)
	same(t, "bytes in the file", raw[v.Info().DataOffset+5000:][:8], []byte("as it is"))
}

// A hole is zeros even if the file has bytes there, and what surrounds a small write is zeros too.
func TestHolesAreNeverDecrypted(t *testing.T) {
	for _, key := range []uint64{0, 1} {
		dir, path := folder(t)
		create(t, dir, "vol-1", mib, key)
		f, err := os.OpenFile(rawFile(path, "vol-1"), os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteAt(random(9, mib), mib) // the data area
		must(t, err)
		must(t, f.Close())
		v := open(t, dir, "vol-1", key)
		same(t, "holes", read(t, v, 0, mib), make([]byte, mib))
		write(t, v, []byte("x"), 10*sector+7)
		want := make([]byte, mib)
		want[10*sector+7] = 'x'
		same(t, "around a write", read(t, v, 0, mib), want)
		if diff := cmp.Diff([]blockdev.Extent{{10 * sector, sector}}, extents(v)); diff != "" {
			t.Errorf("extents (-want +got):\n%s", diff)
		}
	}
}

func TestTrimGivesSpaceBack(t *testing.T) {
	dir, path := folder(t)
	create(t, dir, "vol-1", 4*mib, 1)
	v := open(t, dir, "vol-1", 1)
	write(t, v, random(1, 4*mib), 0)
	must(t, v.Flush())
	full := diskUse(t, rawFile(path, "vol-1"))
	must(t, v.Trim(1, 4*mib-2)) // the first and the last sector stay
	must(t, v.Flush())
	if now := diskUse(t, rawFile(path, "vol-1")); full > 4*mib && now > full-3*mib {
		t.Errorf("%d bytes in use before, %d after", full, now)
	}
	want := random(1, 4*mib)
	clear(want[sector : 4*mib-sector])
	same(t, "after the trim", read(t, v, 0, 4*mib), want)
	must(t, v.Close())
	must(t, blockdev.Check(dir, "vol-1"))
}

func TestTrimOfPartsOfSectors(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", mib, 1)
	v := open(t, dir, "vol-1", 1)
	want := random(1, 4*sector)
	write(t, v, want, 0)
	must(t, v.Trim(10, sector)) // no whole sector
	must(t, v.Trim(sector+1, 100))
	must(t, v.Trim(3*sector, 0))
	same(t, "nothing was whole", read(t, v, 0, 4*sector), want)
	must(t, v.Trim(10, 2*sector)) // sector 1
	clear(want[sector : 2*sector])
	same(t, "one sector", read(t, v, 0, 4*sector), want)
	must(t, v.WriteZeroes(10, 20))
	clear(want[10:30])
	must(t, v.WriteZeroes(3*sector-5, 10))
	clear(want[3*sector-5 : 3*sector+5])
	same(t, "zeroes", read(t, v, 0, 4*sector), want)
}

func TestRange(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", mib, 1)
	v := open(t, dir, "vol-1", 1)
	for _, r := range [][2]int64{{-1, 1}, {mib, 1}, {mib - 1, 2}, {0, mib + 1}, {math.MaxInt64, 1}, {math.MinInt64, 1}} {
		p := make([]byte, r[1])
		n, err := v.WriteAt(p, r[0])
		wantErr(t, err, blockdev.ErrRange)
		if n != 0 {
			t.Errorf("%d bytes written", n)
		}
		wantErr(t, v.Trim(r[0], r[1]), blockdev.ErrRange)
		wantErr(t, v.WriteZeroes(r[0], r[1]), blockdev.ErrRange)
	}
	wantErr(t, v.Trim(0, -1), blockdev.ErrRange)
	wantErr(t, v.Trim(1, math.MaxInt64), blockdev.ErrRange)
	_, err := v.ReadAt(make([]byte, 1), -1)
	wantErr(t, err, blockdev.ErrRange)
	for _, tt := range []struct {
		off  int64
		n    int
		want int
	}{{mib, 1, 0}, {mib + 5, 1, 0}, {math.MaxInt64, 9, 0}, {mib - 3, 10, 3}, {0, int(mib) + 1, int(mib)}} {
		if n, err := v.ReadAt(make([]byte, tt.n), tt.off); n != tt.want || err != io.EOF {
			t.Errorf("reading %d at %d: %d, %v; want %d, EOF", tt.n, tt.off, n, err, tt.want)
		}
	}
	if n, err := v.ReadAt(nil, mib); n != 0 || err != nil {
		t.Errorf("reading nothing at the end: %d, %v", n, err)
	}
	if n, err := v.WriteAt(nil, mib); n != 0 || err != nil {
		t.Errorf("writing nothing at the end: %d, %v", n, err)
	}
	if len(extents(v)) != 0 {
		t.Error("a refused write left an extent")
	}
}

func TestClose(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", mib, 1)
	v := open(t, dir, "vol-1", 1)
	var wg sync.WaitGroup
	for g := range int64(3) {
		wg.Go(func() {
			for {
				if _, err := v.WriteAt([]byte("abc"), g*1000); err != nil {
					wantErr(t, err, blockdev.ErrClosed)
					return
				}
				if _, err := v.ReadAt(make([]byte, 10), g*1000); err != nil && !errors.Is(err, blockdev.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	must(t, v.Close())
	wg.Wait()
	must(t, v.Close())
	_, err := v.ReadAt(make([]byte, 1), 0)
	wantErr(t, err, blockdev.ErrClosed)
	wantErr(t, v.Flush(), blockdev.ErrClosed)
	wantErr(t, v.Trim(0, sector), blockdev.ErrClosed)
	wantErr(t, v.WriteZeroes(0, sector), blockdev.ErrClosed)
	wantErr(t, v.Snapshot(t.Context(), dir, "snap-1"), blockdev.ErrClosed)
}

func TestWritten(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", mib, 1)
	v := open(t, dir, "vol-1", 1)
	write(t, v, random(1, 3*sector), 10*sector)
	for _, tt := range []struct {
		off, n, length int64
		written        bool
	}{
		{0, mib, 10 * sector, false},
		{10*sector - 1, 5, 1, false},
		{10 * sector, mib - 10*sector, 3 * sector, true},
		{11*sector + 7, 9, 9, true},
		{13 * sector, mib - 13*sector, mib - 13*sector, false},
		{mib - 1, 2, 2, false}, // not inside
		{0, 0, 0, false},
	} {
		if n, w := v.Written(tt.off, tt.n); n != tt.length || w != tt.written {
			t.Errorf("%d bytes at %d: %d, %v; want %d, %v", tt.n, tt.off, n, w, tt.length, tt.written)
		}
	}
}
