package authz

import (
	"strings"

	"github.com/kagimori/kagimori/internal/authz/condition"
)

// kmsOperation is the name of a KMS action.
func kmsOperation(action string) (string, bool) {
	const prefix = "kms:"
	if len(action) < len(prefix) || action[:len(prefix)] != prefix && !strings.EqualFold(action[:len(prefix)], prefix) {
		return "", false
	}
	return action[len(prefix):], true
}

func in(name string, list []string) bool {
	for _, s := range list {
		if equalFold(s, name) {
			return true
		}
	}
	return false
}

// grantOperations are the operations that a grant can allow.
//
// Source: KMS Developer Guide, "Grants in AWS KMS", Grant operations.
var grantOperations = []string{
	"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac", "ReEncryptFrom", "ReEncryptTo", "Sign",
	"Verify", "DeriveSharedSecret", "Encapsulate", "Decapsulate", "GetPublicKey", "DescribeKey", "CreateGrant", "RetireGrant",
}

// crossAccountOperations are the other operations that work on a key of another account. What a
// key policy permits beyond these and [grantOperations] has no effect for a foreign principal.
//
// Source: KMS Developer Guide, "Allowing users in other accounts to use a KMS key".
var crossAccountOperations = []string{"GetKeyRotationStatus", "ListGrants", "RevokeGrant"}

// worksAbroad reports whether an action can be done on another account's resource at all.
func (a *action) worksAbroad() bool {
	return !a.kms || in(a.operation, grantOperations) || in(a.operation, crossAccountOperations)
}

// rcpServices are the services whose resources RCPs govern.
//
// Source: AWS Organizations User Guide, "Resource control policies", List of services that
// support RCPs; for the services of kagimori, the service authorization data of 2026-09.
var rcpServices = []string{
	"s3", "sts", "kms", "sqs", "secretsmanager", "autoscaling",
	"ecr", "aoss", "cognito-idp", "cognito-identity", "dynamodb", "logs",
}

// underRCPs says whether RCPs govern a part for a caller.
//
// Source: AWS Organizations User Guide, "Resource control policies", Resources and entities not
// restricted by RCPs.
func (e *evaluation) underRCPs() condition.Truth {
	service, _, _ := strings.Cut(e.part.Action, ":")
	p, r := &e.req.Principal, &e.part.Resource
	if r.AccountRole == Management || r.AWSManaged || p.IsServiceLinked() || e.action.retire || !in(service, rcpServices) {
		return condition.False
	}
	if r.AccountRole == Member || p.AccountRole != Management {
		return condition.True
	}
	// The management account's own resources; what has no resource is the caller's account's.
	switch {
	case p.Account == "" && p.Type == UnknownPrincipal, r.Account == "" && r.Unknown:
		return condition.Unknown
	}
	return condition.Of(r.Account != p.Account && r.Account != "")
}

// underSCPs reports whether SCPs limit a caller.
//
// Source: AWS Organizations User Guide, "Service control policies", Tasks and entities not
// restricted by SCPs.
func underSCPs(p *Principal) bool {
	return p.AccountRole != Management && !p.IsServiceLinked() && p.Type != Service && p.Type != Anonymous
}

// equalFold is strings.EqualFold, quick about names that end differently, as most do.
func equalFold(s, t string) bool {
	if len(s) > 0 && len(t) > 0 {
		a, b := s[len(s)-1], t[len(t)-1]
		if a < 0x80 && b < 0x80 && lower(a) != lower(b) {
			return false
		}
	}
	return strings.EqualFold(s, t)
}

// globalServices have one endpoint, in US East (N. Virginia).
//
// Source: IAM User Guide, "AWS global condition context keys", aws:RequestedRegion; AWS General
// Reference, "Service endpoints and quotas".
var globalServices = []string{"iam", "organizations", "account", "cloudfront", "route53", "route53domains", "shield", "support"}

func (a *action) global() bool {
	service, _, _ := strings.Cut(a.name, ":")
	return in(service, globalServices)
}
