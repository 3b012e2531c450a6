package sts_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts"
)

func assumingRoot(target, task string) *stsapi.AssumeRootRequest {
	return &stsapi.AssumeRootRequest{TargetPrincipal: &target, TaskPolicyArn: &stsapi.PolicyDescriptorType{Arn: new("arn:aws:iam::aws:policy/root-task/" + task)}}
}

func TestAssumeRootIsForTheManagerOfTheOrganization(t *testing.T) {
	var w *world
	w = newWorld(t, func(cfg *sts.Config) {
		cfg.RootAccess = func(tx store.Tx, m string, c bool) (bool, error) { return w.people.RootAccess(tx, m, c) }
	})
	const audit, remove = "IAMAuditRootUserCredentials", "IAMDeleteRootUserCredentials"
	m := w.admin(directory.DevAccount)
	m.refused(assumingRoot(account, audit), 403, "AccessDenied", "central root access enabled")
	m.must(&iamapi.EnableOrganizationsRootSessionsRequest{})
	m.refused(assumingRoot(account, audit), 403, "AccessDenied", "central root access enabled")
	m.must(&iamapi.EnableOrganizationsRootCredentialsManagementRequest{})
	w.admin(account).refused(&iamapi.EnableOrganizationsRootSessionsRequest{}, 400, "AccountNotManagementOrDelegatedAdministratorException", "management account")
	w.admin(foreign).refused(assumingRoot(account, audit), 403, "AccessDenied", "has to manage the organization")
	m.refused(assumingRoot(directory.DevAccount, audit), 403, "AccessDenied", "has to manage")
	w.login(directory.DevAccount, "").refused(assumingRoot(account, audit), 403, "AccessDenied", "Root users cannot call AssumeRoot.")
	m.refused(assumingRoot("somebody", audit), 400, "ValidationError", "")
	m.refused(assumingRoot(account, "AdministratorAccess"), 400, "ValidationError", "task policy")
	w.user(directory.DevAccount, "plain").refused(assumingRoot(account, audit), 403, "AccessDenied", "sts:AssumeRoot on resource: arn:aws:iam::111122223333:root")

	out := get[stsapi.AssumeRootResponse](m, assumingRoot("arn:aws:iam::"+account+":root", remove))
	root := w.login(*out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
	if id := get[stsapi.GetCallerIdentityResponse](root, &stsapi.GetCallerIdentityRequest{}); *id.Arn != "arn:aws:iam::111122223333:root" {
		t.Errorf("the session is %s", *id.Arn)
	}
	key := get[iamapi.CreateAccessKeyResponse](w.as(directory.Identity{Principal: authz.Principal{Type: authz.Root, ARN: "arn:aws:iam::" + account + ":root", Account: account, UserID: account}}), &iamapi.CreateAccessKeyRequest{}).AccessKey
	if keys := get[iamapi.ListAccessKeysResponse](root, &iamapi.ListAccessKeysRequest{}).AccessKeyMetadata; len(keys) != 1 {
		t.Errorf("keys %v", keys)
	}
	root.refused(&iamapi.CreateAccessKeyRequest{}, 403, "AccessDenied", "with an explicit deny in a session policy")
	root.refused(&iamapi.CreateUserRequest{UserName: new("x")}, 403, "AccessDenied", "with an explicit deny in a session policy")
	root.must(&iamapi.GetAccessKeyLastUsedRequest{AccessKeyId: key.AccessKeyId})
	root.must(&iamapi.ListMFADevicesRequest{})
	root.must(&iamapi.DeleteAccessKeyRequest{AccessKeyId: key.AccessKeyId})
	m.must(&iamapi.DisableOrganizationsRootCredentialsManagementRequest{})
	features := get[iamapi.ListOrganizationsFeaturesResponse](m, &iamapi.ListOrganizationsFeaturesRequest{})
	if len(features.EnabledFeatures) != 1 || features.EnabledFeatures[0] != "RootSessions" || *features.OrganizationId != directory.DevOrganization {
		t.Errorf("features %+v", features)
	}
}
