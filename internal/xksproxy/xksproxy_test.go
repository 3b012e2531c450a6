package xksproxy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/xks"
	"github.com/kagimori/kagimori/internal/xksproxy"
)

const (
	account = "111122223333"
	keyID   = "1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"
	keyARN  = "arn:aws:kms:eu-north-1:" + account + ":key/" + keyID
	roleARN = "arn:aws:iam::" + account + ":role/kms"
)

// A kit is a proxy whose keys and roles a test plays.
type kit struct {
	*guardtest.World
	proxy *xksproxy.Service
	cred  *kagimoriapi.CreateXksCredentialResponse

	now      time.Time
	assumed  []string // sessions that were asked for
	err      error    // what keys and roles answer
	metadata kmsapi.KeyMetadata
	calls    []guard.Call
}

func newKit(t *testing.T) *kit {
	k := &kit{World: guardtest.New(t), now: time.Now()}
	k.proxy = xksproxy.New(xksproxy.Config{
		Guard: k.Guard, Keys: k, Roles: k, Box: k.Module.Box("xks"), Version: "1", Logger: k.Logger,
		Wall: func() time.Time { return k.now },
	})
	out, err := k.Invoke(t.Context(), k.Lookup(account), kagimoriapi.Service(), k.proxy.Operations(), "CreateXksCredential",
		&kagimoriapi.CreateXksCredentialRequest{RoleArn: new(roleARN), KeyArns: []string{keyARN}})
	k.Must(err)
	k.cred = out.(*kagimoriapi.CreateXksCredentialResponse)
	return k
}

func (k *kit) AssumeServiceRole(_ context.Context, _ *guard.Call, service, role, session string) (directory.Identity, error) {
	k.assumed = append(k.assumed, service+" "+role+" "+session)
	return k.Lookup(account).Identity, k.err
}

func (k *kit) Describe(_ context.Context, c *guard.Call, _ *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	k.calls = append(k.calls, *c)
	return &kmsapi.DescribeKeyResponse{KeyMetadata: &k.metadata}, k.err
}

func (k *kit) Encrypt(_ context.Context, c *guard.Call, in *kmsapi.EncryptRequest, _ []byte) (xks.Sealed, error) {
	k.calls = append(k.calls, *c)
	return xks.Sealed{Ciphertext: slices.Clone([]byte(in.Plaintext)), IV: make([]byte, 12), Tag: make([]byte, 16)}, k.err
}

func (k *kit) Decrypt(ctx context.Context, c *guard.Call, _ *kmsapi.DecryptRequest, s xks.Sealed, _ []byte) (secret.Bytes, error) {
	k.calls = append(k.calls, *c)
	if k.err == context.DeadlineExceeded {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Ciphertext, k.err
}

const meta = `"requestMetadata":{"awsPrincipalArn":"arn:aws:iam::444455556666:user/a","kmsOperation":"Encrypt","kmsRequestId":"r","kmsKeyArn":"k"}`

// bodies are good requests of each operation.
var bodies = map[string]string{
	"metadata": `{` + meta + `}`, "encrypt": `{` + meta + `,"plaintext":"AAAA","encryptionAlgorithm":"AES_GCM"}`,
	"decrypt": `{` + meta + `,"ciphertext":"AAAA","encryptionAlgorithm":"AES_GCM","authenticationTag":"AAAAAAAAAAAAAAAAAAAAAA==","initializationVector":"AAAAAAAAAAAAAAAA"}`,
}

// ask makes a signed request about the key.
func (k *kit) ask(ctx context.Context, op string) (status int, body string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://keys.example.com/kms/xks/v1/keys/"+keyID+"/"+op, strings.NewReader(bodies[op]))
	sigv4.Sign(r, []byte(bodies[op]), sigv4.Credentials{AccessKeyID: *k.cred.Credential.AccessKeyId, Secret: *k.cred.RawSecretAccessKey}, "us-east-1", xks.SigningName, time.Now())
	w := httptest.NewRecorder()
	k.proxy.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestASessionIsUsedForAWhile(t *testing.T) {
	k := newKit(t)
	for _, after := range []time.Duration{0, time.Second, 4 * time.Minute, 2 * time.Minute, time.Minute} {
		k.now = k.now.Add(after)
		if status, body := k.ask(t.Context(), "encrypt"); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	want := "cks.kms.amazonaws.com " + roleARN + " xks-" + *k.cred.Credential.AccessKeyId
	if len(k.assumed) != 2 || k.assumed[0] != want {
		t.Errorf("%q", k.assumed)
	}
	c := k.calls[0]
	if c.Service != "kms" || c.Operation != "Encrypt" || c.Region != "eu-north-1" || c.Caller.InvokedBy != "cks.kms.amazonaws.com" || c.Caller.SourceIP == "" || !c.Caller.Secure {
		t.Errorf("call = %+v", c)
	}
	k.now, k.err = k.now.Add(time.Hour), apierr.New("AccessDenied", "the role does not trust you")
	status, body := k.ask(t.Context(), "encrypt")
	if status != http.StatusForbidden || !strings.Contains(body, "AccessDeniedException") || strings.Contains(body, "trust") {
		t.Errorf("%d %s", status, body)
	}
}

// Source: "Error codes" of the specification.
func TestWhatErrorsOfKMSAreToAWS(t *testing.T) {
	k := newKit(t)
	if status, body := k.ask(t.Context(), "decrypt"); status != http.StatusOK || body != `{"plaintext":"AAAA"}` {
		t.Fatalf("%d %s", status, body)
	}
	for code, want := range map[string]struct {
		status int
		name   string
	}{
		"AccessDeniedException": {403, "AccessDeniedException"}, "NotFoundException": {404, "KeyNotFoundException"}, "DisabledException": {400, "InvalidStateException"},
		"KMSInvalidStateException": {400, "InvalidStateException"}, "InvalidKeyUsageException": {400, "InvalidKeyUsageException"},
		"InvalidCiphertextException": {400, "InvalidCiphertextException"}, "ThrottlingException": {429, "ThrottlingException"},
		"UnsupportedOperationException": {501, "UnsupportedOperationException"}, "KMSInternalException": {500, "InternalException"},
	} {
		k.err = apierr.New(code, "words of KMS")
		if status, body := k.ask(t.Context(), "decrypt"); status != want.status || !strings.Contains(body, `"errorName":"`+want.name+`"`) || strings.Contains(body, "words") {
			t.Errorf("%s: %d %s", code, status, body)
		}
	}
	k.err = errors.New("a disk is full")
	if status, body := k.ask(t.Context(), "decrypt"); status != 500 || strings.Contains(body, "disk") {
		t.Errorf("%d %s", status, body)
	}
	k.err = context.DeadlineExceeded
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if status, body := k.ask(ctx, "decrypt"); status != 503 || !strings.Contains(body, "DependencyTimeoutException") {
		t.Errorf("%d %s", status, body)
	}
}

func TestWhatKeysAreToAWS(t *testing.T) {
	k := newKit(t)
	for name, tt := range map[string]struct {
		spec, usage, origin string
		enabled             bool
		want                xks.KeyMetadata
	}{
		"enabled":  {"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS", true, xks.KeyMetadata{Spec: "AES_256", Usage: []string{"ENCRYPT", "DECRYPT"}, Status: "ENABLED"}},
		"disabled": {"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL", false, xks.KeyMetadata{Spec: "AES_256", Usage: []string{"ENCRYPT", "DECRYPT"}, Status: "DISABLED"}},
		"RSA":      {"RSA_2048", "ENCRYPT_DECRYPT", "AWS_KMS", true, xks.KeyMetadata{Spec: "RSA_2048", Usage: []string{"ENCRYPT_DECRYPT"}, Status: "ENABLED"}},
		"external": {"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL_KEY_STORE", true, xks.KeyMetadata{Spec: "EXTERNAL_KEY_STORE", Usage: []string{"ENCRYPT_DECRYPT"}, Status: "ENABLED"}},
	} {
		k.metadata = kmsapi.KeyMetadata{KeySpec: &tt.spec, KeyUsage: &tt.usage, Origin: &tt.origin, Enabled: &tt.enabled}
		status, body := k.ask(t.Context(), "metadata")
		var got xks.KeyMetadata
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || got.Spec != tt.want.Spec || got.Status != tt.want.Status || !slices.Equal(got.Usage, tt.want.Usage) {
			t.Errorf("%s: %d %s, %v", name, status, body, err)
		}
		if got.Usable() != strings.HasSuffix(name, "abled") {
			t.Errorf("%s: KMS would use it: %t", name, got.Usable())
		}
	}
}
