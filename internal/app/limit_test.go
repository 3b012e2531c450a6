package app_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/rate"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
)

// An account that asks too often gets each service's throttling error; others are served, and so is it for
// other operations. What was refused is in the trail.
func TestAnAccountIsThrottled(t *testing.T) {
	set := map[string]rate.Limit{}
	for _, q := range []string{"kms:ListKeys", "iam:GetUser", "sts:GetCallerIdentity", "ec2:DescribeVolumes", "autoscaling:*"} {
		set[q] = rate.Limit{PerSecond: 0.001, Burst: 1}
	}
	s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) { c.Quotas = rate.Quotas{Mode: rate.Off, Set: set} }})
	c := s.As(testkit.Admin("111122223333"))
	for _, tt := range []struct {
		client *testkit.Client
		op     string
		in     any
		code   string
		status int
	}{
		{c.KMS, "ListKeys", &kmsapi.ListKeysRequest{}, "ThrottlingException", 400},
		{c.IAM, "GetUser", &iamapi.GetUserRequest{}, "Throttling", 400},
		{c.STS, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{}, "Throttling", 400},
		{c.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{}, "RequestLimitExceeded", 503},
		{c.AutoScaling, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{}, "Throttling", 400},
	} {
		testkit.Must(tt.client, tt.op, tt.in)
		if err := testkit.Refused(tt.client, tt.op, tt.in); err.Code != tt.code || err.Status != tt.status {
			t.Errorf("%s: %s %d, want %s %d", tt.op, err.Code, err.Status, tt.code, tt.status)
		}
	}
	testkit.Must(c.KMS, "ListAliases", &kmsapi.ListAliasesRequest{})
	testkit.Must(s.As(testkit.Admin("444455556666")).KMS, "ListKeys", &kmsapi.ListKeysRequest{})
	recs, err := s.App.Records(t.Context(), trail.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range recs {
		if r.ErrorCode == "ThrottlingException" && r.EventName == "ListKeys" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d records of the call that was throttled", n)
	}
}
