package app_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/testkit"
)

// With a lag, what IAM was told is known to its own updates at once, and to reads, decisions and key
// policies later.
func TestChangesOfIAMAreSeenLate(t *testing.T) {
	const account = "222233334444"
	s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) { c.Lag = time.Hour }})
	a := s.As(testkit.Admin(account))
	name := new("ana")
	testkit.Call[iamapi.CreateUserResponse](a.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: name})
	if e := testkit.Refused(a.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: name}); e.Code != "EntityAlreadyExists" {
		t.Errorf("a second user of the name: %v", e)
	}
	testkit.Must(a.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: name, PolicyName: new("p"),
		PolicyDocument: new(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)})
	if e := testkit.Refused(a.IAM, "GetUser", &iamapi.GetUserRequest{UserName: name}); e.Code != "NoSuchEntity" {
		t.Errorf("the user is shown: %v", e)
	}
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["` + account + `","arn:aws:iam::` + account + `:user/ana"]},"Action":"kms:*","Resource":"*"}}`
	if e := testkit.Refused(a.KMS, "CreateKey", &kmsapi.CreateKeyRequest{Policy: &policy}); e.Code != "MalformedPolicyDocumentException" {
		t.Errorf("a key policy may name the user: %v", e)
	}
	users := func() int {
		return len(testkit.Call[iamapi.ListUsersResponse](a.IAM, "ListUsers", &iamapi.ListUsersRequest{}).Users)
	}
	if n := users(); n != 1 {
		t.Errorf("%d users are listed", n)
	}
	s.Advance(time.Hour)
	if n := users(); n != 2 {
		t.Errorf("%d users are listed an hour later", n)
	}
}
