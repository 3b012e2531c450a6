package kagimori_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

func (k *kit) whoCan(as guard.Caller, key, action string) (*kagimoriapi.WhoCanResponse, error) {
	k.t.Helper()
	_, out, err := call(k, kagimoriapi.Service(), k.kagimori.Operations(), as, "WhoCan", &kagimoriapi.WhoCanRequest{KeyArn: &key, Action: &action})
	if err != nil {
		return nil, err
	}
	return out.(*kagimoriapi.WhoCanResponse), nil
}

func (k *kit) whatCan(as guard.Caller, principal string, actions ...string) (*kagimoriapi.WhatCanResponse, error) {
	k.t.Helper()
	_, out, err := call(k, kagimoriapi.Service(), k.kagimori.Operations(), as, "WhatCan", &kagimoriapi.WhatCanRequest{Principal: &principal, Actions: actions})
	if err != nil {
		return nil, err
	}
	return out.(*kagimoriapi.WhatCanResponse), nil
}

// told renders answers: who or what, and what it depends on.
func told(answers []kagimoriapi.Answer, of func(kagimoriapi.Answer) string) map[string]string {
	out := map[string]string{}
	for _, a := range answers {
		var s strings.Builder
		s.WriteString(api.Val(a.EvaluatedEffect))
		for _, c := range a.Conditions {
			s.WriteString(" " + api.Val(c.EvaluatedEffect) + " if " + api.Val(c.Key) + "=" + strings.Join(c.Values, "|"))
		}
		for _, d := range a.DependsOn {
			if !strings.HasPrefix(d, "key ") {
				s.WriteString(" depends on " + d)
			}
		}
		out[of(a)] = s.String()
	}
	return out
}

func byPrincipal(a kagimoriapi.Answer) string { return api.Val(a.Principal) }

const (
	letUse   = `{"Sid":"P3","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*"}`
	letGrant = `{"Sid":"P4","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":["kms:CreateGrant"],"Resource":"*"}`
	ofA      = "depends on document identity policies of account 111122223333"
)

func TestWhoCan(t *testing.T) {
	k := newKit(t)
	key, slr := k.newKey(accountK), k.autoScaling(accountA)
	k.addStatements(accountK, key, letUse, letGrant)
	k.User(accountK, "idle")
	k.User(accountK, "ops", `{"Version":"2012-10-17","Statement":[{"Sid":"FromOffice","Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}`)
	bo := k.User(accountA, "bo", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}`)
	k.User(accountA, "idle")
	_, _, err := k.useKMS(k.Lookup(accountA+"ADMIN"), "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &key, GranteePrincipal: &slr.Principal.RoleARN, Operations: []string{"Decrypt", "CreateGrant"},
	})
	k.Must(err)
	const instance = "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-1"
	_, _, err = k.useKMS(slr, "CreateGrant", attachGrant(key, accountA))
	k.Must(err)
	t.Run("the owner learns of its principals and of whom the key names", func(t *testing.T) {
		out, err := k.whoCan(k.Lookup(accountK+"ADMIN"), key, "kms:Decrypt")
		k.Must(err)
		want := map[string]string{
			"arn:aws:iam::444455556666:root":       "ALLOW",
			"arn:aws:iam::444455556666:user/admin": "ALLOW",
			"arn:aws:iam::444455556666:user/ops":   "UNDETERMINED ALLOW if aws:SourceIp=192.0.2.0/24",
			"arn:aws:iam::111122223333:root":       "UNDETERMINED " + ofA,
			slrARN(accountA):                       "ALLOW",
			instance:                               "UNDETERMINED ALLOW if kms:EncryptionContext:aws:ebs:id=vol-1",
		}
		if diff := cmp.Diff(want, told(out.Answers, byPrincipal)); diff != "" {
			t.Error(diff)
		}
		if api.Val(out.Truncated) {
			t.Error("truncated")
		}
	})
	t.Run("its owner may name the key by its id or an alias", func(t *testing.T) {
		_, _, err := k.useKMS(k.Lookup(accountK+"ADMIN"), "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/web"), TargetKeyId: &key})
		k.Must(err)
		for _, name := range []string{"alias/web", "arn:aws:kms:us-west-2:444455556666:alias/web", key[strings.LastIndex(key, "/")+1:]} {
			out, err := k.whoCan(k.Lookup(accountK+"ADMIN"), name, "kms:Decrypt")
			k.Must(err)
			if api.Val(out.KeyArn) != key || len(out.Answers) != 6 {
				t.Errorf("%s: %s", name, dump(t, out))
			}
		}
		_, err = k.whoCan(k.Lookup(accountA+"ADMIN"), "arn:aws:kms:us-west-2:444455556666:alias/web", "kms:Decrypt")
		guardtest.WantError(t, err, "ResourceNotFoundException", "Key 'arn:aws:kms:us-west-2:444455556666:alias/web' does not exist")
	})
	t.Run("another account learns of its own principals, and no statement of the key", func(t *testing.T) {
		out, err := k.whoCan(k.Lookup(accountA+"ADMIN"), key, "kms:Decrypt")
		k.Must(err)
		want := map[string]string{
			"arn:aws:iam::111122223333:root": "ALLOW", "arn:aws:iam::111122223333:user/admin": "ALLOW", bo.Principal.ARN: "ALLOW", slrARN(accountA): "ALLOW",
		}
		if diff := cmp.Diff(want, told(out.Answers, byPrincipal)); diff != "" {
			t.Error(diff)
		}
		if s := dump(t, out); strings.Contains(s, "P3") || strings.Contains(s, "Enable IAM") {
			t.Errorf("A sees %s", s)
		}
	})
	t.Run("nobody of a third account can", func(t *testing.T) {
		out, err := k.whoCan(k.Lookup(accountG+"ADMIN"), key, "kms:Decrypt")
		k.Must(err)
		if len(out.Answers) != 0 {
			t.Errorf("answers %s", dump(t, out))
		}
	})
	t.Run("the answers agree with what happens", func(t *testing.T) {
		_, _, err := k.useKMS(bo, "Decrypt", &kmsapi.DecryptRequest{KeyId: &key, CiphertextBlob: []byte("not one")})
		if _, denied := guard.Denied(err); denied {
			t.Errorf("bo was said to be allowed: %v", err)
		}
	})
	t.Run("a key that is not there", func(t *testing.T) {
		missing := "arn:aws:kms:us-west-2:444455556666:key/00000000-0000-0000-0000-000000000000"
		_, err := k.whoCan(k.Lookup(accountK+"ADMIN"), missing, "kms:Decrypt")
		guardtest.WantError(t, err, "ResourceNotFoundException", "Key '"+missing+"' does not exist")
		out, err := k.whoCan(k.Lookup(accountA+"ADMIN"), missing, "kms:Decrypt")
		k.Must(err)
		if len(out.Answers) != 0 {
			t.Errorf("answers %s", dump(t, out))
		}
		for action, says := range map[string]string{
			"kms:Decript": "kms:Decript is no action of AWS KMS. Did you mean kms:Decrypt?", "kms:Launch": "kms:Launch is no action of AWS KMS.", "s3:GetObject": "s3:GetObject is no action of AWS KMS.",
		} {
			_, err := k.whoCan(k.Lookup(accountK+"ADMIN"), key, action)
			guardtest.WantError(t, err, "ValidationException", says)
		}
		for name, says := range map[string]string{
			"alias/x": "Alias arn:aws:kms:us-west-2:444455556666:alias/x is not found.", "arn:aws:kms:us-west-2:444455556666:alias/x": "Alias arn:aws:kms:us-west-2:444455556666:alias/x is not found.",
			"00000000-0000-0000-0000-000000000000": "Key '" + missing + "' does not exist",
		} {
			_, err = k.whoCan(k.Lookup(accountK+"ADMIN"), name, "kms:Decrypt")
			guardtest.WantError(t, err, "ResourceNotFoundException", says)
		}
		_, err = k.whoCan(k.Lookup(accountK+"ADMIN"), "arn:aws:s3:us-west-2:444455556666:key/x", "kms:Decrypt")
		guardtest.WantError(t, err, "ValidationException", "arn:aws:s3:us-west-2:444455556666:key/x is not the ARN of a key.")
	})
	t.Run("the question needs a permission", func(t *testing.T) {
		_, err := k.whoCan(bo, key, "kms:Decrypt")
		if _, denied := guard.Denied(err); !denied {
			t.Errorf("err = %v", err)
		}
	})
}

func TestWhatCan(t *testing.T) {
	k := newKit(t)
	mine, theirs, slr := k.newKey(accountA), k.newKey(accountK), k.autoScaling(accountA)
	k.addStatements(accountK, theirs, letUse, letGrant)
	k.User(accountA, "bo", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Encrypt","kms:DescribeKey"],"Resource":["`+theirs+`","`+mine+`"]}]}`)
	_, _, err := k.useKMS(k.Lookup(accountA+"ADMIN"), "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &theirs, GranteePrincipal: &slr.Principal.RoleARN, Operations: []string{"Decrypt", "CreateGrant"},
	})
	k.Must(err)
	what := func(a kagimoriapi.Answer) string {
		return api.Val(a.Action) + " " + map[string]string{mine: "mine", theirs: "theirs"}[api.Val(a.Resource)]
	}
	admin := k.Lookup(accountA + "ADMIN")
	for principal, want := range map[string]map[string]string{
		"arn:aws:iam::111122223333:user/bo": {"kms:Encrypt mine": "ALLOW", "kms:DescribeKey mine": "ALLOW", "kms:Encrypt theirs": "ALLOW"},
		slrARN(accountA):                    {"kms:Decrypt theirs": "ALLOW", "kms:CreateGrant theirs": "ALLOW", "kms:DescribeKey theirs": "ALLOW", "kms:RetireGrant theirs": "ALLOW"},
	} {
		out, err := k.whatCan(admin, principal)
		k.Must(err)
		got := told(out.Answers, what)
		if principal == slrARN(accountA) { // what a grantee may do to its grants is KMS's matter
			for _, extra := range []string{"kms:DescribeKey theirs", "kms:RetireGrant theirs"} {
				delete(got, extra)
				delete(want, extra)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", principal, diff)
		}
	}
	_, err = k.whatCan(admin, "arn:aws:iam::111122223333:user/bo", "kms:Encrypt", "kms:Encript")
	guardtest.WantError(t, err, "ValidationException", "kms:Encript is no action of AWS KMS. Did you mean kms:Encrypt?")
	out, err := k.whatCan(admin, "arn:aws:iam::111122223333:user/bo", "kms:Encrypt")
	k.Must(err)
	if len(out.Answers) != 2 {
		t.Errorf("of one action: %s", dump(t, out))
	}
	for _, who := range []string{"arn:aws:iam::111122223333:user/nobody", "arn:aws:iam::444455556666:user/admin", "arn:aws:iam::111122223333:group/g"} {
		_, err := k.whatCan(admin, who)
		guardtest.WantError(t, err, "ResourceNotFoundException", "The principal "+who+" is no user or role of account 111122223333.")
	}
}
