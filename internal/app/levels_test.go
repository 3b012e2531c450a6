package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/testkit"
)

// An explanation names the level of the organization whose policy denied, or has no allow: the root, the
// unit or the account.
func TestExplanationsNameTheLevelOfTheOrganization(t *testing.T) {
	const member = "222233334444"
	s := testkit.Start(t, testkit.Options{})
	boss := s.As(testkit.Admin(directory.DevAccount)).Organizations
	user := s.As(testkit.Admin(member))
	testkit.Call[iamapi.ListUsersResponse](user.IAM, "ListUsers", &iamapi.ListUsersRequest{})
	root := testkit.Call[organizationsapi.ListRootsResponse](boss, "ListRoots", &organizationsapi.ListRootsRequest{}).Roots[0].Id
	unit := testkit.Call[organizationsapi.CreateOrganizationalUnitResponse](boss, "CreateOrganizationalUnit",
		&organizationsapi.CreateOrganizationalUnitRequest{ParentId: root, Name: new("unit")}).OrganizationalUnit.Id
	testkit.Must(boss, "MoveAccount", &organizationsapi.MoveAccountRequest{AccountId: new(member), SourceParentId: root, DestinationParentId: unit})
	policy := func(name, statement string) *string {
		return testkit.Call[organizationsapi.CreatePolicyResponse](boss, "CreatePolicy", &organizationsapi.CreatePolicyRequest{
			Type: new("SERVICE_CONTROL_POLICY"), Name: &name, Description: new(""), Content: new(`{"Version":"2012-10-17","Statement":` + statement + `}`),
		}).Policy.PolicySummary.Id
	}
	deny := policy("deny", `{"Sid":"No","Effect":"Deny","Action":"kms:ListKeys","Resource":"*"}`)
	list := policy("list", `{"Effect":"Allow","Action":["iam:*","cloudtrail:*","kagimori:*"],"Resource":"*"}`)
	attach := func(id, target *string) {
		testkit.Must(boss, "AttachPolicy", &organizationsapi.AttachPolicyRequest{PolicyId: id, TargetId: target})
	}
	detach := func(id, target *string) {
		testkit.Must(boss, "DetachPolicy", &organizationsapi.DetachPolicyRequest{PolicyId: id, TargetId: target})
	}
	told := func() string {
		t.Helper()
		testkit.Refused(user.KMS, "ListKeys", &kmsapi.ListKeysRequest{})
		var text []string
		for _, a := range lastAuthorization(t, user, "ListKeys").Authorizations {
			for _, e := range a.Evaluations {
				all, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				text = append(text, string(all))
			}
		}
		return strings.Join(text, "\n")
	}
	for name, target := range map[string]*string{"the root " + *root: root, "the organizational unit " + *unit: unit, "the account " + member: new(member)} {
		attach(deny, target)
		if got, want := told(), "The service control policy on "+name+" (account "+directory.DevAccount+") denies it."; !strings.Contains(got, want) {
			t.Errorf("nothing says %q:\n%s", want, got)
		}
		detach(deny, target)
		attach(list, target)
		detach(new("p-FullAWSAccess"), target)
		if got, want := told(), "The service control policy on "+name+": no allow there."; !strings.Contains(got, want) {
			t.Errorf("nothing says %q:\n%s", want, got)
		}
		attach(new("p-FullAWSAccess"), target)
		detach(list, target)
	}
}
