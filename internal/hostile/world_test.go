package hostile_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
)

// Accounts: that of the world, and another one.
const (
	account  = "444455556666"
	stranger = "777788889999"
)

// mark is in tags, descriptions and names of what the account has, and in no request of others.
const mark = "mark-5d0c2f"

// services are all that the server offers, and the client of each among a caller's.
func services() []offered {
	return []offered{
		{kmsapi.Service(), func(c testkit.Clients) *testkit.Client { return c.KMS }},
		{iamapi.Service(), func(c testkit.Clients) *testkit.Client { return c.IAM }},
		{stsapi.Service(), func(c testkit.Clients) *testkit.Client { return c.STS }},
		{ec2api.Service(), func(c testkit.Clients) *testkit.Client { return c.EC2 }},
		{ebsapi.Service(), func(c testkit.Clients) *testkit.Client { return c.EBS }},
		{autoscalingapi.Service(), func(c testkit.Clients) *testkit.Client { return c.AutoScaling }},
		{organizationsapi.Service(), func(c testkit.Clients) *testkit.Client { return c.Organizations }},
		{cloudtrailapi.Service(), func(c testkit.Clients) *testkit.Client { return c.CloudTrail }},
		{accessanalyzerapi.Service(), func(c testkit.Clients) *testkit.Client { return c.AccessAnalyzer }},
		{kagimoriapi.Service(), func(c testkit.Clients) *testkit.Client { return c.Kagimori }},
	}
}

type offered struct {
	*api.Service
	of func(testkit.Clients) *testkit.Client
}

// A world is a server with one of everything in an account, and those who may not have it.
type world struct {
	*testkit.Server
	admin testkit.Clients
	known map[string]string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s := testkit.Start(t, testkit.Options{Logger: slog.New(slog.DiscardHandler)})
	w := &world{Server: s, admin: s.As(testkit.Admin(account))}
	w.known = oneOfEverything(s, w.admin)
	return w
}

// user makes a user of the world's account.
func (w *world) user(t *testing.T, name, policy string) testkit.Clients {
	t.Helper()
	testkit.Call[iamapi.CreateUserResponse](w.admin.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: &name})
	if policy != "" {
		testkit.Must(w.admin.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("p"), PolicyDocument: &policy})
	}
	k := testkit.Call[iamapi.CreateAccessKeyResponse](w.admin.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
	return w.As(sigv4.Credentials{AccessKeyID: *k.AccessKeyId, Secret: *k.SecretAccessKey})
}

// session is one of a role of the account that may do everything; end deletes the role.
func (w *world) session(t *testing.T) (c testkit.Clients, end func()) {
	t.Helper()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}]}`
	role := testkit.Call[iamapi.CreateRoleResponse](w.admin.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: new("brief"), AssumeRolePolicyDocument: &trust}).Role
	testkit.Must(w.admin.IAM, "PutRolePolicy", &iamapi.PutRolePolicyRequest{RoleName: new("brief"), PolicyName: new("p"), PolicyDocument: new(everything)})
	out := testkit.Call[stsapi.AssumeRoleResponse](w.admin.STS, "AssumeRole", &stsapi.AssumeRoleRequest{RoleArn: role.Arn, RoleSessionName: new("session")}).Credentials
	c = w.As(sigv4.Credentials{AccessKeyID: *out.AccessKeyId, Secret: *out.SecretAccessKey, SessionToken: *out.SessionToken})
	return c, func() {
		testkit.Must(w.admin.IAM, "DeleteRolePolicy", &iamapi.DeleteRolePolicyRequest{RoleName: new("brief"), PolicyName: new("p")})
		testkit.Must(w.admin.IAM, "DeleteRole", &iamapi.DeleteRoleRequest{RoleName: new("brief")})
	}
}

const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// newest selects the newest record.
var newest = trail.Filter{}

// record is the newest one of the trail; ok is false if there is none.
func (w *world) record(t *testing.T, f trail.Filter) (rec trail.Record, ok bool) {
	t.Helper()
	f.Limit = 1
	recs, err := w.App.Records(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if len(recs) == 0 {
		return rec, false
	}
	return recs[0], true
}

// end is the sequence number of the newest record.
func (w *world) end(t *testing.T) uint64 {
	t.Helper()
	rec, _ := w.record(t, trail.Filter{})
	return rec.Kagimori.Sequence
}

// unseen checks that the account sees nothing in its trail after a record.
func (w *world) unseen(t *testing.T, end uint64) {
	t.Helper()
	recs, err := w.App.Records(t.Context(), trail.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		if own, ok := r.For(account); ok && r.Kagimori.Sequence > end {
			t.Errorf("another account is in the trail: %s %s by %+v", own.EventName, own.ErrorCode, r.UserIdentity)
		}
	}
}

// stored is everything in the store as of one moment, by bucket and key, but for what the audit log keeps
// there and the last uses of keys and access keys, which are written later.
func (w *world) stored(t *testing.T) map[string]string {
	t.Helper()
	o, err := app.OpenSealer(t.Context(), app.Config{Data: w.Data(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = o.Backup(t.Context(), false, func([]byte) error { return nil }, &b)
	if err := errors.Join(err, o.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "store.db")
	unpack(t, &b, "store.db", path)
	st, err := bolt.Open(bolt.Config{Path: path, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = st.Each(t.Context(), func(bucket, key string, data []byte) error {
		if !strings.HasPrefix(bucket, "trail/") && bucket != "directory/keyuse" && bucket != "kms/usage" {
			out[bucket+" "+key] = string(data)
		}
		return nil
	})
	if err := errors.Join(err, st.Close()); err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("the store has only %d pairs", len(out))
	}
	return out
}

// own is what of a state is the account's, or speaks of it.
func own(state map[string]string) map[string]string {
	out := maps.Clone(state)
	maps.DeleteFunc(out, func(k, v string) bool { return !strings.Contains(k, account) && !strings.Contains(v, account) })
	return out
}

// unpack writes one file of an archive.
func unpack(t *testing.T, archive io.Reader, name, path string) {
	t.Helper()
	z, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if h.Name != name {
			continue
		}
		data, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

// unchanged compares two states of the store. grow says that there may be more than
// before, though not of the account.
func unchanged(t *testing.T, what string, before, after map[string]string, grow bool) {
	t.Helper()
	for k, v := range before {
		if after[k] != v {
			t.Errorf("%s: %q was changed", what, k)
		}
	}
	for k := range after {
		if _, ok := before[k]; !ok && (!grow || strings.Contains(k, account)) {
			t.Errorf("%s: %q was made", what, k)
		}
	}
}

// oneOfEverything makes resources in an account; it gives values of members of requests.
func oneOfEverything(s *testkit.Server, admin testkit.Clients) map[string]string {
	key := testkit.Call[kmsapi.CreateKeyResponse](admin.KMS, "CreateKey", &kmsapi.CreateKeyRequest{
		Description: new(mark), Tags: []kmsapi.Tag{{TagKey: new("owner"), TagValue: new(mark)}}}).KeyMetadata
	testkit.Must(admin.KMS, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/mine"), TargetKeyId: key.KeyId})
	grant := testkit.Call[kmsapi.CreateGrantResponse](admin.KMS, "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: key.KeyId, GranteePrincipal: new("arn:aws:iam::" + account + ":user/admin"), Operations: []string{"Decrypt"}})
	vol := testkit.Call[ec2api.Volume](admin.EC2, "CreateVolume", &ec2api.CreateVolumeRequest{AvailabilityZone: new("us-east-1a"), Size: new(int32(1)), TagSpecifications: []ec2api.TagSpecification{
		{ResourceType: new("volume"), Tags: []ec2api.Tag{{Key: new("owner"), Value: new(mark)}}}}})
	s.Advance(time.Minute)
	snap := testkit.Call[ec2api.Snapshot](admin.EC2, "CreateSnapshot", &ec2api.CreateSnapshotRequest{VolumeId: vol.VolumeId, Description: new(mark)})
	s.Advance(time.Minute)
	image := testkit.Call[ec2api.RegisterImageResult](admin.EC2, "RegisterImage", &ec2api.RegisterImageRequest{
		Name: new("image"), Description: new(mark), RootDeviceName: new("/dev/xvda"), Architecture: new("x86_64"), VirtualizationType: new("hvm"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2api.EbsBlockDevice{SnapshotId: snap.SnapshotId}}}})
	run := testkit.Call[ec2api.Reservation](admin.EC2, "RunInstances", &ec2api.RunInstancesRequest{
		ImageId: image.ImageId, MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: new("t3.micro")})
	s.Advance(time.Minute)
	testkit.Call[ec2api.CreateLaunchTemplateResult](admin.EC2, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new("template"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: image.ImageId}})
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	testkit.Call[iamapi.CreateRoleResponse](admin.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: new("r"), Description: new(mark), AssumeRolePolicyDocument: &trust})
	pol := testkit.Call[iamapi.CreatePolicyResponse](admin.IAM, "CreatePolicy", &iamapi.CreatePolicyRequest{PolicyName: new("pol"), PolicyDocument: &allow}).Policy
	testkit.Call[iamapi.CreateInstanceProfileResponse](admin.IAM, "CreateInstanceProfile", &iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("ip")})
	encrypted := testkit.Call[kmsapi.EncryptResponse](admin.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key.KeyId, Plaintext: []byte("mine")})
	known := map[string]string{
		"ciphertext": string(encrypted.CiphertextBlob),
		"KeyId":      *key.KeyId, "DestinationKeyId": *key.KeyId, "TargetKeyId": *key.KeyId, "AliasName": "alias/mine", "GrantId": *grant.GrantId,
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
		"BandwidthWeighting": "default", "HandshakeId": "h-00000000", "ServicePrincipal": "config.amazonaws.com",
		"DelegationRequestId": strings.Repeat("1", 16), "EntityArn": "arn:aws:iam::" + account + ":delegation-request/" + strings.Repeat("1", 16),
		"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048",
		"DeletionTaskId": "task/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling/" + strings.Repeat("1", 36),
	})
	return known
}
