package iam

import "github.com/kagimori/kagimori/internal/apierr"

// Codes of IAM's errors. HTTP statuses come from the model.
const (
	codeNoSuchEntity  = "NoSuchEntity"
	codeExists        = "EntityAlreadyExists"
	codeConflict      = "DeleteConflict"
	codeLimit         = "LimitExceeded"
	codeInvalid       = "InvalidInput"
	codeUnmodifiable  = "UnmodifiableEntity"
	codeNotAttachable = "PolicyNotAttachable"
)

// Quotas that are not sizes. Source: IAM User Guide, "IAM and AWS STS quotas".
const (
	maxAttached      = 10  // managed policies per user, role or group
	maxGroups        = 300 // per account
	maxGroupsPerUser = 10
	maxAccessKeys    = 2
	maxVersions      = 5
	maxTags          = 50
)

// Sizes of documents in characters, white space left out. Source: as above.
const (
	maxPolicySize      = 6144
	maxTrustSize       = 2048
	maxUserInlineSize  = 2048  // all inline policies of a user together
	maxRoleInlineSize  = 10240 // of a role
	maxGroupInlineSize = 5120  // of a group
)

func noSuchEntity(format string, args ...any) error {
	return apierr.Newf(codeNoSuchEntity, format, args...)
}

func exceeded(format string, args ...any) error { return apierr.Newf(codeLimit, format, args...) }

// mustNameUser is the error for a request that means the caller's own user and is made by a role.
func mustNameUser() error {
	return apierr.New("ValidationError", "Must specify userName when calling with non-User credentials")
}
