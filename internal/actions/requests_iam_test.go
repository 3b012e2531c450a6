package actions_test

const (
	boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
	readOnly = "arn:aws:iam::aws:policy/AWSKeyManagementServicePowerUser"
)

// driveIAM: users, roles, policies and instance profiles with tags and boundaries.
func driveIAM(c caller) {
	tags := []in{{"Key": "team", "Value": "red"}}
	doc := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*"}}`
	driveUsers(c, tags, doc)
	driveRoles(c, tags, doc)
	drivePolicies(c, tags, doc)
	driveProfiles(c, tags)
	driveSimulation(c, tags, doc)
	driveGroups(c, doc)
	driveProviders(c, tags)
	c.do("iam:ListPoliciesGrantingServiceAccess", in{"Arn": "arn:aws:iam::111122223333:role/p/app", "ServiceNamespaces": "kms"})
	c.do("iam:UntagUser", in{"UserName": "ana", "TagKeys": "team"})
	c.do("iam:GenerateCredentialReport", in{})
	c.do("iam:GetCredentialReport", in{})
	c.do("iam:CreateAccountAlias", in{"AccountAlias": "red-team"})
	c.do("iam:DeleteAccountAlias", in{"AccountAlias": "red-team"})
	c.do("iam:UpdateAccountPasswordPolicy", in{"RequireNumbers": true})
	c.do("iam:GetAccountPasswordPolicy", in{})
	c.do("iam:DeleteAccountPasswordPolicy", in{})
	for _, list := range []string{"ListVirtualMFADevices", "ListAccountAliases", "GetAccountSummary", "GetAccountAuthorizationDetails"} {
		c.do("iam:"+list, in{})
	}
}

func driveUsers(c caller, tags []in, doc string) {
	user := in{"UserName": "ana"}
	c.do("iam:CreateUser", in{"UserName": "ana", "Path": "/p/", "PermissionsBoundary": boundary, "Tags": tags})
	c.do("iam:GetUser", user)
	c.do("iam:UpdateUser", in{"UserName": "ana", "NewPath": "/q/"})
	c.do("iam:ListUsers", in{})
	c.do("iam:TagUser", in{"UserName": "ana", "Tags": tags})
	c.do("iam:ListUserTags", user)
	c.do("iam:PutUserPolicy", in{"UserName": "ana", "PolicyName": "p", "PolicyDocument": doc})
	c.do("iam:GetUserPolicy", in{"UserName": "ana", "PolicyName": "p"})
	c.do("iam:ListUserPolicies", user)
	c.do("iam:DeleteUserPolicy", in{"UserName": "ana", "PolicyName": "p"})
	c.do("iam:AttachUserPolicy", in{"UserName": "ana", "PolicyArn": readOnly})
	c.do("iam:ListAttachedUserPolicies", user)
	c.do("iam:DetachUserPolicy", in{"UserName": "ana", "PolicyArn": readOnly})
	id := c.do("iam:CreateAccessKey", user).str("AccessKey.AccessKeyId")
	c.do("iam:ListAccessKeys", user)
	c.do("iam:UpdateAccessKey", in{"UserName": "ana", "AccessKeyId": id, "Status": "Inactive"})
	c.do("iam:GetAccessKeyLastUsed", in{"AccessKeyId": id})
	c.do("iam:DeleteAccessKey", in{"UserName": "ana", "AccessKeyId": id})
	c.do("iam:ListGroupsForUser", user)
	driveBelongings(c, tags)
	c.do("iam:PutUserPermissionsBoundary", in{"UserName": "ana", "PermissionsBoundary": boundary})
	c.do("iam:DeleteUserPermissionsBoundary", user)
	c.do("iam:CreateUser", in{"UserName": "bob", "Tags": tags})
	c.do("iam:DeleteUser", in{"UserName": "bob"})
}

func driveGroups(c caller, doc string) {
	group := in{"GroupName": "team"}
	c.do("iam:CreateGroup", in{"GroupName": "team", "Path": "/p/"})
	c.do("iam:UpdateGroup", in{"GroupName": "team", "NewPath": "/q/"})
	c.do("iam:ListGroups", in{})
	c.do("iam:PutGroupPolicy", in{"GroupName": "team", "PolicyName": "p", "PolicyDocument": doc})
	c.do("iam:GetGroupPolicy", in{"GroupName": "team", "PolicyName": "p"})
	c.do("iam:ListGroupPolicies", group)
	c.do("iam:DeleteGroupPolicy", in{"GroupName": "team", "PolicyName": "p"})
	c.do("iam:AttachGroupPolicy", in{"GroupName": "team", "PolicyArn": readOnly})
	c.do("iam:ListAttachedGroupPolicies", group)
	c.do("iam:DetachGroupPolicy", in{"GroupName": "team", "PolicyArn": readOnly})
	c.do("iam:AddUserToGroup", in{"GroupName": "team", "UserName": "ana"})
	c.do("iam:GetGroup", group)
	for _, who := range []string{"user/q/ana", "group/q/team"} {
		c.do("iam:ListPoliciesGrantingServiceAccess", in{"Arn": "arn:aws:iam::111122223333:" + who, "ServiceNamespaces": "kms"})
	}
	for _, who := range []string{"user/q/ana", "group/q/team", "role/p/app"} {
		job := in{"JobId": c.do("iam:GenerateServiceLastAccessedDetails", in{"Arn": "arn:aws:iam::111122223333:" + who}).str("JobId")}
		c.do("iam:GetServiceLastAccessedDetails", job)
	}
	c.do("iam:RemoveUserFromGroup", in{"GroupName": "team", "UserName": "ana"})
	c.do("iam:DeleteGroup", group)
}

func driveRoles(c caller, tags []in, doc string) {
	role := in{"RoleName": "app"}
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	c.do("iam:CreateRole", in{"RoleName": "app", "Path": "/p/", "AssumeRolePolicyDocument": trust, "PermissionsBoundary": boundary, "Tags": tags})
	c.do("iam:GetRole", role)
	c.do("iam:ListRoles", in{})
	c.do("iam:UpdateRole", in{"RoleName": "app", "Description": "d"})
	c.do("iam:UpdateRoleDescription", in{"RoleName": "app", "Description": "e"})
	c.do("iam:UpdateAssumeRolePolicy", in{"RoleName": "app", "PolicyDocument": trust})
	c.do("iam:TagRole", in{"RoleName": "app", "Tags": tags})
	c.do("iam:ListRoleTags", role)
	c.do("iam:PutRolePolicy", in{"RoleName": "app", "PolicyName": "p", "PolicyDocument": doc})
	c.do("iam:GetRolePolicy", in{"RoleName": "app", "PolicyName": "p"})
	c.do("iam:ListRolePolicies", role)
	c.do("iam:DeleteRolePolicy", in{"RoleName": "app", "PolicyName": "p"})
	c.do("iam:AttachRolePolicy", in{"RoleName": "app", "PolicyArn": readOnly})
	c.do("iam:ListAttachedRolePolicies", role)
	c.do("iam:DetachRolePolicy", in{"RoleName": "app", "PolicyArn": readOnly})
	c.do("iam:CreateRole", in{"RoleName": "gone", "AssumeRolePolicyDocument": trust, "PermissionsBoundary": boundary, "Tags": tags})
	c.do("iam:DeleteRole", in{"RoleName": "gone"})
	c.do("iam:PutRolePermissionsBoundary", in{"RoleName": "app", "PermissionsBoundary": boundary})
	c.do("iam:DeleteRolePermissionsBoundary", role)
	c.do("iam:CreateServiceLinkedRole", in{"AWSServiceName": "autoscaling.amazonaws.com", "CustomSuffix": "x"})
	const linked = "AWSServiceRoleForAutoScaling_x"
	c.do("iam:TagRole", in{"RoleName": linked, "Tags": tags})
	task := c.do("iam:DeleteServiceLinkedRole", in{"RoleName": linked}).str("DeletionTaskId")
	c.do("iam:GetServiceLinkedRoleDeletionStatus", in{"DeletionTaskId": task})
	c.do("iam:UntagRole", in{"RoleName": "app", "TagKeys": "team"})
	c.do("iam:TagRole", in{"RoleName": "app", "Tags": tags})
}

func drivePolicies(c caller, tags []in, doc string) {
	arn := "arn:aws:iam::" + home + ":policy/p/own"
	own := in{"PolicyArn": arn}
	c.do("iam:CreatePolicy", in{"PolicyName": "own", "Path": "/p/", "PolicyDocument": doc, "Tags": tags})
	c.do("iam:GetPolicy", own)
	c.do("iam:ListPolicies", in{"Scope": "Local"})
	c.do("iam:ListEntitiesForPolicy", own)
	job := c.do("iam:GenerateServiceLastAccessedDetails", in{"Arn": arn}).str("JobId")
	c.do("iam:GetServiceLastAccessedDetailsWithEntities", in{"JobId": job, "ServiceNamespace": "kms"})
	c.do("iam:TagPolicy", in{"PolicyArn": arn, "Tags": tags})
	c.do("iam:ListPolicyTags", own)
	c.do("iam:CreatePolicyVersion", in{"PolicyArn": arn, "PolicyDocument": doc})
	c.do("iam:GetPolicyVersion", in{"PolicyArn": arn, "VersionId": "v2"})
	c.do("iam:ListPolicyVersions", own)
	c.do("iam:SetDefaultPolicyVersion", in{"PolicyArn": arn, "VersionId": "v2"})
	c.do("iam:DeletePolicyVersion", in{"PolicyArn": arn, "VersionId": "v1"})
	c.do("iam:CreatePolicy", in{"PolicyName": "gone", "PolicyDocument": doc, "Tags": tags})
	c.do("iam:DeletePolicy", in{"PolicyArn": "arn:aws:iam::" + home + ":policy/gone"})
	c.do("iam:UntagPolicy", in{"PolicyArn": arn, "TagKeys": "team"})
}

func driveProfiles(c caller, tags []in) {
	profile := in{"InstanceProfileName": "web"}
	both := in{"InstanceProfileName": "web", "RoleName": "app"}
	c.do("iam:CreateInstanceProfile", in{"InstanceProfileName": "web", "Path": "/p/", "Tags": tags})
	c.do("iam:GetInstanceProfile", profile)
	c.do("iam:ListInstanceProfiles", in{})
	c.do("iam:AddRoleToInstanceProfile", both)
	c.do("iam:ListInstanceProfilesForRole", in{"RoleName": "app"})
	c.do("iam:RemoveRoleFromInstanceProfile", both)
	c.do("iam:TagInstanceProfile", in{"InstanceProfileName": "web", "Tags": tags})
	c.do("iam:ListInstanceProfileTags", profile)
	c.do("iam:CreateInstanceProfile", in{"InstanceProfileName": "gone", "Tags": tags})
	c.do("iam:DeleteInstanceProfile", in{"InstanceProfileName": "gone"})
	c.do("iam:UntagInstanceProfile", in{"InstanceProfileName": "web", "TagKeys": "team"})
	c.do("iam:AddRoleToInstanceProfile", both)
}

// driveSimulation: simulations of a user and a role with tags.
func driveSimulation(c caller, tags []in, doc string) {
	c.do("iam:TagUser", in{"UserName": "ana", "Tags": tags})
	c.do("iam:SimulateCustomPolicy", in{"PolicyInputList": doc, "ActionNames": "kms:ListKeys"})
	c.do("iam:GetContextKeysForCustomPolicy", in{"PolicyInputList": doc})
	for _, who := range []string{"user/q/ana", "role/p/app"} {
		arn := "arn:aws:iam::" + home + ":" + who
		c.do("iam:SimulatePrincipalPolicy", in{"PolicySourceArn": arn, "ActionNames": "kms:ListKeys"})
		c.do("iam:GetContextKeysForPrincipalPolicy", in{"PolicySourceArn": arn})
	}
}
