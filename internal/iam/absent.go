package iam

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// kagimori has no passwords, MFA devices and keys or certificates other than access keys.
// Clients ask for them before they delete a user, and are told that there are none.

// none decides an action on what a user has beside access keys; without a name, the caller.
func (s *Service) none(ctx context.Context, c *guard.Call, name *string, action string, marker *string, items *int32) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.keyOwner(tx, c, name, action)
		if err != nil {
			return err
		}
		_, err = s.page(action+" "+o.account+" "+o.id, marker, items)
		return err
	})
}

// ListMFADevices lists the MFA devices of a user, or of the caller.
func (s *Service) ListMFADevices(ctx context.Context, c *guard.Call, in *iamapi.ListMFADevicesRequest) (*iamapi.ListMFADevicesResponse, error) {
	out := &iamapi.ListMFADevicesResponse{MFADevices: []iamapi.MFADevice{}, IsTruncated: new(false)}
	return out, s.none(ctx, c, in.UserName, "ListMFADevices", in.Marker, in.MaxItems)
}

// ListSSHPublicKeys lists the SSH public keys of a user, or of the caller.
func (s *Service) ListSSHPublicKeys(ctx context.Context, c *guard.Call, in *iamapi.ListSSHPublicKeysRequest) (*iamapi.ListSSHPublicKeysResponse, error) {
	out := &iamapi.ListSSHPublicKeysResponse{SSHPublicKeys: []iamapi.SSHPublicKeyMetadata{}, IsTruncated: new(false)}
	return out, s.none(ctx, c, in.UserName, "ListSSHPublicKeys", in.Marker, in.MaxItems)
}

// ListSigningCertificates lists the signing certificates of a user, or of the caller.
func (s *Service) ListSigningCertificates(ctx context.Context, c *guard.Call, in *iamapi.ListSigningCertificatesRequest) (*iamapi.ListSigningCertificatesResponse, error) {
	out := &iamapi.ListSigningCertificatesResponse{Certificates: []iamapi.SigningCertificate{}, IsTruncated: new(false)}
	return out, s.none(ctx, c, in.UserName, "ListSigningCertificates", in.Marker, in.MaxItems)
}

// ListServiceSpecificCredentials lists the credentials of a user, or of the caller, that are for
// one service only.
func (s *Service) ListServiceSpecificCredentials(ctx context.Context, c *guard.Call, in *iamapi.ListServiceSpecificCredentialsRequest) (*iamapi.ListServiceSpecificCredentialsResponse, error) {
	out := &iamapi.ListServiceSpecificCredentialsResponse{ServiceSpecificCredentials: []iamapi.ServiceSpecificCredentialMetadata{}}
	return out, s.none(ctx, c, in.UserName, "ListServiceSpecificCredentials", in.Marker, in.MaxItems)
}

// ListVirtualMFADevices lists the virtual MFA devices of the account.
func (s *Service) ListVirtualMFADevices(ctx context.Context, c *guard.Call, in *iamapi.ListVirtualMFADevicesRequest) (*iamapi.ListVirtualMFADevicesResponse, error) {
	out := &iamapi.ListVirtualMFADevicesResponse{VirtualMFADevices: []iamapi.VirtualMFADevice{}, IsTruncated: new(false)}
	return out, s.noneHere(ctx, c, "ListVirtualMFADevices", in.Marker, in.MaxItems)
}

// noneHere decides an action on what the account has none of.
func (s *Service) noneHere(ctx context.Context, c *guard.Call, action string, marker *string, items *int32) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, action); err != nil {
			return err
		}
		_, err := s.page(action+" "+c.Account(), marker, items)
		return err
	})
}

// GetLoginProfile describes a user's password, which nobody has here.
func (s *Service) GetLoginProfile(ctx context.Context, c *guard.Call, in *iamapi.GetLoginProfileRequest) (*iamapi.GetLoginProfileResponse, error) {
	return nil, s.noPassword(ctx, c, in.UserName, "GetLoginProfile")
}

// DeleteLoginProfile removes a user's password, which nobody has here.
func (s *Service) DeleteLoginProfile(ctx context.Context, c *guard.Call, in *iamapi.DeleteLoginProfileRequest) error {
	return s.noPassword(ctx, c, in.UserName, "DeleteLoginProfile")
}

func (s *Service) noPassword(ctx context.Context, c *guard.Call, name *string, action string) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.keyOwner(tx, c, name, action)
		if err != nil {
			return err
		}
		return noSuchEntity("Login Profile for User %s cannot be found.", o.name)
	})
}

// GetAccountSummary counts what the account has, beside the quotas that kagimori keeps.
// Source: IAM API Reference, GetAccountSummary.
func (s *Service) GetAccountSummary(ctx context.Context, c *guard.Call, _ *iamapi.GetAccountSummaryRequest) (*iamapi.GetAccountSummaryResponse, error) {
	var counts map[string]int32
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		counts = map[string]int32{
			"GroupsPerUserQuota": maxGroupsPerUser, "AccessKeysPerUserQuota": maxAccessKeys, "VersionsPerPolicyQuota": maxVersions,
			"AttachedPoliciesPerUserQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached,
			"PolicySizeQuota": maxPolicySize, "UserPolicySizeQuota": maxUserInlineSize, "RolePolicySizeQuota": maxRoleInlineSize,
			"AssumeRolePolicySizeQuota": maxTrustSize, "GlobalEndpointTokenVersion": 1,
			"Groups": 0, "GroupPolicySizeQuota": maxGroupInlineSize, "AttachedPoliciesPerGroupQuota": maxAttached, "GroupsQuota": maxGroups, "UsersQuota": 5000, "RolesQuota": 1000, "PoliciesQuota": 1500, "InstanceProfilesQuota": 1000, "ServerCertificatesQuota": 20, "PolicyVersionsInUseQuota": 10000, "SigningCertificatesPerUserQuota": 2,
			"MFADevices": 0, "MFADevicesInUse": 0, "Providers": 0, "ServerCertificates": 0,
			"AccountMFAEnabled": 0, "AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0, "AccountAccessKeysPresent": 0,
			"Users": 0, "Roles": 0, "Policies": 0, "PolicyVersionsInUse": 0, "InstanceProfiles": 0,
		}
		if err := s.allowAll(tx, c, "GetAccountSummary"); err != nil {
			return err
		}
		return s.count(tx, c.Account(), counts)
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.GetAccountSummaryResponse{SummaryMap: counts}, nil
}

// count adds what an account has to counts.
func (s *Service) count(tx store.Tx, account string, counts map[string]int32) error {
	for _, err := range s.dir.Users(tx, account, "") {
		if err != nil {
			return err
		}
		counts["Users"]++
	}
	for _, err := range s.dir.Roles(tx, account, "") {
		if err != nil {
			return err
		}
		counts["Roles"]++
	}
	for _, err := range s.dir.Groups(tx, account, "") {
		if err != nil {
			return err
		}
		counts["Groups"]++
	}
	for r, err := range s.dir.Policies(tx, account, "") {
		if err != nil {
			return err
		}
		counts["Policies"]++
		counts["PolicyVersionsInUse"] += int32(min(r.Value.Attachments, 1))
	}
	for _, err := range profiles.Scan(tx, account) {
		if err != nil {
			return err
		}
		counts["InstanceProfiles"]++
	}
	keys, err := s.dir.UserAccessKeys(tx, account, "")
	counts["AccountAccessKeysPresent"] = int32(min(len(keys), 1))
	return err
}
