package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// That EC2 calls ListGrants or RevokeGrant for somebody is not to be had from outside: it retires
// its grants itself. Which calls the condition of the statement lets through is tested in package kms.

const mayEC2 = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`

func TestS33_AKeyUserOfTheDefaultViewManagesGrantsThroughServicesOnly(t *testing.T) {
	c := admin(t)
	arn, r := c.role(t, "user", mayEC2)
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(arn), seed.KeyUser(arn)))
	made := c.grant(t, kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &arn, Operations: []kmstypes.GrantOperation{"Decrypt"}})

	revoke, err := r.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: made.GrantId})
	refused(revoke, err)(t, "AccessDeniedException", r.arn(t), "kms:RevokeGrant", key)
	c.details(t, err).denied(t, r.arn(t), "kms:RevokeGrant", key, "kms:GrantIsForAWSResource")
	list, err := r.kms.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
	refused(list, err)(t, "AccessDeniedException", "kms:ListGrants", key)
	create, err := r.kms.CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &arn, Operations: []kmstypes.GrantOperation{"Decrypt"}})
	refused(create, err)(t, "AccessDeniedException", "kms:CreateGrant", key)

	// Through EC2 the same person makes a grant with a volume, and it goes with the volume.
	id, vol := c.runInstance(t), r.createVolume(t, key)
	r.attach(t, vol, id)
	c.checkGrants(t, key, group{c, ""}.attachments(t, []string{id}, key))
	must(r.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: &vol}))(t)
	eventually(t, "grant of the volume gone", func() (bool, string) { return len(c.volumeGrants(t, key)) == 0, "" })

	// Who administers the key can always revoke.
	must(c.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: made.GrantId}))(t)
	if c.has(t, key, *made.GrantId) {
		t.Error("the grant is still there")
	}
}

func TestS33_ARoleAddedAsAKeyUserLaunches(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	role := seed.Role(c.account)
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(role), seed.KeyUser(role)))
	c.group(t, 1, rootDevice(key), dataDevice(key)).launchOK(t, 1, c, map[string]string{"/dev/xvda": key, "/dev/sdf": key})
}

func TestS33_AnExternalAccountAsAKeyUserCannotMakeTheGrantDirectly(t *testing.T) {
	e := newExample2(t)
	root := seed.Root(e.user.account)
	e.owner.setPolicy(t, e.key, seed.Full(seed.Root(e.owner.account)), seed.Use(root), seed.KeyUser(root))
	u := e.user.user(t, "delegate", seed.Identity("kms:*", e.key), mayEC2)
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", "kms:CreateGrant", hidden)
	// Its users launch instances of their own under the key.
	id := u.runInstance(t, ec2types.BlockDeviceMapping{
		DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &e.key},
	})
	e.owner.checkGrants(t, e.key, group{e.user, ""}.attachments(t, []string{id}, e.key))
}
