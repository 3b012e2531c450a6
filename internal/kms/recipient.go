package kms

import (
	"fmt"
	"strconv"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/secret"
)

// A recipient is the attested environment that alone can read the answer; nil if the request names
// none. Source: KMS Developer Guide, "Cryptographic attestation support in AWS KMS".
type recipient struct{ doc *attest.Document }

// recipient verifies the Recipient of a request. The texts are ours.
func (s *Service) recipient(c *guard.Call, in *kmsapi.RecipientInfo) (*recipient, error) {
	switch {
	case in == nil:
		return nil, nil
	case in.AttestationDocument == nil:
		return nil, apierr.Validation("Recipient needs an AttestationDocument.")
	case in.KeyEncryptionAlgorithm == nil:
		return nil, apierr.Validation("Recipient needs a KeyEncryptionAlgorithm.")
	}
	doc, err := s.attest.Verify(in.AttestationDocument)
	if err != nil {
		return nil, apierr.Validation("The attestation document is not valid.") // why is nothing to tell a forger
	}
	r := &recipient{doc}
	c.Note("recipient", r.note())
	return r, nil
}

// note is what a record says of the recipient. Source: KMS Developer Guide, "Monitoring requests for
// Nitro enclaves" (additionalEventData).
func (r *recipient) note() map[string]string {
	m := map[string]string{"attestationDocumentModuleId": r.doc.ModuleID}
	if r.doc.TPM {
		for i, v := range r.doc.PCRs {
			m["attestationDocumentNitroTPMPCR"+strconv.Itoa(i)] = v
		}
		return m
	}
	for _, i := range []int{0, 1, 2, 3, 4, 8} {
		name := "attestationDocumentEnclavePCR" + strconv.Itoa(i)
		if i == 0 {
			name = "attestationDocumentEnclaveImageDigest"
		}
		if v, ok := r.doc.PCRs[i]; ok {
			m[name] = v
		}
	}
	return m
}

// conditions adds the condition keys of the document. Source: KMS Developer Guide, "Condition keys
// for attested platforms".
func (r *recipient) conditions(p *authz.Part) {
	if r == nil {
		return
	}
	prefix := "kms:recipientattestation:pcr"
	if r.doc.TPM {
		prefix = "kms:recipientattestation:nitrotpmpcr"
	}
	for i, v := range r.doc.PCRs {
		p.Context.Set(prefix+strconv.Itoa(i), v)
	}
	if v, ok := r.doc.PCRs[0]; ok && !r.doc.TPM {
		p.Context.Set("kms:recipientattestation:imagesha384", v)
	}
}

// answer is a secret as the answer carries it: in plaintext, or for the recipient alone.
func (r *recipient) answer(plain secret.Bytes) (secret.Bytes, []byte, error) {
	if r == nil {
		return plain, nil, nil
	}
	defer plain.Wipe()
	sealed, err := r.doc.Encrypt(plain)
	if err != nil {
		return nil, nil, fmt.Errorf("kms: %w", err)
	}
	return nil, sealed, nil
}
