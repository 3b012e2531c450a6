package app_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/testkit"
)

// needNone are the operations that need no permission. Source: STS API Reference, GetCallerIdentity
// and GetSessionToken.
var needNone = []string{"sts:GetCallerIdentity", "sts:GetSessionToken"}

// plausible fills what an operation requires, and the members that known names.
func plausible(v reflect.Value, known map[string]string) {
	for i := range v.NumField() {
		f, field := v.Field(i), v.Type().Field(i)
		value, ok := known[field.Name]
		if field.Name == "KeySpec" || field.Name == "InstanceId" && !strings.Contains(field.Tag.Get("aws")+",", ",req,") {
			continue // excludes NumberOfBytes, or says how something else is made
		}
		if !ok && !strings.Contains(field.Tag.Get("aws")+",", ",req,") {
			continue
		}
		switch {
		case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Struct:
			f.Set(reflect.New(f.Type().Elem()))
			if f.Type().String() != "*time.Time" {
				plausible(f.Elem(), known)
			}
		case f.Kind() == reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
			switch e := f.Elem(); e.Kind() {
			case reflect.String:
				if !ok {
					value = "x"
				}
				e.SetString(value)
			case reflect.Int32, reflect.Int64:
				e.SetInt(7)
			}
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Uint8:
			f.SetBytes([]byte("bytes of the request"))
		case f.Kind() == reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			switch e := f.Index(0); e.Kind() {
			case reflect.String:
				if !ok {
					value = "x"
				}
				e.SetString(value)
			case reflect.Struct:
				plausible(e, known)
			}
		}
	}
}

// oneOfEverything makes resources in an account; it gives values of members of requests.
func oneOfEverything(s *testkit.Server, admin testkit.Clients, account string) map[string]string {
	key := testkit.Call[kmsapi.CreateKeyResponse](admin.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	testkit.Must(admin.KMS, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/mine"), TargetKeyId: key.KeyId})
	grant := testkit.Call[kmsapi.CreateGrantResponse](admin.KMS, "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: key.KeyId, GranteePrincipal: new("arn:aws:iam::" + account + ":user/admin"), Operations: []string{"Decrypt"}})
	vol := testkit.Call[ec2api.Volume](admin.EC2, "CreateVolume", &ec2api.CreateVolumeRequest{AvailabilityZone: new("us-east-1a"), Size: new(int32(1))})
	s.Advance(time.Minute)
	snap := testkit.Call[ec2api.Snapshot](admin.EC2, "CreateSnapshot", &ec2api.CreateSnapshotRequest{VolumeId: vol.VolumeId})
	s.Advance(time.Minute)
	image := testkit.Call[ec2api.RegisterImageResult](admin.EC2, "RegisterImage", &ec2api.RegisterImageRequest{
		Name: new("image"), RootDeviceName: new("/dev/xvda"), Architecture: new("x86_64"), VirtualizationType: new("hvm"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2api.EbsBlockDevice{SnapshotId: snap.SnapshotId}}}})
	run := testkit.Call[ec2api.Reservation](admin.EC2, "RunInstances", &ec2api.RunInstancesRequest{
		ImageId: image.ImageId, MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: new("t3.micro")})
	s.Advance(time.Minute)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	testkit.Call[iamapi.CreateRoleResponse](admin.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: new("r"), AssumeRolePolicyDocument: &trust})
	pol := testkit.Call[iamapi.CreatePolicyResponse](admin.IAM, "CreatePolicy", &iamapi.CreatePolicyRequest{PolicyName: new("pol"), PolicyDocument: &allow}).Policy
	testkit.Call[iamapi.CreateInstanceProfileResponse](admin.IAM, "CreateInstanceProfile", &iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("ip")})
	known := map[string]string{
		"KeyId": *key.KeyId, "DestinationKeyId": *key.KeyId, "TargetKeyId": *key.KeyId, "AliasName": "alias/mine", "GrantId": *grant.GrantId,
		"GranteePrincipal": "arn:aws:iam::" + account + ":user/nobody", "RetiringPrincipal": "arn:aws:iam::" + account + ":user/nobody",
		"VolumeId": *vol.VolumeId, "SnapshotId": *snap.SnapshotId, "SourceSnapshotId": *snap.SnapshotId, "SourceRegion": testkit.Region,
		"AvailabilityZone": "us-east-1a", "Size": "", "RoleName": "r", "PolicyArn": *pol.Arn, "InstanceProfileName": "ip",
		"RoleArn": "arn:aws:iam::" + account + ":role/r", "RoleSessionName": "session", "PolicyDocument": allow, "AssumeRolePolicyDocument": trust,
		"Policy": allow, "PolicySourceArn": "arn:aws:iam::" + account + ":user/admin", "Principal": "arn:aws:iam::" + account + ":user/admin",
		"KeyArn": *key.Arn, "KeyArns": *key.Arn, "Action": "kms:Decrypt", "UserName": "admin", "VersionId": "v1", "AWSServiceName": "autoscaling.amazonaws.com",
		"ActionNames": "kms:Decrypt", "PolicyInputList": allow, "Content": allow, "AccountId": account, "Type": "SERVICE_CONTROL_POLICY", "AccountAlias": "alias",
		"PolicyType": "SERVICE_CONTROL_POLICY", "PolicyId": "p-FullAWSAccess", "TargetId": account, "ChildId": account, "ParentId": "r-kgmr", "RootId": "r-kgmr",
	}
	maps.Copy(known, map[string]string{
		"Name": "name", "AccessKeyId": account + "ABCDEFGH", "Status": "Inactive", "PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess",
		"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
		"KeyPairSpec":     "ECC_NIST_P256", "MacAlgorithm": "HMAC_SHA_256", "EncapsulationAlgorithm": "ML_KEM", "KeyAgreementAlgorithm": "ECDH",
		"SigningAlgorithm": "ECDSA_SHA_256", "ReplicaRegion": "eu-west-1", "PrimaryRegion": "eu-west-1", "NumberOfBytes": "", "CiphertextBlob": "",
		"Operations": "Decrypt", "Email": "a@example.com", "OrganizationalUnitId": "ou-kgmr-abcdefgh", "CreateAccountRequestId": "car-abcdefgh",
		"ChildType": "ACCOUNT", "SourceParentId": "r-kgmr", "DestinationParentId": "r-kgmr", "HealthStatus": "Unhealthy",
		"AttributeNames": "all", "InstanceIds": *run.Instances[0].InstanceId, "InstanceId": *run.Instances[0].InstanceId, "Resources": *vol.VolumeId,
		"LaunchTemplateData": "", "ImageId": *image.ImageId, "SourceImageId": *image.ImageId, "Tags": "", "Key": "k", "LaunchTemplateName": "template", "InstanceType": "t3.micro",
	})
	maps.Copy(known, map[string]string{
		"SerialNumber": "arn:aws:iam::" + account + ":mfa/phone", "AuthenticationCode1": "000000", "AuthenticationCode2": "000000",
		"OpenIDConnectProviderArn": "arn:aws:iam::" + account + ":oidc-provider/issuer", "SAMLProviderArn": "arn:aws:iam::" + account + ":saml-provider/idp",
		"Url": "https://issuer", "SAMLMetadataDocument": `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x">` + strings.Repeat(" ", 1000) + "</EntityDescriptor>",
		"ServiceSpecificCredentialId": "ACCAAAAAAAAAAAAAAAAAA", "CertificateId": strings.Repeat("A", 24), "SSHPublicKeyId": "APKAAAAAAAAAAAAAAAAAA",
		"AutoScalingGroupName": "g", "AdjustmentType": "ChangeInCapacity", "Granularity": "1Minute", "Recurrence": "0 0 * * *", "PolicyName": "p",
		"TargetGroupARNs": "arn:aws:elasticloadbalancing:us-east-1:" + account + ":targetgroup/t/1", "TopicARN": "arn:aws:sns:us-east-1:" + account + ":t",
		"NotificationTypes": "autoscaling:TEST_NOTIFICATION", "ComparisonOperator": "GreaterThanThreshold", "Metrics": "GroupMinSize", "ScalingAdjustment": "",
		"Encoding": "SSH", "ThumbprintList": strings.Repeat("0", 40), "Arn": "arn:aws:iam::" + account + ":user/admin",
		"JobId": strings.Repeat("1", 36), "EntityPath": "o-kagimori00/r-kgmr", "GlobalEndpointTokenVersion": "v2Token", "TargetPrincipal": account,
		"HandshakeId": "h-00000000", "ServicePrincipal": "config.amazonaws.com",
		"DelegationRequestId": strings.Repeat("1", 16), "EntityArn": "arn:aws:iam::" + account + ":delegation-request/" + strings.Repeat("1", 16),
		"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048",
		"DeletionTaskId": "task/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling/" + strings.Repeat("1", 36),
	})
	return known
}

// attributes are good values of the member Attribute.
var attributes = map[string]string{
	"DescribeImageAttribute": "launchPermission", "DescribeInstanceAttribute": "userData", "DescribeSnapshotAttribute": "createVolumePermission",
	"DescribeVolumeAttribute": "autoEnableIO", "DescribeVpcAttribute": "enableDnsSupport", "ResetImageAttribute": "launchPermission",
	"ResetSnapshotAttribute": "createVolumePermission",
}

// ec2Members are good values of members of requests to EC2, by operation.
var ec2Members = map[string]map[string]string{
	"CreateVpc": {"CidrBlock": "10.0.0.0/16"}, "CreateSubnet": {"CidrBlock": "10.0.0.0/24", "VpcId": "vpc-00000000"},
	"CreatePlacementGroup": {"GroupName": "g"}, "DeleteSecurityGroup": {"GroupId": "sg-00000000"}, "DeleteKeyPair": {"KeyName": "k"},
	"ReleaseAddress": {"AllocationId": "eipalloc-00000000"}, "ModifyVpcAttribute": {"VpcId": "vpc-00000000", "EnableDnsSupport": ""},
	"RevokeSecurityGroupIngress":    {"GroupId": "sg-00000000", "SecurityGroupRuleIds": "sgr-00000000"},
	"RevokeSecurityGroupEgress":     {"GroupId": "sg-00000000", "SecurityGroupRuleIds": "sgr-00000000"},
	"AuthorizeSecurityGroupIngress": {"GroupId": "sg-00000000", "IpProtocol": "-1", "CidrIp": "10.0.0.0/8"},
	"AuthorizeSecurityGroupEgress":  {"GroupId": "sg-00000000", "IpProtocol": "-1", "CidrIp": "10.0.0.0/8"},
	"RequestSpotInstances":          {"Type": "one-time", "LaunchSpecification": ""}, "RequestSpotFleet": {"Type": "request"},
	"ResetInstanceAttribute": {"Attribute": "sourceDestCheck"}, "ModifyInstanceAttribute": {"Attribute": ""},
	"ModifySnapshotAttribute": {"Attribute": "createVolumePermission", "UserIds": "111122223333", "OperationType": "add"}, "DescribeAccountAttributes": {"AttributeNames": "default-vpc"},
	"EnableSnapshotBlockPublicAccess": {"State": "block-all-sharing"}, "EnableImageBlockPublicAccess": {"ImageBlockPublicAccessState": "block-new-sharing"},
	"ModifyImageAttribute": {"Attribute": "launchPermission", "UserIds": "111122223333", "OperationType": "add"}, "CreateTags": {"Value": "v"},
	"EnableFastSnapshotRestores": {"AvailabilityZones": "us-east-1a"}, "DisableFastSnapshotRestores": {"AvailabilityZones": "us-east-1a"},
	"LockSnapshot": {"LockMode": "governance"}, "AssociateIamInstanceProfile": {"Arn": "", "Name": "ip"},
}

// A user without permissions, in an account that has one of everything, is served nothing, and a dry
// run does nothing.
func TestNothingIsServedWithoutAPermission(t *testing.T) {
	const account = "444455556666"
	s := testkit.Start(t, testkit.Options{})
	admin := s.As(testkit.Admin(account))
	known := oneOfEverything(s, admin, account)
	nobody := reviewUser(t, s, account, "nobody", "")
	decided, dried, other := 0, 0, map[string][]string{}
	for _, x := range []struct {
		as, can *testkit.Client
		svc     *api.Service
	}{
		{nobody.KMS, admin.KMS, kmsapi.Service()}, {nobody.IAM, admin.IAM, iamapi.Service()}, {nobody.STS, admin.STS, stsapi.Service()}, {nobody.EC2, admin.EC2, ec2api.Service()},
		{nobody.AutoScaling, admin.AutoScaling, autoscalingapi.Service()}, {nobody.Organizations, admin.Organizations, organizationsapi.Service()},
		{nobody.CloudTrail, admin.CloudTrail, cloudtrailapi.Service()}, {nobody.Kagimori, admin.Kagimori, kagimoriapi.Service()},
		{nobody.AccessAnalyzer, admin.AccessAnalyzer, accessanalyzerapi.Service()},
	} {
		for name, op := range x.svc.Operations {
			in := op.NewInput()
			known["Attribute"], known["ResourceId"], known["Filter"] = attributes[name], known["VolumeId"], "User"
			known["PolicyType"], known["Type"] = "SERVICE_CONTROL_POLICY", "SERVICE_CONTROL_POLICY"
			switch x.svc.Name {
			case "organizations":
				known["ResourceId"], known["Filter"] = account, "SERVICE_CONTROL_POLICY"
			case "access-analyzer":
				known["PolicyType"], known["ResourceType"] = "IDENTITY_POLICY", "AWS::KMS::Key"
			case "kagimori":
				known["Type"] = "ADD_ADMINISTRATOR"
			case "autoscaling":
				known["PolicyType"], known["Type"], known["TrafficSourceType"] = "SimpleScaling", "elb", "elb"
			}
			with := maps.Clone(known)
			if x.svc.Name == "ec2" {
				maps.Copy(with, ec2Members[name])
			}
			with["SourceSnapshotIds"] = with["SnapshotId"]
			if name == "CopyVolumes" {
				with["SourceVolumeId"] = with["VolumeId"]
			}
			plausible(reflect.ValueOf(in).Elem(), with)
			switch r := in.(type) { // what no member's name says
			case *ec2api.ModifyVpcAttributeRequest:
				r.EnableDnsHostnames, r.EnableNetworkAddressUsageMetrics = nil, nil
				r.EnableDnsSupport = &ec2api.AttributeBooleanValue{Value: new(true)}
			case *ec2api.ModifyInstanceAttributeRequest:
				*r = ec2api.ModifyInstanceAttributeRequest{InstanceId: new(known["InstanceId"]), DisableApiStop: &ec2api.AttributeBooleanValue{Value: new(true)}}
			case *ec2api.AssociateAddressRequest:
				r.InstanceId = new(known["InstanceId"])
				r.AllocationId = new("eipalloc-00000000")
			case *iamapi.CreateDelegationRequestRequest:
				r.Permissions = &iamapi.DelegationPermission{PolicyTemplateArn: new("arn:aws:iam:::delegation-template/acme/x")}
				r.RequestorWorkflowId, r.NotificationChannel, r.SessionDuration = new("workflow"), new("arn:aws:sns:us-east-1:"+account+":t"), new(int32(3600))
			case *organizationsapi.InviteAccountToOrganizationRequest:
				r.Target = &organizationsapi.HandshakeParty{Id: new(secret.String(account)), Type: new("ACCOUNT")}
			case *organizationsapi.DescribeEffectivePolicyRequest:
				r.PolicyType = new("TAG_POLICY")
			case *stsapi.GetWebIdentityTokenRequest:
				r.SigningAlgorithm = new("ES384")
			}
			var out any
			if op.NewOutput != nil {
				out = op.NewOutput()
			}
			if dry := reflect.ValueOf(in).Elem().FieldByName("DryRun"); dry.IsValid() {
				dry.Set(reflect.ValueOf(new(true)))
				if err := x.as.Do(t.Context(), name, in, out); err == nil || strings.HasPrefix(apierr.Code(err), "DryRun") {
					t.Errorf("a dry run of %s would have succeeded: %v", name, err)
				}
				if err := x.can.Do(t.Context(), name, in, out); err == nil {
					t.Errorf("a dry run of %s did it", name)
				} else if strings.HasPrefix(apierr.Code(err), "DryRun") {
					dried++
				}
				dry.SetZero()
			}
			err := x.as.Do(t.Context(), name, in, out)
			what := x.svc.Name + ":" + name
			e, ok := errors.AsType[*apierr.Error](err)
			switch {
			case err == nil && !slices.Contains(needNone, what):
				t.Errorf("%s was served: %s", what, dump(out))
			case err == nil:
			case !ok:
				t.Errorf("%s: %v", what, err)
			case slices.Contains([]string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}, e.Code):
				decided++
			case strings.Contains(e.Message, "does not implement"):
				t.Errorf("%s has no handler", what)
			default:
				other[e.Code] = append(other[e.Code], what+" "+e.Message)
			}
		}
	}
	undecided := 0 // their requests are not good enough to be decided
	for code, list := range other {
		undecided += len(list)
		for _, what := range list {
			t.Logf("not decided: %s %s", code, what)
		}
	}
	if dried < 40 {
		t.Errorf("%d dry runs of the administrator would have succeeded", dried)
	}
	if decided < 200 || undecided > 12 {
		t.Errorf("%d operations were refused by a decision, %d for their requests", decided, undecided)
	}
}
