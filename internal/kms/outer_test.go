package kms_test

import (
	"bytes"
	"testing"

	"github.com/kagimori/kagimori/internal/kms"
)

// FuzzOuter: the outer layer of a ciphertext of an external key store has one form, and every byte of it
// is in one of the parts.
func FuzzOuter(f *testing.F) {
	iv, tag := bytes.Repeat([]byte{1}, 12), bytes.Repeat([]byte{2}, 16)
	f.Add(bytes.Join([][]byte{{1, 2}, []byte("md"), {12}, iv, tag, []byte("ciphertext")}, nil))
	f.Add(bytes.Join([][]byte{{1, 0, 16}, tag, tag, []byte("c")}, nil))
	f.Add([]byte{1, 21})
	f.Fuzz(func(t *testing.T, body []byte) {
		s, ok := kms.OpenOuter(bytes.Clone(body))
		if !ok {
			return
		}
		again := bytes.Join([][]byte{{1, byte(len(s.Metadata))}, s.Metadata, {byte(len(s.IV))}, s.IV, s.Tag, s.Ciphertext}, nil)
		if !bytes.Equal(again, body) || len(s.Ciphertext) == 0 || len(s.Tag) != 16 || len(s.Metadata) > 20 {
			t.Errorf("%x is %+v", body, s)
		}
	})
}
