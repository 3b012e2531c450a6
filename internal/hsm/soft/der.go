package soft

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// Object identifiers of what crypto/x509 does not encode. Sources: RFC 5480 (elliptic curves),
// SEC 2 (secp256k1), GM/T 0006 (SM2), RFC 9881 (ML-DSA), RFC 9935 (ML-KEM).
var (
	oidEC  = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	points = map[hsm.Spec]asn1.ObjectIdentifier{
		specKoblitz: {1, 3, 132, 0, 10},
		specSM2:     {1, 2, 156, 10197, 1, 301},
	}
	seeds = map[hsm.Spec]asn1.ObjectIdentifier{
		"ML_DSA_44":   {2, 16, 840, 1, 101, 3, 4, 3, 17},
		"ML_DSA_65":   {2, 16, 840, 1, 101, 3, 4, 3, 18},
		"ML_DSA_87":   {2, 16, 840, 1, 101, 3, 4, 3, 19},
		"ML_KEM_512":  {2, 16, 840, 1, 101, 3, 4, 4, 1},
		"ML_KEM_768":  {2, 16, 840, 1, 101, 3, 4, 4, 2},
		"ML_KEM_1024": {2, 16, 840, 1, 101, 3, 4, 4, 3},
	}
)

// spki is SubjectPublicKeyInfo of RFC 5280.
type spki struct {
	Algorithm pkix.AlgorithmIdentifier
	PublicKey asn1.BitString
}

// pkcs8 is OneAsymmetricKey of RFC 5958, version 0.
type pkcs8 struct {
	Version    int
	Algorithm  pkix.AlgorithmIdentifier
	PrivateKey []byte
}

// ecPrivate is ECPrivateKey of RFC 5915; the curve is named outside.
type ecPrivate struct {
	Version    int
	PrivateKey []byte
	Curve      asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"` // not written
	PublicKey  asn1.BitString        `asn1:"optional,explicit,tag:1"`
}

var errDER = errors.New("hsm: not the DER of a key of this spec")

// identifier names the algorithm of a spec: for curves the curve is its parameter.
func identifier(spec hsm.Spec) (pkix.AlgorithmIdentifier, error) {
	if oid := seeds[spec]; oid != nil {
		return pkix.AlgorithmIdentifier{Algorithm: oid}, nil
	}
	if points[spec] == nil {
		return pkix.AlgorithmIdentifier{}, hsm.ErrUnsupported
	}
	curve, err := asn1.Marshal(points[spec])
	return pkix.AlgorithmIdentifier{Algorithm: oidEC, Parameters: asn1.RawValue{FullBytes: curve}}, err
}

// same reports whether an identifier that was read is that of the spec.
func same(id pkix.AlgorithmIdentifier, spec hsm.Spec) bool {
	want, err := identifier(spec)
	return err == nil && id.Algorithm.Equal(want.Algorithm) && string(id.Parameters.FullBytes) == string(want.Parameters.FullBytes)
}

// marshalPublic encodes a public key: an uncompressed point, or the bytes of FIPS 203 and 204.
func marshalPublic(spec hsm.Spec, public []byte) ([]byte, error) {
	id, err := identifier(spec)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(spki{id, asn1.BitString{Bytes: public, BitLength: 8 * len(public)}})
}

// parsePublic undoes marshalPublic.
func parsePublic(spec hsm.Spec, der []byte) ([]byte, error) {
	var k spki
	rest, err := asn1.Unmarshal(der, &k)
	if err != nil || len(rest) > 0 || !same(k.Algorithm, spec) || k.PublicKey.BitLength != 8*len(k.PublicKey.Bytes) {
		return nil, errDER
	}
	return k.PublicKey.Bytes, nil
}

// marshalPrivate encodes a private key: the number of a curve, with its point, or the seed of
// FIPS 203 and 204, in the form that has the seed alone.
func marshalPrivate(spec hsm.Spec, private secret.Bytes, public []byte) (secret.Bytes, error) {
	id, err := identifier(spec)
	if err != nil {
		return nil, err
	}
	var inner []byte
	if seeds[spec] != nil {
		inner, err = asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: private})
	} else {
		inner, err = asn1.Marshal(ecPrivate{Version: 1, PrivateKey: private, PublicKey: asn1.BitString{Bytes: public, BitLength: 8 * len(public)}})
	}
	if err != nil {
		return nil, err
	}
	defer clear(inner)
	return asn1.Marshal(pkcs8{0, id, inner})
}

// parsePrivate undoes marshalPrivate.
func parsePrivate(spec hsm.Spec, der secret.Bytes) (secret.Bytes, error) {
	var k pkcs8
	rest, err := asn1.Unmarshal(der, &k)
	defer clear(k.PrivateKey)
	if err != nil || len(rest) > 0 || k.Version != 0 || !same(k.Algorithm, spec) {
		return nil, errDER
	}
	if seeds[spec] != nil {
		var seed asn1.RawValue
		rest, err = asn1.Unmarshal(k.PrivateKey, &seed)
		if err != nil || len(rest) > 0 || seed.Class != asn1.ClassContextSpecific || seed.Tag != 0 || seed.IsCompound {
			return nil, errDER
		}
		return append(secret.Bytes(nil), seed.Bytes...), nil
	}
	var inner ecPrivate
	rest, err = asn1.Unmarshal(k.PrivateKey, &inner)
	if err != nil || len(rest) > 0 || inner.Version != 1 {
		return nil, errDER
	}
	return inner.PrivateKey, nil
}
