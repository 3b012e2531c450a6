package terraform_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"
)

// pems are a certificate, its private key, and the public key as OpenSSH writes it.
func pems(t *testing.T) (certificate, private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &key.PublicKey, key)
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	enc := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	var blob []byte
	for _, part := range [][]byte{[]byte("ssh-rsa"), big.NewInt(int64(key.E)).Bytes(), append([]byte{0}, key.N.Bytes()...)} {
		blob = append(binary.BigEndian.AppendUint32(blob, uint32(len(part))), part...)
	}
	return enc("CERTIFICATE", der), enc("PRIVATE KEY", pkcs8), "ssh-rsa " + base64.StdEncoding.EncodeToString(blob)
}

// TestIdentities: users, groups, roles, policies, providers and what belongs to them are made, changed
// in place and removed.
func TestIdentities(t *testing.T) {
	t.Parallel()
	w := open(t, "identity")
	certificate, private, public := pems(t)
	w.env = append(w.env, "TF_VAR_certificate="+certificate, "TF_VAR_private_key="+private, "TF_VAR_public_key="+public)
	w.apply()
	const account = "arn:aws:iam::210000000099:"
	want := []string{
		account + "user/people/ana", account + "group/groups/team", account + "role/app", account + "policy/keys", account + "role/app",
		"arn:aws:iam::aws:policy/ReadOnlyAccess", account + "oidc-provider/issuer.example.com",
	}
	if got := output[[]string](w, "arns"); !slices.Equal(got, want) {
		t.Errorf("ARNs are %v, want %v", got, want)
	}
	w.apply("description=second")
	w.destroy()
}
