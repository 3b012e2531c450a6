package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

const mayAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// limited is a policy that allows EC2 alone, as a boundary or for a session.
const limited = mayEC2

func TestAPermissionsBoundaryWithoutKMSFailsALaunchByHand(t *testing.T) {
	c := admin(t)
	key := c.key(t, "")
	boundary := must(c.iam.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: new("boundary"), PolicyDocument: new(limited)}))(t).Policy.Arn
	u := c.user(t, "operator", mayAll)
	must(c.iam.PutUserPermissionsBoundary(t.Context(), &iam.PutUserPermissionsBoundaryInput{UserName: new("operator"), PermissionsBoundary: boundary}))(t)
	enc := &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")}
	out, err := u.kms.Encrypt(t.Context(), enc)
	refused(out, err)(t, "AccessDeniedException", u.arn(t), "because no permissions boundary allows the kms:Encrypt action")
	c.why(t, u.failsByHand(t, key)).denied(t, u.arn(t), "kms:GenerateDataKeyWithoutPlaintext", key, "PERMISSIONS_BOUNDARY")

	must(c.iam.DeleteUserPermissionsBoundary(t.Context(), &iam.DeleteUserPermissionsBoundaryInput{UserName: new("operator")}))(t)
	must(u.kms.Encrypt(t.Context(), enc))(t)
	u.runInstance(t, encryptedDevice(key))
}

func encryptedDevice(key string) ec2types.BlockDeviceMapping {
	return ec2types.BlockDeviceMapping{
		DeviceName: new("/dev/sdf"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &key, VolumeSize: new(int32(1))},
	}
}

// failsByHand starts an instance that ends for its key, and gives its id.
func (c *client) failsByHand(t *testing.T, key string) string {
	t.Helper()
	id := *must(c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{encryptedDevice(key)},
	}))(t).Instances[0].InstanceId
	c.checkFailedInstance(t, id)
	return id
}

func TestASessionPolicyLimitsItsSession(t *testing.T) {
	c := admin(t)
	arn, whole := c.role(t, "operator", mayAll)
	key := c.key(t, "")
	s := must(c.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: new("limited"), Policy: new(limited)}))(t).Credentials
	less := newClient(c.url, c.region, c.account, aws.Credentials{AccessKeyID: *s.AccessKeyId, SecretAccessKey: *s.SecretAccessKey, SessionToken: *s.SessionToken})
	enc := &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")}
	must(whole.kms.Encrypt(t.Context(), enc))(t)
	out, err := less.kms.Encrypt(t.Context(), enc)
	refused(out, err)(t, "AccessDeniedException", less.arn(t), "because no session policy allows the kms:Encrypt action")
	c.why(t, less.failsByHand(t, key)).denied(t, less.arn(t), "kms:GenerateDataKeyWithoutPlaintext", key, "SESSION_POLICY")
	// A key policy that names the session itself is not limited by it, one that names the role is.
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(arn))
	out, err = less.kms.Encrypt(t.Context(), enc)
	refused(out, err)(t, "AccessDeniedException", "no session policy allows the kms:Encrypt action")
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(less.arn(t)))
	must(less.kms.Encrypt(t.Context(), enc))(t)
}
