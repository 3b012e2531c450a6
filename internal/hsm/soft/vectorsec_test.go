package soft_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
)

// ecFacts are signatures of "sample" with the curve's own hash. Source: RFC 6979, A.2.5 to A.2.7.
var ecFacts = []struct {
	spec        hsm.Spec
	alg         string
	curve       elliptic.Curve
	key, r, sig string
}{
	{"ECC_NIST_P256", "ECDSA_SHA_256", elliptic.P256(), "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
		"efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716", "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
	{"ECC_NIST_P384", "ECDSA_SHA_384", elliptic.P384(), "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
		"94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
		"99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"},
	{"ECC_NIST_P521", "ECDSA_SHA_512", elliptic.P521(),
		"00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538",
		"00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
		"00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a"},
}

// integer is a number as DER has it, with zeros before it that DER forbids.
func integer(n *big.Int, zeros int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0] >= 0x80 && n.Sign() > 0 {
		b = append([]byte{0}, b...)
	}
	b = append(make([]byte, zeros), b...)
	return append([]byte{2, byte(len(b))}, b...)
}

func sequence(parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	if len(body) >= 0x80 {
		return append([]byte{0x30, 0x81, byte(len(body))}, body...)
	}
	return append([]byte{0x30, byte(len(body))}, body...)
}

// Signatures that are right verify; every other encoding of them, and numbers out of range, do not, as
// Wycheproof has them.
func TestECDSAVectors(t *testing.T) {
	m := open(t, soft.Config{})
	for _, f := range ecFacts {
		t.Run(string(f.spec), func(t *testing.T) {
			key, err := ecdsa.ParseRawPrivateKey(f.curve, unhex(t, f.key))
			check(t, err)
			mat := wrap(t, m, f.spec, pkcs8(t, key), nil)
			sample := hsm.Message{Bytes: secret.Bytes("sample")}
			r, s := new(big.Int).SetBytes(unhex(t, f.r)), new(big.Int).SetBytes(unhex(t, f.sig))
			n, zero := f.curve.Params().N, new(big.Int)
			ok := func(name string, sig []byte) {
				if err := verify(t, m, mat, f.alg, sample, sig); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			ok("as published", sequence(integer(r, 0), integer(s, 0)))
			ok("the other s", sequence(integer(r, 0), integer(new(big.Int).Sub(n, s), 0)))
			whole := sequence(integer(r, 0), integer(s, 0))
			negative := new(big.Int).SetBytes(r.Bytes())
			for name, sig := range map[string][]byte{
				"empty": {}, "empty sequence": sequence(), "one number": sequence(integer(r, 0)), "three numbers": sequence(integer(r, 0), integer(s, 0), integer(s, 0)),
				"r 0": sequence(integer(zero, 0), integer(s, 0)), "s 0": sequence(integer(r, 0), integer(zero, 0)), "both 0": sequence(integer(zero, 0), integer(zero, 0)),
				"r n": sequence(integer(n, 0), integer(s, 0)), "s n": sequence(integer(r, 0), integer(n, 0)),
				"r + n": sequence(integer(new(big.Int).Add(r, n), 0), integer(s, 0)), "s + n": sequence(integer(r, 0), integer(new(big.Int).Add(s, n), 0)),
				"swapped": sequence(integer(s, 0), integer(r, 0)), "r with a zero more": sequence(integer(r, 1), integer(s, 0)), "s with a zero more": sequence(integer(r, 0), integer(s, 2)),
				"r negative":      sequence(append([]byte{2, byte(len(negative.Bytes()))}, flipTop(negative.Bytes())...), integer(s, 0)),
				"a byte after":    append(append([]byte{}, whole...), 0),
				"cut":             whole[:len(whole)-1],
				"an octet string": sequence(append([]byte{4}, integer(r, 0)[1:]...), integer(s, 0)),
				"indefinite":      append(append([]byte{0x30, 0x80}, append(integer(r, 0), integer(s, 0)...)...), 0, 0),
				"raw":             append(r.FillBytes(make([]byte, 66)), s.FillBytes(make([]byte, 66))...),
				"r 1, s 1":        sequence(integer(big.NewInt(1), 0), integer(big.NewInt(1), 0)),
			} {
				if err := verify(t, m, mat, f.alg, sample, sig); !errors.Is(err, hsm.ErrSignature) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// flipTop makes the first bit of a number a one, which DER reads as its sign.
func flipTop(b []byte) []byte {
	b[0] |= 0x80
	return b
}

// Source: NIST CAVP, KAS_ECC_CDH_PrimitiveTest, count 0 of P-384 and P-521.
func TestMoreAgreementVectors(t *testing.T) {
	m := open(t, soft.Config{})
	for _, f := range []struct {
		spec              hsm.Spec
		curve             elliptic.Curve
		key, x, y, shared string
	}{
		{"ECC_NIST_P384", elliptic.P384(), "3cc3122a68f0d95027ad38c067916ba0eb8c38894d22e1b15618b6818a661774ad463b205da88cf699ab4d43c9cf98a1",
			"a7c76b970c3b5fe8b05d2838ae04ab47697b9eaf52e764592efda27fe7513272734466b400091adbf2d68c58e0c50066",
			"ac68f19f2e1cb879aed43a9969b91a0839c4c38a49749b661efedf243451915ed0905a32b060992b468c64766fc8437a",
			"5f9d29dc5e31a163060356213669c8ce132e22f57c9a04f40ba7fcead493b457e5621e766c40a2e3d4d6a04b25e533f1"},
		{"ECC_NIST_P521", elliptic.P521(), "017eecc07ab4b329068fba65e56a1f8890aa935e57134ae0ffcce802735151f4eac6564f6ee9974c5e6887a1fefee5743ae2241bfeb95d5ce31ddcb6f9edb4d6fc47",
			"00685a48e86c79f0f0875f7bc18d25eb5fc8c0b07e5da4f4370f3a9490340854334b1e1b87fa395464c60626124a4e70d0f785601d37c09870ebf176666877a2046d",
			"01ba52c56fc8776d9e8f5db4f0cc27636d0b741bbe05400697942e80b739884a83bde99e0f6716939e632bc8986fa18dccd443a348b6c3e522497955a4f3c302f676",
			"005fc70477c3e63bc3954bd0df3ea0d1f41ee21746ed95fc5e1fdf90930d5e136672d72cc770742d1711c3c3a4c334a0ad9759436a4d3c5bf6e74b9578fac148c831"},
	} {
		key, err := ecdsa.ParseRawPrivateKey(f.curve, unhex(t, f.key))
		check(t, err)
		peer, err := ecdsa.ParseUncompressedPublicKey(f.curve, unhex(t, "04"+f.x+f.y))
		check(t, err)
		spki, err := x509.MarshalPKIXPublicKey(peer)
		check(t, err)
		const action = "kms:DeriveSharedSecret"
		mat := wrap(t, m, f.spec, pkcs8(t, key), nil)
		got, err := m.DeriveSharedSecret(t.Context(), permittest.New(action, keyARN), use(action), mat, spki)
		if err != nil || hex.EncodeToString(got) != f.shared {
			t.Errorf("%s: another secret: %v", f.spec, err)
		}
		// A point that is not on the curve, one of another curve, infinity, and what is no key at all.
		off := append([]byte{}, spki...)
		off[len(off)-1] ^= 1
		other, err := x509.MarshalPKIXPublicKey(&must256(t).PublicKey)
		check(t, err)
		for name, bad := range map[string][]byte{"not on the curve": off, "another curve": other, "nothing": nil, "cut": spki[:len(spki)-1], "a byte more": append(append([]byte{}, spki...), 0)} {
			if _, err := m.DeriveSharedSecret(t.Context(), permittest.New(action, keyARN), use(action), mat, bad); !errors.Is(err, hsm.ErrPublicKey) {
				t.Errorf("%s, %s: %v", f.spec, name, err)
			}
		}
	}
}

func must256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unhex(t, ecFacts[0].key))
	check(t, err)
	return key
}
