package webtoken_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/sts/webtoken"
)

func decode(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestTokensVerifyByTheSet(t *testing.T) {
	for _, algorithm := range webtoken.Algorithms() {
		_, private, err := webtoken.Generate(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		k, err := webtoken.Read(algorithm, private) // as it is kept
		if err != nil {
			t.Fatal(err)
		}
		token, err := k.Sign(map[string]any{"sub": "jo"})
		if err != nil {
			t.Fatal(err)
		}
		body, err := webtoken.Set([]*webtoken.Key{k})
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) != 1 {
			t.Fatalf("set %s, %v", body, err)
		}
		j := set.Keys[0]
		parts := strings.Split(token, ".")
		var header map[string]string
		if err := json.Unmarshal(decode(t, parts[0]), &header); err != nil || header["alg"] != algorithm || header["kid"] != j["kid"] || j["alg"] != algorithm || j["use"] != "sig" {
			t.Errorf("header %v, key %v, %v", header, j, err)
		}
		signed, signature := []byte(parts[0]+"."+parts[1]), decode(t, parts[2])
		number := func(name string) *big.Int { return new(big.Int).SetBytes(decode(t, j[name])) }
		switch algorithm {
		case webtoken.RS256:
			sum := sha256.Sum256(signed)
			public := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
			if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature); err != nil {
				t.Error(err)
			}
		case webtoken.ES384:
			sum := sha512.Sum384(signed)
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), slices.Concat([]byte{4}, decode(t, j["x"]), decode(t, j["y"])))
			if err != nil {
				t.Fatal(err)
			}
			if len(signature) != 96 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:48]), new(big.Int).SetBytes(signature[48:])) {
				t.Error("the signature is not the key's")
			}
		}
	}
	_, private, err := webtoken.Generate(webtoken.RS256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := webtoken.Read(webtoken.ES384, private); err == nil {
		t.Error("an RSA key was taken for ES384")
	}
	if _, _, err := webtoken.Generate("HS256"); err == nil {
		t.Error("a key for HS256")
	}
}
