// Package seed holds the data of the page "Required AWS KMS key policy for use with encrypted
// volumes" (Amazon EC2 Auto Scaling User Guide), with the accounts left open.
package seed

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
)

// The accounts, the key and the region of the page.
const (
	GroupAccount = "123456789012" // example 1
	KeyAccount   = "444455556666" // example 2: owner of the key
	UserAccount  = "111122223333" // example 2: owner of the group
	KeyID        = "1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	Region       = "us-west-2"
)

// Operations are those of example 2's grant, in the page's order.
func Operations() []string {
	return []string{
		"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
		"DescribeKey", "CreateGrant",
	}
}

// Role is the ARN of Auto Scaling's service-linked role in an account.
func Role(account string) string {
	return "arn:aws:iam::" + account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
}

// Session is the ARN under which Auto Scaling uses that role.
func Session(account string) string {
	return "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"
}

// Root is the ARN of an account.
func Root(account string) string { return "arn:aws:iam::" + account + ":root" }

// Key is the ARN of a key in the page's region.
func Key(account, id string) string { return "arn:aws:kms:" + Region + ":" + account + ":key/" + id }

// Use is the page's first statement (P1, P3) for a principal.
func Use(principal string) string {
	return `{"Sid":"Allow use of the customer managed key","Effect":"Allow","Principal":{"AWS":["` + principal + `"]},
"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
}

// Attach is the page's second statement of example 1 (P2) for a principal.
func Attach(principal string) string { return AttachIf(principal, "true") }

// AttachIf is Attach with another JSON value in its condition.
func AttachIf(principal, value string) string {
	return `{"Sid":"Allow attachment of persistent resources","Effect":"Allow","Principal":{"AWS":["` + principal + `"]},
"Action":["kms:CreateGrant"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":` + value + `}}}`
}

// Grant is the page's second statement of example 2 (P4) for an account.
func Grant(account string) string {
	return `{"Sid":"Allow attachment of persistent resources in external account ` + account + `","Effect":"Allow",
"Principal":{"AWS":["` + Root(account) + `"]},"Action":["kms:CreateGrant"],"Resource":"*"}`
}

// KeyUser is the second statement that the KMS console's default view writes for a key user, whose
// first is [Use].
func KeyUser(principal string) string {
	return `{"Sid":"Allow attachment of persistent resources","Effect":"Allow","Principal":{"AWS":["` + principal + `"]},
"Action":["kms:CreateGrant","kms:ListGrants","kms:RevokeGrant"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`
}

// Full gives principals every right on the key.
func Full(principals ...string) string {
	return `{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":["` + strings.Join(principals, `","`) + `"]},
"Action":"kms:*","Resource":"*"}`
}

// Policy is a document of statements.
func Policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",\n") + `]}`
}

// Identity is the identity policy of example 2 (I1) for an action on a resource.
func Identity(action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"AllowCreationOfGrantForTheKMSKeyinExternalAccount","Effect":"Allow",
"Action":"` + action + `","Resource":"` + resource + `"}]}`
}

// NewAccount is a random account id, so that tests share a server without meeting.
func NewAccount() string {
	n, err := rand.Int(rand.Reader, big.NewInt(899_999_999_999))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return fmt.Sprintf("%012d", n.Int64()+100_000_000_000)
}
