package soft_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// The test vectors of c2sp.org/XAES-256-GCM, one for each value of the bit that doubling shifts out.
func TestXAESVectors(t *testing.T) {
	const nonce, plaintext = "ABCDEFGHIJKLMNOPQRSTUVWX", "XAES-256-GCM"
	tests := []struct {
		key         byte
		aad, sealed string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	}
	for _, tt := range tests {
		raw, err := hex.DecodeString(tt.sealed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := soft.OpenXAES(bytes.Repeat([]byte{tt.key}, 32), append([]byte(nonce), raw...), []byte(tt.aad))
		if err != nil || string(got) != plaintext {
			t.Errorf("key %#x: %q, %v", tt.key, got, err)
		}
	}
}

func TestXAESRefuses(t *testing.T) {
	key, aad := bytes.Repeat([]byte{7}, 32), []byte("aad")
	sealed, err := soft.SealXAES(key, []byte("plaintext"), aad)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(what string, key, sealed, aad []byte) {
		t.Helper()
		if got, err := soft.OpenXAES(key, sealed, aad); !errors.Is(err, hsm.ErrCiphertext) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x80
		refuse("a changed byte", key, bad, aad)
		refuse("a cut", key, sealed[:i], aad)
	}
	refuse("another key", bytes.Repeat([]byte{8}, 32), sealed, aad)
	refuse("other data", key, sealed, []byte("aae"))
	refuse("no data", key, sealed, nil)
	if got, err := soft.OpenXAES(key, sealed, aad); err != nil || string(got) != "plaintext" {
		t.Errorf("unchanged: %q, %v", got, err)
	}
	if _, err := soft.SealXAES(key[:31], nil, nil); err == nil {
		t.Error("a key of 31 bytes is accepted")
	}
}
