package soft_test

import (
	"bytes"
	"crypto/sha3"
	"math/rand/v2"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"

	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// representative is mu of FIPS 204, algorithm 2 and 7, for an empty context.
func representative(key *mldsa.PublicKey, message []byte) []byte {
	tr := sha3.SumSHAKE256(key.Bytes(), 64)
	return sha3.SumSHAKE256(append(append(tr, 0, 0), message...), 64)
}

// The signer's own library verifies messages, ours representatives: both must say the same of
// each signature, right or wrong.
func TestVerifyMuAgreesWithTheSigner(t *testing.T) {
	for _, params := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		t.Run(params.String(), func(t *testing.T) {
			key, err := mldsa.GenerateKey(params)
			if err != nil {
				t.Fatal(err)
			}
			public := key.PublicKey()
			r := rand.New(rand.NewPCG(1, 2))
			for i := range 12 {
				message := bytes.Repeat([]byte{byte(i)}, i*37)
				mu := representative(public, message)
				var sig []byte
				if i%2 == 0 {
					sig, err = key.Sign(nil, message, nil)
				} else {
					sig, err = key.Sign(nil, mu, mldsacrypto.MLDSAMu)
				}
				if err != nil {
					t.Fatal(err)
				}
				if !soft.VerifyMu(public, mu, sig) {
					t.Fatalf("message %d: refused", i)
				}
				for range 8 {
					bad := bytes.Clone(sig)
					// The end holds the hints, whose encoding has rules of its own.
					at := r.IntN(len(bad))
					if r.IntN(2) == 0 {
						at = len(bad) - 1 - r.IntN(80)
					}
					bad[at] ^= 1 << r.IntN(8)
					ours, theirs := soft.VerifyMu(public, mu, bad), mldsa.Verify(public, message, bad, nil) == nil
					if ours || theirs {
						t.Errorf("message %d, byte %d changed: we say %v, the signer says %v", i, at, ours, theirs)
					}
				}
				if soft.VerifyMu(public, representative(public, append(message, 1)), sig) {
					t.Errorf("message %d: the signature is good for another one", i)
				}
				if soft.VerifyMu(public, mu[:63], sig) || soft.VerifyMu(public, mu, sig[:len(sig)-1]) || soft.VerifyMu(public, mu, append(sig, 0)) || soft.VerifyMu(public, mu, nil) {
					t.Errorf("message %d: a wrong length passes", i)
				}
			}
			other, err := mldsa.GenerateKey(params)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := key.Sign(nil, nil, nil)
			if err != nil || soft.VerifyMu(other.PublicKey(), representative(public, nil), sig) {
				t.Errorf("another key accepts: %v", err)
			}
		})
	}
}
