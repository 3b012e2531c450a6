package kagimoritest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
	"github.com/kagimori/kagimori/kagimoritest"
)

func kmsOf(t *testing.T, s *kagimoritest.Server, c kagimoritest.Credentials) *client.Client {
	t.Helper()
	out, err := client.New(s.Endpoint, "us-west-2", sigv4.Credentials{AccessKeyID: c.AccessKeyID, Secret: secret.String(c.SecretAccessKey)}, kmsapi.Service())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A test sees what was allowed, what was denied and why, moves time, and starts afresh.
func TestServer(t *testing.T) {
	srv := kagimoritest.Start(t)
	owner := kmsOf(t, srv, srv.Admin("111122223333"))
	var key kmsapi.CreateKeyResponse
	if err := owner.Do(t.Context(), "CreateKey", &kmsapi.CreateKeyRequest{}, &key); err != nil {
		t.Fatal(err)
	}
	stranger := kmsOf(t, srv, srv.Admin("444455556666"))
	err := stranger.Do(t.Context(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: key.KeyMetadata.Arn}, &kmsapi.DescribeKeyResponse{})
	if apierr.Code(err) != "AccessDeniedException" {
		t.Fatalf("a stranger: %v", err)
	}
	denied := srv.Denials()
	if len(denied) != 1 || denied[0].Action != "kms:DescribeKey" || denied[0].Resource != *key.KeyMetadata.Arn ||
		denied[0].Principal != "arn:aws:iam::444455556666:user/admin" || len(denied[0].Why) == 0 || len(denied[0].Fixes) == 0 {
		t.Errorf("denials: %+v", denied)
	}
	all := srv.Decisions()
	if len(all) < 2 || !all[0].Allowed || all[0].Action != "kms:CreateKey" || len(all[0].By) == 0 {
		t.Errorf("decisions: %+v", all)
	}
	if s := all[0].String(); !strings.HasPrefix(s, "allowed arn:aws:iam::111122223333:user/admin kms:CreateKey on *") {
		t.Errorf("as a line: %s", s)
	}

	if err := owner.Do(t.Context(), "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{
		KeyId: key.KeyMetadata.KeyId, PendingWindowInDays: new(int32(7)),
	}, &kmsapi.ScheduleKeyDeletionResponse{}); err != nil {
		t.Fatal(err)
	}
	before := srv.Now()
	srv.Advance(8 * 24 * time.Hour)
	if moved := srv.Now().Sub(before); moved < 8*24*time.Hour {
		t.Errorf("time moved by %v", moved)
	}
	err = owner.Do(t.Context(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: key.KeyMetadata.KeyId}, &kmsapi.DescribeKeyResponse{})
	if apierr.Code(err) != "NotFoundException" {
		t.Errorf("after its deletion: %v", err)
	}

	srv.Reset()
	if n := len(srv.Decisions()); n != 0 {
		t.Errorf("%d decisions after a reset", n)
	}
}

func TestData(t *testing.T) {
	dir := t.TempDir()
	var arn string
	t.Run("first", func(t *testing.T) {
		srv := kagimoritest.Start(t, kagimoritest.WithData(dir))
		var key kmsapi.CreateKeyResponse
		if err := kmsOf(t, srv, srv.Root("111122223333")).Do(t.Context(), "CreateKey", &kmsapi.CreateKeyRequest{}, &key); err != nil {
			t.Fatal(err)
		}
		arn = *key.KeyMetadata.Arn
	})
	t.Run("again", func(t *testing.T) {
		var log strings.Builder
		srv := kagimoritest.Start(t, kagimoritest.WithData(dir), kagimoritest.WithLog(&log))
		err := kmsOf(t, srv, srv.Root("111122223333")).Do(t.Context(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &arn}, &kmsapi.DescribeKeyResponse{})
		if err != nil {
			t.Errorf("the key of the first server: %v", err)
		}
	})
}
