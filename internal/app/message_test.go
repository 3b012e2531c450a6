package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// What EC2 puts into a denial is what STS gives back to those who may see it.
func TestTheMessageOfADenialCanBeDecoded(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	admin := s.As(testkit.Admin("111122223333"))
	testkit.Call[iamapi.CreateUserResponse](admin.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: new("u")})
	testkit.Must(admin.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: new("u"), PolicyName: new("p"), PolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Sid":"NoVolumes","Effect":"Deny","Action":"ec2:CreateVolume","Resource":"*"}]}`)})
	key := testkit.Call[iamapi.CreateAccessKeyResponse](admin.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: new("u")}).AccessKey
	u := s.As(sigv4.Credentials{AccessKeyID: *key.AccessKeyId, Secret: *key.SecretAccessKey})
	e := testkit.Refused(u.EC2, "CreateVolume", &ec2api.CreateVolumeRequest{AvailabilityZone: new("us-east-1a"), Size: new(int32(1))})
	if e.Code != "UnauthorizedOperation" {
		t.Fatal(e)
	}
	_, encoded, _ := strings.Cut(e.Message, "Encoded authorization failure message: ")
	in := &stsapi.DecodeAuthorizationMessageRequest{EncodedMessage: &encoded}
	out := testkit.Call[stsapi.DecodeAuthorizationMessageResponse](admin.STS, "DecodeAuthorizationMessage", in)
	var m struct {
		Allowed, ExplicitDeny bool
		MatchedStatements     struct {
			Items []struct{ StatementID, Effect string }
		}
		Context struct {
			Principal        struct{ ARN string }
			Action, Resource string
		}
	}
	if err := json.Unmarshal([]byte(*out.DecodedMessage), &m); err != nil {
		t.Fatal(err)
	}
	if m.Allowed || !m.ExplicitDeny || len(m.MatchedStatements.Items) != 1 || m.MatchedStatements.Items[0].StatementID != "NoVolumes" ||
		m.Context.Action != "CreateVolume" || m.Context.Principal.ARN != "arn:aws:iam::111122223333:user/u" || !strings.HasPrefix(m.Context.Resource, "arn:aws:ec2:us-east-1:111122223333:volume/") {
		t.Errorf("decoded: %s", *out.DecodedMessage)
	}
	if e := testkit.Refused(u.STS, "DecodeAuthorizationMessage", in); e.Code != "AccessDenied" {
		t.Errorf("without permission: %v", e)
	}
	if e := testkit.Refused(s.As(testkit.Admin("444455556666")).STS, "DecodeAuthorizationMessage", in); e.Code != "InvalidAuthorizationMessageException" {
		t.Errorf("another account: %v", e)
	}
}
