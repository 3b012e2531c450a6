package app_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
)

// Sessions outlive a rotation of the seal and a restart; `seal end-sessions` ends them all at once, while
// the server goes on giving out new ones.
func TestSessionsAndTheSeal(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	admin := s.As(testkit.Admin(account))
	testkit.Must(admin.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: new("u")})
	key := testkit.Call[iamapi.CreateAccessKeyResponse](admin.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: new("u")}).AccessKey
	user := sigv4.Credentials{AccessKeyID: *key.AccessKeyId, Secret: *key.SecretAccessKey}
	session := func() testkit.Clients {
		c := testkit.Call[stsapi.GetSessionTokenResponse](s.As(user).STS, "GetSessionToken", &stsapi.GetSessionTokenRequest{}).Credentials
		return s.As(sigv4.Credentials{AccessKeyID: *c.AccessKeyId, Secret: *c.SecretAccessKey, SessionToken: *c.SessionToken})
	}
	who := &stsapi.GetCallerIdentityRequest{}
	works := func(name string, c testkit.Clients) {
		t.Helper()
		if err := c.STS.Do(t.Context(), "GetCallerIdentity", who, new(stsapi.GetCallerIdentityResponse)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	first := session()
	works("a session", first)
	if r, err := sealer(t, s.Data()).Rotate(t.Context()); err != nil || len(r.SessionKeys) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	works("a session from before the rotation", first)
	second := session()
	works("a session from after it", second)
	if r, err := sealer(t, s.Data()).EndSessions(t.Context()); err != nil || len(r.SessionKeys) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, c := range []testkit.Clients{first, second} {
		if err := testkit.Refused(c.STS, "GetCallerIdentity", who); err.Code != "InvalidClientTokenId" {
			t.Errorf("a session that was ended: %s: %s", err.Code, err.Message)
		}
	}
	works("the user", s.As(user))
	third := session()
	works("a session from after the end of the others", third)
	recs, err := s.App.Records(t.Context(), trail.Filter{EventName: "EndSessions"})
	if err != nil || len(recs) != 1 || recs[0].UserIdentity.PrincipalID != "operator" {
		t.Errorf("records: %+v, %v", recs, err)
	}
	s.Stop()
	// Offline, on a directory that nobody serves.
	o := sealer(t, s.Data(), soft.PlainLock{})
	if r, err := o.EndSessions(t.Context()); err != nil || len(r.SessionKeys) != 1 || r.SessionKeys[0] != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}
