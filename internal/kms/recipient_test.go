package kms_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/kms/attest/attesttest"
	"github.com/kagimori/kagimori/internal/trail"
)

// An enclave can ask for answers that only it can read.
type enclave struct {
	h   *attesttest.Hypervisor
	key *rsa.PrivateKey
	doc []byte
}

func newEnclave(t *testing.T, w *world) *enclave {
	t.Helper()
	h := attesttest.New(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	w.roots = []string{attest.Fingerprint(h.Root)}
	w.restart()
	return &enclave{h, key, h.Sign(t, h.Fields(&key.PublicKey))}
}

func (e *enclave) info() *kmsapi.RecipientInfo {
	return &kmsapi.RecipientInfo{AttestationDocument: e.doc, KeyEncryptionAlgorithm: new("RSAES_OAEP_SHA_256")}
}

func (e *enclave) open(t *testing.T, envelope []byte) []byte {
	t.Helper()
	plain, err := attesttest.Open(e.key, envelope)
	check(t, err)
	return plain
}

func TestRecipientAloneReadsTheAnswer(t *testing.T) {
	w := newWorld(t)
	e, root := newEnclave(t, w), w.root(owner)
	key := root.newKey()

	data := get[kmsapi.GenerateDataKeyResponse](root, &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256"), Recipient: e.info()})
	if data.Plaintext != nil || data.KeyMaterialId != nil || len(data.CiphertextBlob) == 0 {
		t.Errorf("GenerateDataKey answered %+v", data)
	}
	plain := e.open(t, data.CiphertextForRecipient)
	dec := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: data.CiphertextBlob, Recipient: e.info()})
	if dec.Plaintext != nil || dec.KeyMaterialId != nil || *dec.KeyId != key || len(plain) != 32 || !bytes.Equal(e.open(t, dec.CiphertextForRecipient), plain) {
		t.Errorf("Decrypt answered %+v", dec)
	}

	pair := get[kmsapi.GenerateDataKeyPairResponse](root, &kmsapi.GenerateDataKeyPairRequest{KeyId: &key, KeyPairSpec: new("ECC_NIST_P256"), Recipient: e.info()})
	private := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: pair.PrivateKeyCiphertextBlob}).Plaintext
	if pair.PrivateKeyPlaintext != nil || pair.KeyMaterialId != nil || len(pair.PublicKey) == 0 || !bytes.Equal(e.open(t, pair.CiphertextForRecipient), private) {
		t.Errorf("GenerateDataKeyPair answered %+v", pair)
	}

	random := get[kmsapi.GenerateRandomResponse](root, &kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(100)), Recipient: e.info()})
	if random.Plaintext != nil || len(e.open(t, random.CiphertextForRecipient)) != 100 {
		t.Errorf("GenerateRandom answered %+v", random)
	}

	ours, theirs := root.keyOf("ECC_NIST_P384", "KEY_AGREEMENT"), root.keyOf("ECC_NIST_P384", "KEY_AGREEMENT")
	derive := func(a, b string, r *kmsapi.RecipientInfo) *kmsapi.DeriveSharedSecretResponse {
		peer := get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &b}).PublicKey
		return get[kmsapi.DeriveSharedSecretResponse](root, &kmsapi.DeriveSharedSecretRequest{KeyId: &a, PublicKey: peer, KeyAgreementAlgorithm: new("ECDH"), Recipient: r})
	}
	shared := derive(ours, theirs, e.info())
	if shared.SharedSecret != nil || !bytes.Equal(e.open(t, shared.CiphertextForRecipient), derive(theirs, ours, nil).SharedSecret) {
		t.Errorf("DeriveSharedSecret answered %+v", shared)
	}
}

func TestRecipientIsVerified(t *testing.T) {
	w := newWorld(t)
	e, root := newEnclave(t, w), w.root(owner)
	key := root.newKey()
	stranger := attesttest.New(t)
	for name, tt := range map[string]struct {
		info    kmsapi.RecipientInfo
		message string
	}{
		"no document":   {kmsapi.RecipientInfo{KeyEncryptionAlgorithm: new("RSAES_OAEP_SHA_256")}, "Recipient needs an AttestationDocument."},
		"no algorithm":  {kmsapi.RecipientInfo{AttestationDocument: e.doc}, "Recipient needs a KeyEncryptionAlgorithm."},
		"nonsense":      {kmsapi.RecipientInfo{AttestationDocument: []byte("x"), KeyEncryptionAlgorithm: new("RSAES_OAEP_SHA_256")}, "The attestation document is not valid."},
		"another root":  {kmsapi.RecipientInfo{AttestationDocument: stranger.Sign(t, stranger.Fields(&e.key.PublicKey)), KeyEncryptionAlgorithm: new("RSAES_OAEP_SHA_256")}, "The attestation document is not valid."},
		"old algorithm": {kmsapi.RecipientInfo{AttestationDocument: e.doc, KeyEncryptionAlgorithm: new("RSAES_OAEP_SHA_1")}, "1 validation error detected: Value 'RSAES_OAEP_SHA_1' at 'recipient.keyEncryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [RSAES_OAEP_SHA_256]"},
	} {
		for op, in := range map[string]any{
			"GenerateDataKey":     &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256"), Recipient: &tt.info},
			"GenerateDataKeyPair": &kmsapi.GenerateDataKeyPairRequest{KeyId: &key, KeyPairSpec: new("ECC_NIST_P256"), Recipient: &tt.info},
			"GenerateRandom":      &kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(1)), Recipient: &tt.info},
			"Decrypt":             &kmsapi.DecryptRequest{CiphertextBlob: []byte("x"), Recipient: &tt.info},
			"DeriveSharedSecret":  &kmsapi.DeriveSharedSecretRequest{KeyId: &key, PublicKey: []byte("x"), KeyAgreementAlgorithm: new("ECDH"), Recipient: &tt.info},
		} {
			t.Run(name+"/"+op, func(t *testing.T) { wantErr(t, root.try(in), "ValidationException", tt.message) })
		}
	}
	w.roots = nil
	w.restart()
	wantErr(t, root.try(&kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(1)), Recipient: e.info()}), "ValidationException", "The attestation document is not valid.")
}

func TestRecipientConditions(t *testing.T) {
	w := newWorld(t)
	e, root := newEnclave(t, w), w.root(owner)
	pcr := func(n int) string { return hex.EncodeToString(append([]byte{byte(n + 1)}, make([]byte, 47)...)) }
	tpm := *e
	fields := e.h.Fields(&e.key.PublicKey)
	fields["nitrotpm_pcrs"] = fields["pcrs"]
	delete(fields, "pcrs")
	tpm.doc = e.h.Sign(t, fields)
	for _, tt := range []struct {
		key, value   string
		enclave, tpm bool
	}{
		{"kms:RecipientAttestation:ImageSha384", pcr(0), true, false},
		{"kms:RecipientAttestation:ImageSha384", strings.ToUpper(pcr(0)), true, false},
		{"kms:RecipientAttestation:PCR0", pcr(0), true, false},
		{"kms:RecipientAttestation:PCR8", pcr(8), true, false},
		{"kms:RecipientAttestation:PCR8", pcr(7), false, false},
		{"kms:RecipientAttestation:PCR20", pcr(20), false, false},
		{"kms:RecipientAttestation:NitroTPMPCR4", pcr(4), false, true},
	} {
		t.Run(tt.key, func(t *testing.T) {
			user := w.user(owner, "u"+strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), ":")+1:], "#", "-"))
			key := root.newKey(allow(user.arn(), `{"StringEqualsIgnoreCase":{"`+tt.key+`":"`+tt.value+`"}}`, "kms:GenerateDataKey"))
			ask := func(r *kmsapi.RecipientInfo) error {
				return user.try(&kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256"), Recipient: r})
			}
			for name, c := range map[string]struct {
				info *kmsapi.RecipientInfo
				want bool
			}{"enclave": {e.info(), tt.enclave}, "TPM": {tpm.info(), tt.tpm}, "nobody": {nil, false}} {
				if err := ask(c.info); (err == nil) != c.want {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// The record tells which enclave it was, and no document, key or secret.
func TestRecipientIsOnRecord(t *testing.T) {
	w := newWorld(t)
	e, root := newEnclave(t, w), w.root(owner)
	root.must(&kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(8)), Recipient: e.info()})
	recs := w.records(trail.Filter{})
	data, err := json.Marshal(recs[0].AdditionalEventData)
	check(t, err)
	for _, want := range []string{`"attestationDocumentModuleId":"i-0123456789abcdef0-enc0123456789abcdef"`, `"attestationDocumentEnclaveImageDigest":"01`, `"attestationDocumentEnclavePCR8":"09`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if strings.Contains(string(recs[0].RequestParameters), "attestationDocument") {
		t.Errorf("the document is on record: %s", recs[0].RequestParameters)
	}
}
