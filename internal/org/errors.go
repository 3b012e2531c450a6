package org

import "github.com/kagimori/kagimori/internal/apierr"

// Codes that several operations use.
const (
	codeConstraint = "ConstraintViolationException"
	codeInput      = "InvalidInputException"
)

// because makes an error of a code whose Reason member says more.
func because(code, reason, message string) *apierr.Error {
	return apierr.New(code, message).With("Reason", reason)
}

// Errors without parameters. Source: AWS Organizations API Reference, "Errors" of each operation; texts as reported by users where they were found.
// That of DuplicatePolicyAttachmentException is AWS's, too.
var (
	errNotInUse   = apierr.New("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	errDependency = because("AccessDeniedForDependencyException", "ACCESS_DENIED_DURING_CREATE_SERVICE_LINKED_ROLE",
		"The request failed because your credentials do not have permission to create the service-linked role required by AWS Organizations.")
	errNotManagement = apierr.New("AccessDeniedException", "You don't have permissions to access this resource.")
	errAlreadyIn     = apierr.New("AlreadyInOrganizationException", "The AWS account is already a member of an organization.")
	errNotEmpty      = apierr.New("OrganizationNotEmptyException", "To delete an organization you must first remove all member accounts, organizational units and policies.")

	errNoAccount        = apierr.New("AccountNotFoundException", "You specified an account that doesn't exist.")
	errNoUnit           = apierr.New("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.")
	errNoParent         = apierr.New("ParentNotFoundException", "You specified parent that doesn't exist.")
	errNoChild          = apierr.New("ChildNotFoundException", "You specified a child that doesn't exist.")
	errNoSource         = apierr.New("SourceParentNotFoundException", "You specified a source parent that doesn't exist.")
	errNoDestination    = apierr.New("DestinationParentNotFoundException", "You specified a destination parent that doesn't exist.")
	errNoRoot           = apierr.New("RootNotFoundException", "You specified a root that doesn't exist.")
	errNoTarget         = apierr.New("TargetNotFoundException", "You specified a target that doesn't exist.")
	errNoPolicy         = apierr.New("PolicyNotFoundException", "You specified a policy that doesn't exist.")
	errNoResourcePolicy = apierr.New("ResourcePolicyNotFoundException", "We can't find a resource policy of your organization.")
	errTagsOfOld        = apierr.New(codeInput, "Tags are taken only when a resource policy is made: use TagResource.")
	errNoStatus         = apierr.New("CreateAccountStatusNotFoundException", "You specified a create account request that doesn't exist.")

	errSameParent      = apierr.New("DuplicateAccountException", "The account is already a child of the destination.")
	errCloseManagement = because(codeConstraint, "CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You can't close the management account of an organization.")
	errCloseQuota      = because(codeConstraint, "CLOSE_ACCOUNT_QUOTA_EXCEEDED", "You have exceeded close account quota for the past 30 days.")
	errClosed          = apierr.New("AccountAlreadyClosedException", "You attempted to close an account that is already closed.")
	errUnitName        = apierr.New("DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
	errUnitNotEmpty    = apierr.New("OrganizationalUnitNotEmptyException", "The specified OU is not empty.")
	errUnitDepth       = because(codeConstraint, "OU_DEPTH_LIMIT_EXCEEDED", "You have exceeded the number of levels that organizational units can be nested.")
	errPolicyName      = apierr.New("DuplicatePolicyException", "A policy with the specified name and type already exists.")
	errPolicyInUse     = apierr.New("PolicyInUseException", "The policy is attached to one or more entities. You must detach it from all roots, OUs and accounts first.")
	errAttached        = apierr.New("DuplicatePolicyAttachmentException", "A policy with the specified name and type already exists.")
	errNotAttached     = apierr.New("PolicyNotAttachedException", "The policy isn't attached to the specified target.")
	errTooMany         = because(codeConstraint, "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You have attached the maximum number of policies to the specified target.")
	errLast            = because(codeConstraint, "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
	errNotDetachable   = because(codeInput, "NON_DETACHABLE_POLICY", "The policy RCPFullAWSAccess cannot be detached.")
	errImmutable       = because(codeInput, "IMMUTABLE_POLICY", "You cannot change or delete a policy that AWS manages.")
	errTooLong         = because(codeConstraint, "POLICY_CONTENT_LIMIT_EXCEEDED", "You have exceeded the maximum policy size.")
	errTypeEnabled     = apierr.New("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.")
	errNotAvailable    = apierr.New("PolicyTypeNotAvailableForOrganizationException", "You can't use the specified policy type with the feature set currently enabled for your organization.")
	errTypeDisabled    = apierr.New("PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
	errMalformed       = apierr.New("MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type.")
	errNoHandshake     = apierr.New("HandshakeNotFoundException", "You specified a handshake that doesn't exist.")
	errInState         = apierr.New("HandshakeAlreadyInStateException", "The specified handshake is already in the requested state.")
	errTransition      = apierr.New("InvalidHandshakeTransitionException", "You can't perform the operation on the handshake in its current state.")
	errInvited         = apierr.New("DuplicateHandshakeException", "A handshake with the same action and target already exists.")
	errJoined          = because("HandshakeConstraintViolationException", "ALREADY_IN_AN_ORGANIZATION", "The account is already a member of an organization.")
	errAllFeatures     = because("HandshakeConstraintViolationException", "ORGANIZATION_ALREADY_HAS_ALL_FEATURES", "The organization has all features already.")
	errManagerStays    = apierr.New("MasterCannotLeaveOrganizationException", "You can't remove a management account from an organization.")
	errDelegated       = because(codeConstraint, "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG", "You cannot remove a delegated administrator from the organization: deregister it first.")
	errDelegateManager = because(codeConstraint, "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR", "You cannot register the management account as a delegated administrator.")
	errDelegateClosed  = because(codeConstraint, "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR", "You cannot register a suspended account as a delegated administrator.")
	errNotTrusted      = because(codeConstraint, "SERVICE_ACCESS_NOT_ENABLED", "You must enable service access before you delegate an administrator for this service. Call the AWS API EnableAWSServiceAccess first.")
	errRegistered      = apierr.New("AccountAlreadyRegisteredException", "The specified account is already a delegated administrator for this AWS service.")
	errNotRegistered   = apierr.New("AccountNotRegisteredException", "The specified account is not a delegated administrator for this AWS service.")
	errNoEffective     = apierr.New("EffectivePolicyNotFoundException", "No effective policy of this type was found for the target.")
	errNoGovCloud      = apierr.New("AccessDeniedException", "The management account of the organization is not paired with an account in AWS GovCloud (US).")
	errBilling         = because(codeConstraint, "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE", "The organization supports consolidated billing features only: this operation needs all features.")
	errFilters         = because(codeInput, "MAX_LIMIT_EXCEEDED_FILTER", "You can specify only one filter parameter for the operation.")
	errUnsupported     = because(codeInput, "TARGET_NOT_SUPPORTED", "You can't perform the specified operation on that target entity.")
	errRoleName        = because(codeInput, "INVALID_ROLE_NAME", "You provided a role name that isn't valid. A role name can't begin with the reserved prefix AWSServiceRoleFor.")
	errSystemTags      = because(codeInput, "INVALID_SYSTEM_TAGS_PARAMETER", "Tag keys that begin with aws: are reserved for AWS.")
	errUnitNumber      = because(codeConstraint, "OU_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of organizational units that you can have in an organization.")
	errPrincipal       = because(codeInput, "INVALID_PRINCIPAL", "You specified an invalid principal element in the policy.")
	errPolicyResource  = because(codeInput, "UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY", "A resource policy is about resources of the organization only.")
	errHubNotTrusted   = because(codeConstraint, "SERVICE_ACCESS_NOT_ENABLED", "You must enable service access before you enable this policy type. Call the AWS API EnableAWSServiceAccess first.")
	errHubPolicies     = because(codeConstraint, "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE", "You must disable the policy type of this service before you disable service access.")
	errToken           = because(codeInput, "INVALID_NEXT_TOKEN", "The NextToken is not one that this list gave out.")
)
