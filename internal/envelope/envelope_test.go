package envelope_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/envelope"
)

var header = envelope.Header{
	Region:     "eu-central-1",
	Account:    "000123456789",
	KeyID:      "1234abcd-12ab-34cd-56ef-1234567890ab",
	MaterialID: strings.Repeat("0123456789abcdef", 4),
	Algorithm:  "SYMMETRIC_DEFAULT",
}

func marshal(t testing.TB, h envelope.Header, body []byte) []byte {
	t.Helper()
	blob, err := envelope.Marshal(h, body)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// with is the usual header after a change.
func with(change func(*envelope.Header)) envelope.Header {
	h := header
	change(&h)
	return h
}

func TestRoundTrip(t *testing.T) {
	tests := map[string]envelope.Header{
		"usual":             header,
		"account zero":      with(func(h *envelope.Header) { h.Account = "000000000000" }),
		"highest account":   with(func(h *envelope.Header) { h.Account = "999999999999" }),
		"multi-Region key":  with(func(h *envelope.Header) { h.KeyID = "mrk-" + strings.Repeat("0a", 16) }),
		"longest key id":    with(func(h *envelope.Header) { h.KeyID = strings.Repeat("Z_", 64) }),
		"government region": with(func(h *envelope.Header) { h.Region = "us-gov-west-1" }),
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			body := []byte("raw ciphertext")
			got, rest, err := envelope.Parse(marshal(t, h, body))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(h, got); d != "" {
				t.Error(d)
			}
			if !bytes.Equal(rest, body) {
				t.Errorf("body %x, want %x", rest, body)
			}
		})
	}
}

// The bytes of version 1, which every later version must still read.
func TestGolden(t *testing.T) {
	want := "4b47" + "01" + "01" + "00075bcd15" + header.MaterialID +
		"0c" + fmt.Sprintf("%x", header.Region) + "24" + fmt.Sprintf("%x", header.KeyID) + "ff"
	if got := fmt.Sprintf("%x", marshal(t, header, []byte{0xff})); got != want {
		t.Errorf("blob\n%s, want\n%s", got, want)
	}
}

// A raw ciphertext of the module is at most 64 bytes longer than its plaintext.
func TestBlobsAreShort(t *testing.T) {
	if n := len(marshal(t, header, make([]byte, 32+64))); n > 256 {
		t.Errorf("the blob of a 32-byte data key has %d bytes", n)
	}
	long := with(func(h *envelope.Header) {
		h.Region, h.KeyID = strings.Repeat("a", 63), strings.Repeat("a", 128)
	})
	if n := len(marshal(t, long, make([]byte, 4096+64))); n > envelope.MaxBlob-1024 {
		t.Errorf("the blob of 4096 bytes has %d bytes", n)
	}
}

func TestMarshalRefuses(t *testing.T) {
	one := []byte{1}
	tests := map[string]struct {
		h    envelope.Header
		body []byte
	}{
		"zero header":         {envelope.Header{}, one},
		"no body":             {header, nil},
		"body too long":       {header, make([]byte, envelope.MaxBlob)},
		"short account":       {with(func(h *envelope.Header) { h.Account = "1" }), one},
		"signed account":      {with(func(h *envelope.Header) { h.Account = "+12345678901" }), one},
		"no region":           {with(func(h *envelope.Header) { h.Region = "" }), one},
		"region with dot":     {with(func(h *envelope.Header) { h.Region = "eu.1" }), one},
		"region in capitals":  {with(func(h *envelope.Header) { h.Region = "EU" }), one},
		"long region":         {with(func(h *envelope.Header) { h.Region = strings.Repeat("a", 64) }), one},
		"no key id":           {with(func(h *envelope.Header) { h.KeyID = "" }), one},
		"key id with slash":   {with(func(h *envelope.Header) { h.KeyID = "key/1" }), one},
		"long key id":         {with(func(h *envelope.Header) { h.KeyID = strings.Repeat("a", 129) }), one},
		"material in capital": {with(func(h *envelope.Header) { h.MaterialID = strings.Repeat("AB", 32) }), one},
		"short material":      {with(func(h *envelope.Header) { h.MaterialID = "ab" }), one},
		"no algorithm":        {with(func(h *envelope.Header) { h.Algorithm = "" }), one},
		"asymmetric":          {with(func(h *envelope.Header) { h.Algorithm = "RSAES_OAEP_SHA_256" }), one},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := envelope.Marshal(tt.h, tt.body); !errors.Is(err, envelope.ErrHeader) {
				t.Errorf("got %v, want ErrHeader", err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := marshal(t, header, []byte("x"))
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	tests := map[string][]byte{
		"nil":              nil,
		"magic":            change(0, 'X'),
		"newer version":    change(2, 2),
		"algorithm 0":      change(3, 0),
		"algorithm 200":    change(3, 200),
		"account too high": change(4, 0xff),
		"empty region":     change(41, 0),
		"region too long":  change(41, 255),
		"region text":      change(42, '/'),
		"key id too long":  change(41+1+12, 255),
		"empty key id":     change(41+1+12, 0),
		"key id text":      change(41+1+12+1, '/'),
		"too long":         append(bytes.Clone(good), make([]byte, envelope.MaxBlob)...),
		"AWS's own format": append([]byte{1, 2, 2, 0, 0x78}, make([]byte, 179)...),
	}
	for name, blob := range tests {
		t.Run(name, func(t *testing.T) {
			h, body, err := envelope.Parse(blob)
			if !errors.Is(err, envelope.ErrMalformed) || body != nil || h != (envelope.Header{}) {
				t.Errorf("got %+v, %d bytes, %v; want ErrMalformed", h, len(body), err)
			}
		})
	}
	for n := range good {
		if _, _, err := envelope.Parse(good[:n]); !errors.Is(err, envelope.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v, want ErrMalformed", n, err)
		}
	}
}

// Whatever differs in header or context differs in the associated data.
func TestBindIsInjective(t *testing.T) {
	type pair struct {
		h   envelope.Header
		ctx map[string]string
	}
	pairs := []pair{
		{header, nil},
		{header, map[string]string{"": ""}},
		{header, map[string]string{"a": "b"}},
		{with(func(h *envelope.Header) { h.Region = "eu-central-2" }), nil},
		{with(func(h *envelope.Header) { h.Account = "000123456780" }), nil},
		{with(func(h *envelope.Header) { h.KeyID += "0" }), nil},
		{with(func(h *envelope.Header) { h.Region, h.KeyID = "eu", "central-1"+h.KeyID }), nil},
		{with(func(h *envelope.Header) { h.MaterialID = strings.Repeat("00", 32) }), nil},
		{with(func(h *envelope.Header) { h.Algorithm = "" }), nil},
		{envelope.Header{}, nil},
		{envelope.Header{Region: "a"}, nil},
		{envelope.Header{Account: "a"}, nil},
		{envelope.Header{KeyID: "a"}, nil},
	}
	seen := map[string]pair{}
	for _, p := range pairs {
		b := string(p.h.Bind(envelope.CanonicalContext(p.ctx)))
		if other, dup := seen[b]; dup {
			t.Errorf("%+v and %+v bind to the same bytes", p, other)
		}
		seen[b] = p
	}
}

func TestBindBeginsWithTheHeaderOfTheBlob(t *testing.T) {
	body := []byte("body")
	blob := marshal(t, header, body)
	aad := header.Bind([]byte("context"))
	if want := string(blob[:len(blob)-len(body)]) + "context"; string(aad) != want {
		t.Errorf("bound to\n%x, want\n%x", aad, want)
	}
}

func TestCanonicalContext(t *testing.T) {
	if got := envelope.CanonicalContext(map[string]string{}); got != nil {
		t.Errorf("an empty context gives %x, want the same as none", got)
	}
	ctx := map[string]string{"b": "2", "a": "1", "aws:ebs:id": "vol-1", "é": "ü"}
	want := "\x01a\x011" + "\x0aaws:ebs:id\x05vol-1" + "\x01b\x012" + "\x02é\x02ü"
	for range 20 { // maps have no order
		if got := string(envelope.CanonicalContext(maps.Clone(ctx))); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	different := []map[string]string{
		{"a": "bc"}, {"ab": "c"}, {"abc": ""}, {"": "abc"}, {"A": "bc"}, {"a": "b", "c": ""}, {"a": "b", "": "c"},
		{"a": "\x01b\x01c"}, {"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a\x00": "b"}, {"a": "\x00b"},
		{"a": strings.Repeat("x", 127)}, {"a": strings.Repeat("x", 128)}, {"a": strings.Repeat("x", 300)},
	}
	seen := map[string]int{}
	for i, c := range different {
		enc := string(envelope.CanonicalContext(c))
		if j, dup := seen[enc]; dup {
			t.Errorf("%v and %v have the same encoding", c, different[j])
		}
		seen[enc] = i
	}
}

// FuzzParse: what parses prints back to the same bytes.
func FuzzParse(f *testing.F) {
	f.Add(marshal(f, header, []byte("x")))
	f.Add([]byte("KG\x01\x01"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, blob []byte) {
		h, body, err := envelope.Parse(blob)
		if err != nil {
			if !errors.Is(err, envelope.ErrMalformed) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		again, err := envelope.Marshal(h, body)
		if err != nil {
			t.Fatalf("parsed %+v, which has no encoding: %v", h, err)
		}
		if !bytes.Equal(again, blob) {
			t.Errorf("%x became %x", blob, again)
		}
		if bound, want := envelope.Bound(blob, body, []byte("context")), h.Bind([]byte("context")); !bytes.Equal(bound, want) {
			t.Errorf("%x is bound to %x, not to %x", blob, bound, want)
		}
	})
}

func TestBound(t *testing.T) {
	blob := marshal(t, header, []byte("body"))
	_, body, err := envelope.Parse(blob)
	if err != nil {
		t.Fatal(err)
	}
	bound := envelope.Bound(blob, body, []byte("context"))
	if want := header.Bind([]byte("context")); !bytes.Equal(bound, want) {
		t.Errorf("bound to %x, not to %x", bound, want)
	}
	if string(body) != "body" { // what is appended goes elsewhere
		t.Errorf("the body became %q", body)
	}
}

// FuzzCanonicalContext reads the encoding back: it is injective if that always gives the map.
func FuzzCanonicalContext(f *testing.F) {
	f.Add("a", "b", "c", "d")
	f.Add("", "", "\x01", "\x00")
	f.Add(strings.Repeat("k", 200), "v", "", "w")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		ctx := map[string]string{k1: v1, k2: v2}
		if d := cmp.Diff(ctx, decodeContext(t, envelope.CanonicalContext(ctx))); d != "" {
			t.Error(d)
		}
	})
}

func decodeContext(t *testing.T, b []byte) map[string]string {
	t.Helper()
	next := func() string {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			t.Fatalf("bad length in %x", b)
		}
		s := string(b[w : w+int(n)])
		b = b[w+int(n):]
		return s
	}
	out := map[string]string{}
	for len(b) > 0 {
		k := next()
		out[k] = next()
	}
	return out
}
