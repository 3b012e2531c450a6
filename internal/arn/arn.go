// Package arn holds Amazon Resource Names and the names built into them.
//
// Source: IAM User Guide, "IAM identifiers" and "Amazon Resource Names (ARNs)".
package arn

import (
	"errors"
	"strings"
)

// Partition is the only partition that kagimori serves.
const Partition = "aws"

// ErrInvalid is returned by [Parse] for text that is not an ARN.
var ErrInvalid = errors.New("arn: not an ARN")

// An ARN has five fields before the resource; any of them but the service may be empty.
// The resource may itself contain colons and slashes.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// Parse splits s at its first five colons. It returns [ErrInvalid] if s does not start with
// "arn:", has fewer than five colons, or has an empty partition, service or resource.
func Parse(s string) (ARN, error) {
	rest, ok := strings.CutPrefix(s, "arn:")
	if !ok {
		return ARN{}, ErrInvalid
	}
	var f [4]string
	for i := range f {
		f[i], rest, ok = strings.Cut(rest, ":")
		if !ok {
			return ARN{}, ErrInvalid
		}
	}
	a := ARN{f[0], f[1], f[2], f[3], rest}
	if a.Partition == "" || a.Service == "" || a.Resource == "" {
		return ARN{}, ErrInvalid
	}
	return a, nil
}

// Owner is the account that an ARN names, or "" if it names none, or is no ARN.
func Owner(s string) string {
	rest, ok := strings.CutPrefix(s, "arn:")
	for range 3 {
		_, rest, ok = strings.Cut(rest, ":")
	}
	if account, _, more := strings.Cut(rest, ":"); ok && more && IsAccount(account) {
		return account
	}
	return ""
}

// String prints the ARN in its usual form.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Type is the part of the resource before the first slash or colon, or all of it.
func (a ARN) Type() string {
	if i := strings.IndexAny(a.Resource, "/:"); i >= 0 {
		return a.Resource[:i]
	}
	return a.Resource
}

// ID is the part of the resource after the first slash or colon, or "".
func (a ARN) ID() string {
	if i := strings.IndexAny(a.Resource, "/:"); i >= 0 {
		return a.Resource[i+1:]
	}
	return ""
}

// Make prints an ARN of [Partition].
func Make(service, region, account, resource string) string {
	return ARN{Partition, service, region, account, resource}.String()
}

// Root is the ARN of an account's root user, which in a policy stands for the account.
func Root(account string) string { return Make("iam", "", account, "root") }

// User is the ARN of an IAM user. The path starts and ends with a slash.
func User(account, path, name string) string { return Make("iam", "", account, "user"+path+name) }

// Role is the ARN of an IAM role. The path starts and ends with a slash.
func Role(account, path, name string) string { return Make("iam", "", account, "role"+path+name) }

// Session is the ARN of a session of a role. It carries no role path.
func Session(account, role, session string) string {
	return Make("sts", "", account, "assumed-role/"+role+"/"+session)
}

// KMSKey is the ARN of a KMS key.
func KMSKey(region, account, id string) string { return Make("kms", region, account, "key/"+id) }

// KMSAlias is the ARN of a KMS alias; the name includes its "alias/" prefix.
func KMSAlias(region, account, name string) string { return Make("kms", region, account, name) }

// EC2 is the ARN of an EC2 resource such as "volume/vol-1".
func EC2(region, account, resource string) string { return Make("ec2", region, account, resource) }

// ServiceLinkedPath is the path of the service-linked roles of a service principal.
func ServiceLinkedPath(service string) string { return "/aws-service-role/" + service + "/" }

// IsServiceLinkedRole reports whether the ARN is that of a service-linked role.
func IsServiceLinkedRole(role string) bool {
	a, err := Parse(role)
	return err == nil && a.Service == "iam" && strings.HasPrefix(a.Resource, "role/aws-service-role/")
}

// InfrastructureRole is the role that EC2 uses for the keys of an instance's volumes.
// It has no policies; only grants give it anything.
func InfrastructureRole(account string) string {
	return Role(account, "/", "aws:ec2-infrastructure")
}

// InfrastructureSession is the identity of one instance under [InfrastructureRole].
func InfrastructureSession(account, instance string) string {
	return Session(account, "aws:ec2-infrastructure", instance)
}

// IsAccount reports whether s is a 12-digit account id.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
