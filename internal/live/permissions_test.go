package live_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A counter hears of all calls.
type counter struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (c *counter) made(service, op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[service+":"+op] = true
}

// reader makes a user with a policy and returns the credentials.
func reader(t *testing.T, s *testkit.Server, account, name, policy string) sigv4.Credentials {
	t.Helper()
	iam := s.As(testkit.Admin(account)).IAM
	testkit.Call[iamapi.CreateUserResponse](iam, "CreateUser", &iamapi.CreateUserRequest{UserName: &name})
	testkit.Must(iam, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("reads"), PolicyDocument: &policy})
	key := testkit.Call[iamapi.CreateAccessKeyResponse](iam, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
	return sigv4.Credentials{AccessKeyID: api.Val(key.AccessKeyId), Secret: *key.SecretAccessKey}
}

// without is a policy without an action.
func without(t *testing.T, policy []byte, action string) string {
	t.Helper()
	var doc struct {
		Version   string
		Statement []struct {
			Sid, Effect, Resource string
			Action                []string
		}
	}
	if err := json.Unmarshal(policy, &doc); err != nil {
		t.Fatal(err)
	}
	for i := range doc.Statement {
		doc.Statement[i].Action = slices.DeleteFunc(doc.Statement[i].Action, func(a string) bool { return a == action })
	}
	doc.Statement = slices.DeleteFunc(doc.Statement, func(s struct {
		Sid, Effect, Resource string
		Action                []string
	}) bool {
		return len(s.Action) == 0
	})
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestThePolicyIsWhatItTakes reads worlds with users who have the printed policy, and then with users
// who lack one action of it each. The former see what administrators see; of the latter's verdicts
// none is wrong: where the action matters, it cannot be told, and the action is named.
func TestThePolicyIsWhatItTakes(t *testing.T) {
	mattered := map[string]bool{}
	for _, id := range []string{"022-image-under-old-key", "027-reencrypt-without-star", "006-spot-launch-configuration", "030-scheduler-start"} {
		sc := corpus(t)[id]
		t.Run(id, func(t *testing.T) {
			s := testkit.Start(t, testkit.Options{})
			w := perform(t, s, sc)
			sel := selection(t, s, w)
			account := sc.Launch.Account
			check := func(creds, manager sigv4.Credentials, heard func(string, string)) (*doctor.Report, error) {
				session, err := live.Open(t.Context(), live.Config{Progress: heard, Accesses: []live.Access{
					access(s, sc.Region, account, creds), access(s, sc.Region, "000000000000", manager),
				}})
				if err != nil {
					return nil, err
				}
				launches, err := session.Read(t.Context(), sel)
				if err != nil {
					return nil, err
				}
				return doctor.Check(launches[0].Scenario), nil
			}
			full := string(live.Policy())
			manager := reader(t, s, "000000000000", "manager", full)
			var made counter
			want, err := check(reader(t, s, account, "reader", full), manager, made.made)
			if err != nil {
				t.Fatal(err)
			}
			file := doctor.Check(sc)
			if want.Verdict != file.Verdict || len(want.Depends) > 0 {
				t.Fatalf("with the policy: %s, %q; want %s", want.Verdict, want.Depends, file.Verdict)
			}
			for _, c := range live.Calls() {
				if c.Action == "" || !made.seen[c.Name()] {
					continue
				}
				name := strings.ReplaceAll(c.Action, ":", "-")
				poor := without(t, live.Policy(), c.Action)
				got, err := check(reader(t, s, account, name, poor), reader(t, s, "000000000000", name, poor), nil)
				if err != nil {
					t.Errorf("without %s: %v", c.Action, err)
					continue
				}
				switch depends := strings.Join(got.Depends, "\n"); {
				case got.Verdict == want.Verdict:
				case got.Verdict == "cannot-tell" && strings.Contains(depends, "may not "+c.Action):
					mattered[c.Action] = true
				default:
					t.Errorf("without %s: %s, %q; want %s", c.Action, got.Verdict, depends, want.Verdict)
				}
			}
		})
	}
	want := []string{
		"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeLaunchConfigurations", "ec2:DescribeImages", "ec2:DescribeInstances",
		"ec2:DescribeLaunchTemplateVersions", "ec2:DescribeSnapshots", "ec2:DescribeVolumes", "iam:GetRole", "iam:GetRolePolicy",
		"iam:ListRolePolicies", "kms:GetKeyPolicy", "kms:ListGrants", "organizations:ListPoliciesForTarget",
	}
	for _, action := range want {
		if !mattered[action] {
			t.Errorf("nothing hung on %s: %v", action, slices.Sorted(maps.Keys(mattered)))
		}
	}
}

// TestAUserIsReadWithGroupsAndBoundary has a user run a template whose permission is a group's, and
// sees that every call of the table is made by something.
func TestAUserIsReadWithGroupsAndBoundary(t *testing.T) {
	var all counter
	heard := func(cfg *live.Config) { cfg.Progress = all.made }
	for _, id := range []string{"006-spot-launch-configuration", "030-scheduler-start", "037-boundary-hides-kms", "039-scp-allow-list-without-kms", "004-cross-account-grant"} {
		sc := corpus(t)[id]
		s := testkit.Start(t, testkit.Options{})
		w := perform(t, s, sc)
		if _, err := open(t, s, sc, heard).Read(t.Context(), selection(t, s, w)); err != nil {
			t.Fatal(err)
		}
	}
	sc := corpus(t)["011-lambda-caller-root-delegation"]
	s := testkit.Start(t, testkit.Options{})
	w := perform(t, s, sc)
	account := sc.Launch.Account
	iam := s.As(testkit.Admin(account)).IAM
	user, group := "ann", "operators"
	reader(t, s, account, user, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`)
	doc := func(actions string) *string {
		return new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}]}`)
	}
	managed := testkit.Call[iamapi.CreatePolicyResponse](iam, "CreatePolicy", &iamapi.CreatePolicyRequest{PolicyName: new("data"), PolicyDocument: doc(`"kms:GenerateDataKey*","kms:Decrypt","kms:ReEncrypt*","kms:DescribeKey"`)})
	boundary := testkit.Call[iamapi.CreatePolicyResponse](iam, "CreatePolicy", &iamapi.CreatePolicyRequest{PolicyName: new("limit"), PolicyDocument: doc(`"ec2:*","kms:*"`)})
	testkit.Call[iamapi.CreateGroupResponse](iam, "CreateGroup", &iamapi.CreateGroupRequest{GroupName: &group})
	testkit.Must(iam, "AddUserToGroup", &iamapi.AddUserToGroupRequest{GroupName: &group, UserName: &user})
	testkit.Must(iam, "PutUserPermissionsBoundary", &iamapi.PutUserPermissionsBoundaryRequest{UserName: &user, PermissionsBoundary: boundary.Policy.Arn})
	sel := live.Selection{Templates: []string{w.TemplateName(sc.Launch.Templates[0].Name)}, Caller: "arn:aws:iam::" + account + ":user/ann"}
	verdict := func() *doctor.Report {
		t.Helper()
		launches, err := open(t, s, sc, heard).Read(t.Context(), sel)
		if err != nil {
			t.Fatal(err)
		}
		return doctor.Check(launches[0].Scenario)
	}
	if r := verdict(); r.Verdict != "fails" || r.Failures[0].Rule != "no-identity-policy" || api.Val(r.Failures[0].Principal) != sel.Caller {
		t.Errorf("without the group's policies: %s %+v", r.Verdict, r.Failures)
	}
	testkit.Must(iam, "PutGroupPolicy", &iamapi.PutGroupPolicyRequest{GroupName: &group, PolicyName: new("grants"), PolicyDocument: doc(`"kms:CreateGrant"`)})
	testkit.Must(iam, "AttachGroupPolicy", &iamapi.AttachGroupPolicyRequest{GroupName: &group, PolicyArn: managed.Policy.Arn})
	if r := verdict(); r.Verdict != "launches" {
		t.Errorf("with the group's policies: %s %+v %q", r.Verdict, r.Failures, r.Depends)
	}
	for _, c := range live.Calls() {
		if !all.seen[c.Name()] {
			t.Errorf("%s is in the table, and nothing called it", c.Name())
		}
	}
}

// TestADefaultCallerIsWhoAsks: of the credentials.
func TestADefaultCallerIsWhoAsks(t *testing.T) {
	sc := corpus(t)["030-scheduler-start"]
	s := testkit.Start(t, testkit.Options{})
	w := perform(t, s, sc)
	sel := selection(t, s, w)
	sel.Caller = ""
	for who, creds := range map[string]sigv4.Credentials{
		"arn:aws:iam::" + sc.Launch.Account + ":user/admin": testkit.Admin(sc.Launch.Account),
		"arn:aws:iam::" + sc.Launch.Account + ":root":       testkit.Root(sc.Launch.Account),
	} {
		launches, err := open(t, s, sc, func(cfg *live.Config) {
			cfg.Accesses[0].Credentials = func(context.Context) (sigv4.Credentials, error) { return creds, nil }
		}).Read(t.Context(), sel)
		if err != nil {
			t.Fatal(err)
		}
		if l := launches[0].Scenario.Launch; api.Val(l.Caller) != who || l.Operation != format.StartInstances {
			t.Errorf("%s by %s, want %s", l.Operation, api.Val(l.Caller), who)
		}
	}
	for name, sel := range map[string]live.Selection{
		"no ARN":             {Volumes: []string{"vol-0123456789abcdef0"}, Caller: "ann"},
		"a service":          {Volumes: []string{"vol-0123456789abcdef0"}, Caller: "arn:aws:sts::111122223333:federated-user/ann"},
		"a role that is not": {Volumes: []string{"vol-0123456789abcdef0"}, Caller: "arn:aws:iam::" + sc.Launch.Account + ":role/nobody"},
		"no volume":          {Volumes: []string{"vol-0123456789abcdef0"}},
		"no instance":        {Instances: []string{"i-0123456789abcdef0"}},
		"no template":        {Templates: []string{"nothing"}},
		"no version":         {Templates: []string{"nothing:7"}},
	} {
		if _, err := open(t, s, sc, nil).Read(t.Context(), sel); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
