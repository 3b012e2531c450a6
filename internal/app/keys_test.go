package app_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/testkit"
)

const (
	account = "111122223333"
	other   = "444455556666"
)

func TestKnownCredentialsAreWhoTheySay(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	for _, tt := range []struct {
		name string
		as   testkit.Clients
		want string
	}{
		{"root user", s.As(testkit.Root(account)), "arn:aws:iam::111122223333:root"},
		{"admin", s.As(testkit.Admin(account)), "arn:aws:iam::111122223333:user/admin"},
		{"test", s.As(testkit.Root("test")), "arn:aws:iam::000000000000:root"},
		{"another region", s.In("ap-northeast-1", testkit.Admin(other)), "arn:aws:iam::444455556666:user/admin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := testkit.Call[stsapi.GetCallerIdentityResponse](tt.as.STS, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{}); *got.Arn != tt.want {
				t.Errorf("got %s, want %s", *got.Arn, tt.want)
			}
		})
	}
	wrong := testkit.Admin(account)
	wrong.Secret = "guess"
	if e := testkit.Refused(s.As(wrong).STS, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{}); e.Code != "SignatureDoesNotMatch" {
		t.Errorf("a wrong secret: %v", e)
	}
}

func TestRestartKeepsKeysAndResetForgetsThem(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	admin := s.As(testkit.Admin(account))
	key := testkit.Call[kmsapi.CreateKeyResponse](admin.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	plain := secret.Bytes("the plaintext of this test")
	blob := testkit.Call[kmsapi.EncryptResponse](admin.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key.KeyId, Plaintext: plain}).CiphertextBlob
	decrypt := &kmsapi.DecryptRequest{CiphertextBlob: blob}

	s.Restart()
	admin = s.As(testkit.Admin(account))
	got := testkit.Call[kmsapi.DecryptResponse](admin.KMS, "Decrypt", decrypt)
	if !bytes.Equal(got.Plaintext, plain) || *got.KeyId != *key.Arn {
		t.Errorf("after a restart: %d bytes under %s", len(got.Plaintext), *got.KeyId)
	}
	forEachFile(t, s.Data(), func(path string, data []byte) {
		if bytes.Contains(data, plain) {
			t.Errorf("%s holds the plaintext", path)
		}
	})

	if status, body := ask(t, s, "POST", "/_kagimori/reset", "", nil); status != 200 {
		t.Fatalf("reset: %d %s", status, body)
	}
	if e := testkit.Refused(admin.KMS, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: key.KeyId}); e.Code != "NotFoundException" {
		t.Errorf("a key after the reset: %v", e)
	}
	if list := testkit.Call[kmsapi.ListKeysResponse](admin.KMS, "ListKeys", &kmsapi.ListKeysRequest{}); len(list.Keys) != 0 {
		t.Errorf("%d keys after the reset", len(list.Keys))
	}
	// The server goes on, in place.
	testkit.Call[kmsapi.CreateKeyResponse](admin.KMS, "CreateKey", &kmsapi.CreateKeyRequest{})
}

func TestResetWaitsForRequestsThatRun(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	admin := s.As(testkit.Admin(account))
	done := make(chan error, 40)
	for range cap(done) {
		go func() {
			done <- admin.KMS.Do(t.Context(), "CreateKey", &kmsapi.CreateKeyRequest{}, new(kmsapi.CreateKeyResponse))
		}()
	}
	for range 3 {
		if err := s.App.Reset(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Errorf("a request during a reset: %v", err)
		}
	}
}

func TestAClosedServerSaysSo(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	if err := s.App.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]string{{"GET", "/_kagimori/health"}, {"POST", "/_kagimori/clock"}, {"POST", "/"}} {
		if status, body := ask(t, s, r[0], r[1], `{"advance":"1h"}`, nil); status != 503 {
			t.Errorf("%s %s: %d %s", r[0], r[1], status, body)
		}
	}
	if err := s.App.Reset(t.Context()); err == nil {
		t.Error("a closed server was reset")
	}
}

// forEachFile calls fn with the content of every file below a folder.
func forEachFile(t *testing.T, dir string, fn func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			fn(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
