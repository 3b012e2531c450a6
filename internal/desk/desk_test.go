package desk_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/desk"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/secret"
)

const (
	account = "123456789012"
	linked  = "arn:aws:iam::" + account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
)

type kit struct {
	*guardtest.World
	t    *testing.T
	desk *desk.Service
}

func newKit(t *testing.T) *kit {
	w := guardtest.New(t)
	return &kit{World: w, t: t, desk: desk.New(w.Guard)}
}

// ask serves one operation as somebody.
func (k *kit) ask(as, op string, in any) (any, error) { return k.askAs(k.Lookup(as), op, in) }

func (k *kit) askAs(as guard.Caller, op string, in any) (any, error) {
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "kagimori", Operation: op, Region: guardtest.Region, Caller: as, Time: k.Guard.Now(),
		ReadOnly: kagimoriapi.Service().Operations[op].ReadOnly, Input: in,
	}
	return k.Guard.Invoke(k.t.Context(), c, in, k.desk.Operations()[op])
}

func (k *kit) edit(text string, edits ...kagimoriapi.KeyPolicyEdit) (string, error) {
	out, err := k.ask(account+"ADMIN", "EditKeyPolicy", &kagimoriapi.EditKeyPolicyRequest{Policy: &text, Edits: edits})
	if err != nil {
		return "", err
	}
	return *out.(*kagimoriapi.EditKeyPolicyResponse).Policy, nil
}

func (k *kit) view(text string) *kagimoriapi.ViewKeyPolicyResponse {
	k.t.Helper()
	out, err := k.ask(account+"ADMIN", "ViewKeyPolicy", &kagimoriapi.ViewKeyPolicyRequest{Policy: &text})
	if err != nil {
		k.t.Fatal(err)
	}
	return out.(*kagimoriapi.ViewKeyPolicyResponse)
}

func TestKeyUserIsAddedAndSeenAndTaken(t *testing.T) {
	k := newKit(t)
	before := policy.DefaultKeyPolicy(account)
	after, err := k.edit(before, kagimoriapi.KeyPolicyEdit{Type: new("ADD_USER"), Principal: new(linked)})
	if err != nil {
		t.Fatal(err)
	}
	v := k.view(after)
	if len(v.Users) != 1 || v.Users[0] != linked || len(v.OtherStatements) != 0 || !*v.Root || api.Val(v.Owner) != account {
		t.Errorf("the view is %+v", v)
	}
	out, err := k.ask(account+"ADMIN", "CompareKeyPolicies", &kagimoriapi.CompareKeyPoliciesRequest{Before: &before, After: &after})
	if err != nil {
		t.Fatal(err)
	}
	changes := out.(*kagimoriapi.CompareKeyPoliciesResponse).Changes
	if len(changes) == 0 {
		t.Fatal("no change is told")
	}
	for _, c := range changes {
		if *c.Type != "GAINS" || *c.Principal != linked {
			t.Errorf("told: %s %s %v", *c.Type, *c.Principal, c.Actions)
		}
	}
	out, err = k.ask(account+"ADMIN", "CompareKeyPolicies", &kagimoriapi.CompareKeyPoliciesRequest{Before: &before, After: &after, Language: new("ja")})
	if err != nil {
		t.Fatal(err)
	}
	if c := out.(*kagimoriapi.CompareKeyPoliciesResponse).Changes[0]; *c.Before != "なし" || *c.After != "常に" && !strings.HasSuffix(*c.After, "の場合") {
		t.Errorf("in Japanese: from %s to %s", *c.Before, *c.After)
	}
	again, err := k.edit(after, kagimoriapi.KeyPolicyEdit{Type: new("REMOVE_USER"), Principal: new(linked)})
	if err != nil || len(k.view(again).Users) != 0 {
		t.Errorf("after removal: %s, %v", again, err)
	}
}

func TestOwnStatementsKeepEveryByte(t *testing.T) {
	k := newKit(t)
	const own = `{ "Sid":"mine",   "Effect" : "Deny", "Principal":"*","Action":"kms:Encrypt","Resource":"*", "Condition":{"Bool":{"aws:SecureTransport":false}} }`
	text := strings.Replace(policy.DefaultKeyPolicy(account), `"Statement" : [`, `"Statement" : [ `+own+`,`, 1)
	if !strings.Contains(text, own) {
		text = strings.Replace(policy.DefaultKeyPolicy(account), `"Statement":[`, `"Statement":[`+own+`,`, 1)
	}
	after, err := k.edit(text, kagimoriapi.KeyPolicyEdit{Type: new("ADD_LINKED_ROLE"), Principal: new(linked)})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(after, own) || after == text {
		t.Errorf("the edit made %s of %s", after, text)
	}
	if o := k.view(after).OtherStatements; len(o) == 0 || o[0] != 1 {
		t.Errorf("other statements are %v", o)
	}
}

func TestBadEditsAndDocuments(t *testing.T) {
	k := newKit(t)
	good := policy.DefaultKeyPolicy(account)
	for _, tc := range []struct {
		name, text, code string
		edit             kagimoriapi.KeyPolicyEdit
	}{
		{"no JSON", "{", "MalformedPolicyDocumentException", kagimoriapi.KeyPolicyEdit{Type: new("ADD_USER"), Principal: new(linked)}},
		{"nobody", good, "ValidationException", kagimoriapi.KeyPolicyEdit{Type: new("ADD_USER")}},
		{"no ARN", good, "ValidationException", kagimoriapi.KeyPolicyEdit{Type: new("ADD_USER"), Principal: new("x")}},
		{"no administrators", good, "ValidationException", kagimoriapi.KeyPolicyEdit{Type: new("ALLOW_DELETE")}},
	} {
		_, err := k.edit(tc.text, tc.edit)
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Code != tc.code {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.code)
		}
	}
}

func TestEveryEditIsServed(t *testing.T) {
	k := newKit(t)
	text, err := k.edit(policy.DefaultKeyPolicy(account), kagimoriapi.KeyPolicyEdit{Type: new("ADD_ADMINISTRATOR"), Principal: new("arn:aws:iam::" + account + ":role/admin")})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct{ edit, principal string }{
		{"FORBID_DELETE", ""}, {"ALLOW_DELETE", ""}, {"ADD_USER", linked}, {"REMOVE_USER", linked},
		{"ADD_ACCOUNT", "111122223333"}, {"REMOVE_ACCOUNT", "111122223333"}, {"ADD_LINKED_ROLE", linked}, {"REMOVE_LINKED_ROLE", linked},
		{"ADD_LINKED_ROLE_LEAST", linked}, {"REMOVE_LINKED_ROLE", linked}, {"SHARE_WITH_ACCOUNT", "111122223333"}, {"UNSHARE_WITH_ACCOUNT", "111122223333"},
		{"REMOVE_ADMINISTRATOR", "arn:aws:iam::" + account + ":role/admin"},
	} {
		next, err := k.edit(text, kagimoriapi.KeyPolicyEdit{Type: &m.edit, Principal: api.Opt(m.principal)})
		if err != nil || next == text {
			t.Errorf("%s: %v, changed: %t", m.edit, err, next != text)
			continue
		}
		text = next
	}
}

func TestCheckLaunchInBothLanguages(t *testing.T) {
	k := newKit(t)
	input, err := os.ReadFile("testdata/fails.json")
	if err != nil {
		t.Fatal(err)
	}
	for language, word := range map[string]string{"en": "will not launch", "ja": "起動できません"} {
		out, err := k.ask(account+"ADMIN", "CheckLaunch", &kagimoriapi.CheckLaunchRequest{Input: new(secret.String(input)), Language: &language})
		if err != nil {
			t.Fatal(err)
		}
		launches := out.(*kagimoriapi.CheckLaunchResponse).Launches
		if len(launches) != 1 || *launches[0].Verdict != "FAILS" || !strings.Contains(*launches[0].Told, word) {
			t.Errorf("%s: %d launches, %s", language, len(launches), api.Val(launches[0].Told))
		}
	}
	_, err = k.ask(account+"ADMIN", "CheckLaunch", &kagimoriapi.CheckLaunchRequest{Input: new(secret.String("no input"))})
	if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Code != "ValidationException" {
		t.Errorf("what cannot be read: %v", err)
	}
}

func TestOthersAreDenied(t *testing.T) {
	k := newKit(t)
	nobody := k.User(account, "nobody")
	for op, in := range map[string]any{
		"ViewKeyPolicy":      &kagimoriapi.ViewKeyPolicyRequest{Policy: new("{")},
		"EditKeyPolicy":      &kagimoriapi.EditKeyPolicyRequest{Policy: new("{")},
		"CompareKeyPolicies": &kagimoriapi.CompareKeyPoliciesRequest{Before: new("{"), After: new("{")},
		"CheckLaunch":        &kagimoriapi.CheckLaunchRequest{Input: new(secret.String("{"))},
	} {
		if _, err := k.askAs(nobody, op, in); err == nil {
			t.Errorf("%s is served", op)
		} else if _, denied := guard.Denied(err); !denied {
			t.Errorf("%s: %v", op, err)
		}
	}
}
