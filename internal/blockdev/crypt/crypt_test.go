package crypt_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/crypto/xts"

	"github.com/kagimori/kagimori/internal/blockdev/crypt"
	"github.com/kagimori/kagimori/internal/secret"
)

// random is a reproducible stream; seeds differ between tests.
func random(seed uint64, n int) []byte {
	var s [32]byte
	s[0], s[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
}

func newCipher(t testing.TB, key []byte) *crypt.Cipher {
	t.Helper()
	c, err := crypt.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func oracle(t testing.TB, key []byte) *xts.Cipher {
	t.Helper()
	o, err := xts.NewCipher(aes.NewCipher, key)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// engines runs a test with each engine that works on this processor.
func engines(t *testing.T, key []byte, f func(t *testing.T, c *crypt.Cipher)) {
	t.Helper()
	for name, c := range crypt.Engines(key) {
		t.Run(name, func(t *testing.T) { f(t, c) })
		c.Wipe()
	}
}

// The published vectors for XTS-AES-256 (IEEE Std 1619, annex B, vectors 10 to 14) have data units of
// 512 bytes. A unit's blocks do not depend on the length of the unit, so ours begin with the same
// bytes.
func TestVectors(t *testing.T) {
	key := unhex(t, "2718281828459045235360287471352662497757247093699959574966967627"+
		"3141592653589793238462643383279502884197169399375105820974944592")
	plain := make([]byte, crypt.SectorSize)
	for i := range plain {
		plain[i] = byte(i)
	}
	tests := []struct {
		name   string
		sector uint64
		want   string // the first bytes
	}{
		{"vector 10", 0xff, "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b" +
			"5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd" +
			"5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0" +
			"c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf1000020887891429ca" +
			"2a3e7a7d7df7b10355165c8b9a6d0a7de8b062c4500dc4cd120c0f7418dae3d0" +
			"b5781c34803fa75421c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0f" +
			"93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec" +
			"583e9645e07b8d9670655ba5bbcfecc6dc3966380ad8fecb17b6ba02469a020a" +
			"84e18e8f84252070c13e9f1f289be54fbc481457778f616015e1327a02b140f1" +
			"505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae" +
			"9be69a2ffeceb1bec9de244fbe15992b11b77c040f12bd8f6a975a44a0f90c29" +
			"a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac" +
			"6e333b93eb4aff0479da9a410e4450e0dd7ae4c6e2910900575da401fc07059f" +
			"645e8b7e9bfdef33943054ff84011493c27b3429eaedb4ed5376441a77ed4385" +
			"1ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa" +
			"773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151"},
		{"vector 11", 0xffff, "77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11"},
		{"vector 12", 0xffffff, "e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200"},
		{"vector 13", 0xffffffff, "bf53d2dade78e822a4d949a9bc6766b0"},
		{"vector 14", 0xffffffffff, "64497e5a831e4a932c09be3e5393376d"},
	}
	engines(t, key, func(t *testing.T, c *crypt.Cipher) {
		for _, tt := range tests {
			got := make([]byte, crypt.SectorSize)
			if err := c.EncryptSector(got, plain, tt.sector); err != nil {
				t.Fatal(err)
			}
			want := unhex(t, tt.want)
			if !bytes.Equal(got[:len(want)], want) {
				t.Errorf("%s: got %x, want %x", tt.name, got[:len(want)], want)
			}
			if err := c.DecryptSector(got, got, tt.sector); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, plain) {
				t.Errorf("%s: decrypting does not give the plaintext back", tt.name)
			}
		}
	})
}

func TestSameAsOracle(t *testing.T) {
	sectors := []uint64{0, 1, 2, 255, 256, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 52, math.MaxUint64 - 1, math.MaxUint64}
	for seed := range uint64(20) {
		key := random(seed, crypt.KeySize)
		plain, o := random(seed+1000, crypt.SectorSize), oracle(t, key)
		engines(t, key, func(t *testing.T, c *crypt.Cipher) {
			for _, n := range sectors {
				want, got := make([]byte, crypt.SectorSize), make([]byte, crypt.SectorSize)
				o.Encrypt(want, plain, n)
				if err := c.EncryptSector(got, plain, n); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("key %d, sector %d: ciphertext differs", seed, n)
				}
				back := make([]byte, crypt.SectorSize)
				if err := c.DecryptSector(back, want, n); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(back, plain) {
					t.Fatalf("key %d, sector %d: plaintext differs", seed, n)
				}
			}
		})
	}
}

// Several sectors at a time, at any address and in place, are the same as one after the other.
func TestManySectors(t *testing.T) {
	const many = 5
	key := random(11, crypt.KeySize)
	plain, o := random(12, many*crypt.SectorSize), oracle(t, key)
	want := make([]byte, len(plain))
	for i := range many {
		o.Encrypt(want[i*crypt.SectorSize:][:crypt.SectorSize], plain[i*crypt.SectorSize:][:crypt.SectorSize], 1<<40+uint64(i))
	}
	engines(t, key, func(t *testing.T, c *crypt.Cipher) {
		for shift := range 17 {
			buf := make([]byte, len(plain)+32)
			for i := range buf {
				buf[i] = 0xa5
			}
			p := buf[shift : shift+len(plain)]
			copy(p, plain)
			if err := c.Encrypt(p, p, 1<<40); err != nil || !bytes.Equal(p, want) {
				t.Fatalf("shifted by %d: %v, or other bytes", shift, err)
			}
			if err := c.Decrypt(p, p, 1<<40); err != nil || !bytes.Equal(p, plain) {
				t.Fatalf("decrypted, shifted by %d: %v, or other bytes", shift, err)
			}
			for i, b := range buf {
				if (i < shift || i >= shift+len(plain)) && b != 0xa5 {
					t.Fatalf("shifted by %d: byte %d outside was written", shift, i-shift)
				}
			}
		}
		if err := c.Encrypt(nil, nil, 0); err != nil {
			t.Error(err)
		}
		for _, err := range []error{c.Encrypt(make([]byte, 8192), plain[:4096], 0), c.Decrypt(make([]byte, 4096), plain[:8192], 0), c.Encrypt(make([]byte, 5000), plain[:5000], 0)} {
			if !errors.Is(err, crypt.ErrSectorSize) {
				t.Error(err)
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	half := random(7, crypt.KeySize/2)
	tests := []struct {
		name string
		key  secret.Bytes
		want error
	}{
		{"nothing", nil, crypt.ErrKeySize},
		{"an AES-256 key", random(1, 32), crypt.ErrKeySize},
		{"one byte more", random(1, 65), crypt.ErrKeySize},
		{"equal halves", append(append([]byte{}, half...), half...), crypt.ErrWeakKey},
		{"all zero", make([]byte, crypt.KeySize), crypt.ErrWeakKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c, err := crypt.New(tt.key); !errors.Is(err, tt.want) || c != nil {
				t.Errorf("got %v, %v; want %v", c, err, tt.want)
			}
		})
	}
}

func TestNewDoesNotKeepTheKey(t *testing.T) {
	key := secret.Bytes(random(3, crypt.KeySize))
	plain, want, got := random(4, crypt.SectorSize), make([]byte, crypt.SectorSize), make([]byte, crypt.SectorSize)
	oracle(t, key).Encrypt(want, plain, 9)
	c := newCipher(t, key)
	key.Wipe()
	if err := c.EncryptSector(got, plain, 9); err != nil || !bytes.Equal(got, want) {
		t.Errorf("wiping the caller's key changed the cipher (%v)", err)
	}
}

func TestBufferSizes(t *testing.T) {
	c := newCipher(t, random(3, crypt.KeySize))
	ok := make([]byte, crypt.SectorSize)
	for _, n := range []int{0, 16, 512, crypt.SectorSize - 1, crypt.SectorSize + 1, 2 * crypt.SectorSize} {
		bad := make([]byte, n)
		for name, err := range map[string]error{
			"encrypt, dst": c.EncryptSector(bad, ok, 0), "encrypt, src": c.EncryptSector(ok, bad, 0),
			"decrypt, dst": c.DecryptSector(bad, ok, 0), "decrypt, src": c.DecryptSector(ok, bad, 0),
		} {
			if !errors.Is(err, crypt.ErrSectorSize) {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
		}
	}
	if !bytes.Equal(ok, make([]byte, crypt.SectorSize)) {
		t.Error("a refused call wrote to the buffer")
	}
}

func TestWipe(t *testing.T) {
	engines(t, random(5, crypt.KeySize), func(t *testing.T, c *crypt.Cipher) {
		for range 2 {
			c.Wipe()
		}
		buf := make([]byte, crypt.SectorSize)
		if err := c.EncryptSector(buf, buf, 0); !errors.Is(err, crypt.ErrWiped) {
			t.Errorf("encrypting after Wipe: %v", err)
		}
		if err := c.DecryptSector(buf, buf, 0); !errors.Is(err, crypt.ErrWiped) {
			t.Errorf("decrypting after Wipe: %v", err)
		}
		if !bytes.Equal(buf, make([]byte, crypt.SectorSize)) {
			t.Error("a wiped cipher wrote to the buffer")
		}
	})
}

// Whoever still holds the expanded key of the engine in plain Go has nothing of it. An emptied schedule
// may well refuse.
func TestWipeOfTheHeap(t *testing.T) {
	c, held := crypt.Portable(random(5, crypt.KeySize))
	probe, zero := make([]byte, aes.BlockSize), make([]byte, aes.BlockSize)
	before := make([]byte, aes.BlockSize)
	held[0].Encrypt(before, zero)
	c.Wipe()
	func() {
		defer func() { _ = recover() }()
		held[0].Encrypt(probe, zero)
	}()
	if bytes.Equal(probe, before) {
		t.Error("the key schedule survived Wipe")
	}
}

type pointers struct {
	cipher.Block
	p *int
}

func TestWipeBlockKnowsWhatItTouches(t *testing.T) {
	b, err := aes.NewCipher(random(8, 32))
	if err != nil {
		t.Fatal(err)
	}
	if !crypt.WipeBlock(b) {
		t.Error("the AES of this Go version cannot be wiped: look at wipe.go")
	}
	odd := &pointers{p: new(int)}
	if crypt.WipeBlock(odd) || odd.p == nil {
		t.Error("memory with pointers was overwritten")
	}
	if crypt.WipeBlock(nil) || crypt.WipeBlock((*pointers)(nil)) {
		t.Error("nothing was wiped, and that was not said")
	}
}

func TestConcurrentUse(t *testing.T) {
	key := random(6, crypt.KeySize)
	c, o := newCipher(t, key), oracle(t, key)
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			plain, want, got := random(g, crypt.SectorSize), make([]byte, crypt.SectorSize), make([]byte, crypt.SectorSize)
			for n := range uint64(50) {
				o.Encrypt(want, plain, n)
				if err := c.EncryptSector(got, plain, n); err != nil || !bytes.Equal(got, want) {
					t.Errorf("sector %d: %v, or other bytes", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAllocation(t *testing.T) {
	c := newCipher(t, random(6, crypt.KeySize))
	buf := make([]byte, crypt.SectorSize)
	if n := testing.AllocsPerRun(100, func() { _ = c.EncryptSector(buf, buf, 1) }); n >= 1 {
		t.Errorf("%v allocations for a sector", n)
	}
}

func FuzzAgainstOracle(f *testing.F) {
	f.Add(random(1, crypt.KeySize), uint64(0), []byte("x"))
	f.Add(random(2, crypt.KeySize), uint64(math.MaxUint64), []byte{})
	f.Add([]byte("short"), uint64(1), []byte("y"))
	f.Fuzz(func(t *testing.T, key []byte, sector uint64, start []byte) {
		if c, err := crypt.New(key); err != nil {
			return
		} else {
			c.Wipe()
		}
		plain, want, got := make([]byte, crypt.SectorSize), make([]byte, crypt.SectorSize), make([]byte, crypt.SectorSize)
		copy(plain, start)
		oracle(t, key).Encrypt(want, plain, sector)
		for name, c := range crypt.Engines(key) {
			if err := c.EncryptSector(got, plain, sector); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s differs from the oracle: %v", name, err)
			}
			if err := c.DecryptSector(got, got, sector); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%s does not decrypt: %v", name, err)
			}
			c.Wipe()
		}
	})
}

// BenchmarkSector compares our XTS with the oracle's and with what the AES of this machine can do in
// counter mode, in one run.
func BenchmarkSector(b *testing.B) {
	key := random(1, crypt.KeySize)
	c, o := newCipher(b, key), oracle(b, key)
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, crypt.SectorSize)
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(crypt.SectorSize)
			for b.Loop() {
				f()
			}
		})
	}
	run("encrypt", func() { _ = c.EncryptSector(buf, buf, 1) })
	run("decrypt", func() { _ = c.DecryptSector(buf, buf, 1) })
	for name, e := range crypt.Engines(key) {
		run("encrypt-"+name, func() { _ = e.EncryptSector(buf, buf, 1) })
	}
	run("x-crypto-encrypt", func() { o.Encrypt(buf, buf, 1) })
	run("x-crypto-decrypt", func() { o.Decrypt(buf, buf, 1) })
	run("aes-ctr", func() { cipher.NewCTR(block, key[:16]).XORKeyStream(buf, buf) })
}
