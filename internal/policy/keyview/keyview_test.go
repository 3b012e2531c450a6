package keyview_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/policy/keyview"
)

const (
	ana    = "arn:aws:iam::111122223333:user/ana"
	app    = "arn:aws:iam::111122223333:role/team/app"
	linked = "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	other  = "444455556666"
)

// The console's statements, in several layouts.
const (
	enable  = `{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}`
	admins  = `{"Sid":"Allow access for Key Administrators","Effect":"Allow","Principal":{"AWS":"` + ana + `"},"Action":["kms:Create*","kms:Describe*","kms:Enable*","kms:List*","kms:Put*","kms:Update*","kms:Revoke*","kms:Disable*","kms:Get*","kms:Delete*","kms:TagResource","kms:UntagResource","kms:ScheduleKeyDeletion","kms:CancelKeyDeletion"],"Resource":"*"}`
	users   = `{"Sid":"Allow use of the key","Effect":"Allow","Principal":{"AWS":["` + app + `","arn:aws:iam::444455556666:root"]},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
	grants  = `{"Sid":"Allow attachment of persistent resources","Effect":"Allow","Principal":{"AWS":["` + app + `","arn:aws:iam::444455556666:root"]},"Action":["kms:CreateGrant","kms:ListGrants","kms:RevokeGrant"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`
	foreign = `{"Sid":"Ours","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":false}}}`
)

func doc(statements ...string) string {
	return `{"Version":"2012-10-17","Id":"key-consolepolicy-3","Statement":[` + strings.Join(statements, ",") + `]}`
}

func parse(t *testing.T, src string) *keyview.Policy {
	t.Helper()
	p, err := keyview.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestView(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		want      keyview.View
	}{
		{"the console's policy", doc(enable, admins, users, grants),
			keyview.View{Root: true, Administrators: []string{ana}, MayDelete: true, Users: []string{app}, Accounts: []string{other}, Other: []int{}}},
		{"a statement of one's own", doc(enable, foreign, users),
			keyview.View{Root: true, Administrators: []string{}, Users: []string{app}, Accounts: []string{other}, UseOnly: []string{app, "444455556666"}, Other: []int{1}}},
		{"administrators who may not delete", doc(strings.Replace(admins, `,"kms:ScheduleKeyDeletion","kms:CancelKeyDeletion"`, "", 1)),
			keyview.View{Administrators: []string{ana}, Users: []string{}, Accounts: []string{}, Other: []int{}}},
		{"a statement with another condition", doc(strings.Replace(users, `"Resource":"*"`, `"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true}}`, 1)),
			keyview.View{Administrators: []string{}, Users: []string{}, Accounts: []string{}, Other: []int{0}}},
		{"a statement with one action more", doc(strings.Replace(users, `"kms:Encrypt"`, `"kms:Encrypt","kms:PutKeyPolicy"`, 1)),
			keyview.View{Administrators: []string{}, Users: []string{}, Accounts: []string{}, Other: []int{0}}},
		{"a statement with another name", doc(strings.Replace(users, `Allow use of the key`, `Use`, 1)),
			keyview.View{Administrators: []string{}, Users: []string{}, Accounts: []string{}, Other: []int{0}}},
		{"a statement for everybody", doc(strings.Replace(users, `"arn:aws:iam::444455556666:root"`, `"*"`, 1)),
			keyview.View{Administrators: []string{}, Users: []string{}, Accounts: []string{}, Other: []int{0}}},
		{"users of a key pair", doc(strings.Replace(users, `"kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"`,
			`"kms:DescribeKey","kms:GetPublicKey","kms:Sign","kms:Verify"`, 1)),
			keyview.View{Administrators: []string{}, Users: []string{app}, Accounts: []string{other}, UseOnly: []string{app, "444455556666"}, Other: []int{}}},
		{"services alone", doc(grants), keyview.View{Administrators: []string{}, Users: []string{app}, Accounts: []string{other}, GrantsOnly: []string{app, "444455556666"}, Other: []int{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parse(t, tt.src).View()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each case of testdata is a policy before and after an edit.
func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		file string
		edit func(*keyview.Policy) (*keyview.Policy, error)
	}{
		{"user-first", func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddUser(app, keyview.Symmetric) }},
		{"user-second", func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddUser(app, keyview.Symmetric) }},
		{"administrator", func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddAdministrator(ana) }},
		{"delete", func(p *keyview.Policy) (*keyview.Policy, error) { return p.AllowDelete(true) }},
		{"account", func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddAccount(other, keyview.Symmetric) }},
		{"linked-role", func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddLinkedRole(linked) }},
		{"share", func(p *keyview.Policy) (*keyview.Policy, error) { return p.ShareWithAccount(other) }},
		{"mac", func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddUser(app, keyview.Authenticity) }},
	} {
		t.Run(tt.file, func(t *testing.T) {
			before, err := os.ReadFile(filepath.Join("testdata", tt.file+".before.json"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", tt.file+".after.json"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.edit(parse(t, string(before)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The statements of AWS's page, as it prints them, are what the edits write.
func TestThePagesStatements(t *testing.T) {
	p, err := parse(t, doc(enable)).AddLinkedRole(linked)
	if err != nil {
		t.Fatal(err)
	}
	want := doc(enable) // AppendStatements puts a space after the comma
	want = strings.TrimSuffix(want, "]}") + `, {"Sid":"Allow service-linked role use of the customer managed key","Effect":"Allow","Principal":{"AWS":["` + linked + `"]},` +
		`"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}` +
		`, {"Sid":"Allow attachment of persistent resources","Effect":"Allow","Principal":{"AWS":["` + linked + `"]},"Action":["kms:CreateGrant"],"Resource":"*",` +
		`"Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}}]}`
	if diff := cmp.Diff(want, string(p.Bytes())); diff != "" {
		t.Error(diff)
	}
	if p, err = p.ShareWithAccount(other); err != nil {
		t.Fatal(err)
	}
	want = strings.TrimSuffix(want, "]}") + `, {"Sid":"Allow external account 444455556666 use of the customer managed key","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::444455556666:root"]},` +
		`"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}` +
		`, {"Sid":"Allow attachment of persistent resources in external account 444455556666","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::444455556666:root"]},"Action":["kms:CreateGrant"],"Resource":"*"}]}`
	if diff := cmp.Diff(want, string(p.Bytes())); diff != "" {
		t.Error(diff)
	}
}

// Who is a key user already needs none of the page's statements.
func TestWhatIsThereIsNotAddedAgain(t *testing.T) {
	p := parse(t, doc(enable, strings.ReplaceAll(users, app, linked), strings.ReplaceAll(grants, app, linked)))
	for name, edit := range map[string]func() (*keyview.Policy, error){
		"linked role": func() (*keyview.Policy, error) { return p.AddLinkedRole(linked) },
		"least":       func() (*keyview.Policy, error) { return p.AddLinkedRoleLeast(linked) },
		"user":        func() (*keyview.Policy, error) { return p.AddUser(linked, keyview.Symmetric) },
		"account":     func() (*keyview.Policy, error) { return p.AddAccount(other, keyview.Symmetric) },
		"a stranger":  func() (*keyview.Policy, error) { return p.RemoveUser(ana) },
	} {
		q, err := edit()
		if err != nil || string(q.Bytes()) != string(p.Bytes()) {
			t.Errorf("%s: %v\n%s", name, err, q.Bytes())
		}
	}
}

// A Sid that somebody else's statement has is not used twice, and the new name is recognized.
func TestSidsStayUnique(t *testing.T) {
	p := parse(t, doc(strings.Replace(foreign, "Ours", "Allow use of the key", 1), enable))
	p, err := p.AddUser(app, keyview.Symmetric)
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Notes(); len(n) != 1 || n[0] != `Another statement has the Sid "Allow use of the key": the new one is called "Allow use of the key 2".` {
		t.Errorf("notes: %q", n)
	}
	again, err := p.AddUser(ana, keyview.Symmetric)
	if err != nil {
		t.Fatal(err)
	}
	if v := again.View(); !slices.Equal(v.Users, []string{app, ana}) || !slices.Equal(v.Other, []int{0}) || len(again.Notes()) != 1 {
		t.Errorf("%+v %q", v, again.Notes())
	}
}

func TestWhatCannotBe(t *testing.T) {
	p := parse(t, doc(users))
	if _, err := keyview.Parse([]byte(`{"Statement":[`)); err == nil {
		t.Error("half a policy was read")
	} else if _, ok := errors.AsType[*policy.SyntaxError](err); !ok {
		t.Errorf("%T", err)
	}
	for name, edit := range map[string]func() (*keyview.Policy, error){
		"not the ARN of a user or role":        func() (*keyview.Policy, error) { return p.AddUser("ana", keyview.Symmetric) },
		"is no usage":                          func() (*keyview.Policy, error) { return p.AddUser(ana, "all") },
		"not an account id":                    func() (*keyview.Policy, error) { return p.AddAccount(ana, keyview.Symmetric) },
		"not the ARN of a service-linked role": func() (*keyview.Policy, error) { return p.AddLinkedRole(app) },
		"no statement for key administrators":  func() (*keyview.Policy, error) { return p.AllowDelete(true) },
		"\"1\" is not an account id":           func() (*keyview.Policy, error) { return p.ShareWithAccount("1") },
		"arn:aws:iam::111122223333:instance-pro": func() (*keyview.Policy, error) {
			return p.AddAdministrator("arn:aws:iam::111122223333:instance-profile/x")
		},
		"would have no statement left": func() (*keyview.Policy, error) {
			q, err := p.RemoveUser(app)
			if err != nil {
				return nil, err
			}
			return q.RemoveAccount(other)
		},
	} {
		if _, err := edit(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
