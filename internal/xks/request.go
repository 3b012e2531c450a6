package xks

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
)

func bodyOf(body []byte) (again func() (io.ReadCloser, error), first io.ReadCloser) {
	again = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return again, io.NopCloser(bytes.NewReader(body))
}

// Base is the path below which a proxy answers, behind a prefix of its own.
const Base = "/kms/xks/v1"

// An Operation is what a request to a proxy asks for.
type Operation string

// Operations.
const (
	GetHealthStatus Operation = "GetHealthStatus"
	GetKeyMetadata  Operation = "GetKeyMetadata"
	Encrypt         Operation = "Encrypt"
	Decrypt         Operation = "Decrypt"
)

// A Target is the path of a request, taken apart.
type Target struct {
	Prefix    string // "" or "/text"
	Operation Operation
	Key       string // "" of GetHealthStatus
}

// ParsePath takes the path of a request apart. ok is false for any that is not of the protocol.
func ParsePath(path string) (t Target, ok bool) {
	i := strings.LastIndex(path, Base+"/")
	if i < 0 || len(path) > MaxURI {
		return t, false
	}
	t.Prefix = path[:i]
	if t.Prefix != "" && !ValidPrefix(t.Prefix) {
		return t, false
	}
	rest := path[i+len(Base):]
	if rest == "/health" {
		t.Operation = GetHealthStatus
		return t, true
	}
	rest, ok = strings.CutPrefix(rest, "/keys/")
	key, op, cut := strings.Cut(rest, "/")
	if !ok || !cut || !ValidKeyID(key) {
		return t, false
	}
	t.Key = key
	switch op {
	case "metadata":
		t.Operation = GetKeyMetadata
	case "encrypt":
		t.Operation = Encrypt
	case "decrypt":
		t.Operation = Decrypt
	}
	return t, t.Operation != ""
}

// ValidPrefix reports whether a text can stand before [Base] in XksProxyUriPath.
func ValidPrefix(prefix string) bool {
	return len(prefix) > 1 && len(prefix)+len(Base) <= 128 && prefix[0] == '/' && !strings.HasSuffix(prefix, "/") &&
		!strings.Contains(prefix, "//") && only(prefix, "/_-")
}

// ValidKeyID reports whether a text can be the id of an external key.
func ValidKeyID(id string) bool { return len(id) >= 1 && len(id) <= 128 && only(id, "-_.") }

// only reports whether a text has letters, digits and the given characters only.
func only(s, more string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return true
}

// ParseHealth reads the body of a GetHealthStatus.
func ParseHealth(body []byte) (in HealthRequest, err error) {
	if err := unmarshal(body, &in); err != nil {
		return in, err
	}
	return in, in.Metadata.check(false, false)
}

// ParseMetadata reads the body of a GetKeyMetadata.
func ParseMetadata(body []byte) (in MetadataRequest, err error) {
	if err := unmarshal(body, &in); err != nil {
		return in, err
	}
	return in, in.Metadata.check(true, false)
}

// ParseEncrypt reads the body of an Encrypt and checks everything that needs no key.
func ParseEncrypt(body []byte) (in EncryptRequest, err error) {
	if err := unmarshal(body, &in); err != nil {
		return in, err
	}
	switch {
	case in.Algorithm != AESGCM:
		return in, Fail(Validation, "encryptionAlgorithm must be AES_GCM")
	case len(in.Plaintext) == 0 || len(in.Plaintext) > MaxPlaintext:
		return in, Fail(Validation, "plaintext must have 1 to 4300 bytes")
	case len(in.AAD) > MaxAAD:
		return in, Fail(Validation, "additionalAuthenticatedData is longer than 8192 bytes")
	case in.Integrity != "" && in.Integrity != SHA256:
		return in, Fail(Validation, "ciphertextDataIntegrityValueAlgorithm must be SHA_256")
	}
	return in, in.Metadata.check(true, true)
}

// ParseDecrypt reads the body of a Decrypt and checks everything that needs no key.
func ParseDecrypt(body []byte) (in DecryptRequest, err error) {
	if err := unmarshal(body, &in); err != nil {
		return in, err
	}
	s := in.Sealed()
	switch {
	case in.Algorithm != AESGCM:
		return in, Fail(Validation, "encryptionAlgorithm must be AES_GCM")
	case len(in.Ciphertext) == 0 || len(in.Ciphertext) > MaxPlaintext:
		return in, Fail(Validation, "ciphertext must have 1 to 4300 bytes")
	case len(in.AAD) > MaxAAD:
		return in, Fail(Validation, "additionalAuthenticatedData is longer than 8192 bytes")
	case !s.wellFormed(len(in.Ciphertext)):
		return in, Fail(Validation, "initializationVector must have 12 or 16 bytes, authenticationTag 16, and ciphertextMetadata at most 20")
	}
	return in, in.Metadata.check(true, true)
}

// Sealed is the ciphertext of the request.
func (in *DecryptRequest) Sealed() Sealed {
	return Sealed{Ciphertext: in.Ciphertext, IV: in.IV, Tag: in.Tag, Metadata: in.CiphertextMetadata}
}

// Sealed makes the answer of a ciphertext, with its integrity value if the request wants one.
func (in *EncryptRequest) Sealed(s Sealed) EncryptResponse {
	out := EncryptResponse{Tag: s.Tag, Ciphertext: s.Ciphertext, Metadata: s.Metadata, IV: s.IV}
	if in.Integrity != "" {
		out.Integrity = s.Integrity(in.AAD)
	}
	return out
}

// unmarshal refuses what is not one JSON object; names that the protocol does not have are passed
// over, as it wants.
func unmarshal(body []byte, in any) error {
	if err := json.Unmarshal(body, in); err != nil {
		return &Error{Failure: Validation, Message: "the body is not a JSON object of the operation", cause: err}
	}
	return nil
}

// check refuses metadata without what the specification requires.
func (m *RequestMetadata) check(principal, key bool) error {
	missing := ""
	switch {
	case m.RequestID == "":
		missing = "kmsRequestId"
	case m.Operation == "":
		missing = "kmsOperation"
	case principal && m.Principal == "":
		missing = "awsPrincipalArn"
	case key && m.KeyARN == "":
		missing = "kmsKeyArn"
	}
	if missing != "" {
		return Fail(Validation, "requestMetadata lacks "+missing)
	}
	return nil
}
