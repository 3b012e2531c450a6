package iam

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

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
			"Groups": 0, "GroupPolicySizeQuota": maxGroupInlineSize, "AttachedPoliciesPerGroupQuota": maxAttached, "GroupsQuota": maxGroups,
			"UsersQuota": 5000, "RolesQuota": 1000, "PoliciesQuota": 1500, "InstanceProfilesQuota": 1000, "ServerCertificatesQuota": maxServerCertificates,
			"PolicyVersionsInUseQuota": 10000, "SigningCertificatesPerUserQuota": maxSigning,
			"MFADevices": 0, "MFADevicesInUse": 0, "Providers": 0, "ServerCertificates": 0,
			"AccountMFAEnabled": 0, "AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0, "AccountAccessKeysPresent": 0,
			"Users": 0, "Roles": 0, "Policies": 0, "PolicyVersionsInUse": 0, "InstanceProfiles": 0,
		}
		if err := s.allowAll(tx, c, "GetAccountSummary"); err != nil {
			return err
		}
		v, _, err := settingsTable.Get(tx, c.Account())
		if err != nil {
			return err
		}
		counts["GlobalEndpointTokenVersion"] = max(v.TokenVersion, 1)
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
	if err := countKept(tx, account, counts); err != nil {
		return err
	}
	keys, err := s.dir.UserAccessKeys(tx, account, "")
	counts["AccountAccessKeysPresent"] = int32(min(len(keys), 1))
	return err
}

// countKept adds the identity providers, certificates and MFA devices of an account to counts.
func countKept(tx store.Tx, account string, counts map[string]int32) error {
	issuers, err := oidcProviders.all(tx, account)
	if err != nil {
		return err
	}
	idps, err := samlProviders.all(tx, account)
	if err != nil {
		return err
	}
	counts["Providers"] = int32(len(issuers) + len(idps))
	certificates, err := serverCertificates.all(tx, account)
	if err != nil {
		return err
	}
	counts["ServerCertificates"] = int32(len(certificates))
	virtual, err := devices.all(tx, account)
	if err != nil {
		return err
	}
	for _, d := range virtual {
		counts["MFADevices"]++
		if d.Body.UserID != "" {
			counts["MFADevicesInUse"]++
		}
	}
	root, _, err := belongingsTable.Get(tx, account, account)
	counts["AccountMFAEnabled"] = int32(min(len(root.MFA), 1))
	counts["AccountSigningCertificatesPresent"] = int32(min(len(root.Certificates), 1))
	return err
}
