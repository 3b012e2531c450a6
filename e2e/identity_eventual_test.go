package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

const toListKeys = `{"Version":"2012-10-17","Statement":{"Effect":"EFFECT","Action":"kms:ListKeys","Resource":"*"}}`

// What IAM is told takes effect late, as the IAM User Guide says ("Changes that I make are not always
// immediately visible"); IAM's own changes build upon each other at once.
func TestEventualConsistency(t *testing.T) {
	t.Parallel()
	s := server.Start(t, t.TempDir(), "--dev-consistency=eventual")
	account := seed.NewAccount()
	a := adminOf(s.URL, account)
	name, arn := new("late"), "arn:aws:iam::"+account+":role/late"
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}}`
	put := func(effect string) {
		t.Helper()
		must(a.iam.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: new(effect),
			PolicyDocument: new(strings.Replace(toListKeys, "EFFECT", effect, 1))}))(t)
	}
	made := must(a.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: &trust}))(t)
	if *made.Role.Arn != arn {
		t.Errorf("the role is %s", *made.Role.Arn)
	}
	put("Allow")
	_, err := a.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: &trust})
	refused(0, err)(t, "EntityAlreadyExists")
	_, err = a.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: name})
	refused(0, err)(t, "NoSuchEntity")
	assume := &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: new("session")}
	_, err = a.sts.AssumeRole(t.Context(), assume)
	refused(0, err)(t, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: "+arn)

	s.Advance(t, 4*time.Second)
	got := must(a.sts.AssumeRole(t.Context(), assume))(t).Credentials
	session := newClient(s.URL, seed.Region, account, aws.Credentials{
		AccessKeyID: *got.AccessKeyId, SecretAccessKey: *got.SecretAccessKey, SessionToken: *got.SessionToken,
	})
	must(session.kms.ListKeys(t.Context(), &kms.ListKeysInput{}))(t)

	// A change of what the session may do comes as late.
	put("Deny")
	must(session.kms.ListKeys(t.Context(), &kms.ListKeysInput{}))(t)
	s.Advance(t, 4*time.Second)
	_, err = session.kms.ListKeys(t.Context(), &kms.ListKeysInput{})
	refused(0, err)(t, "AccessDeniedException", "with an explicit deny in an identity-based policy")

	// A deleted role is used on for a while, then its sessions are over.
	for _, p := range []string{"Allow", "Deny"} {
		must(a.iam.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: &p}))(t)
	}
	must(a.iam.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: name}))(t)
	must(a.sts.AssumeRole(t.Context(), assume))(t)
	_, err = a.iam.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: name})
	refused(0, err)(t, "NoSuchEntity")
	s.Advance(t, 4*time.Second)
	_, err = session.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	refused(0, err)(t, "InvalidClientTokenId")

	// The SDK's waiter sees a new user by itself, and a new access key works when it is known.
	must(a.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: name}))(t)
	key := must(a.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: name}))(t).AccessKey
	user := newClient(s.URL, seed.Region, account, aws.Credentials{AccessKeyID: *key.AccessKeyId, SecretAccessKey: *key.SecretAccessKey})
	_, err = user.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	refused(0, err)(t, "InvalidClientTokenId")
	waiter := iam.NewUserExistsWaiter(a.iam, func(o *iam.UserExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 500*time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &iam.GetUserInput{UserName: name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	s.Advance(t, 4*time.Second)
	if id := must(user.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))(t); *id.Arn != "arn:aws:iam::"+account+":user/late" {
		t.Errorf("the key is of %s", *id.Arn)
	}
}
