package soft_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// Keys are derived as the standard library's HKDF does, whatever the lengths of key and label.
func TestDerive(t *testing.T) {
	for _, n := range []int{1, 16, 31, 32, 33, 64, 65, 1200} {
		for _, label := range []string{"", "message", "id/" + strings.Repeat("x", 36), strings.Repeat("y", 112), strings.Repeat("y", 113), strings.Repeat("y", 500)} {
			key := make([]byte, n)
			rand.Read(key) // never fails
			before := bytes.Clone(key)
			want, err := hkdf.Key(sha256.New, key, nil, soft.Labels+label, 32)
			if err != nil {
				t.Fatal(err)
			}
			got, err := soft.Derive(key, label)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("a key of %d bytes and a label of %d: %x, %v; want %x", n, len(label), got, err, want)
			}
			if !bytes.Equal(key, before) {
				t.Error("the key was changed")
			}
		}
	}
}
