package xks_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/xks"
)

// Source: the example of "Encrypt" in the specification.
func TestIntegrityValue(t *testing.T) {
	bytes := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	s := xks.Sealed{
		Metadata: []byte("key_version=1"), IV: bytes("HMrlRw85cAJUd5Ax"), Ciphertext: bytes("ghxkK1txeDNn3q8Y"), Tag: bytes("vBxN2ncH1oEkR8WVXpmyYQ=="),
	}
	const want = "qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc="
	if got := base64.StdEncoding.EncodeToString(s.Integrity([]byte("project=nile,department=marketing"))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPaths(t *testing.T) {
	for path, want := range map[string]xks.Target{
		"/kms/xks/v1/health":                        {Operation: xks.GetHealthStatus},
		"/acme/kms/xks/v1/health":                   {Prefix: "/acme", Operation: xks.GetHealthStatus},
		"/a/b_c-d/kms/xks/v1/keys/k.1/metadata":     {Prefix: "/a/b_c-d", Operation: xks.GetKeyMetadata, Key: "k.1"},
		"/kms/xks/v1/keys/k/encrypt":                {Operation: xks.Encrypt, Key: "k"},
		"/kms/xks/v1/kms/xks/v1/keys/mrk-1/decrypt": {Prefix: "/kms/xks/v1", Operation: xks.Decrypt, Key: "mrk-1"},
	} {
		if got, ok := xks.ParsePath(path); !ok || got != want {
			t.Errorf("%s: %+v, %t", path, got, ok)
		}
	}
	for _, path := range []string{
		"", "/", "/health", "/kms/xks/v1", "/kms/xks/v1/", "/kms/xks/v2/health", "/kms/xks/v1/health/", "//kms/xks/v1/health", "/a//b/kms/xks/v1/health",
		"a/kms/xks/v1/health", "/a b/kms/xks/v1/health", "/kms/xks/v1/keys//encrypt", "/kms/xks/v1/keys/k", "/kms/xks/v1/keys/k/", "/kms/xks/v1/keys/k/Encrypt",
		"/kms/xks/v1/keys/k/encrypt/", "/kms/xks/v1/keys/k%2F/encrypt", "/kms/xks/v1/keys/" + strings.Repeat("k", 129) + "/encrypt",
		"/" + strings.Repeat("p", 300) + "/kms/xks/v1/health",
	} {
		if got, ok := xks.ParsePath(path); ok {
			t.Errorf("%q is %+v", path, got)
		}
	}
}

const meta = `"requestMetadata":{"awsPrincipalArn":"arn:aws:iam::111122223333:user/a","kmsOperation":"Encrypt","kmsRequestId":"r","kmsKeyArn":"k"}`

func encoded(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }

func TestEncryptRequests(t *testing.T) {
	good := `{` + meta + `,"plaintext":"` + encoded(4300) + `","encryptionAlgorithm":"AES_GCM","additionalAuthenticatedData":"` + encoded(8192) +
		`","ciphertextDataIntegrityValueAlgorithm":"SHA_256","somethingNew":{"a":[1]}}`
	in, err := xks.ParseEncrypt([]byte(good))
	if err != nil || len(in.Plaintext) != 4300 || len(in.AAD) != 8192 || in.Metadata.KeyARN != "k" {
		t.Errorf("%v", err)
	}
	for name, body := range map[string]string{
		"no body": "", "null": "null", "a list": "[]", "an empty object": "{}", "twice": good + good, "a duplicate": strings.Replace(good, `"plaintext"`, `"plaintext":"AA==","plaintext"`, 1),
		"no plaintext": strings.Replace(good, `"plaintext"`, `"plain"`, 1), "too much": strings.Replace(good, encoded(4300), encoded(4301), 1),
		"an algorithm": strings.Replace(good, "AES_GCM", "AES_CBC", 1), "no base64": strings.Replace(good, encoded(4300), "!", 1),
		"long aad": strings.Replace(good, encoded(8192), encoded(8193), 1), "a hash": strings.Replace(good, "SHA_256", "MD5", 1),
		"no key ARN": strings.Replace(good, "kmsKeyArn", "other", 1), "no operation": strings.Replace(good, "kmsOperation", "other", 1),
		"no request id": strings.Replace(good, "kmsRequestId", "other", 1), "no principal": strings.Replace(good, "awsPrincipalArn", "other", 1),
		"another case": strings.Replace(good, `"plaintext"`, `"Plaintext"`, 1), "a number": strings.Replace(good, `"AES_GCM"`, `7`, 1),
	} {
		_, err := xks.ParseEncrypt([]byte(body))
		if e, ok := errors.AsType[*xks.Error](err); !ok || e.Failure != xks.Validation {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecryptRequests(t *testing.T) {
	good := `{` + meta + `,"ciphertext":"` + encoded(5) + `","encryptionAlgorithm":"AES_GCM","authenticationTag":"` + encoded(16) +
		`","initializationVector":"` + encoded(12) + `","ciphertextMetadata":"` + encoded(20) + `"}`
	if in, err := xks.ParseDecrypt([]byte(good)); err != nil || len(in.Sealed().Metadata) != 20 {
		t.Errorf("%v", err)
	}
	for name, body := range map[string]string{
		"a tag": strings.Replace(good, encoded(16), encoded(15), 1), "an iv": strings.Replace(good, encoded(12), encoded(13), 1),
		"metadata": strings.Replace(good, encoded(20), encoded(21), 1), "no ciphertext": strings.Replace(good, `"ciphertext"`, `"c"`, 1),
	} {
		_, err := xks.ParseDecrypt([]byte(body))
		if e, ok := errors.AsType[*xks.Error](err); !ok || e.Failure != xks.Validation {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Source: "Error response" of the specification: fewer than 512 printable ASCII characters.
func TestFailuresOnTheWire(t *testing.T) {
	for f, status := range map[xks.Failure]int{
		xks.Validation: 400, xks.InvalidState: 400, xks.InvalidCiphertext: 400, xks.InvalidKeyUsage: 400, xks.AuthenticationFailed: 401,
		xks.AccessDenied: 403, xks.KeyNotFound: 404, xks.InvalidURIPath: 404, xks.Throttling: 429, xks.Unsupported: 501,
		xks.DependencyTimeout: 503, xks.Internal: 500, xks.Late: 500,
	} {
		e := xks.Fail(f, "why\n\x00 "+strings.Repeat("é", 10)+strings.Repeat("x", 1000))
		var body struct{ ErrorName, ErrorMessage string }
		if err := json.Unmarshal(e.Body(), &body, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		if e.Status() != status || len(body.ErrorMessage) >= 512 || !strings.HasPrefix(body.ErrorMessage, "why xxx") || f != xks.Late && body.ErrorName != string(f) {
			t.Errorf("%s: %d %s", f, e.Status(), e.Body())
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add("/kms/xks/v1/keys/k/encrypt", []byte(`{`+meta+`,"plaintext":"AA==","encryptionAlgorithm":"AES_GCM"}`))
	f.Add("/a/kms/xks/v1/health", []byte(`{"requestMetadata":{"kmsOperation":"KmsHealthCheck","kmsRequestId":"r"}}`))
	f.Add("/kms/xks/v1/keys/k/decrypt", []byte(`{`+meta+`,"ciphertext":"AA==","encryptionAlgorithm":"AES_GCM","authenticationTag":"`+encoded(16)+`","initializationVector":"`+encoded(12)+`"}`))
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		if target, ok := xks.ParsePath(path); ok {
			again := target.Prefix + xks.Base + "/health"
			if target.Operation != xks.GetHealthStatus {
				again = target.Prefix + xks.Base + "/keys/" + target.Key + "/" + strings.ToLower(strings.TrimPrefix(string(target.Operation), "GetKey"))
			}
			if again != path {
				t.Errorf("%q was read as %q", path, again)
			}
		}
		if in, err := xks.ParseEncrypt(body); err == nil && (len(in.Plaintext) == 0 || len(in.Plaintext) > xks.MaxPlaintext || len(in.AAD) > xks.MaxAAD) {
			t.Errorf("accepted %s", body)
		}
		if in, err := xks.ParseDecrypt(body); err == nil && (len(in.Tag) != 16 || len(in.Ciphertext) == 0 || len(in.CiphertextMetadata) > 20) {
			t.Errorf("accepted %s", body)
		}
		if in, err := xks.ParseMetadata(body); err == nil && in.Metadata.Principal == "" {
			t.Errorf("accepted %s", body)
		}
		if in, err := xks.ParseHealth(body); err == nil && in.Metadata.RequestID == "" {
			t.Errorf("accepted %s", body)
		}
	})
}
