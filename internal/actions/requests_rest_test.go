package actions_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"testing"

	"github.com/kagimori/kagimori/internal/testkit"
)

// management is the account that manages the organization of a development server.
const management = "000000000000"

// driveRest: organizations, cloudtrail, and why something was denied. What cannot succeed here is
// decided before it is refused.
func driveRest(t *testing.T, s *testkit.Server, c caller) {
	driveOrganizations(newCaller(t, s, testkit.Admin(management)))
	c.do("cloudtrail:LookupEvents", in{})
	c.do("cloudtrail:DescribeTrails", in{})
	c.do("cloudtrail:ListTrails", in{})
	c.try("cloudtrail:GetTrailStatus", in{"Name": "t"})
	c.try("kagimori:GetAuthorizationDetails", in{"AuthorizationId": "0"})
	c.try("kagimori:GetRequestAuthorizationDetails", in{"AuthorizationId": "0"})
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}}`
	c.do("access-analyzer:ValidatePolicy", in{"PolicyDocument": document, "PolicyType": "IDENTITY_POLICY"})
	c.do("access-analyzer:CheckAccessNotGranted", in{"PolicyDocument": document, "PolicyType": "IDENTITY_POLICY", "Access": []in{{"Actions": "s3:*"}}})
	c.do("access-analyzer:CheckNoNewAccess", in{"NewPolicyDocument": document, "ExistingPolicyDocument": document, "PolicyType": "IDENTITY_POLICY"})
	c.do("access-analyzer:CheckNoPublicAccess", in{"PolicyDocument": document, "ResourceType": "AWS::KMS::Key"})
	c.try("kagimori:ExplainResource", in{"ResourceId": "i-0"})
	key := "arn:aws:kms:us-east-1:" + home + ":key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"
	c.do("kagimori:ListXksCredentials", in{})
	c.try("kagimori:CreateXksCredential", in{"RoleArn": "arn:aws:iam::" + home + ":role/nobody", "KeyArns": []string{key}})
	c.try("kagimori:DeleteXksCredential", in{"AccessKeyId": "KXKSAAAAAAAAAAAAAAAA"})
	c.try("kagimori:WhoCan", in{"Action": "kms:Decrypt", "KeyArn": key})
	c.try("kagimori:WhatCan", in{"Principal": "arn:aws:iam::" + home + ":user/admin"})
	c.try("kagimori:PredictImpact", in{"Change": in{"Type": "DISABLE_KEY", "KeyId": key}})
	edits := []in{{"Type": "ADD_USER", "Principal": "arn:aws:iam::" + home + ":role/web"}}
	c.do("kagimori:ViewKeyPolicy", in{"Policy": document})
	c.do("kagimori:EditKeyPolicy", in{"Policy": document, "Edits": edits})
	c.do("kagimori:CompareKeyPolicies", in{"Before": document, "After": document})
	c.try("kagimori:CheckLaunch", in{"Input": "{}"})
	metric := in{"Namespace": "n", "MetricName": "m", "AlarmName": "a", "Threshold": 1.0, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}
	c.do("kagimori:PutMetricAlarm", metric)
	c.do("kagimori:PutMetricData", in{"Namespace": "n", "MetricData": []in{{"MetricName": "m", "Value": 1.0}}})
	c.do("kagimori:ListMetricAlarms", in{})
	c.do("kagimori:DeleteMetricAlarm", in{"AlarmName": "a"})
	c.try("kagimori:RecommendRebalance", in{"InstanceId": "i-0"})
	c.try("sts:DecodeAuthorizationMessage", in{"EncodedMessage": "none"})
}

func driveOrganizations(c caller) {
	const scp = "SERVICE_CONTROL_POLICY"
	tags := []in{{"Key": "team", "Value": "red"}}
	c.do("organizations:DescribeOrganization", in{})
	root := c.do("organizations:ListRoots", in{}).str("Roots.0.Id")
	c.do("organizations:TagResource", in{"ResourceId": root, "Tags": tags})
	c.do("organizations:TagResource", in{"ResourceId": root, "Tags": tags})
	c.do("organizations:ListTagsForResource", in{"ResourceId": root})
	made := c.do("organizations:CreateAccount", in{"Email": "a@example.com", "AccountName": "a", "Tags": tags})
	status := c.do("organizations:DescribeCreateAccountStatus", in{"CreateAccountRequestId": made.str("CreateAccountStatus.Id")})
	account := status.str("CreateAccountStatus.AccountId")
	c.do("organizations:ListCreateAccountStatus", in{})
	c.do("organizations:DescribeAccount", in{"AccountId": account})
	c.do("organizations:ListAccounts", in{})
	unit := c.do("organizations:CreateOrganizationalUnit", in{"ParentId": root, "Name": "u", "Tags": tags}).str("OrganizationalUnit.Id")
	c.do("organizations:DescribeOrganizationalUnit", in{"OrganizationalUnitId": unit})
	c.do("organizations:UpdateOrganizationalUnit", in{"OrganizationalUnitId": unit, "Name": "v"})
	c.do("organizations:MoveAccount", in{"AccountId": account, "SourceParentId": root, "DestinationParentId": unit})
	for _, parent := range []string{root, unit} {
		c.do("organizations:ListAccountsForParent", in{"ParentId": parent})
		c.do("organizations:ListOrganizationalUnitsForParent", in{"ParentId": parent})
		c.do("organizations:ListChildren", in{"ParentId": parent, "ChildType": "ACCOUNT"})
	}
	for _, child := range []string{unit, account} {
		c.do("organizations:ListParents", in{"ChildId": child})
	}
	c.do("organizations:EnablePolicyType", in{"RootId": root, "PolicyType": "RESOURCE_CONTROL_POLICY"})
	c.do("organizations:DisablePolicyType", in{"RootId": root, "PolicyType": "RESOURCE_CONTROL_POLICY"})
	id := c.do("organizations:CreatePolicy", in{
		"Name": "p", "Description": "d", "Type": scp, "Tags": tags,
		"Content": `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:DeleteAlias","Resource":"*"}}`,
	}).str("Policy.PolicySummary.Id")
	c.do("organizations:DescribePolicy", in{"PolicyId": id})
	c.do("organizations:UpdatePolicy", in{"PolicyId": id, "Name": "q"})
	c.do("organizations:ListPolicies", in{"Filter": scp})
	for _, target := range []string{root, unit, account} {
		c.do("organizations:AttachPolicy", in{"PolicyId": id, "TargetId": target})
		c.do("organizations:ListPoliciesForTarget", in{"TargetId": target, "Filter": scp})
		c.do("organizations:ListTargetsForPolicy", in{"PolicyId": id})
		c.do("organizations:DetachPolicy", in{"PolicyId": id, "TargetId": target})
	}
	for _, tagged := range []string{unit, account, id} {
		c.do("organizations:TagResource", in{"ResourceId": tagged, "Tags": tags})
		c.do("organizations:ListTagsForResource", in{"ResourceId": tagged})
		c.do("organizations:UntagResource", in{"ResourceId": tagged, "TagKeys": "team"})
	}
	c.do("organizations:UntagResource", in{"ResourceId": root, "TagKeys": "team"})
	for _, id := range []string{unit, id} { // what is deleted has tags
		c.do("organizations:TagResource", in{"ResourceId": id, "Tags": tags})
	}
	c.do("organizations:DeletePolicy", in{"PolicyId": id})
	put := c.do("organizations:PutResourcePolicy", in{
		"Content": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"organizations:List*","Resource":"*"}}`, "Tags": tags,
	})
	c.do("organizations:DescribeResourcePolicy", in{})
	c.do("organizations:TagResource", in{"ResourceId": put.str("ResourcePolicy.ResourcePolicySummary.Id"), "Tags": tags})
	c.do("organizations:ListTagsForResource", in{"ResourceId": put.str("ResourcePolicy.ResourcePolicySummary.Id")})
	c.do("organizations:UntagResource", in{"ResourceId": put.str("ResourcePolicy.ResourcePolicySummary.Id"), "TagKeys": "team"})
	c.do("organizations:DeleteResourcePolicy", in{})
	c.do("organizations:MoveAccount", in{"AccountId": account, "SourceParentId": unit, "DestinationParentId": root})
	c.do("organizations:DeleteOrganizationalUnit", in{"OrganizationalUnitId": unit})
	c.do("organizations:TagResource", in{"ResourceId": account, "Tags": tags})
	c.do("organizations:CloseAccount", in{"AccountId": account})
	c.do("organizations:CreateOrganization", in{"FeatureSet": "ALL"})
	c.refused("organizations:DeleteOrganization", "OrganizationNotEmptyException", in{})
}

// driveEBS: a snapshot with a parent and tags, written and read.
func driveEBS(s *testkit.Server, c caller) {
	data := make([]byte, 512<<10)
	sum := sha256.Sum256(data)
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	made := func(parent in) string {
		start := in{"VolumeSize": int64(1), "Description": "d", "Tags": []in{{"Key": "team", "Value": "red"}}}
		maps.Copy(start, parent)
		id := c.do("ebs:StartSnapshot", start).str("SnapshotId")
		c.do("ebs:PutSnapshotBlock", in{
			"SnapshotId": id, "BlockIndex": 0, "BlockData": data, "DataLength": len(data), "Checksum": checksum, "ChecksumAlgorithm": "SHA256",
		})
		c.do("ebs:CompleteSnapshot", in{"SnapshotId": id, "ChangedBlocksCount": 1})
		return id
	}
	first := made(in{})
	second := made(in{"ParentSnapshotId": first})
	token := c.do("ebs:ListSnapshotBlocks", in{"SnapshotId": second}).str("Blocks.0.BlockToken")
	c.do("ebs:GetSnapshotBlock", in{"SnapshotId": second, "BlockIndex": 0, "BlockToken": token})
	c.do("ebs:ListChangedBlocks", in{"FirstSnapshotId": first, "SecondSnapshotId": second})
}
