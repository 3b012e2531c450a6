package kms_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	lockedOut = "The new key policy will not allow you to update the key policy in the future."
	noSuch    = "Policy contains a statement with one or more invalid principals."
)

func (c *who) policy(key string) string {
	c.w.t.Helper()
	return *get[kmsapi.GetKeyPolicyResponse](c, &kmsapi.GetKeyPolicyRequest{KeyId: &key}).Policy
}

func TestDefaultPolicy(t *testing.T) {
	root := newWorld(t).root(owner)
	const want = `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::444455556666:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
	key := root.newKey()
	out := get[kmsapi.GetKeyPolicyResponse](root, &kmsapi.GetKeyPolicyRequest{KeyId: &key, PolicyName: new("default")})
	if *out.Policy != want || *out.PolicyName != "default" {
		t.Errorf("policy %s is\n%s", *out.PolicyName, *out.Policy)
	}
	list := get[kmsapi.ListKeyPoliciesResponse](root, &kmsapi.ListKeyPoliciesRequest{KeyId: &key})
	if len(list.PolicyNames) != 1 || list.PolicyNames[0] != "default" || *list.Truncated || list.NextMarker != nil {
		t.Errorf("ListKeyPolicies answered %+v", list)
	}
}

func TestPolicyNames(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	wantErr(t, root.try(&kmsapi.GetKeyPolicyRequest{KeyId: &key, PolicyName: new("other")}), "NotFoundException", "No such policy exists")
	wantErr(t, root.try(&kmsapi.PutKeyPolicyRequest{KeyId: &key, PolicyName: new("other"), Policy: new(document(rootStatement(owner)))}),
		"UnsupportedOperationException", "Only default policy is supported")
}

// Old statements survive byte for byte when others are added (S19).
func TestPolicyRoundTrip(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	user := w.user(owner, "old")
	text := "{\t\"Version\":\"2012-10-17\",\n  \"Statement\" : [ " + rootStatement(owner) + ",\r\n" +
		allow(user.arn(), "", "kms:Encrypt") + ` , {"Sid":"with spaces é","Effect":"Allow","Principal":{"AWS":"` + owner + `"},"Action":"kms:Decrypt","Resource":"*"} ]}`
	key := *root.createKey(&kmsapi.CreateKeyRequest{Policy: &text}).Arn
	if got := root.policy(key); got != text {
		t.Errorf("got  %q\nwant %q", got, text)
	}
	user.encrypt(key, "x", nil)
	slr := w.autoScaling(owner)
	longer := strings.TrimSuffix(text, " ]}") + "," + allow(slr.ARN(), "", "kms:Decrypt") + "]}"
	root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &longer})
	if got := root.policy(key); got != longer {
		t.Errorf("got  %q\nwant %q", got, longer)
	}
	user.encrypt(key, "x", nil)
}

// Refused policies, the same for CreateKey and PutKeyPolicy.
func TestPolicyRefused(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	w.user(owner, "alice")
	principal := func(p string) string { return document(rootStatement(owner), allow(p, "", "kms:Decrypt")) }
	pad := func(n int) string {
		text := document(rootStatement(owner))
		return text + strings.Repeat(" ", n-len(text))
	}
	tests := map[string]struct{ policy, code, message string }{
		"not JSON":           {"{", "MalformedPolicyDocumentException", "*"},
		"no statement":       {`{"Version":"2012-10-17"}`, "MalformedPolicyDocumentException", "*"},
		"bad effect":         {document(strings.Replace(rootStatement(owner), "Allow", "Maybe", 1)), "MalformedPolicyDocumentException", "*"},
		"no principal":       {document(rootStatement(owner), allow("", "", "kms:Decrypt")), "MalformedPolicyDocumentException", "Policy contains a statement with no principal."},
		"unknown role":       {principal(arn.Role(owner, "/", "none")), "MalformedPolicyDocumentException", noSuch},
		"unknown user":       {principal(arn.User(owner, "/", "none")), "MalformedPolicyDocumentException", noSuch},
		"wrong path":         {principal(arn.User(owner, "/team/", "alice")), "MalformedPolicyDocumentException", noSuch},
		"unknown session":    {principal(arn.Session(owner, "none", "s")), "MalformedPolicyDocumentException", noSuch},
		"orphaned unique id": {principal("AIDACKCEVSQ6C2EXAMPLE"), "MalformedPolicyDocumentException", noSuch},
		"user wildcard":      {principal("arn:aws:iam::" + owner + ":user/*"), "MalformedPolicyDocumentException", noSuch},
		"no ARN":             {principal("alice"), "MalformedPolicyDocumentException", noSuch},
		"group":              {principal("arn:aws:iam::" + owner + ":group/g"), "InvalidArnException", "An ARN in the specified key policy is invalid."},
		"other service":      {principal("arn:aws:s3:::bucket"), "InvalidArnException", "An ARN in the specified key policy is invalid."},
		"locks its author":   {document(allow(arn.User(owner, "/", "alice"), "", "kms:*")), "MalformedPolicyDocumentException", lockedOut},
		"denies its author":  {document(rootStatement(owner), statement("Deny", "*", "", "kms:PutKeyPolicy")), "MalformedPolicyDocumentException", lockedOut},
		"ForAllValues": {document(rootStatement(owner), allow("*", `{"ForAllValues:StringEquals":{"kms:EncryptionContext:a":"b"}}`, "kms:Decrypt")),
			"MalformedPolicyDocumentException", "*"},
		"over 32 KB":     {pad(32769), "LimitExceededException", "*"},
		"over 128 KB":    {pad(131073), "ValidationException", "*"},
		"beyond Latin 1": {document(strings.Replace(rootStatement(owner), "Enable", "鍵", 1)), "ValidationException", "*"},
		"empty":          {"", "ValidationException", "*"},
	}
	key := root.newKey()
	before := root.policy(key)
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			wantErr(t, root.try(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &tt.policy}), tt.code, tt.message)
			wantErr(t, root.try(&kmsapi.CreateKeyRequest{Policy: &tt.policy}), tt.code, tt.message)
		})
	}
	if root.policy(key) != before || w.size("kms/key") != 1 {
		t.Error("a refused policy left something")
	}
	root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(pad(32768))})
}

// The check is of the caller under the new policy together with the caller's own policies.
func TestLockoutCheck(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	put := w.user(owner, "put", iam("*", "kms:CreateKey", "kms:PutKeyPolicy"))
	noPut := w.user(owner, "noput", iam("*", "kms:CreateKey"))
	create := func(c *who, bypass bool, statements ...string) error {
		return c.try(&kmsapi.CreateKeyRequest{Policy: new(document(statements...)), BypassPolicyLockoutSafetyCheck: &bypass})
	}
	delegates := rootStatement(owner)
	check(t, create(put, false, delegates))
	wantErr(t, create(noPut, false, delegates), "MalformedPolicyDocumentException", lockedOut)
	check(t, create(noPut, false, allow(noPut.arn(), "", "kms:PutKeyPolicy")))
	check(t, create(noPut, true, delegates))
	// Without a policy there is no check: the default one names the account.
	noPut.must(&kmsapi.CreateKeyRequest{})

	// A key that was locked on purpose stays locked.
	key := *root.createKey(&kmsapi.CreateKeyRequest{
		Policy: new(document(allow(put.arn(), "", "kms:Decrypt"))), BypassPolicyLockoutSafetyCheck: new(true),
	}).Arn
	wantDenied(t, root.try(&kmsapi.GetKeyPolicyRequest{KeyId: &key}), root, "kms:GetKeyPolicy", key, noResource("kms:GetKeyPolicy"))
	wantDenied(t, root.try(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(document(delegates))}), root, "kms:PutKeyPolicy", key, noResource("kms:PutKeyPolicy"))
}

// Whoever may not change the policy does not learn from a refusal which principals exist.
func TestPolicyIsDecidedBeforeItIsRead(t *testing.T) {
	w := newWorld(t)
	key := w.root(owner).newKey()
	user := w.user(owner, "u")
	for _, p := range []string{"{", document(rootStatement(owner)), document(allow(arn.Role(owner, "/", "none"), "", "kms:*"))} {
		wantDenied(t, user.try(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &p}), user, "kms:PutKeyPolicy", key, noIdentity("kms:PutKeyPolicy"))
		wantErr(t, user.try(&kmsapi.CreateKeyRequest{Policy: &p}), "AccessDeniedException", "*")
	}
}

// A deleted principal shows as its unique id, means nobody any more, and must be removed before
// the policy can be saved again; a new one of the same name gets nothing.
func TestDeletedPrincipal(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	role := w.role(owner, "/", "app")
	session := w.session(role, "s")
	key := root.newKey(allow(role.ARN(), "", "kms:Encrypt"))
	session.encrypt(key, "x", nil)

	w.update(func(tx store.Tx) error { return w.dir.DeleteRole(tx, role) })
	text := root.policy(key)
	if strings.Contains(text, role.ARN()) || !strings.Contains(text, role.ID) {
		t.Errorf("the deleted role %s shows as\n%s", role.ID, text)
	}
	wantErr(t, root.try(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &text}), "MalformedPolicyDocumentException", noSuch)

	again := w.session(w.role(owner, "/", "app"), "s")
	err := again.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")})
	wantDenied(t, err, again, "kms:Encrypt", key, noIdentity("kms:Encrypt"))
	if text := root.policy(key); !strings.Contains(text, role.ID) {
		t.Error("the new role took the old one's place")
	}
	root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(document(rootStatement(owner), allow(role.ARN(), "", "kms:Encrypt")))})
	again.encrypt(key, "x", nil)
}

// A policy may name more principals than one transaction can read.
func TestPolicyWithManyPrincipals(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	var names []string
	for i := range 150 {
		u := directory.User{Account: owner, Name: fmt.Sprintf("u%d", i), Path: "/", ID: directory.NewID("AIDA")}
		w.update(func(tx store.Tx) error { return w.dir.PutUser(tx, u) })
		names = append(names, u.ARN())
	}
	list, err := json.Marshal(names)
	check(t, err)
	text := document(rootStatement(owner), `{"Effect":"Allow","Principal":{"AWS":`+string(list)+`},"Action":"kms:Encrypt","Resource":"*"}`)
	key := *root.createKey(&kmsapi.CreateKeyRequest{Policy: &text}).Arn
	root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &text})
	if root.policy(key) != text {
		t.Error("the policy changed")
	}
}

// A user keeps what policies and grants give it when it gets another name or path.
func TestRenamedPrincipal(t *testing.T) {
	w := newWorld(t)
	root, user := w.root(owner), w.user(owner, "bob")
	byPolicy, byGrant := root.newKey(allow(user.arn(), "", "kms:DescribeKey")), root.newKey()
	root.grant(&kmsapi.CreateGrantRequest{KeyId: &byGrant, GranteePrincipal: new(user.arn()), Operations: []string{"DescribeKey"}})
	w.update(func(tx store.Tx) error {
		u, _, err := w.dir.User(tx, owner, "bob")
		if err != nil {
			return err
		}
		renamed := u
		renamed.Name, renamed.Path = "robert", "/team/"
		return w.dir.RenameUser(tx, u, renamed)
	})
	_, id, err := w.dir.Lookup(t.Context(), user.caller.Identity.AccessKeyID, "")
	check(t, err)
	const arn = "arn:aws:iam::" + owner + ":user/team/robert"
	if id.Principal.ARN != arn {
		t.Fatalf("the user is %s now, want %s", id.Principal.ARN, arn)
	}
	for _, key := range []string{byPolicy, byGrant} {
		w.as(id).must(&kmsapi.DescribeKeyRequest{KeyId: &key})
	}
	if got := root.policy(byPolicy); !strings.Contains(got, `"`+arn+`"`) || strings.Contains(got, "user/bob") {
		t.Errorf("the policy shows %s", got)
	}
	grants := get[kmsapi.ListGrantsResponse](root, &kmsapi.ListGrantsRequest{KeyId: &byGrant}).Grants
	if len(grants) != 1 || *grants[0].GranteePrincipal != arn {
		t.Errorf("the grant shows %+v", grants)
	}
	other := w.user(owner, "bob")
	wantErr(t, other.try(&kmsapi.DescribeKeyRequest{KeyId: &byPolicy}), "AccessDeniedException", "*")
}
