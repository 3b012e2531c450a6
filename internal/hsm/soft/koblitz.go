package soft

import (
	"crypto/rand"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// koblitz is a key on secp256k1. The library's multiplication and inversion take a time that
// depends on the number. So that this number is never a secret, each use of one here is split by a
// random number of its own: k G = (k-b) G + b G, and 1/k = b/(k b).
type koblitz struct {
	private secp256k1.ModNScalar
	public  *secp256k1.PublicKey
}

// newKoblitz takes a private key of 32 bytes that is below the order of the curve and not zero;
// ok is false for another.
func newKoblitz(private []byte) (k *koblitz, ok bool) {
	k = &koblitz{}
	if len(private) != secp256k1.PrivKeyBytesLen || k.private.SetByteSlice(private) || k.private.IsZero() {
		return nil, false
	}
	p := blindMultiply(&k.private)
	k.public = secp256k1.NewPublicKey(&p.X, &p.Y)
	return k, true
}

// sign makes a deterministic signature (RFC 6979) with the lower s, in DER, of a digest of 32
// bytes. Source: SEC 1, 4.1.3.
func (k *koblitz) sign(digest []byte) []byte {
	private := k.private.Bytes()
	defer clear(private[:])
	var e secp256k1.ModNScalar
	e.SetByteSlice(digest)
	for i := uint32(0); ; i++ {
		nonce := secp256k1.NonceRFC6979(private[:], digest, nil, nil, i)
		p := blindMultiply(nonce)
		var r, s secp256k1.ModNScalar
		r.SetBytes(p.X.Bytes())
		s.Mul2(&r, &k.private).Add(&e).Mul(blindInvert(nonce))
		nonce.Zero()
		if r.IsZero() || s.IsZero() {
			continue
		}
		if s.IsOverHalfOrder() {
			s.Negate()
		}
		return ecdsa.NewSignature(&r, &s).Serialize()
	}
}

func (k *koblitz) verify(digest, signature []byte) bool {
	s, err := ecdsa.ParseDERSignature(signature)
	return err == nil && s.Verify(digest, k.public)
}

// blindMultiply is n times the base point, in affine coordinates.
func blindMultiply(n *secp256k1.ModNScalar) secp256k1.JacobianPoint {
	b := blind()
	rest := new(secp256k1.ModNScalar).NegateVal(b).Add(n)
	var one, two, sum secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(rest, &one)
	secp256k1.ScalarBaseMultNonConst(b, &two)
	secp256k1.AddNonConst(&one, &two, &sum)
	sum.ToAffine()
	return sum
}

// blindInvert is 1/n modulo the order.
func blindInvert(n *secp256k1.ModNScalar) *secp256k1.ModNScalar {
	b := blind()
	product := new(secp256k1.ModNScalar).Mul2(n, b)
	return product.InverseNonConst().Mul(b)
}

// blind is a random number below the order, and not zero.
func blind() *secp256k1.ModNScalar {
	var raw [32]byte
	for {
		rand.Read(raw[:])
		var b secp256k1.ModNScalar
		if b.SetBytes(&raw) == 0 && !b.IsZero() {
			return &b
		}
	}
}
