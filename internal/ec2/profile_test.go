package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	profileARN = "arn:aws:iam::" + mine + ":instance-profile/team/web"
	passedRole = "arn:aws:iam::" + mine + ":role/web"
)

// profilesOfMine are the instance profiles of the account mine: one with a role, one without.
func profilesOfMine(_ store.Tx, account, nameOrARN string) (ec2.Profile, bool, error) {
	switch {
	case account == mine && (nameOrARN == "web" || nameOrARN == profileARN):
		return ec2.Profile{ARN: profileARN, ID: "AIPAEXAMPLE", RoleARN: passedRole}, true, nil
	case account == mine && nameOrARN == "empty":
		return ec2.Profile{ARN: "arn:aws:iam::" + mine + ":instance-profile/empty", ID: "AIPAEMPTY"}, true, nil
	}
	return ec2.Profile{}, false, nil
}

func withProfile(name, arn *string) *ec2api.RunInstancesRequest {
	in := runRequest()
	in.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Name: name, Arn: arn}
	return in
}

func TestInstanceHasItsProfile(t *testing.T) {
	h := newHouse(t)
	for _, in := range []*ec2api.RunInstancesRequest{
		withProfile(new("web"), nil), withProfile(nil, new(profileARN)),
		fromTemplate(h.template(&ec2api.RequestLaunchTemplateData{
			ImageId: new(exampleImage), InstanceType: new("t3.micro"),
			IamInstanceProfile: &ec2api.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: new("web")},
		})),
	} {
		id := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
		h.Advance(2 * time.Second)
		h.wantState(id, "running")
		if p := h.instance(id).IamInstanceProfile; p == nil || *p.Arn != profileARN || *p.Id != "AIPAEXAMPLE" {
			t.Errorf("the profile is %+v", p)
		}
	}
	bare := h.run(h.owner())
	if p := h.instance(bare).IamInstanceProfile; p != nil {
		t.Errorf("an instance without profile shows %+v", p)
	}
	found := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{
		Filters: []ec2api.Filter{{Name: new("iam-instance-profile.arn"), Values: []string{profileARN}}},
	})
	if n := len(found.Reservations); n != 3 {
		t.Errorf("%d reservations have the profile, want 3", n)
	}
}

func TestProfilesThatAreRefused(t *testing.T) {
	h := newHouse(t)
	h.refuse(h.owner(), withProfile(nil, new("arn:aws:iam::"+mine+":instance-profile/none")), "InvalidParameterValue",
		"Value (arn:aws:iam::"+mine+":instance-profile/none) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN")
	h.refuse(h.owner(), withProfile(new("empty"), nil), "InvalidParameterValue",
		`IAM Instance Profile "arn:aws:iam::`+mine+`:instance-profile/empty" has no associated IAM Roles`)
	h.refuse(h.root(theirs), withProfile(nil, new(profileARN)), "InvalidParameterValue", "*")
}

// Who launches with a profile hands its role to EC2.
func TestProfileNeedsPassRole(t *testing.T) {
	h := newHouse(t)
	dry := withProfile(new("web"), nil)
	dry.DryRun = new(true)
	pass := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},` +
			`{"Effect":"Allow","Action":"iam:PassRole","Resource":"` + passedRole + `","Condition":` + condition + `}]}`
	}
	const toEC2, toLambda = `{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}`, `{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}`
	for _, tt := range []struct {
		who  guard.Caller
		code string
	}{
		{h.User(mine, "none", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"}}`), "UnauthorizedOperation"},
		{h.User(mine, "lambda", pass(toLambda)), "UnauthorizedOperation"},
		{h.User(mine, "ec2", pass(toEC2)), "DryRunOperation"},
	} {
		h.refuse(tt.who, dry, tt.code, "*")
	}
}

func TestProfileIsAConditionKey(t *testing.T) {
	h := newHouse(t)
	pass := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:PassRole","Resource":"*"}}`
	user := h.User(mine, "u", pass, conditioned("arn:aws:ec2:"+region+":"+mine+":instance/*", "ArnEquals", "ec2:InstanceProfile", profileARN))
	with, without := withProfile(new("web"), nil), runRequest()
	with.DryRun, without.DryRun = new(true), new(true)
	h.refuse(user, with, "DryRunOperation", "*")
	h.refuse(user, without, "UnauthorizedOperation", "*")
}
