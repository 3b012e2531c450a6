package squeeze_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/kagimori/kagimori/internal/trail/squeeze"
)

func packed(t testing.TB, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := squeeze.NewWriter(&out, "a note")
	if piece == 0 {
		if n, err := io.Copy(w, iotest.HalfReader(bytes.NewReader(data))); err != nil || n != int64(len(data)) {
			t.Fatal(n, err)
		}
		data = nil
	}
	for rest := data; len(rest) > 0; {
		n := min(piece, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// roundTrip fails unless the standard library reads what was written.
func roundTrip(t testing.TB, data []byte, piece int) (size int) {
	t.Helper()
	z := packed(t, data, piece)
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		t.Fatal(err)
	}
	if r.Comment != "a note" {
		t.Errorf("comment %q", r.Comment)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes come back as %d: %v", len(data), len(got), err)
	}
	return len(z)
}

// lines are as a log has them.
func lines(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for i := range n {
		b = fmt.Appendf(b, `{"time":"2026-11-26T10:%02d:%02dZ","name":"GenerateDataKey","user":"arn:aws:iam::111122223333:user/%d","id":"%016x-%016x","resource":"arn:aws:kms:us-east-1:111122223333:key/df020790-bd46-48e0-994b-f8130f48b470","by":"identity","also":"resource","sequence":%d,"previous":"%016x%016x%016x%016x"}`+"\n",
			i/60%60, i%60, r.IntN(3), r.Uint64(), r.Uint64(), i, r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	steep := []byte{} // codes that would be too long: each symbol as often as all before
	for i, n := 0, 1; i < 17; i, n = i+1, n*2 {
		steep = append(steep, bytes.Repeat([]byte{byte(i * 11)}, 1)...)
		for range n {
			steep = append(steep, byte(i*11), byte(r.Uint32N(3)))
		}
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "a byte": {7}, "seven": []byte("1234567"), "eight": []byte("12345678"), "zeros": make([]byte, 600_000),
		"noise": noise, "lines": lines(2000), "steep": steep, "far": append(append(bytes.Clone(noise[:32<<10]), noise[:32<<10]...), noise[:32<<10+1]...),
		"lengths": bytes.Join([][]byte{bytes.Repeat([]byte("ab"), 258), noise[:9], bytes.Repeat([]byte("a"), 259), noise[:9], bytes.Repeat([]byte("c"), 269)}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1 << 30, 32 << 10, 999, 0} {
				roundTrip(t, data, piece)
			}
		})
	}
}

func TestSmall(t *testing.T) {
	data := lines(5000)
	size := roundTrip(t, data, 32<<10)
	var std bytes.Buffer
	z, err := gzip.NewWriterLevel(&std, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if size > std.Len()*11/10 {
		t.Errorf("%d bytes are %d, and %d in the standard library's hands", len(data), size, std.Len())
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("abcabcabcabcabc"), uint16(3), uint8(3))
	f.Add(lines(3), uint16(100), uint8(90))
	f.Fuzz(func(t *testing.T, data []byte, piece uint16, times uint8) {
		roundTrip(t, bytes.Repeat(data, int(times)+1), int(piece)+1)
	})
}

func BenchmarkLines(b *testing.B) {
	data := lines(20_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		w := squeeze.NewWriter(io.Discard, "")
		if _, err := w.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
