package app_test

import (
	"regexp"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A refusal's text leads to its details, by an id of the form that AWS's have; EC2's has an encoded
// message instead.
func TestRefusalsLeadToTheirDetails(t *testing.T) {
	const account = "444455556666"
	s := testkit.Start(t, testkit.Options{})
	admin, nobody := s.As(testkit.Admin(account)), reviewUser(t, s, account, "nobody", "")
	lead := regexp.MustCompile(`action\. Run kagimori explain ([0-9a-f]{32}) for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: ([0-9a-f]{32})$`)
	for _, tt := range []struct {
		service *testkit.Client
		op      string
		in      any
		action  string
	}{
		{nobody.KMS, "ListKeys", &kmsapi.ListKeysRequest{}, "kms:ListKeys"},
		{nobody.IAM, "ListUsers", &iamapi.ListUsersRequest{}, "iam:ListUsers"},
		{nobody.Kagimori, "WhoCan", &kagimoriapi.WhoCanRequest{Action: new("kms:Decrypt"), KeyArn: new("arn:aws:kms:us-east-1:444455556666:key/x")}, "kagimori:WhoCan"},
	} {
		e := testkit.Refused(tt.service, tt.op, tt.in)
		m := lead.FindStringSubmatch(e.Message)
		if m == nil || m[1] != m[2] {
			t.Errorf("%s: %s", tt.action, e.Message)
			continue
		}
		out := testkit.Call[kagimoriapi.GetRequestAuthorizationDetailsResponse](admin.Kagimori, "GetRequestAuthorizationDetails",
			&kagimoriapi.GetRequestAuthorizationDetailsRequest{AuthorizationId: &m[1]})
		if len(out.Evaluations) != 1 || *out.Evaluations[0].Action != tt.action || *out.Evaluations[0].EvaluatedEffect != "IMPLICIT_DENY" {
			t.Errorf("%s: %+v", tt.action, out)
		}
	}
	if e := testkit.Refused(nobody.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{}); lead.MatchString(e.Message) {
		t.Errorf("EC2: %s", e.Message)
	}
}
