package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// defaultKey makes a key the account's default.
func (c *client) defaultKey(t *testing.T, key string) {
	t.Helper()
	must(c.ec2.ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: &key}))(t)
}

// byDefault turns encryption by default on or off.
func (c *client) byDefault(t *testing.T, on bool) {
	t.Helper()
	if on {
		must(c.ec2.EnableEbsEncryptionByDefault(t.Context(), &ec2.EnableEbsEncryptionByDefaultInput{}))(t)
		return
	}
	must(c.ec2.DisableEbsEncryptionByDefault(t.Context(), &ec2.DisableEbsEncryptionByDefaultInput{}))(t)
}

// configGroup is a group of one instance from a launch configuration of an image, which change may
// alter.
func (c *client) configGroup(t *testing.T, name, image string, change func(*autoscaling.CreateLaunchConfigurationInput)) group {
	t.Helper()
	in := &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: &name, ImageId: &image, InstanceType: new("t3.micro")}
	if change != nil {
		change(in)
	}
	must(c.asg.CreateLaunchConfiguration(t.Context(), in))(t)
	group := groupInput(name, 1)
	group.LaunchTemplate, group.LaunchConfigurationName = nil, &name
	return c.groupBy(t, group)
}

// mapped adds an encrypted empty device to a launch configuration and encrypts that of the image.
func mapped(in *autoscaling.CreateLaunchConfigurationInput) {
	in.BlockDeviceMappings = []astypes.BlockDeviceMapping{
		{DeviceName: new("/dev/xvda"), Ebs: &astypes.Ebs{Encrypted: new(true)}},
		{DeviceName: new("/dev/sdf"), Ebs: &astypes.Ebs{Encrypted: new(true), VolumeSize: new(int32(1))}},
	}
}

// A launch configuration has no member for a key: its encrypted devices get the account's default
// key, which may be named in four forms.
func TestS10_ALaunchConfigurationUsesTheDefaultKeyInFourForms(t *testing.T) {
	t.Parallel()
	forms := map[string]func(account, id string) string{
		"key id":    func(_, id string) string { return id },
		"key ARN":   seed.Key,
		"alias":     func(string, string) string { return "alias/volumes" },
		"alias ARN": func(account, _ string) string { return "arn:aws:kms:" + seed.Region + ":" + account + ":alias/volumes" },
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			key := c.seedKey(t)
			id := key[strings.LastIndexByte(key, '/')+1:]
			must(c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: new("alias/volumes"), TargetKeyId: &id}))(t)
			c.defaultKey(t, form(c.account, id))
			c.configGroup(t, "web", c.plainImage(t), mapped).launchOK(t, 1, c, map[string]string{"/dev/xvda": key, "/dev/sdf": key})
		})
	}
}

func TestS10_ALaunchConfigurationHasNoPlaceForAKey(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	ignored, def := c.seedKey(t), c.seedKey(t)
	c.defaultKey(t, def)
	// The query protocol passes over what an operation does not have.
	status, body := c.query(t, "autoscaling", "Action=CreateLaunchConfiguration&Version=2011-01-01&LaunchConfigurationName=web&InstanceType=t3.micro"+
		"&ImageId="+c.plainImage(t)+"&BlockDeviceMappings.member.1.DeviceName=%2Fdev%2Fsdf&BlockDeviceMappings.member.1.Ebs.VolumeSize=1"+
		"&BlockDeviceMappings.member.1.Ebs.Encrypted=true&BlockDeviceMappings.member.1.Ebs.KmsKeyId="+ignored)
	if status != 200 {
		t.Fatalf("CreateLaunchConfiguration answers %d %s", status, body)
	}
	if _, body := c.query(t, "autoscaling", "Action=DescribeLaunchConfigurations&Version=2011-01-01"); strings.Contains(body, ignored) || !strings.Contains(body, "<Encrypted>true</Encrypted>") {
		t.Errorf("DescribeLaunchConfigurations answers %s", body)
	}
	in := groupInput("web", 1)
	in.LaunchTemplate, in.LaunchConfigurationName = nil, new("web")
	c.groupBy(t, in).launchOK(t, 1, c, map[string]string{"/dev/sdf": def})
}

func TestS10_ALaunchConfigurationDoesNotEncryptASnapshotThatItNames(t *testing.T) {
	c := admin(t)
	snap := c.filledSnapshot(t, "")
	out, err := c.asg.CreateLaunchConfiguration(t.Context(), &autoscaling.CreateLaunchConfigurationInput{
		LaunchConfigurationName: new("web"), ImageId: new(c.plainImage(t)), InstanceType: new("t3.micro"),
		BlockDeviceMappings: []astypes.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &astypes.Ebs{SnapshotId: &snap, Encrypted: new(true)}}},
	})
	refused(out, err)(t, "ValidationError", "the encrypted flag cannot be specified since device /dev/sdf has a snapshot specified.")
	if n := len(must(c.asg.DescribeLaunchConfigurations(t.Context(), &autoscaling.DescribeLaunchConfigurationsInput{}))(t).LaunchConfigurations); n != 0 {
		t.Errorf("%d refused launch configurations exist", n)
	}
	// The same rule holds in a launch template, where it shows with the group.
	c.serviceRole(t)
	d := dataDevice(c.seedKey(t))
	d.Ebs.SnapshotId = &snap
	c.template(t, "web", d)
	group, err := c.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 1))
	refused(group, err)(t, "ValidationError", "You must use a valid fully-formed launch template.", "the encrypted flag cannot be specified since device /dev/sdf has a snapshot specified.")
}

func TestALaunchConfigurationNeedsItsImage(t *testing.T) {
	c := admin(t)
	for image, want := range map[string]string{
		"ami-0123456789abcdef0": "AMI ami-0123456789abcdef0 is invalid: The image id '[ami-0123456789abcdef0]' does not exist",
		"image":                 `AMI image is invalid: Invalid id: "image" (expecting "ami-...")`,
	} {
		out, err := c.asg.CreateLaunchConfiguration(t.Context(), &autoscaling.CreateLaunchConfigurationInput{
			LaunchConfigurationName: new("web"), ImageId: &image, InstanceType: new("t3.micro"),
		})
		refused(out, err)(t, "ValidationError", want)
	}
}

func TestS10_ALaunchConfigurationTakesTheKeyOfItsImageOrSnapshot(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	x, y := c.seedKey(t), c.seedKey(t)
	snap := c.filledSnapshot(t, y)
	g := c.configGroup(t, "web", c.imageUnder(t, x), func(in *autoscaling.CreateLaunchConfigurationInput) {
		in.BlockDeviceMappings = []astypes.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &astypes.Ebs{SnapshotId: &snap}}}
	})
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": x, "/dev/sdf": y})
}

func TestS11_EncryptionByDefaultTakesAKeyThatNoTemplateNames(t *testing.T) {
	t.Parallel()
	for name, newGroup := range map[string]func(*testing.T, *client) group{
		"launch template":      func(t *testing.T, c *client) group { return c.group(t, 1) },
		"launch configuration": func(t *testing.T, c *client) group { return c.configGroup(t, "web", c.plainImage(t), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			key := c.key(t, "")
			c.defaultKey(t, key)
			c.byDefault(t, true)
			g := newGroup(t, c)
			c.why(t, g.launchFail(t, c, key)).denied(t, seed.Session(c.account), "kms:CreateGrant", key, "key-policy", seed.Role(c.account))

			role := seed.Role(c.account)
			c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))
			first := g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})[0]

			// Without the setting new volumes are plain, and the old ones stay as they are.
			c.byDefault(t, false)
			g.scale(t, 2)
			for _, id := range g.running(t, 2) {
				if id == first {
					c.checkVolumes(t, id, map[string]string{"/dev/xvda": key})
				} else {
					c.checkVolumes(t, id, map[string]string{})
				}
			}
		})
	}
}

func TestS11_TheForgottenDefaultKeyFailsALaunchUnderAGoodKey(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	good, forgotten := c.seedKey(t), c.key(t, "")
	c.defaultKey(t, forgotten)
	c.byDefault(t, true)
	// The template names a key for one device; the root device of the image has no entry.
	g := c.group(t, 1, dataDevice(good))
	c.why(t, g.launchFail(t, c, forgotten)).denied(t, seed.Session(c.account), "kms:CreateGrant", forgotten, "key-policy")
	must(c.ec2.ResetEbsDefaultKmsKeyId(t.Context(), &ec2.ResetEbsDefaultKmsKeyIdInput{}))(t)
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": c.ebsKey(t), "/dev/sdf": good})
}

func TestS11_ADefaultKeyThatCannotBeUsedFailsLaunches(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]struct {
		do   func(*testing.T, *client, string)
		code string
	}{
		"disabled": {func(t *testing.T, c *client, key string) {
			must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
		}, "DisabledException"},
		"pending deletion": {func(t *testing.T, c *client, key string) {
			must(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: new(int32(7))}))(t)
		}, "KMSInvalidStateException"},
	} {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			key := c.seedKey(t)
			c.defaultKey(t, key)
			spoil.do(t, c, key)
			failed := c.group(t, 1, rootDevice("")).launchFail(t, c, key)
			if why := c.why(t, failed); why.ErrorCode != spoil.code || !strings.Contains(why.ErrorMessage, key) {
				t.Errorf("the explanation is %s", why.text())
			}
		})
	}
}
