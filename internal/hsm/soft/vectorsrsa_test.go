package soft_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// An rsaFact is something that another implementation made.
type rsaFact struct {
	Algorithm, Is         string
	Signature, Ciphertext []byte
}

// rsaFacts are those made with one key.
type rsaFacts struct {
	PKCS8, Message                                        []byte
	Signatures, OtherSalts, Ciphertexts, OtherCiphertexts []rsaFact
}

func readRSAFacts(t *testing.T) (f rsaFacts) {
	t.Helper()
	data, err := os.ReadFile("testdata/rsa.json")
	check(t, err)
	check(t, json.Unmarshal(data, &f))
	if len(f.Signatures) != 6 || len(f.OtherSalts) != 3 || len(f.Ciphertexts) != 2 || len(f.OtherCiphertexts) != 3 {
		t.Fatal("testdata/rsa.json is not whole")
	}
	return f
}

// Signatures of another implementation verify under their own algorithm, for their message and whole, and
// under no other circumstances.
func TestRSASignatureVectors(t *testing.T) {
	f, m := readRSAFacts(t), open(t, soft.Config{})
	mat := wrap(t, m, "RSA_2048", f.PKCS8, nil)
	for _, s := range f.Signatures {
		msg := hsm.Message{Bytes: f.Message}
		if err := verify(t, m, mat, s.Algorithm, msg, s.Signature); err != nil {
			t.Errorf("%s: %v", s.Algorithm, err)
		}
		if strings.Contains(s.Algorithm, "PKCS1") && !bytes.Equal(sign(t, m, mat, s.Algorithm, msg), s.Signature) {
			t.Errorf("%s: ours is another", s.Algorithm)
		}
		for _, o := range f.Signatures {
			if err := verify(t, m, mat, o.Algorithm, msg, s.Signature); (o.Algorithm == s.Algorithm) != (err == nil) {
				t.Errorf("one of %s as %s: %v", s.Algorithm, o.Algorithm, err)
			}
		}
		for name, sig := range map[string][]byte{
			"empty": {}, "short": s.Signature[:255], "long": append(bytes.Clone(s.Signature), 0), "with a leading zero": append([]byte{0}, s.Signature...),
			"all zeros": make([]byte, 256), "one": append(make([]byte, 255), 1), "all ones": bytes.Repeat([]byte{0xff}, 256),
		} {
			if err := verify(t, m, mat, s.Algorithm, msg, sig); !errors.Is(err, hsm.ErrSignature) {
				t.Errorf("%s, %s: %v", s.Algorithm, name, err)
			}
		}
	}
	for _, s := range f.OtherSalts { // KMS's salts are as long as the hash
		if err := verify(t, m, mat, s.Algorithm, hsm.Message{Bytes: f.Message}, s.Signature); !errors.Is(err, hsm.ErrSignature) {
			t.Errorf("%s without a salt: %v", s.Algorithm, err)
		}
	}
}

// Ciphertexts of another implementation open under their own algorithm, with no label, and not otherwise.
func TestRSACiphertextVectors(t *testing.T) {
	f, m := readRSAFacts(t), open(t, soft.Config{})
	mat := wrap(t, m, "RSA_2048", f.PKCS8, nil)
	decrypt := func(alg string, ct []byte) ([]byte, error) {
		return m.Decrypt(t.Context(), permittest.New("kms:Decrypt", keyARN), use("kms:Decrypt"), mat, alg, ct, nil)
	}
	for _, c := range f.Ciphertexts {
		for _, alg := range []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"} {
			got, err := decrypt(alg, c.Ciphertext)
			if alg == c.Algorithm && (err != nil || !bytes.Equal(got, f.Message)) || alg != c.Algorithm && !errors.Is(err, hsm.ErrCiphertext) {
				t.Errorf("one of %s as %s: %d bytes, %v", c.Algorithm, alg, len(got), err)
			}
		}
		for _, bad := range [][]byte{{}, c.Ciphertext[:255], append(bytes.Clone(c.Ciphertext), 0), make([]byte, 256), bytes.Repeat([]byte{0xff}, 256)} {
			if _, err := decrypt(c.Algorithm, bad); !errors.Is(err, hsm.ErrCiphertext) {
				t.Errorf("%s: %d other bytes: %v", c.Algorithm, len(bad), err)
			}
		}
	}
	for _, c := range f.OtherCiphertexts {
		for _, alg := range []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"} {
			if _, err := decrypt(alg, c.Ciphertext); !errors.Is(err, hsm.ErrCiphertext) {
				t.Errorf("%s as %s: %v", c.Is, alg, err)
			}
		}
	}
}
