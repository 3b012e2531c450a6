package soft_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// However many RSA keys are asked for at once, all are made, a few at a time; who goes away before
// his turn gets none.
func TestRSAKeysAreMadeAFewAtATime(t *testing.T) {
	m := open(t, soft.Config{})
	var wg sync.WaitGroup
	for range 3 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			if _, err := m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), keyARN, "RSA_2048"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	release := m.HoldGeneration()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Generate(ctx, permittest.New("kms:CreateKey", "*"), keyARN, "RSA_2048"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// Other keys do not wait.
	if _, err := m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), keyARN, "ECC_NIST_P256"); err != nil {
		t.Error(err)
	}
	release()
	if _, err := m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), keyARN, "RSA_2048"); err != nil {
		t.Error(err)
	}
}

// Signing by the module, beside the same by the standard library.
func BenchmarkSign(b *testing.B) {
	m := open(b, soft.Config{})
	msg := hsm.Message{Type: hsm.Digest, Bytes: make([]byte, 32)}
	for spec, alg := range map[hsm.Spec]string{"RSA_2048": "RSASSA_PKCS1_V1_5_SHA_256", "ECC_NIST_P256": "ECDSA_SHA_256"} {
		mat := hsmtest.Generate(b, m, keyARN, spec)
		b.Run(string(spec), func(b *testing.B) {
			for b.Loop() {
				sign(b, m, mat, alg, msg)
			}
		})
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for name, signer := range map[string]crypto.Signer{"standard RSA_2048": key, "standard ECC_NIST_P256": ec} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := signer.Sign(rand.Reader, msg.Bytes, crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
