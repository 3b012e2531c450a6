package condition_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/authz/condition"
)

func TestLaterEntriesOverride(t *testing.T) {
	key := condition.MakeKey("AWS:PrincipalArn")
	e := condition.Env{Facts: condition.Facts{PrincipalARN: "derived"}}
	steps := []struct {
		add  func()
		want string
	}{
		{func() {}, "derived"},
		{func() {
			e.Request = append(e.Request, condition.Entry{Key: "aws:principalarn", Value: condition.Value{One: "request"}})
		}, "request"},
		{func() {
			e.Request = append(e.Request, condition.Entry{Key: "aws:PrincipalArn", Value: condition.Value{One: "later"}})
		}, "later"},
		{func() {
			e.Part = append(e.Part, condition.Entry{Key: "aws:principalarn", Value: condition.Value{One: "part"}})
		}, "part"},
	}
	for _, s := range steps {
		s.add()
		if v, ok := e.Lookup(&key); !ok || v.One != s.want {
			t.Errorf("%q, %v, want %q", v.One, ok, s.want)
		}
	}
}

// Source: IAM User Guide, "AWS global condition context keys".
func TestDerivedKeys(t *testing.T) {
	user := condition.Facts{
		PrincipalType: "User", PrincipalARN: "arn", PrincipalAccount: "1", UserID: "AIDA", Username: "alice", PrincipalOrgID: "o-1",
		PrincipalPaths: []string{"o-1/r/"}, PrincipalTags: map[string]string{"Team": "red", "team": "blue", "TEAM": "green"}, Signed: true,
		ResourceAccount: "2", ResourceOrgID: "o-2", ResourcePaths: []string{"o-2/r/"}, ResourceTags: []condition.Tag{{Key: "A", Value: "b"}, {Key: "cost", Value: "2"}, {Key: "Cost", Value: "1"}},
		ResourceARN: "arn:aws:kms:us-west-2:1:key/1", CallerAccount: "1", OwnGrant: true,
	}
	service := condition.Facts{Service: "ec2.amazonaws.com", Signed: true}
	plan := condition.Facts{UnknownPrincipal: true, UnknownResource: true, PrincipalAccount: "1", Signed: true}
	tests := []struct {
		facts condition.Facts
		key   string
		want  any
	}{
		{user, "aws:PrincipalType", "User"}, {user, "aws:PrincipalArn", "arn"}, {user, "aws:PrincipalAccount", "1"},
		{user, "aws:userid", "AIDA"}, {user, "aws:username", "alice"}, {user, "aws:PrincipalOrgID", "o-1"},
		{user, "aws:PrincipalOrgPaths", []string{"o-1/r/"}}, {user, "aws:PrincipalIsAWSService", "false"},
		{user, "aws:PrincipalTag/team", "blue"}, {user, "aws:PrincipalTag/TEAM", "green"}, {user, "aws:PrincipalTag/tEAM", "green"},
		{user, "aws:PrincipalTag/none", absent{}}, {user, "aws:ResourceTag/a", "b"}, {user, "aws:ResourceTag/cost", "2"}, {user, "aws:ResourceTag/Cost", "1"}, {user, "aws:ResourceTag/COST", "1"}, {user, "aws:RequestTag/a", absent{}},
		{user, "aws:ResourceAccount", "2"}, {user, "aws:ResourceOrgID", "o-2"}, {user, "aws:ResourceOrgPaths", []string{"o-2/r/"}},
		{user, "aws:RequestedRegion", "us-west-2"}, {user, "aws:SecureTransport", "true"}, {user, "aws:ViaAWSService", "false"},
		{user, "kms:CallerAccount", "1"}, {user, "kms:GrantIsForAWSResource", "false"}, {user, "aws:PrincipalServiceName", absent{}},
		{service, "aws:PrincipalServiceName", "ec2.amazonaws.com"}, {service, "aws:PrincipalServiceNamesList", []string{"ec2.amazonaws.com"}},
		{service, "aws:PrincipalIsAWSService", "true"}, {service, "aws:PrincipalArn", absent{}}, {service, "aws:userid", absent{}},
		{service, "aws:PrincipalOrgPaths", absent{}}, {service, "kms:GrantIsForAWSResource", absent{}},
		{condition.Facts{}, "aws:PrincipalIsAWSService", absent{}},
		{plan, "aws:PrincipalArn", unknown{}}, {plan, "aws:PrincipalTag/a", unknown{}}, {plan, "aws:ResourceAccount", unknown{}},
		{plan, "aws:PrincipalAccount", "1"}, {plan, "aws:PrincipalOrgPaths", unknown{}}, {plan, "aws:PrincipalServiceName", absent{}},
	}
	for _, tt := range tests {
		e := condition.Env{Facts: tt.facts}
		key := condition.MakeKey(tt.key)
		v, ok := e.Lookup(&key)
		good := false
		switch want := tt.want.(type) {
		case string:
			good = ok && v.One == want && !v.Multi && !v.Unknown
		case []string:
			good = ok && v.Multi && slices.Equal(v.List, want)
		case unknown:
			good = ok && v.Unknown
		case absent:
			good = !ok && v.One == "" && !v.Unknown
		}
		if !good {
			t.Errorf("%s: %+v, %v, want %v", tt.key, v, ok, tt.want)
		}
	}
}
