package app_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// Temporary credentials of users work at the edge, and are not good for IAM.
func TestTemporaryCredentialsOfUsers(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	admin := s.As(testkit.Admin("111122223333"))
	as := func(c *stsapi.Credentials) testkit.Clients {
		return s.As(sigv4.Credentials{AccessKeyID: *c.AccessKeyId, Secret: *c.SecretAccessKey, SessionToken: *c.SessionToken})
	}
	session := as(testkit.Call[stsapi.GetSessionTokenResponse](admin.STS, "GetSessionToken", &stsapi.GetSessionTokenRequest{}).Credentials)
	federated := as(testkit.Call[stsapi.GetFederationTokenResponse](admin.STS, "GetFederationToken", &stsapi.GetFederationTokenRequest{
		Name: new("bob"), Policy: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:CreateKey","Resource":"*"}]}`),
	}).Credentials)
	for name, c := range map[string]testkit.Clients{"session": session, "federated": federated} {
		t.Run(name, func(t *testing.T) {
			testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{})
			if e := testkit.Refused(c.IAM, "ListUsers", &iamapi.ListUsersRequest{}); e.Code != "InvalidClientTokenId" || e.Status != 403 {
				t.Errorf("IAM: %v", e)
			}
		})
	}
	if e := testkit.Refused(federated.KMS, "ListKeys", &kmsapi.ListKeysRequest{}); e.Code != "AccessDeniedException" || !strings.Contains(e.Message, "arn:aws:sts::111122223333:federated-user/bob") {
		t.Errorf("beyond the session policy: %v", e)
	}
}
