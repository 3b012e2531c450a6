package hsmtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
)

var importTime = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func parameters(t testing.TB, m hsm.Module, arn string) (public *rsa.PublicKey, token []byte) {
	t.Helper()
	const action = "kms:GetParametersForImport"
	der, token, err := m.ImportParameters(t.Context(), permittest.New(action, arn), hsm.Use{Action: action, KeyARN: arn}, "RSA_2048", "RSAES_OAEP_SHA_256", importTime.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PublicKey), token
}

func wrapOAEP(t testing.TB, key *rsa.PublicKey, material []byte) []byte {
	t.Helper()
	ct, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, material, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

// Imported material is the key's as generated material is; a token serves one key for a time.
func testImport(t *testing.T, open func(*testing.T) hsm.Module) {
	const action = "kms:ImportKeyMaterial"
	m := open(t)
	key, token := parameters(t, m, arnA)
	load := func(arn string, spec hsm.Spec, token, wrapped []byte, now time.Time) (hsm.Material, error) {
		return m.Import(t.Context(), permittest.New(action, arn), hsm.Use{Action: action, KeyARN: arn}, spec, token, wrapped, now)
	}
	material := bytes.Repeat([]byte{9}, 32)
	wrapped := wrapOAEP(t, key, material)
	mat, err := load(arnA, symmetric, token, wrapped, importTime)
	if err != nil || mat.Spec != symmetric || len(mat.Wrapped) == 0 {
		t.Fatalf("material %+v, %v", mat, err)
	}
	ct := mustEncrypt(t, m, arnA, mat)
	again, err := load(arnA, symmetric, token, wrapOAEP(t, key, material), importTime.Add(59*time.Minute))
	if err != nil || again.ID != mat.ID {
		t.Errorf("the same material has the ids %s and %s: %v", mat.ID, again.ID, err)
	}
	if got, err := decrypt(t, m, arnA, again, symmetric, ct, aad); err != nil || !got.Equal(plaintext) {
		t.Errorf("imported again: %v", err)
	}
	other, err := load(arnA, symmetric, token, wrapOAEP(t, key, bytes.Repeat([]byte{8}, 32)), importTime)
	if err != nil || other.ID == mat.ID {
		t.Errorf("other material has the id %s: %v", other.ID, err)
	}

	bad := bytes.Clone(token)
	bad[len(bad)-1] ^= 1
	for what, try := range map[string]struct {
		arn            string
		spec           hsm.Spec
		token, wrapped []byte
		now            time.Time
		want           error
	}{
		"for another key":    {arnB, symmetric, token, wrapped, importTime, hsm.ErrToken},
		"a changed token":    {arnA, symmetric, bad, wrapped, importTime, hsm.ErrToken},
		"no token":           {arnA, symmetric, nil, wrapped, importTime, hsm.ErrToken},
		"too late":           {arnA, symmetric, token, wrapped, importTime.Add(time.Hour), hsm.ErrTokenExpired},
		"cut":                {arnA, symmetric, token, wrapped[1:], importTime, hsm.ErrCiphertext},
		"longer":             {arnA, symmetric, token, append(bytes.Clone(wrapped), make([]byte, 24)...), importTime, hsm.ErrCiphertext},
		"nothing":            {arnA, symmetric, token, nil, importTime, hsm.ErrCiphertext},
		"of another size":    {arnA, symmetric, token, wrapOAEP(t, key, material[1:]), importTime, hsm.ErrImport},
		"of another spec":    {arnA, "HMAC_512", token, wrapped, importTime, hsm.ErrImport},
		"no PKCS#8":          {arnA, "ECC_NIST_P256", token, wrapped, importTime, hsm.ErrImport},
		"a spec without raw": {arnA, "ML_DSA_44", token, wrapped, importTime, hsm.ErrImport},
	} {
		got, err := load(try.arn, try.spec, try.token, try.wrapped, try.now)
		wantErr(t, what, err, try.want)
		if got.Wrapped != nil {
			t.Error("an error with material")
		}
	}

	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	mat, err = load(arnA, "ECC_NIST_P256", token, wrapOAEP(t, key, der), importTime)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(plaintext)
	sig, err := sign(t, m, mat, "ECDSA_SHA_256", hsm.Message{Bytes: plaintext})
	if err != nil || !ecdsa.VerifyASN1(&pair.PublicKey, digest[:], sig) {
		t.Errorf("the imported key signs: %v", err)
	}
	_, err = load(arnA, "ECC_NIST_P384", token, wrapOAEP(t, key, der), importTime)
	wantErr(t, "a key on another curve", err, hsm.ErrImport)

	for _, tt := range [][2]string{{"RSA_2048", "RSAES_PKCS1_V1_5"}, {"RSA_2048", ""}, {"SM2", "SM2PKE"}, {"ECC_NIST_P256", "RSAES_OAEP_SHA_256"}} {
		const action = "kms:GetParametersForImport"
		_, token, err := m.ImportParameters(t.Context(), permittest.New(action, arnA), hsm.Use{Action: action, KeyARN: arnA}, hsm.Spec(tt[0]), tt[1], importTime)
		wantErr(t, tt[0]+" "+tt[1], err, hsm.ErrUnsupported)
		if token != nil {
			t.Error("an error with a token")
		}
	}
}
