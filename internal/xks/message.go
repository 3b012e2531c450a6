package xks

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
)

// SigningName is the service of the credential scope of requests to a proxy.
const SigningName = "kms-xks-proxy"

// Names and bounds of the protocol. Source: "Encrypt", "Decrypt" and "Appendix" of the specification.
const (
	AESGCM       = "AES_GCM"
	SHA256       = "SHA_256"
	AES256       = "AES_256"
	UsageEncrypt = "ENCRYPT"
	UsageDecrypt = "DECRYPT"
	Enabled      = "ENABLED"
	Disabled     = "DISABLED"

	MaxPlaintext = 4300 // bytes that every proxy takes
	MaxAAD       = 8192
	MaxMetadata  = 20  // of a ciphertext
	TagSize      = 16  // of AES-GCM
	MaxURI       = 256 // characters of host, path and operation
	MaxBody      = 64 << 10
)

// RequestMetadata says on whose behalf KMS asks. It is for the proxy's records and its own rules.
type RequestMetadata struct {
	Principal string `json:"awsPrincipalArn,omitempty"`
	SourceVPC string `json:"awsSourceVpc,omitempty"`
	Endpoint  string `json:"awsSourceVpce,omitempty"`
	KeyARN    string `json:"kmsKeyArn,omitempty"`
	Operation string `json:"kmsOperation"`
	RequestID string `json:"kmsRequestId"`
	Via       string `json:"kmsViaService,omitempty"`
}

// A HealthRequest asks whether the proxy works. A MetadataRequest asks what a key is.
type (
	HealthRequest struct {
		Metadata RequestMetadata `json:"requestMetadata"`
	}
	MetadataRequest struct {
		Metadata RequestMetadata `json:"requestMetadata"`
	}
)

// EncryptRequest asks to encrypt under a key of the key manager.
type EncryptRequest struct {
	Metadata  RequestMetadata `json:"requestMetadata"`
	AAD       []byte          `json:"additionalAuthenticatedData,omitempty"`
	Plaintext []byte          `json:"plaintext"`
	Algorithm string          `json:"encryptionAlgorithm"`
	// Integrity is the algorithm of the value that the answer is to have, SHA_256, or "".
	Integrity string `json:"ciphertextDataIntegrityValueAlgorithm,omitempty"`
}

// EncryptResponse is what encryption gives.
type EncryptResponse struct {
	Tag        []byte `json:"authenticationTag"`
	Ciphertext []byte `json:"ciphertext"`
	Metadata   []byte `json:"ciphertextMetadata,omitempty"`
	IV         []byte `json:"initializationVector"`
	Integrity  []byte `json:"ciphertextDataIntegrityValue,omitempty"`
}

// DecryptRequest asks to undo an encryption.
type DecryptRequest struct {
	Metadata           RequestMetadata `json:"requestMetadata"`
	AAD                []byte          `json:"additionalAuthenticatedData,omitempty"`
	Algorithm          string          `json:"encryptionAlgorithm"`
	Tag                []byte          `json:"authenticationTag"`
	Ciphertext         []byte          `json:"ciphertext"`
	CiphertextMetadata []byte          `json:"ciphertextMetadata,omitempty"`
	IV                 []byte          `json:"initializationVector"`
}

// DecryptResponse is what decryption gives.
type DecryptResponse struct {
	Plaintext []byte `json:"plaintext"`
}

// KeyMetadata is what a key of the key manager is.
type KeyMetadata struct {
	Spec   string   `json:"keySpec"`
	Usage  []string `json:"keyUsage"`
	Status string   `json:"keyStatus"`
}

// Health is the state of a proxy and of the key managers behind it.
type Health struct {
	FleetSize int     `json:"xksProxyFleetSize"`
	Vendor    string  `json:"xksProxyVendor"`
	Model     string  `json:"xksProxyModel"`
	EKMVendor string  `json:"ekmVendor"`
	Fleet     []Fleet `json:"ekmFleetDetails"`
}

// Fleet is one key manager.
type Fleet struct {
	ID     string `json:"id"`
	Model  string `json:"model"`
	Status string `json:"healthStatus"` // ACTIVE, DEGRADED or UNAVAILABLE
}

// wellFormed reports whether the status has all that it must. Source: "GetHealthStatus" of the
// specification.
func (h *Health) wellFormed() bool {
	wrong := func(f Fleet) bool {
		return f.ID == "" || f.Model == "" || !slices.Contains([]string{"ACTIVE", "DEGRADED", "UNAVAILABLE"}, f.Status)
	}
	return h.FleetSize > 0 && h.Vendor != "" && h.Model != "" && h.EKMVendor != "" &&
		len(h.Fleet) >= 1 && len(h.Fleet) <= 10 && !slices.ContainsFunc(h.Fleet, wrong)
}

// failureBody is the body of an answer that is an error.
type failureBody struct {
	Name    Failure `json:"errorName"`
	Message string  `json:"errorMessage,omitempty"`
}

// Sealed is a ciphertext in its parts.
type Sealed struct{ Ciphertext, IV, Tag, Metadata []byte }

// Integrity is the ciphertext data integrity value: a hash over everything that decryption will
// need, so that KMS knows that what it got is what the proxy made.
func (s *Sealed) Integrity(aad []byte) []byte {
	h := sha256.New()
	for _, part := range [][]byte{aad, s.Metadata, s.IV, s.Ciphertext, s.Tag} {
		h.Write(part)
	}
	return h.Sum(nil)
}

// intact compares the value with one that came over the wire.
func (s *Sealed) intact(aad, value []byte) bool {
	return subtle.ConstantTimeCompare(s.Integrity(aad), value) == 1
}

// wellFormed reports whether the parts have lengths that the protocol allows for a plaintext of n
// bytes.
func (s *Sealed) wellFormed(n int) bool {
	return len(s.Ciphertext) == n && (len(s.IV) == 12 || len(s.IV) == 16) && len(s.Tag) == TagSize && len(s.Metadata) <= MaxMetadata
}
