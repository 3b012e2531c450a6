package tour

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// grantOperations are those of the page's create-grant command.
var grantOperations = []string{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
}

// twoAccounts is example 2: the group is in another account than the key.
func (t *traveller) twoAccounts(ctx context.Context) error {
	t.chapter("Example 2: the key is in " + keyAccount + ", the group in " + externalAccount)
	owner, err := t.admin(keyAccount)
	if err != nil {
		return err
	}
	p, err := t.admin(externalAccount)
	if err != nil {
		return err
	}
	t.who(owner, "user admin of "+keyAccount, devSecret)
	key, err := t.foreignKey(ctx, owner)
	if err != nil {
		return err
	}
	t.who(p, "user admin of "+externalAccount, devSecret)
	role, err := t.serviceRole(ctx, p)
	if err != nil {
		return err
	}
	group, err := t.launchGroup(ctx, p, key)
	if err != nil {
		return err
	}
	t.begin("The group tries to launch.")
	failed, err := t.expectFailure(ctx, p, group, time.Time{})
	if err != nil {
		return err
	}
	t.who(owner, "user admin of "+keyAccount, devSecret)
	t.begin("Two statements for the account %s are added to the key policy.", externalAccount)
	if err := t.addStatements(ctx, owner, key, accountStatements(externalAccount)); err != nil {
		return err
	}
	t.tell("They let that account hand the rights on by IAM policies. The role's policy cannot be changed, so only a grant can help it.")
	if err := t.grantByUser(ctx, p, key, role); err != nil {
		return err
	}
	t.begin("The group recovers by itself at its next attempt.")
	instance, err := t.expectSuccess(ctx, p, group, *failed.StartTime)
	if err != nil {
		return err
	}
	if err := t.volumes(ctx, p, instance, key); err != nil {
		return err
	}
	t.who(owner, "user admin of "+keyAccount, devSecret)
	t.begin("The grants on the key: the role's, and one below it for each attached volume.")
	return t.grants(ctx, owner, key)
}

// foreignKey is the page's key, with its default policy and without grants.
func (t *traveller) foreignKey(ctx context.Context, owner *party) (string, error) {
	key := arn.KMSKey(t.Region, keyAccount, sharedKey)
	t.begin("The key of the page, its id fixed by the tag _custom_id_ of development servers, with the default key policy.")
	t.command("kms", "create-key", "--tags", "TagKey=_custom_id_,TagValue="+sharedKey)
	err := owner.kms.Do(ctx, "CreateKey", &kmsapi.CreateKeyRequest{
		Tags: []kmsapi.Tag{{TagKey: new("_custom_id_"), TagValue: new(sharedKey)}},
	}, &kmsapi.CreateKeyResponse{})
	if err == nil {
		t.tell("%s", key)
		return key, nil
	}
	if !strings.HasSuffix(apierr.Code(err), "AlreadyExistsException") {
		return "", err
	}
	t.tell("It is there from an earlier tour: its policy is set back, and the grants of the role are revoked.")
	err = owner.kms.Do(ctx, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{
		KeyId: &key, PolicyName: new("default"), Policy: new(defaultPolicy(keyAccount)),
	}, nil)
	if err != nil {
		return "", err
	}
	var out kmsapi.ListGrantsResponse
	if err := owner.kms.Do(ctx, "ListGrants", &kmsapi.ListGrantsRequest{KeyId: &key}, &out); err != nil {
		return "", err
	}
	for _, g := range out.Grants {
		if !strings.Contains(api.Val(g.GranteePrincipal), "AWSServiceRoleForAutoScaling") {
			continue
		}
		if err := owner.kms.Do(ctx, "RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: g.GrantId}, nil); err != nil {
			return "", err
		}
	}
	return key, nil
}

// grantByUser makes the page's grant as a user of the external account, first without and then
// with the page's IAM policy.
func (t *traveller) grantByUser(ctx context.Context, admin *party, key, role string) error {
	name := t.name("grantor")
	t.who(admin, "user admin of "+externalAccount, devSecret)
	t.begin("A user who is to make the grant for the role.")
	t.command("iam", "create-user", "--user-name", name)
	t.command("iam", "create-access-key", "--user-name", name)
	if err := admin.iam.Do(ctx, "CreateUser", &iamapi.CreateUserRequest{UserName: &name}, &iamapi.CreateUserResponse{}); err != nil {
		return err
	}
	var made iamapi.CreateAccessKeyResponse
	if err := admin.iam.Do(ctx, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}, &made); err != nil {
		return err
	}
	user, err := t.party(externalAccount, sigv4.Credentials{
		AccessKeyID: api.Val(made.AccessKey.AccessKeyId), Secret: api.Val(made.AccessKey.SecretAccessKey),
	})
	if err != nil {
		return err
	}
	t.who(user, "user "+name, "(from the answer of create-access-key)")
	t.begin("Without a policy of its own the user may not: trusting the account gives its users nothing.")
	switch _, err := t.createGrant(ctx, user, key, role); apierr.Code(err) {
	case "AccessDeniedException":
		t.tell("%s", err)
	case "":
		return fmt.Errorf("%w: a user without permission made the grant", ErrSurprise)
	default:
		return err
	}
	doc, err := requesterPolicy(key, keyAccount)
	if err != nil {
		return err
	}
	t.who(admin, "user admin of "+externalAccount, devSecret)
	t.begin("The IAM policy of the page, for this user.")
	t.command("iam", "put-user-policy", "--user-name", name, "--policy-name", "grant", "--policy-document", doc)
	err = admin.iam.Do(ctx, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("grant"), PolicyDocument: &doc}, nil)
	if err != nil {
		return err
	}
	t.who(user, "user "+name, "(from the answer of create-access-key)")
	t.begin("Now the grant can be made.")
	id, err := t.createGrant(ctx, user, key, role)
	if err == nil {
		t.tell("GrantId %s", id)
	}
	return err
}

func (t *traveller) createGrant(ctx context.Context, p *party, key, role string) (string, error) {
	t.command(append([]string{
		"kms", "create-grant", "--region", t.Region, "--key-id", key, "--grantee-principal", role, "--operations",
	}, grantOperations...)...)
	var out kmsapi.CreateGrantResponse
	err := p.kms.Do(ctx, "CreateGrant", &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: &role, Operations: grantOperations}, &out)
	return api.Val(out.GrantId), err
}
