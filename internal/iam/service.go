package iam

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/linkedrole"
	"github.com/kagimori/kagimori/internal/store"
)

// Config of a [Service].
type Config struct {
	Guard *guard.Guard
	// Markers seals the markers of lists.
	Markers directory.Box
	// Secrets seals the seeds of MFA devices and passwords.
	Secrets directory.Box
	// Wall is the wall clock, which MFA devices follow; nil is time.Now.
	Wall func() time.Time
	// RoleUsage names what uses a service-linked role: region to ARNs of resources. It runs in the
	// transaction that is to delete the role. Nil means that nothing ever does.
	RoleUsage func(tx store.Tx, roleARN string) (map[string][]string, error)
	// Uses tells who used what; nil knows of nothing.
	Uses Uses
}

// A Service is IAM for all accounts. Safe for concurrent use.
type Service struct {
	g       *guard.Guard
	dir     *directory.Directory
	markers directory.Box
	secrets directory.Box
	wall    func() time.Time
	uses    Uses
	usage   func(tx store.Tx, roleARN string) (map[string][]string, error)
	linked  map[string]linkedrole.Role // by service principal
}

// New makes a Service.
func New(cfg Config) *Service {
	s := &Service{
		g: cfg.Guard, dir: cfg.Guard.Directory(), markers: cfg.Markers, secrets: cfg.Secrets, wall: cfg.Wall, usage: cfg.RoleUsage, uses: cfg.Uses,
		linked: linkedrole.All(),
	}
	if s.wall == nil {
		s.wall = time.Now
	}
	if s.usage == nil {
		s.usage = func(store.Tx, string) (map[string][]string, error) { return nil, nil }
	}
	return s
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	all := s.handlers()
	for name, h := range all {
		all[name] = fitting(h)
	}
	return all
}

// fitting turns a record that grew too large for the store into a quota: AWS counts documents
// without white space, so what has to be kept may be many times the size that is counted.
func fitting(h guard.Handler) guard.Handler {
	return func(ctx context.Context, c *guard.Call, in any) (any, error) {
		out, err := h(ctx, c, in)
		if errors.Is(err, store.ErrTooLarge) {
			return nil, apierr.New(codeLimit, "The documents have too much white space: kagimori cannot keep all of it.").Because(err)
		}
		return out, err
	}
}

func (s *Service) handlers() map[string]guard.Handler {
	return map[string]guard.Handler{
		"EnableOutboundWebIdentityFederation":           guard.Handle(s.EnableOutboundWebIdentityFederation),
		"DisableOutboundWebIdentityFederation":          guard.HandleVoid(s.DisableOutboundWebIdentityFederation),
		"GetOutboundWebIdentityFederationInfo":          guard.Handle(s.GetOutboundWebIdentityFederationInfo),
		"CreateDelegationRequest":                       guard.Handle(s.CreateDelegationRequest),
		"AssociateDelegationRequest":                    guard.HandleVoid(s.AssociateDelegationRequest),
		"GetDelegationRequest":                          guard.Handle(s.GetDelegationRequest),
		"ListDelegationRequests":                        guard.Handle(s.ListDelegationRequests),
		"AcceptDelegationRequest":                       guard.HandleVoid(s.AcceptDelegationRequest),
		"RejectDelegationRequest":                       guard.HandleVoid(s.RejectDelegationRequest),
		"UpdateDelegationRequest":                       guard.HandleVoid(s.UpdateDelegationRequest),
		"SendDelegationToken":                           guard.HandleVoid(s.SendDelegationToken),
		"GetHumanReadableSummary":                       guard.Handle(s.GetHumanReadableSummary),
		"CreateUser":                                    guard.Handle(s.CreateUser),
		"GetUser":                                       guard.Handle(s.GetUser),
		"DeleteUser":                                    guard.HandleVoid(s.DeleteUser),
		"ListUsers":                                     guard.Handle(s.ListUsers),
		"CreateAccessKey":                               guard.Handle(s.CreateAccessKey),
		"ListAccessKeys":                                guard.Handle(s.ListAccessKeys),
		"UpdateAccessKey":                               guard.HandleVoid(s.UpdateAccessKey),
		"DeleteAccessKey":                               guard.HandleVoid(s.DeleteAccessKey),
		"CreateRole":                                    guard.Handle(s.CreateRole),
		"GetRole":                                       guard.Handle(s.GetRole),
		"DeleteRole":                                    guard.HandleVoid(s.DeleteRole),
		"ListRoles":                                     guard.Handle(s.ListRoles),
		"UpdateRole":                                    guard.Handle(s.UpdateRole),
		"UpdateAssumeRolePolicy":                        guard.HandleVoid(s.UpdateAssumeRolePolicy),
		"PutRolePolicy":                                 guard.HandleVoid(s.PutRolePolicy),
		"GetRolePolicy":                                 guard.Handle(s.GetRolePolicy),
		"DeleteRolePolicy":                              guard.HandleVoid(s.DeleteRolePolicy),
		"ListRolePolicies":                              guard.Handle(s.ListRolePolicies),
		"PutUserPolicy":                                 guard.HandleVoid(s.PutUserPolicy),
		"GetUserPolicy":                                 guard.Handle(s.GetUserPolicy),
		"DeleteUserPolicy":                              guard.HandleVoid(s.DeleteUserPolicy),
		"ListUserPolicies":                              guard.Handle(s.ListUserPolicies),
		"AttachRolePolicy":                              guard.HandleVoid(s.AttachRolePolicy),
		"DetachRolePolicy":                              guard.HandleVoid(s.DetachRolePolicy),
		"ListAttachedRolePolicies":                      guard.Handle(s.ListAttachedRolePolicies),
		"AttachUserPolicy":                              guard.HandleVoid(s.AttachUserPolicy),
		"DetachUserPolicy":                              guard.HandleVoid(s.DetachUserPolicy),
		"ListAttachedUserPolicies":                      guard.Handle(s.ListAttachedUserPolicies),
		"CreatePolicy":                                  guard.Handle(s.CreatePolicy),
		"GetPolicy":                                     guard.Handle(s.GetPolicy),
		"DeletePolicy":                                  guard.HandleVoid(s.DeletePolicy),
		"ListPolicies":                                  guard.Handle(s.ListPolicies),
		"ListEntitiesForPolicy":                         guard.Handle(s.ListEntitiesForPolicy),
		"CreatePolicyVersion":                           guard.Handle(s.CreatePolicyVersion),
		"GetPolicyVersion":                              guard.Handle(s.GetPolicyVersion),
		"ListPolicyVersions":                            guard.Handle(s.ListPolicyVersions),
		"DeletePolicyVersion":                           guard.HandleVoid(s.DeletePolicyVersion),
		"SetDefaultPolicyVersion":                       guard.HandleVoid(s.SetDefaultPolicyVersion),
		"CreateServiceLinkedRole":                       guard.Handle(s.CreateServiceLinkedRole),
		"DeleteServiceLinkedRole":                       guard.Handle(s.DeleteServiceLinkedRole),
		"GetServiceLinkedRoleDeletionStatus":            guard.Handle(s.GetServiceLinkedRoleDeletionStatus),
		"TagRole":                                       guard.HandleVoid(s.TagRole),
		"UntagRole":                                     guard.HandleVoid(s.UntagRole),
		"ListRoleTags":                                  guard.Handle(s.ListRoleTags),
		"TagUser":                                       guard.HandleVoid(s.TagUser),
		"UntagUser":                                     guard.HandleVoid(s.UntagUser),
		"ListUserTags":                                  guard.Handle(s.ListUserTags),
		"TagPolicy":                                     guard.HandleVoid(s.TagPolicy),
		"UntagPolicy":                                   guard.HandleVoid(s.UntagPolicy),
		"ListPolicyTags":                                guard.Handle(s.ListPolicyTags),
		"CreateInstanceProfile":                         guard.Handle(s.CreateInstanceProfile),
		"GetInstanceProfile":                            guard.Handle(s.GetInstanceProfile),
		"ListInstanceProfiles":                          guard.Handle(s.ListInstanceProfiles),
		"ListInstanceProfilesForRole":                   guard.Handle(s.ListInstanceProfilesForRole),
		"ListInstanceProfileTags":                       guard.Handle(s.ListInstanceProfileTags),
		"ListGroupsForUser":                             guard.Handle(s.ListGroupsForUser),
		"ListMFADevices":                                guard.Handle(s.ListMFADevices),
		"ListVirtualMFADevices":                         guard.Handle(s.ListVirtualMFADevices),
		"ListSSHPublicKeys":                             guard.Handle(s.ListSSHPublicKeys),
		"ListSigningCertificates":                       guard.Handle(s.ListSigningCertificates),
		"ListServiceSpecificCredentials":                guard.Handle(s.ListServiceSpecificCredentials),
		"GetLoginProfile":                               guard.Handle(s.GetLoginProfile),
		"ListAccountAliases":                            guard.Handle(s.ListAccountAliases),
		"GetAccountSummary":                             guard.Handle(s.GetAccountSummary),
		"CreateGroup":                                   guard.Handle(s.CreateGroup),
		"GetGroup":                                      guard.Handle(s.GetGroup),
		"ListGroups":                                    guard.Handle(s.ListGroups),
		"GetGroupPolicy":                                guard.Handle(s.GetGroupPolicy),
		"ListGroupPolicies":                             guard.Handle(s.ListGroupPolicies),
		"ListAttachedGroupPolicies":                     guard.Handle(s.ListAttachedGroupPolicies),
		"UpdateGroup":                                   guard.HandleVoid(s.UpdateGroup),
		"DeleteGroup":                                   guard.HandleVoid(s.DeleteGroup),
		"AddUserToGroup":                                guard.HandleVoid(s.AddUserToGroup),
		"RemoveUserFromGroup":                           guard.HandleVoid(s.RemoveUserFromGroup),
		"PutGroupPolicy":                                guard.HandleVoid(s.PutGroupPolicy),
		"DeleteGroupPolicy":                             guard.HandleVoid(s.DeleteGroupPolicy),
		"AttachGroupPolicy":                             guard.HandleVoid(s.AttachGroupPolicy),
		"DetachGroupPolicy":                             guard.HandleVoid(s.DetachGroupPolicy),
		"GetAccountAuthorizationDetails":                guard.Handle(s.GetAccountAuthorizationDetails),
		"GetAccountPasswordPolicy":                      guard.Handle(s.GetAccountPasswordPolicy),
		"CreateAccountAlias":                            guard.HandleVoid(s.CreateAccountAlias),
		"DeleteAccountAlias":                            guard.HandleVoid(s.DeleteAccountAlias),
		"UpdateAccountPasswordPolicy":                   guard.HandleVoid(s.UpdateAccountPasswordPolicy),
		"DeleteAccountPasswordPolicy":                   guard.HandleVoid(s.DeleteAccountPasswordPolicy),
		"CreateOpenIDConnectProvider":                   guard.Handle(s.CreateOpenIDConnectProvider),
		"GetOpenIDConnectProvider":                      guard.Handle(s.GetOpenIDConnectProvider),
		"ListOpenIDConnectProviders":                    guard.Handle(s.ListOpenIDConnectProviders),
		"DeleteOpenIDConnectProvider":                   guard.HandleVoid(s.DeleteOpenIDConnectProvider),
		"AddClientIDToOpenIDConnectProvider":            guard.HandleVoid(s.AddClientIDToOpenIDConnectProvider),
		"RemoveClientIDFromOpenIDConnectProvider":       guard.HandleVoid(s.RemoveClientIDFromOpenIDConnectProvider),
		"UpdateOpenIDConnectProviderThumbprint":         guard.HandleVoid(s.UpdateOpenIDConnectProviderThumbprint),
		"TagOpenIDConnectProvider":                      guard.HandleVoid(s.TagOpenIDConnectProvider),
		"UntagOpenIDConnectProvider":                    guard.HandleVoid(s.UntagOpenIDConnectProvider),
		"ListOpenIDConnectProviderTags":                 guard.Handle(s.ListOpenIDConnectProviderTags),
		"CreateSAMLProvider":                            guard.Handle(s.CreateSAMLProvider),
		"UpdateSAMLProvider":                            guard.Handle(s.UpdateSAMLProvider),
		"GetSAMLProvider":                               guard.Handle(s.GetSAMLProvider),
		"ListSAMLProviders":                             guard.Handle(s.ListSAMLProviders),
		"DeleteSAMLProvider":                            guard.HandleVoid(s.DeleteSAMLProvider),
		"TagSAMLProvider":                               guard.HandleVoid(s.TagSAMLProvider),
		"UntagSAMLProvider":                             guard.HandleVoid(s.UntagSAMLProvider),
		"ListSAMLProviderTags":                          guard.Handle(s.ListSAMLProviderTags),
		"CreateLoginProfile":                            guard.Handle(s.CreateLoginProfile),
		"UpdateLoginProfile":                            guard.HandleVoid(s.UpdateLoginProfile),
		"ChangePassword":                                guard.HandleVoid(s.ChangePassword),
		"CreateVirtualMFADevice":                        guard.Handle(s.CreateVirtualMFADevice),
		"DeleteVirtualMFADevice":                        guard.HandleVoid(s.DeleteVirtualMFADevice),
		"EnableMFADevice":                               guard.HandleVoid(s.EnableMFADevice),
		"DeactivateMFADevice":                           guard.HandleVoid(s.DeactivateMFADevice),
		"ResyncMFADevice":                               guard.HandleVoid(s.ResyncMFADevice),
		"GetMFADevice":                                  guard.Handle(s.GetMFADevice),
		"TagMFADevice":                                  guard.HandleVoid(s.TagMFADevice),
		"UntagMFADevice":                                guard.HandleVoid(s.UntagMFADevice),
		"ListMFADeviceTags":                             guard.Handle(s.ListMFADeviceTags),
		"UploadSSHPublicKey":                            guard.Handle(s.UploadSSHPublicKey),
		"GetSSHPublicKey":                               guard.Handle(s.GetSSHPublicKey),
		"UpdateSSHPublicKey":                            guard.HandleVoid(s.UpdateSSHPublicKey),
		"DeleteSSHPublicKey":                            guard.HandleVoid(s.DeleteSSHPublicKey),
		"UploadSigningCertificate":                      guard.Handle(s.UploadSigningCertificate),
		"UpdateSigningCertificate":                      guard.HandleVoid(s.UpdateSigningCertificate),
		"DeleteSigningCertificate":                      guard.HandleVoid(s.DeleteSigningCertificate),
		"UploadServerCertificate":                       guard.Handle(s.UploadServerCertificate),
		"GetServerCertificate":                          guard.Handle(s.GetServerCertificate),
		"ListServerCertificates":                        guard.Handle(s.ListServerCertificates),
		"UpdateServerCertificate":                       guard.HandleVoid(s.UpdateServerCertificate),
		"DeleteServerCertificate":                       guard.HandleVoid(s.DeleteServerCertificate),
		"TagServerCertificate":                          guard.HandleVoid(s.TagServerCertificate),
		"UntagServerCertificate":                        guard.HandleVoid(s.UntagServerCertificate),
		"ListServerCertificateTags":                     guard.Handle(s.ListServerCertificateTags),
		"CreateServiceSpecificCredential":               guard.Handle(s.CreateServiceSpecificCredential),
		"UpdateServiceSpecificCredential":               guard.HandleVoid(s.UpdateServiceSpecificCredential),
		"ResetServiceSpecificCredential":                guard.Handle(s.ResetServiceSpecificCredential),
		"DeleteServiceSpecificCredential":               guard.HandleVoid(s.DeleteServiceSpecificCredential),
		"GetAccessKeyLastUsed":                          guard.Handle(s.GetAccessKeyLastUsed),
		"GenerateCredentialReport":                      guard.Handle(s.GenerateCredentialReport),
		"GetCredentialReport":                           guard.Handle(s.GetCredentialReport),
		"ListPoliciesGrantingServiceAccess":             guard.Handle(s.ListPoliciesGrantingServiceAccess),
		"SimulatePrincipalPolicy":                       guard.Handle(s.SimulatePrincipalPolicy),
		"SimulateCustomPolicy":                          guard.Handle(s.SimulateCustomPolicy),
		"GetContextKeysForPrincipalPolicy":              guard.Handle(s.GetContextKeysForPrincipalPolicy),
		"GenerateServiceLastAccessedDetails":            guard.Handle(s.GenerateServiceLastAccessedDetails),
		"GetServiceLastAccessedDetails":                 guard.Handle(s.GetServiceLastAccessedDetails),
		"GetServiceLastAccessedDetailsWithEntities":     guard.Handle(s.GetServiceLastAccessedDetailsWithEntities),
		"GenerateOrganizationsAccessReport":             guard.Handle(s.GenerateOrganizationsAccessReport),
		"GetOrganizationsAccessReport":                  guard.Handle(s.GetOrganizationsAccessReport),
		"EnableOrganizationsRootSessions":               guard.Handle(s.EnableOrganizationsRootSessions),
		"DisableOrganizationsRootSessions":              guard.Handle(s.DisableOrganizationsRootSessions),
		"EnableOrganizationsRootCredentialsManagement":  guard.Handle(s.EnableOrganizationsRootCredentialsManagement),
		"DisableOrganizationsRootCredentialsManagement": guard.Handle(s.DisableOrganizationsRootCredentialsManagement),
		"ListOrganizationsFeatures":                     guard.Handle(s.ListOrganizationsFeatures),
		"SetSecurityTokenServicePreferences":            guard.HandleVoid(s.SetSecurityTokenServicePreferences),
		"GetContextKeysForCustomPolicy":                 guard.Handle(s.GetContextKeysForCustomPolicy),
		"UpdateRoleDescription":                         guard.Handle(s.UpdateRoleDescription),
		"DeleteInstanceProfile":                         guard.HandleVoid(s.DeleteInstanceProfile),
		"AddRoleToInstanceProfile":                      guard.HandleVoid(s.AddRoleToInstanceProfile),
		"RemoveRoleFromInstanceProfile":                 guard.HandleVoid(s.RemoveRoleFromInstanceProfile),
		"TagInstanceProfile":                            guard.HandleVoid(s.TagInstanceProfile),
		"UntagInstanceProfile":                          guard.HandleVoid(s.UntagInstanceProfile),
		"DeleteLoginProfile":                            guard.HandleVoid(s.DeleteLoginProfile),
		"UpdateUser":                                    guard.HandleVoid(s.UpdateUser),
		"PutRolePermissionsBoundary":                    guard.HandleVoid(s.PutRolePermissionsBoundary),
		"DeleteRolePermissionsBoundary":                 guard.HandleVoid(s.DeleteRolePermissionsBoundary),
		"PutUserPermissionsBoundary":                    guard.HandleVoid(s.PutUserPermissionsBoundary),
		"DeleteUserPermissionsBoundary":                 guard.HandleVoid(s.DeleteUserPermissionsBoundary),
	}
}

// now is the service time as IAM shows it: to the second.
func (s *Service) now() time.Time { return s.g.Now().UTC().Truncate(time.Second) }

// allowAll decides an action that has no resource.
func (s *Service) allowAll(tx store.Tx, c *guard.Call, action string) error {
	return s.allow(tx, c, authz.Part{Action: "iam:" + action, Resource: authz.Resource{ARN: "*", Account: c.Account()}})
}

// allowList decides a List operation of the resources below a path: IAM asks for the ARN that they have in common, which ends
// with the path. Source: IAM User Guide, "Troubleshoot access denied error messages"; the messages of such denials name it.
func (s *Service) allowList(tx store.Tx, c *guard.Call, noun, path string) error {
	_, err := s.g.Allow(tx, c, authz.Part{Action: "iam:" + c.Operation, Resource: authz.Resource{
		ARN: arn.Make("iam", "", c.Account(), noun+"/"+strings.TrimPrefix(path, "/")), Account: c.Account(),
	}})
	return err
}

// resource is an IAM resource of an account with its tags.
func (s *Service) resource(resourceARN, account string, tags []directory.Tag) authz.Resource {
	return authz.Resource{ARN: resourceARN, Account: account, Tags: tags}
}

// boundaryOf is a permissions boundary as answers show it, or nil.
func boundaryOf(policyARN string) *iamapi.AttachedPermissionsBoundary {
	if policyARN == "" {
		return nil
	}
	// The model's enumeration has PermissionsBoundaryPolicy, but the value that is sent is Policy.
	// Source: IAM API Reference, AttachedPermissionsBoundary.
	return &iamapi.AttachedPermissionsBoundary{PermissionsBoundaryType: new("Policy"), PermissionsBoundaryArn: &policyARN}
}
