package actions_test

// Reasons of gaps.
const (
	noFeature             = "kagimori has nothing that it could be about"
	noRoleTemplates       = "there are no role templates"
	noProviders           = "AssumeRole is asked with AWS credentials, never with a token of an identity provider"
	noCopy                = "volumes are not copied from volumes"
	notYet                = "what is made has no id before it is decided"
	localSnapshots        = "snapshots are of regions, not of zones"
	noText                = "permissions are no single value: the EC2 User Guide has the key for texts and numbers only (ec2:Attribute condition key)"
	noPolicy              = "only policies have a type of policy"
	noEndpoints           = "clients cannot come through a VPC endpoint: only package guard knows them"
	noSource              = "services of other organizations do not call"
	noMFA                 = "no caller of this test has a session with MFA"
	noFIDO                = "MFA devices are virtual ones"
	noInstanceCredentials = "instances run nothing that could use the credentials of their role"
	noService             = "no service that kagimori has gives it"
	noPermission          = "it needs no permission"
	noTrails              = "there are no trails, so none is asked for by name"
	noTagsOfReads         = "the operation gives no tags"
	noRate                = "no volume of these requests is filled from its snapshot at a rate of its own"
	noTagsGiven           = "the role does not exist yet and the request gives it no tags"
)

// gaps are the condition keys that the table lists and requests do not carry, each with the reason.
// The reasons are things that kagimori does not have, or that AWS does not have either; a defect would say so.
var gaps = []gap{
	{noTagsOfReads, "aws:RequestTag/${TagKey}", `
		ebs:CompleteSnapshot/snapshot ebs:GetSnapshotBlock/snapshot ebs:ListChangedBlocks/snapshot ebs:ListSnapshotBlocks/snapshot ebs:PutSnapshotBlock/snapshot`},
	{noTagsOfReads, "aws:TagKeys", `
		ebs:CompleteSnapshot/snapshot ebs:GetSnapshotBlock/snapshot ebs:ListChangedBlocks/snapshot ebs:ListSnapshotBlocks/snapshot ebs:PutSnapshotBlock/snapshot`},
	{notYet, "aws:ResourceTag/${TagKey}", "ebs:StartSnapshot/snapshot"},
	{noFeature, "iam:DelegationRequestOwner", `
		iam:AcceptDelegationRequest/delegation-request iam:AssociateDelegationRequest/delegation-request iam:CreateDelegationRequest/delegation-request
		iam:GetDelegationRequest/delegation-request iam:GetHumanReadableSummary/delegation-request iam:RejectDelegationRequest/delegation-request
		iam:SendDelegationToken/delegation-request iam:UpdateDelegationRequest/delegation-request`},
	{noFeature, "autoscaling:CapacityReservationIds", `
		autoscaling:CreateAutoScalingGroup/autoScalingGroup autoscaling:UpdateAutoScalingGroup/autoScalingGroup`},
	{noFeature, "autoscaling:CapacityReservationResourceGroupArns", `
		autoscaling:CreateAutoScalingGroup/autoScalingGroup autoscaling:UpdateAutoScalingGroup/autoScalingGroup`},
	{noFeature, "autoscaling:OperatorPrincipal", "autoscaling:CreateAutoScalingGroup/autoScalingGroup"},
	{noFeature, "autoscaling:TargetCapacityTypes", `
		autoscaling:CreateAutoScalingGroup/autoScalingGroup autoscaling:UpdateAutoScalingGroup/autoScalingGroup autoscaling:StartInstanceRefresh/autoScalingGroup`},
	{noFeature, "ec2:CpuOptionsAmdSevSnp", `
		ec2:AttachNetworkInterface/instance ec2:DetachNetworkInterface/instance
		ec2:ModifyInstanceCreditSpecification/instance ec2:ModifyInstanceMaintenanceOptions/instance ec2:ModifyInstancePlacement/instance
		ec2:CreateReplaceRootVolumeTask/instance
		ec2:AttachVolume/instance ec2:CreateImage/instance ec2:CreateSnapshots/instance ec2:CreateTags/instance
		ec2:DescribeInstanceAttribute/instance ec2:DetachVolume/instance ec2:GetInstanceUefiData/instance
		ec2:ModifyInstanceAttribute/instance ec2:RebootInstances/instance ec2:RunInstances/instance ec2:StartInstances/instance
		ec2:StopInstances/instance ec2:TerminateInstances/instance ec2:AssociateAddress/instance ec2:DisassociateAddress/instance ec2:ModifyInstanceCapacityReservationAttributes/instance ec2:ModifyPrivateDnsNameOptions/instance ec2:AssociateIamInstanceProfile/instance
		ec2:CreateFleet/instance ec2:DisassociateIamInstanceProfile/instance ec2:GetConsoleOutput/instance ec2:GetLaunchTemplateData/instance
		ec2:GetPasswordData/instance ec2:ModifyInstanceMetadataOptions/instance ec2:ModifyInstanceNetworkPerformanceOptions/instance ec2:ModifyInstanceCpuOptions/instance ec2:MonitorInstances/instance ec2:ReplaceIamInstanceProfileAssociation/instance
		ec2:ResetInstanceAttribute/instance ec2:UnmonitorInstances/instance ec2:GetConsoleScreenshot/instance ec2:ModifyInstanceEventStartTime/instance ec2:SendDiagnosticInterrupt/instance`},
	{noFeature, "ec2:ManagedResourceOperator", `
		ec2:AttachNetworkInterface/instance ec2:DetachNetworkInterface/instance
		ec2:ModifyInstanceCreditSpecification/instance ec2:ModifyInstanceMaintenanceOptions/instance ec2:ModifyInstancePlacement/instance
		ec2:CreateReplaceRootVolumeTask/instance
		ec2:CopyVolumes/volume ec2:EnableVolumeIO/volume ec2:ModifyVolume/volume ec2:ModifyVolumeAttribute/volume
		ec2:AttachVolume/instance ec2:AttachVolume/volume ec2:CreateImage/instance
		ec2:CreateLaunchTemplateVersion/launch-template ec2:CreateSnapshot/volume ec2:CreateTags/instance
		ec2:CreateTags/launch-template ec2:CreateTags/network-interface ec2:CreateTags/volume ec2:DeleteLaunchTemplate/launch-template
		ec2:DeleteLaunchTemplateVersions/launch-template ec2:DeleteVolume/volume ec2:DescribeInstanceAttribute/instance
		ec2:DescribeVolumeAttribute/volume ec2:DetachVolume/instance ec2:DetachVolume/volume ec2:GetInstanceUefiData/instance
		ec2:ModifyInstanceAttribute/instance ec2:ModifyLaunchTemplate/launch-template ec2:RebootInstances/instance
		ec2:RunInstances/instance ec2:RunInstances/launch-template ec2:RunInstances/network-interface ec2:RunInstances/volume
		ec2:StartInstances/instance ec2:StopInstances/instance ec2:TerminateInstances/instance ec2:AssociateAddress/instance ec2:DisassociateAddress/instance ec2:ModifyInstanceCapacityReservationAttributes/instance ec2:ModifyPrivateDnsNameOptions/instance
		ec2:AssociateIamInstanceProfile/instance ec2:DisassociateIamInstanceProfile/instance ec2:GetConsoleOutput/instance
		ec2:GetLaunchTemplateData/instance ec2:GetPasswordData/instance ec2:ModifyFleet/launch-template ec2:ModifyInstanceMetadataOptions/instance ec2:ModifyInstanceNetworkPerformanceOptions/instance ec2:ModifyInstanceCpuOptions/instance
		ec2:MonitorInstances/instance ec2:ReplaceIamInstanceProfileAssociation/instance ec2:ResetInstanceAttribute/instance
		ec2:UnmonitorInstances/instance ec2:GetConsoleScreenshot/instance ec2:ModifyInstanceEventStartTime/instance ec2:SendDiagnosticInterrupt/instance`},
	{noFeature, "ec2:ProductCode", `
		ec2:AttachNetworkInterface/instance ec2:DetachNetworkInterface/instance
		ec2:ModifyInstanceCreditSpecification/instance ec2:ModifyInstanceMaintenanceOptions/instance ec2:ModifyInstancePlacement/instance
		ec2:CreateReplaceRootVolumeTask/instance
		ec2:AttachVolume/instance ec2:CopySnapshot/snapshot ec2:CreateImage/instance ec2:CreateTags/instance
		ec2:DescribeInstanceAttribute/instance ec2:DetachVolume/instance ec2:GetInstanceUefiData/instance
		ec2:ModifyInstanceAttribute/instance ec2:RebootInstances/instance ec2:RunInstances/instance
		ec2:TerminateInstances/instance ec2:AssociateAddress/instance ec2:DisassociateAddress/instance ec2:ModifyInstanceCapacityReservationAttributes/instance ec2:ModifyPrivateDnsNameOptions/instance ec2:AssociateIamInstanceProfile/instance ec2:DisassociateIamInstanceProfile/instance
		ec2:GetConsoleOutput/instance ec2:GetLaunchTemplateData/instance ec2:GetPasswordData/instance ec2:ModifyInstanceMetadataOptions/instance ec2:ModifyInstanceNetworkPerformanceOptions/instance ec2:ModifyInstanceCpuOptions/instance
		ec2:MonitorInstances/instance ec2:ReplaceIamInstanceProfileAssociation/instance ec2:ResetInstanceAttribute/instance
		ec2:UnmonitorInstances/instance ec2:GetConsoleScreenshot/instance ec2:ModifyInstanceEventStartTime/instance`},
	{noRate, "ec2:VolumeInitializationRate", `
		ec2:CreateReplaceRootVolumeTask/volume
		ec2:CopyVolumes/volume ec2:ModifyVolume/volume ec2:ModifyVolumeAttribute/volume
		ec2:AttachVolume/volume ec2:CreateSnapshot/volume ec2:CreateSnapshots/volume ec2:CreateTags/volume
		ec2:CreateVolume/volume ec2:DeleteVolume/volume ec2:DescribeVolumeAttribute/volume ec2:DetachVolume/volume
		ec2:RunInstances/volume`},
	{noFeature, "ec2:OutpostArn", `
		ec2:CopySnapshot/snapshot ec2:CreateImage/snapshot ec2:CreateSnapshot/snapshot ec2:CreateSnapshots/snapshot
		ec2:DeleteSnapshot/snapshot ec2:DescribeSnapshotAttribute/snapshot ec2:RegisterImage/snapshot`},
	{noFeature, "ec2:CapacityReservationFleet", `
		ec2:CancelCapacityReservation/capacity-reservation ec2:CreateCapacityReservation/capacity-reservation ec2:ModifyCapacityReservation/capacity-reservation`},
	{noFeature, "ec2:OutpostArn", "ec2:CreateCapacityReservation/capacity-reservation"},
	{noFeature, "ec2:BootModeOverride", "ec2:CreateImage/image"},
	{noFeature, "ec2:SourceOutpostArn", `
		ec2:CreateImage/snapshot ec2:CreateSnapshot/snapshot ec2:CreateSnapshots/snapshot ec2:DescribeSnapshotAttribute/snapshot
		ec2:RegisterImage/snapshot`},
	{noFeature, "ec2:Location", "ec2:CreateSnapshot/snapshot ec2:CreateSnapshots/snapshot"},
	{noFeature, "ec2:SourceAvailabilityZone", "ec2:CreateSnapshot/snapshot ec2:CreateSnapshots/snapshot"},
	{noFeature, "ec2:AuthorizedUser", "ec2:CreateTags/network-interface"},
	{noFeature, "ec2:Permission", "ec2:CreateTags/network-interface"},
	{noFeature, "ec2:NewInstanceProfile", "ec2:GetInstanceUefiData/instance ec2:GetConsoleScreenshot/instance"},
	{noFeature, "ec2:AuthorizedService", "ec2:RunInstances/network-interface"},
	{noRoleTemplates, "iam:RoleTemplateARN", `
		iam:AttachRolePolicy/role iam:CreateRole/role iam:GetRole/role iam:PutRolePermissionsBoundary/role
		iam:PutRolePolicy/role iam:TagRole/role`},
	{noProviders, "accounts.google.com:aud", "sts:AssumeRole/role"},
	{noProviders, "accounts.google.com:sub", "sts:AssumeRole/role"},
	{noProviders, "cognito-identity.amazonaws.com:amr", "sts:AssumeRole/role"},
	{noProviders, "cognito-identity.amazonaws.com:aud", "sts:AssumeRole/role"},
	{noProviders, "cognito-identity.amazonaws.com:sub", "sts:AssumeRole/role"},
	{noProviders, "graph.facebook.com:app_id", "sts:AssumeRole/role"},
	{noProviders, "graph.facebook.com:id", "sts:AssumeRole/role"},
	{noProviders, "saml:namequalifier", "sts:AssumeRole/role"},
	{noProviders, "saml:sub", "sts:AssumeRole/role"},
	{noProviders, "saml:sub_type", "sts:AssumeRole/role"},
	{noProviders, "www.amazon.com:app_id", "sts:AssumeRole/role"},
	{noProviders, "www.amazon.com:user_id", "sts:AssumeRole/role"},
	{noCopy, "ec2:ParentVolume", `
		ec2:AttachVolume/volume ec2:CreateSnapshot/volume ec2:CreateTags/volume ec2:DeleteVolume/volume
		ec2:DescribeVolumeAttribute/volume ec2:DetachVolume/volume`},
	{noFeature, "ec2:Quantity", "ec2:CreateTags/dedicated-host"},
	{notYet, "ec2:DhcpOptionsID", "ec2:CreateDhcpOptions/dhcp-options"},
	{notYet, "ec2:InternetGatewayID", "ec2:CreateInternetGateway/internet-gateway"},
	{notYet, "ec2:NetworkInterfaceID", "ec2:CreateNetworkInterface/network-interface"},
	{notYet, "ec2:NetworkAclID", "ec2:CreateNetworkAcl/network-acl"},
	{notYet, "ec2:RouteTableID", "ec2:CreateRouteTable/route-table"},
	{notYet, "ec2:ImageID", "ec2:CreateImage/image ec2:RegisterImage/image"},
	{notYet, "ec2:SnapshotID", "ec2:CreateImage/snapshot ec2:CreateSnapshot/snapshot ec2:CreateSnapshots/snapshot"},
	{notYet, "ec2:SnapshotTime", "ec2:CreateImage/snapshot"},
	{notYet, "ec2:VolumeID", "ec2:CreateReplaceRootVolumeTask/volume ec2:CreateVolume/volume ec2:RunInstances/volume ec2:CreateFleet/volume"},
	{notYet, "ec2:InstanceID", "ec2:RunInstances/instance ec2:CreateFleet/instance"},
	{notYet, "ec2:NetworkInterfaceID", "ec2:RunInstances/network-interface"},
	{notYet, "ec2:AllocationId", "ec2:AllocateAddress/elastic-ip"},
	{notYet, "ec2:PublicIpAddress", "ec2:AllocateAddress/elastic-ip"},
	{notYet, "ec2:SecurityGroupID", "ec2:CreateSecurityGroup/security-group"},
	{notYet, "ec2:VpcPeeringConnectionID", "ec2:CreateVpcPeeringConnection/vpc-peering-connection"},
	{notYet, "ec2:SubnetID", "ec2:CreateSubnet/subnet"},
	{noFeature, "ec2:Ipv4IpamPoolId", "ec2:AssociateVpcCidrBlock/vpc ec2:CreateVpc/vpc"},
	{noFeature, "ec2:Ipv6IpamPoolId", "ec2:AssociateVpcCidrBlock/vpc ec2:CreateVpc/vpc"},
	{notYet, "ec2:VpcID", "ec2:CreateVpc/vpc"},
	{localSnapshots, "ec2:AvailabilityZone", "ec2:DeleteSnapshot/snapshot ec2:ModifySnapshotAttribute/snapshot"},
	{noText, "ec2:Attribute/${AttributeName}", `
		ec2:DescribeNetworkInterfaceAttribute/network-interface ec2:ResetNetworkInterfaceAttribute/network-interface ec2:ModifySnapshotAttribute/snapshot ec2:ResetImageAttribute/image ec2:ResetSnapshotAttribute/snapshot ec2:ResetAddressAttribute/elastic-ip`},
	{noPolicy, "organizations:PolicyType", `
		organizations:ListTagsForResource/account organizations:ListTagsForResource/organizationalunit
		organizations:ListTagsForResource/resourcepolicy organizations:ListTagsForResource/root
		organizations:TagResource/account organizations:TagResource/organizationalunit organizations:TagResource/resourcepolicy
		organizations:TagResource/root organizations:UntagResource/account organizations:UntagResource/organizationalunit
		organizations:UntagResource/resourcepolicy organizations:UntagResource/root`},
	{noEndpoints, "aws:SourceVpc", "any"},
	{noEndpoints, "aws:SourceVpcArn", "any"},
	{noEndpoints, "aws:SourceVpce", "any"},
	{noEndpoints, "aws:VpcSourceIp", "any"},
	{noEndpoints, "aws:VpceAccount", "any"},
	{noEndpoints, "aws:VpceOrgID", "any"},
	{noEndpoints, "aws:VpceOrgPaths", "any"},
	{noSource, "aws:SourceOrgID", "any"},
	{noSource, "aws:SourceOrgPaths", "any"},
	{noSource, "aws:SourceOwner", "any"},
	{noMFA, "aws:MultiFactorAuthAge", "any"},
	{noFIDO, "iam:FIDO-FIPS-140-2-certification", "iam:EnableMFADevice/user"},
	{noFIDO, "iam:FIDO-FIPS-140-3-certification", "iam:EnableMFADevice/user"},
	{noFIDO, "iam:FIDO-certification", "iam:EnableMFADevice/user"},
	{noFIDO, "iam:RegisterSecurityKey", "iam:EnableMFADevice/user"},
	{noInstanceCredentials, "aws:Ec2InstanceSourcePrivateIPv4", "any"},
	{noInstanceCredentials, "aws:Ec2InstanceSourceVpc", "any"},
	{noInstanceCredentials, "ec2:RoleDelivery", "any"},
	{noService, "aws:AssumedRoot", "any"},
	{noService, "aws:CalledViaAWSMCP", "any"},
	{noService, "aws:ChatbotSourceArn", "any"},
	{noService, "aws:IsMcpServiceAction", "any"},
	{noService, "aws:ViaAWSMCPService", "any"},
	{noService, "aws:referer", "any"},
	{noService, "glue:CredentialIssuingService", "any"},
	{noService, "glue:RoleAssumedBy", "any"},
	{noService, "identitystore:UserId", "any"},
	{noService, "lambda:SourceFunctionArn", "any"},
	{noService, "ssm:SourceInstanceArn", "any"},
	{noPermission, "", "sts:GetCallerIdentity"},
	{noTrails, "", "cloudtrail:GetTrailStatus/trail"},
	{noTagsGiven, "aws:ResourceTag/${TagKey}", "iam:CreateServiceLinkedRole/role"},
	{noTagsGiven, "iam:ResourceTag/${TagKey}", "iam:CreateServiceLinkedRole/role"},
	{listed, "", "iam:ListGroups iam:ListInstanceProfiles iam:ListOpenIDConnectProviders iam:ListRoles iam:ListSAMLProviders iam:ListServerCertificates iam:ListUsers iam:ListVirtualMFADevices"},
}

// listed is why lists of IAM are decided on an ARN.
const listed = "AWS's denials name the ARN that the resources have in common, though the Service Authorization Reference has no resource type for the action"

// beyondTheTable is what is decided although the table does not have it, with the reason.
var beyondTheTable = map[string]string{
	"iam:ListGroups on arn:aws:iam::111122223333:group/":                          listed,
	"iam:ListInstanceProfiles on arn:aws:iam::111122223333:instance-profile/":     listed,
	"iam:ListOpenIDConnectProviders on arn:aws:iam::111122223333:oidc-provider/":  listed,
	"iam:ListRoles on arn:aws:iam::111122223333:role/":                            listed,
	"iam:ListSAMLProviders on arn:aws:iam::111122223333:saml-provider/":           listed,
	"iam:ListServerCertificates on arn:aws:iam::111122223333:server-certificate/": listed,
	"iam:ListUsers on arn:aws:iam::111122223333:user/":                            listed,
	"iam:ListVirtualMFADevices on arn:aws:iam::111122223333:mfa/":                 listed,
	"sts:TagSession on arn:aws:sts::111122223333:federated-user/bob":              "the IAM User Guide has it for tags of GetFederationToken (Passing session tags in AWS STS)",
}
