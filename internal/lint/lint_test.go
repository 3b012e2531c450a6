package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
)

const (
	owner  = "111122223333"
	keyARN = "arn:aws:kms:us-west-2:111122223333:key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"
	role   = "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
)

// identity is an identity-based policy of one statement that allows.
func identity(members string) string {
	return `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", ` + members + `}}`
}

// keyPolicy is a key policy of the account's statement and others.
func keyPolicy(statements ...string) string {
	root := `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}`
	return `{"Version": "2012-10-17", "Statement": [` + strings.Join(append([]string{root}, statements...), ",") + `]}`
}

// rules are the rules of findings, with severity where it is not the usual one.
func rules(found []lint.Finding) string {
	usual := map[string]lint.Severity{}
	for _, r := range lint.Rules() {
		usual[r.ID] = r.Severity
	}
	var out []string
	for _, f := range found {
		name := f.Rule
		if f.Severity != usual[f.Rule] {
			name += "(" + f.Severity.String() + ")"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestIdentity(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"one key", `"Action": "kms:Decrypt", "Resource": "` + keyARN + `"`, ""},
		{"names compare without case", `"Action": "KMS:decrypt", "Resource": "` + keyARN + `"`, ""},
		{"a wildcard in a name", `"Action": ["kms:ReEncrypt*", "kms:Generate?ataKey"], "Resource": "` + keyARN + `"`, ""},
		{"an unknown action", `"Action": "kms:GenerateDataKeys", "Resource": "` + keyARN + `"`, "unknown-action"},
		{"a service that the table lacks", `"Action": "s3:GetObjekt", "Resource": "arn:aws:s3:::b/*"`, ""},
		{"an action of ec2 known by name only", `"Action": "ec2:AcceptAddressTransfer", "Resource": "*"`, ""},
		{"a wildcard in the service", `"Action": "*:*", "Resource": "*"`, "refused unknown-service"},
		{"an action on everything beside one on keys", `"Action": ["kms:ListAliases", "kms:Decrypt"], "Resource": "` + keyARN + `"`, "action-without-resource"},
		{"the alias and its key for CreateAlias", `"Action": "kms:CreateAlias", "Resource": ["arn:aws:kms:us-west-2:111122223333:alias/a", "` + keyARN + `"]`, ""},
		{"an alias for Decrypt", `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-west-2:111122223333:alias/a"`, "alias-as-key"},
		{"a key for actions on instances", `"Action": "ec2:StartInstances", "Resource": "` + keyARN + `"`, "resource-mismatch"},
		{"tags on a type that the table lacks", `"Action": "ec2:CreateTags", "Resource": "arn:aws:ec2:*:*:transit-gateway-policy-table/*"`, ""},
		{"tags on a type with a slip", `"Action": "ec2:CreateTags", "Resource": "arn:aws:ec2:*:*:volumes/*"`, "resource-mismatch"},
		{"tags on a type of another service", `"Action": "ec2:CreateTags", "Resource": "arn:aws:kms:us-west-2:111122223333:key/*"`, "resource-mismatch"},
		{"a role for PassRole", `"Action": "iam:PassRole", "Resource": "arn:aws:iam::111122223333:role/app"`, ""},
		{"a region in an ARN of IAM", `"Action": "iam:PassRole", "Resource": "arn:aws:iam:us-east-1:111122223333:role/app"`, "bad-arn refused"},
		{"an account of 11 digits", `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-west-2:11112222333:key/*"`, "bad-arn"},
		{"a star for the account", `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-west-2:*:key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"`, ""},
		{"a star that ends an ARN early", `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-west-2:1*"`, ""},
		{"a variable in the resource", `"Action": "iam:GetUser", "Resource": "arn:aws:iam::111122223333:user/${aws:username}"`, ""},
		{"the key of another account", `"Action": ["kms:Decrypt", "kms:CreateGrant"], "Resource": "arn:aws:kms:us-west-2:444455556666:key/*"`, ""},
		{"to change the key of another account", `"Action": ["kms:PutKeyPolicy", "kms:EnableKey"], "Resource": "arn:aws:kms:us-west-2:444455556666:key/*"`, "other-account"},
		{"a role of another account to assume", `"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::444455556666:role/app"`, ""},
		{"a role of another account to pass", `"Action": "iam:PassRole", "Resource": "arn:aws:iam::444455556666:role/app"`, "other-account"},
		{"to retire grants", `"Action": "kms:RetireGrant", "Resource": "` + keyARN + `"`, ""},
		{"what needs no permission", `"Action": "sts:Get*Identity", "Resource": "*"`, ""},
		{"an action that is not what needs no permission", `"Action": "sts:Nothing*", "Resource": "*"`, "unknown-action"},
		{"to make volumes but not to attach them", `"Action": ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"], "Resource": "` + keyARN + `"`, "launch-incomplete"},
		{"to make volumes and to attach them", `"Action": ["kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext"], "Resource": "` + keyARN + `"`, ""},
		{"data keys for what else there is", `"Action": "kms:GenerateDataKey*", "Resource": "` + keyARN + `"`, ""},
		{"data keys beside instances", `"Action": ["ec2:AttachVolume", "kms:GenerateDataKey*"], "Resource": ["arn:aws:ec2:*:*:volume/*", "arn:aws:ec2:*:*:instance/*", "` + keyARN + `"]`, "launch-incomplete"},
		{"a launch of one type", `"Action": "ec2:RunInstances", "Resource": "*", "Condition": {"StringEquals": {"ec2:InstanceType": "m5.large"}}`, "partial-request"},
		{"a launch of one type, if there is one", `"Action": "ec2:RunInstances", "Resource": "*", "Condition": {"StringEqualsIfExists": {"ec2:InstanceType": "m5.large"}}`, ""},
		{"a launch of instances only", `"Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*:*:instance/*"`, "partial-request"},
		{"a launch in one region", `"Action": "ec2:RunInstances", "Resource": "*", "Condition": {"StringEquals": {"aws:RequestedRegion": "us-west-2"}}`, ""},
		{"no colons", `"Action": "kms:Decrypt", "Resource": "key/1a2b3c4d"`, "bad-arn refused"},
		{"every key", `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:*:*:key/*"`, "any-key"},
		{"every key, for reading", `"Action": ["kms:Describe*", "kms:List*"], "Resource": "*"`, ""},
		{"every key through EC2", `"Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringLike": {"kms:ViaService": "ec2.*.amazonaws.com"}}`, ""},
		{"a role for one service", `"Action": "iam:PassRole", "Resource": "*", "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := lint.Check([]byte(identity(tt.members)), lint.Options{Account: owner})
			if got := rules(found); got != tt.want {
				t.Errorf("found %q, want %q: %+v", got, tt.want, found)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	tests := []struct{ name, action, condition, want string }{
		{"a boolean as JSON", "kms:CreateGrant", `"Bool": {"kms:GrantIsForAWSResource": true}`, ""},
		{"a boolean in capitals", "kms:CreateGrant", `"Bool": {"kms:GrantIsForAWSResource": "TRUE"}`, ""},
		{"a boolean as 1", "kms:CreateGrant", `"Bool": {"kms:GrantIsForAWSResource": 1}`, "condition-value"},
		{"a boolean as text", "kms:CreateGrant", `"StringEquals": {"kms:GrantIsForAWSResource": "true"}`, "condition-type(warning)"},
		{"a boolean as text in capitals", "kms:CreateGrant", `"StringEquals": {"kms:GrantIsForAWSResource": "True"}`, "condition-type(warning) condition-value"},
		{"a boolean as a number", "kms:CreateGrant", `"NumericEquals": {"kms:GrantIsForAWSResource": 1}`, "condition-type"},
		{"a key that no request for the action carries", "kms:Encrypt", `"Bool": {"kms:GrantIsForAWSResource": true}`, "condition-key-absent"},
		{"the same if it exists", "kms:Encrypt", `"BoolIfExists": {"kms:GrantIsForAWSResource": true}`, "condition-without-effect"},
		{"the same absent", "kms:Encrypt", `"Null": {"kms:GrantIsForAWSResource": true}`, ""},
		{"a context of DescribeKey", "kms:DescribeKey", `"StringEquals": {"kms:EncryptionContext:aws:ebs:id": "vol-1"}`, "condition-key-absent"},
		{"a tag of the key", "kms:Decrypt", `"StringEquals": {"aws:ResourceTag/team": "red"}`, ""},
		{"a tag of a request that has none", "kms:Decrypt", `"StringEquals": {"aws:RequestTag/team": "red"}`, "condition-key-absent"},
		{"an old name", "kms:Decrypt", `"StringEquals": {"kms:CustomerMasterKeySpec": "RSA_2048"}`, ""},
		{"a key of another service", "kms:Decrypt", `"StringEquals": {"ec2:Region": "us-west-2"}`, "condition-key-absent"},
		{"a misspelt key", "kms:Decrypt", `"StringEquals": {"aws:PrincipalOrgId1": "o-1"}`, "unknown-condition-key"},
		{"a key that nobody has", "kms:Decrypt", `"StringEquals": {"PrincipalOrgID": "o-1"}`, "unknown-condition-key"},
		{"an identity provider's key", "kms:Decrypt", `"StringEquals": {"token.actions.githubusercontent.com:sub": "x"}`, ""},
		{"an address that is none", "kms:Decrypt", `"IpAddress": {"aws:SourceIp": "203.0.113"}`, "condition-value"},
		{"an address as text", "kms:Decrypt", `"StringLike": {"aws:SourceIp": "203.0.113.*"}`, "condition-type(warning)"},
		{"a number", "kms:ScheduleKeyDeletion", `"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}`, ""},
		{"a number that is none", "kms:ScheduleKeyDeletion", `"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "a month"}`, "condition-value"},
		{"a usage that does not exist", "kms:CreateGrant", `"StringEquals": {"kms:KeyUsage": "ENCRYPT"}`, "condition-value"},
		{"one good value and one that does not exist", "kms:CreateGrant", `"StringEquals": {"kms:KeyUsage": ["ENCRYPT_DECRYPT", "ENCRYPT"]}`, "condition-value"},
		{"an ARN that is none", "kms:Decrypt", `"ArnLike": {"aws:PrincipalArn": "role/app"}`, "condition-value"},
		{"a session's ARN", "kms:Decrypt", `"ArnLike": {"aws:PrincipalArn": "arn:aws:sts::111122223333:assumed-role/app/*"}`, "principal-arn-session"},
		{"several values, each of them", "kms:CreateGrant", `"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}, "Null": {"kms:GrantOperations": "false"}`, ""},
		{"several values, or none", "kms:Decrypt", `"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a"]}`, "for-all-values"},
		{"several values, of which one is demanded", "kms:Decrypt", `"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a"]}, "StringEquals": {"kms:EncryptionContext:a": "b"}`, ""},
		{"several values, of which one is demanded if it is there", "kms:Decrypt", `"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a"]}, "StringEqualsIfExists": {"kms:EncryptionContext:a": "b"}`, "for-all-values"},
		{"several values, and one of another list that nobody knows", "kms:Decrypt", `"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": ["o-1/*"]}, "StringEquals": {"token.actions.githubusercontent.com:sub": "x"}`, "for-all-values"},
		{"one tag of several values, of which another one is demanded", "kms:TagResource", `"ForAllValues:StringEquals": {"aws:RequestTag/a": ["b"]}, "StringEquals": {"aws:RequestTag/c": "d"}`, "for-all-values"},
		{"several values, which each request has", "kms:CreateGrant", `"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}`, ""},
		{"tags, which each request has", "kms:TagResource", `"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}`, ""},
		{"tags, which some requests have", "kms:CreateKey", `"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}`, "for-all-values resource-mismatch"},
		{"tags, all of which are deleted if none is named", "ec2:DeleteTags", `"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}`, "for-all-values resource-mismatch"},
		{"a key of an action that is not in the table", "aws-marketplace:StartChangeSet", `"StringEquals": {"catalog:ChangeType": "CreateProduct"}`, ""},
		{"a key of an action that is", "kms:Decrypt", `"StringEquals": {"catalog:ChangeType": "CreateProduct"}`, "unknown-condition-key"},
		{"several values without set operator", "kms:CreateGrant", `"StringEquals": {"kms:GrantOperations": "Decrypt"}`, "multivalued"},
		{"one value with a set operator", "kms:Decrypt", `"ForAnyValue:StringEquals": {"kms:ViaService": "ec2.us-west-2.amazonaws.com"}`, "multivalued(warning)"},
		{"two values that exclude each other", "kms:Decrypt", `"StringEquals": {"aws:username": "ana"}, "StringLike": {"aws:username": "b*"}`, "contradiction"},
		{"two ranges that exclude each other", "kms:Decrypt", `"NumericLessThan": {"aws:MultiFactorAuthAge": 10}, "NumericGreaterThan": {"aws:MultiFactorAuthAge": 20}`, "contradiction"},
		{"two ranges that meet", "kms:Decrypt", `"NumericLessThan": {"aws:MultiFactorAuthAge": 20}, "NumericGreaterThan": {"aws:MultiFactorAuthAge": 10}`, ""},
		{"absent and equal", "kms:Decrypt", `"Null": {"aws:username": "true"}, "StringEquals": {"aws:username": "ana"}`, "contradiction"},
		{"true and false", "kms:Decrypt", `"Bool": {"aws:ViaAWSService": "true"}, "StringEquals": {"aws:ViaAWSService": "false"}`, "condition-type(warning) contradiction"},
		{"a variable may be anything", "kms:Decrypt", `"StringEquals": {"aws:username": "${aws:PrincipalTag/x}"}, "StringLike": {"aws:username": "b*"}`, ""},
		{"no such variable", "kms:Decrypt", `"StringEquals": {"aws:username": "${aws:user}"}`, "unknown-variable"},
		{"EC2 in no region", "kms:Decrypt", `"StringEquals": {"kms:ViaService": "ec2.amazonaws.com"}`, "via-service"},
		{"an ARN for an account", "kms:Decrypt", `"StringEquals": {"kms:CallerAccount": "arn:aws:iam::111122223333:root"}`, "caller-account"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := identity(`"Action": "` + tt.action + `", "Resource": "` + keyARN + `", "Condition": {` + tt.condition + `}`)
			found := lint.Check([]byte(doc), lint.Options{})
			if got := rules(found); got != tt.want {
				t.Errorf("found %q, want %q: %+v", got, tt.want, found)
			}
		})
	}
}

func TestKeyPolicies(t *testing.T) {
	allow := func(principal, action, more string) string {
		return `{"Effect": "Allow", "Principal": {"AWS": "` + principal + `"}, "Action": ` + action + `, "Resource": "*"` + more + `}`
	}
	const use = `["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]`
	const forAWS = `, "Condition": {"Bool": {"kms:GrantIsForAWSResource": true}}`
	const context = `, "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:us-west-2:111122223333:log-group:app"}}`
	ofService := func(action, more string) string {
		return `{"Effect": "Allow", "Principal": {"Service": "logs.us-west-2.amazonaws.com"}, "Action": ` + action + `, "Resource": "*"` + more + `}`
	}
	abroad := strings.Replace(role, owner, "444455556666", 1)
	tests := []struct{ name, doc, want string }{
		{"the default policy", policy.DefaultKeyPolicy(owner), ""},
		{"the two documented statements", keyPolicy(allow(role, use, ""), allow(role, `"kms:CreateGrant"`, forAWS)), ""},
		{"the first alone", keyPolicy(allow(role, use, "")), "launch-incomplete"},
		{"the second alone", keyPolicy(allow(role, `"kms:CreateGrant"`, forAWS)), "launch-incomplete"},
		{"both in one, with the condition", keyPolicy(allow(role, `["kms:CreateGrant", "kms:GenerateDataKey*"]`, forAWS)), "condition-key-absent launch-incomplete"},
		{"both in one, without", keyPolicy(allow(role, `["kms:CreateGrant", "kms:GenerateDataKey*", "kms:ReEncrypt*"]`, "")), "grant-condition-missing"},
		{"conditions on what a probe cannot know", keyPolicy(allow(role, use, `, "Condition": {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT", "aws:PrincipalOrgID": "o-1"}}`),
			allow(role, `"kms:CreateGrant"`, forAWS)), ""},
		{"an explicit context", keyPolicy(allow(role, use, `, "Condition": {"StringLike": {"kms:EncryptionContext:aws:ebs:id": "vol-*"}}`), allow(role, `"kms:CreateGrant"`, forAWS)), "condition-key-absent"},
		{"an explicit context of a service", keyPolicy(ofService(use, context)), "condition-key-absent(note)"},
		{"an explicit context of a service and others", keyPolicy(strings.Replace(ofService(use, context), `{"Service"`, `{"AWS": "`+owner+`", "Service"`, 1)), "condition-key-absent"},
		{"a service that reads about the key", keyPolicy(ofService(`["kms:Describe*", "kms:Get*", "kms:List*"]`, "")), ""},
		{"a service that reads and uses", keyPolicy(ofService(`["kms:Describe*", "kms:Sign"]`, "")), "confused-deputy"},
		{"a service with everything but", keyPolicy(strings.Replace(ofService(`"kms:Decrypt"`, ""), "Action", "NotAction", 1)), "confused-deputy key-administration not-action-allow"},
		{"a context that no action carries", keyPolicy(ofService(`"kms:DescribeKey"`, context)), "condition-key-absent"},
		{"a context of a service without one", keyPolicy(ofService(`["kms:Decrypt", "kms:Sign"]`, context)), "condition-key-absent"},
		{"a suffix", keyPolicy(allow(role+"_a", use, ""), allow(role+"_a", `"kms:CreateGrant"`, forAWS)), ""},
		{"the role of another account", keyPolicy(allow(abroad, use, "")), "external-linked-role"},
		{"another account", keyPolicy(allow("444455556666", use, ""), allow("444455556666", `"kms:CreateGrant"`, "")), "external-account-grant(note)"},
		{"another account, for its own calls", keyPolicy(allow("444455556666", `["kms:Encrypt", "kms:Decrypt"]`, "")), ""},
		{"the key by its ARN", strings.ReplaceAll(keyPolicy(), `"Resource": "*"`, `"Resource": "`+keyARN+`"`), ""},
		{"an account that is mistyped", keyPolicy(allow(strings.Replace(role, owner, "111122223323", 1), use, "")), "account-typo external-linked-role"},
		{"the Spot role under the path of Auto Scaling", keyPolicy(allow(strings.Replace(role, "ForAutoScaling", "ForEC2Spot", 1), use, "")), "linked-role-path"},
		{"another key", strings.ReplaceAll(keyPolicy(), `"Resource": "*"`, `"Resource": "`+keyARN[:len(keyARN)-1]+`9"`), "key-resource"},
		{"an account that is not the principals'", keyPolicy(allow(role, use, `, "Condition": {"StringEquals": {"kms:CallerAccount": "444455556666"}}`)), "caller-account"},
		{"everybody of an account", keyPolicy(allow("*", `"kms:Decrypt"`, `, "Condition": {"StringEquals": {"kms:CallerAccount": "444455556666"}}`)), ""},
		{"everybody of an organization", keyPolicy(allow("*", `"kms:Decrypt"`, `, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}`)), ""},
		{"everybody through EC2", keyPolicy(allow("*", `"kms:Decrypt"`, `, "Condition": {"StringEquals": {"kms:ViaService": "ec2.us-west-2.amazonaws.com"}}`)), "anyone"},
		{"everybody but one organization", keyPolicy(allow("*", `"kms:Decrypt"`, `, "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}`)), "anyone"},
		{"a deny to everybody", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:ScheduleKeyDeletion", "Resource": "*"}`), ""},
		{"a deny by organization hits services that call as themselves", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}}`), "deny-hits-service-principals"},
		{"and nobody with an exemption for them", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}}`), ""},
		{"a deny of grants", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:*Grant*", "Resource": "*"}`), "deny-hits-launches"},
		{"a deny of grants that people make", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:CreateGrant", "Resource": "*", "Condition": {"Bool": {"kms:GrantIsForAWSResource": "false"}}}`), ""},
		{"a deny of re-encryption to a role", keyPolicy(`{"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:role/ci"}, "Action": "kms:ReEncryptFrom", "Resource": "*"}`), "deny-hits-launches"},
		{"a deny of all to a role", keyPolicy(`{"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:role/ci"}, "Action": "kms:*", "Resource": "*"}`), ""},
		{"a deny by VPC", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}`), "deny-hits-services"},
		{"a deny by VPC where there is one", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}, "Null": {"aws:SourceVpc": "false"}}}`), ""},
		{"a deny by VPC of deletion only", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:ScheduleKeyDeletion", "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}`), ""},
		{"a deny by address to one person", keyPolicy(`{"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:user/ana"}, "Action": "kms:*", "Resource": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}`), ""},
		{"a deny of what is not the key's", keyPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "kms:CreateKey", "Resource": "*"}`), "action-not-here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := lint.Check([]byte(tt.doc), lint.Options{Kind: policy.Key, Resource: keyARN})
			if got := rules(found); got != tt.want {
				t.Errorf("found %q, want %q: %+v", got, tt.want, found)
			}
		})
	}
}

// TestOtherKinds has the rules that are about one kind of document, or not about one.
func TestOtherKinds(t *testing.T) {
	tests := []struct {
		name string
		kind policy.Kind
		doc  string
		want string
	}{
		{"a trust policy", policy.Trust, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}}`, ""},
		{"a trust policy for everybody", policy.Trust, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}`, "anyone"},
		{"a trust policy with an external id", policy.Trust, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "x"}}}}`, ""},
		{"an SCP that allows all", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`, ""},
		{"an SCP by region", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*", "Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}}}`, ""},
		{"an SCP by address", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}}`, "deny-hits-services"},
		{"an SCP by address of people only", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:ViaAWSService": "false"}}}}`, ""},
		{"an RCP", policy.RCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}}}`, ""},
		{"an SCP that denies grants", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": ["s3:DeleteBucket", "kms:CreateGrant"], "Resource": "*"}}`, "deny-hits-launches"},
		{"an SCP that denies grants but to tools", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "kms:CreateGrant", "Resource": "*", "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/tools-*"}}}}`, "deny-hits-launches"},
		{"an SCP that denies grants that people make", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "kms:CreateGrant", "Resource": "*", "Condition": {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}}}}`, ""},
		{"an SCP that denies all of KMS", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "kms:*", "Resource": "*"}}`, ""},
		{"an SCP that denies deletion", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*"}}`, ""},
		{"an SCP for service-linked roles", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws-service-role/*"}}}}`, "linked-role-exempt"},
		{"an SCP for others than service-linked roles", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws-service-role/*"}}}}`, ""},
		{"an SCP that allows launches without keys", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["ec2:*", "s3:*"], "Resource": "*"}}`, "launch-incomplete"},
		{"an SCP that allows launches and keys", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["ec2:*", "kms:*"], "Resource": "*"}}`, ""},
		{"an SCP that allows neither", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}`, ""},
		{"an RCP by organization that hits services", policy.RCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": ["kms:*", "sts:*"], "Resource": "*", "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}}}`, "deny-hits-service-principals"},
		{"an RCP on retiring", policy.RCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "kms:RetireGrant", "Resource": "*"}}`, "action-not-here"},
		{"an RCP on instances", policy.RCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "ec2:*", "Resource": "*"}}`, "action-not-here"},
		{"an RCP by address", policy.RCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:ViaAWSService": "false"}}}}`, "deny-hits-volumes"},
		{"a queue for a service and whoever asks it", policy.Resource, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-west-2:111122223333:q"}}`, "confused-deputy"},
		{"a queue for one topic", policy.Resource, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-west-2:111122223333:q", "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-west-2:111122223333:t"}}}}`, ""},
		{"an SCP of 2008", policy.SCP, `{"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}`, "refused"},
		{"an SCP with a principal", policy.SCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}}`, "refused"},
		{"an RCP that allows", policy.RCP, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}`, "refused"},
		{"a session policy", policy.Session, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "` + keyARN + `"}}`, ""},
		{"a long session policy", policy.Session, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "` + keyARN + strings.Repeat("x", 2048) + `"}}`, "too-large"},
		{"not JSON", policy.Key, `{`, "refused"},
		{"a statement that is none", policy.SCP, `{"Version": "2012-10-17", "Statement": 1}`, "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := lint.Check([]byte(tt.doc), lint.Options{Kind: tt.kind})
			if got := rules(found); got != tt.want {
				t.Errorf("found %q, want %q: %+v", got, tt.want, found)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	doc := "{\"Version\": \"2012-10-17\", \"Statement\": [\n" +
		"  {\"Sid\": \"First\", \"Effect\": \"Allow\", \"Action\": \"kms:ListKeys\", \"Resource\": \"*\"},\n" +
		"  {\"Sid\": \"Zweite\", \"Effect\": \"Allow\",\n   \"Action\": [\"kms:Decrypt\", \"kms:ReEncrypt\"],\n" +
		"   \"Resource\": \"" + keyARN + "\",\n   \"Condition\": {\"StringEquals\": {\"aws:PrincipalTag/Stra\u00dfe\": \"x\", \"aws:Nobody\": \"y\"}}}\n]}"
	var got []string
	for _, f := range lint.Check([]byte(doc), lint.Options{}) {
		got = append(got, fmt.Sprintf("%s %d %s %v-%v", f.Rule, f.Statement, f.Sid, f.Range.Start, f.Range.End))
	}
	want := []string{
		"unknown-action 2 Zweite {4 30}-{4 45}",
		"unknown-condition-key 2 Zweite {6 67}-{6 84}",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("places (-want +got):\n%s", d)
	}
}

// TestAWSManagedPolicies shows that the table and the rules take nothing that AWS writes for a
// mistake; what AWS's policies allow on purpose is only warned of. What AWS writes itself is nearly all in order. testdata/managed.txt has each policy in which
// something is found, and the rules; a new version of the policies makes it anew.
func TestAWSManagedPolicies(t *testing.T) {
	var got strings.Builder
	n, linter := 0, lint.New()
	for p := range managed.All() {
		n++
		if found := rules(linter.Check([]byte(p.Document()), lint.Options{})); found != "" {
			fmt.Fprintf(&got, "%s: %s\n", p.Name, found)
		}
	}
	want, err := os.ReadFile("testdata/managed.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		file := filepath.Join(t.ArtifactDir(), "managed.txt")
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Errorf("findings in %d policies (all are in %s): -want +got\n%s", n, file, diff)
	}
}

func TestTheKeyPolicyOfEBSIsInOrder(t *testing.T) {
	for _, region := range []string{"us-west-2", "ap-northeast-1"} {
		w := &lint.World{}
		arn := "arn:aws:kms:" + region + ":" + owner + ":key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"
		if err := w.Add([]byte(`{"KeyMetadata": {"Arn": "` + arn + `", "KeyManager": "AWS"}}`)); err != nil {
			t.Fatal(err)
		}
		if found := lint.Check([]byte(policy.EBSManagedKeyPolicy(owner, region)), lint.Options{Kind: policy.Key, Resource: arn, Known: w}); len(found) > 0 {
			t.Errorf("the policy of aws/ebs has %+v", found)
		}
	}
}

// KMS does not say which principal of a key policy it refuses; the finding does, and is there.
func TestRefusedPrincipals(t *testing.T) {
	for _, principal := range []string{
		`"arn:aws:iam::aws:policy/service-role/AWSServiceRoleForAutoScaling"`,
		`"arn:aws:iam::111122223333:role/app*"`,
		`"app"`,
	} {
		doc := `{"Version": "2012-10-17", "Statement": [
			{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
			{"Effect": "Allow", "Principal": {"AWS": [` + principal + `]}, "Action": "kms:Decrypt", "Resource": "*"}]}`
		at := -1
		for _, f := range lint.Check([]byte(doc), lint.Options{Kind: policy.Key}) {
			if f.Rule == "refused" && strings.Contains(f.Reason.String(), strings.Trim(principal, `"`)) {
				at = f.Range.Start.Line
			}
		}
		if at != 3 {
			t.Errorf("%s is refused at line %d", principal, at)
		}
	}
}
