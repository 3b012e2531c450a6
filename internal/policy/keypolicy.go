package policy

import (
	"github.com/kagimori/kagimori/internal/arn"
)

// DefaultKeyPolicy is the policy of a KMS key that is created without one, laid out by [Pretty].
// It gives the account full access, and so lets its identity policies decide. The account is a
// 12-digit id.
//
// Source: KMS Developer Guide, "Default key policy".
func DefaultKeyPolicy(account string) string {
	return pretty(&Document{
		Version: Version2012,
		ID:      "key-default-1",
		Statements: []Statement{{
			Sid:       "Enable IAM User Permissions",
			Effect:    Allow,
			Principal: &Principals{AWS: texts(arn.Root(account))},
			Actions:   texts("kms:*"),
			Resources: texts("*"),
		}},
	})
}

// EBSManagedKeyPolicy is the policy of the AWS managed key aws/ebs of an account in a region, laid
// out by [Pretty]: whoever may use EBS there may use the key through EC2, nobody directly.
//
// Source: KMS Developer Guide, "Key policies" and "AWS managed keys".
func EBSManagedKeyPolicy(account, region string) string {
	return ManagedKeyPolicy("ebs", "EBS", "ec2", account, region)
}

// ManagedKeyPolicy is the like for the AWS managed key aws/NAME of a service: title is what the statement
// calls it, via the first label of the service's name in kms:ViaService.
//
// Source: KMS Developer Guide, "AWS managed keys" and "kms:ViaService".
func ManagedKeyPolicy(name, title, via, account, region string) string {
	return pretty(&Document{
		Version: Version2012,
		ID:      "auto-" + name + "-2",
		Statements: []Statement{{
			Sid:       "Allow access through " + title + " for all principals in the account that are authorized to use " + title,
			Effect:    Allow,
			Principal: &Principals{AWS: texts("*")}, // an object, as AWS prints it; parses to Any
			Actions: texts("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
				"kms:CreateGrant", "kms:DescribeKey"),
			Resources: texts("*"),
			Conditions: []Condition{
				{Operator: "StringEquals", Key: "kms:CallerAccount", Values: texts(account)},
				{Operator: "StringEquals", Key: "kms:ViaService", Values: texts(via + "." + region + ".amazonaws.com")},
			},
		}, {
			Sid:       "Allow direct access to key metadata to the account",
			Effect:    Allow,
			Principal: &Principals{AWS: texts(arn.Root(account))},
			Actions:   texts("kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"),
			Resources: texts("*"),
		}},
	})
}

func pretty(d *Document) string { return string(Pretty(d.Print())) }

// texts makes a list without positions.
func texts(values ...string) []Text {
	all := make([]Text, len(values))
	for i, v := range values {
		all[i].Value = v
	}
	return all
}
