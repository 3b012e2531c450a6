package b64_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/kagimori/kagimori/internal/wire/b64"
)

// pattern is n bytes that have every value of six bits at every place of a block, before long.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i*7 + i*13 + i>>3)
	}
	return b
}

func TestSameAsStandard(t *testing.T) {
	for n := range 600 {
		plain := pattern(n)
		want := base64.StdEncoding.AppendEncode([]byte("before"), plain)
		got := b64.AppendEncode([]byte("before"), plain)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes:\n got %s\nwant %s", n, got, want)
		}
		text := got[len("before"):]
		back := make([]byte, base64.StdEncoding.DecodedLen(len(text))+1)
		back[len(back)-1] = 0xa5
		m, err := b64.Decode(back[:len(back)-1], text)
		if err != nil || !bytes.Equal(back[:m], plain) || back[len(back)-1] != 0xa5 {
			t.Fatalf("%d bytes come back as %d: %v", n, m, err)
		}
	}
}

// Every character at every place of a block is decoded, or refused, as by the standard library.
func TestEveryCharacter(t *testing.T) {
	for at := range 70 {
		for c := range 256 {
			text := bytes.Repeat([]byte("Zz+/"), 20)
			text[at] = byte(c)
			same(t, text)
		}
	}
}

func same(t *testing.T, text []byte) {
	t.Helper()
	got, want := make([]byte, base64.StdEncoding.DecodedLen(len(text))), make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := b64.Decode(got, text)
	m, wantErr := base64.StdEncoding.Decode(want, text)
	if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got[:n], want[:m]) {
		t.Fatalf("%q: %x, %v; want %x, %v", text, got[:n], err, want[:m], wantErr)
	}
}

func FuzzSame(f *testing.F) {
	f.Add([]byte("QUJD\r\nREVG"))
	f.Add(bytes.Repeat([]byte("QUJD"), 30))
	f.Add([]byte("QQ=="))
	f.Fuzz(func(t *testing.T, b []byte) {
		same(t, b)
		if got, want := b64.AppendEncode(nil, b), base64.StdEncoding.AppendEncode(nil, b); !bytes.Equal(got, want) {
			t.Fatalf("%x: %s, want %s", b, got, want)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	plain, out := pattern(4096), make([]byte, 0, 8192)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		out = b64.AppendEncode(out[:0], plain)
	}
}

func BenchmarkDecode(b *testing.B) {
	text, out := b64.AppendEncode(nil, pattern(4096)), make([]byte, 8192)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := b64.Decode(out, text); err != nil {
			b.Fatal(err)
		}
	}
}
