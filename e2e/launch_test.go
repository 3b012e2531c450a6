package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// Texts of a launch that failed on its key.
const (
	keyCode   = "Client.InvalidKMSKey.InvalidState"
	keyReason = keyCode + ": The KMS key provided is in an incorrect state"
	diedText  = "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + keyReason
)

// A device is one entry of a launch template's block device mapping.
type device = ec2types.LaunchTemplateBlockDeviceMappingRequest

// rootDevice encrypts the volume that is made from the image, dataDevice adds an empty volume. An
// empty key names none.
func rootDevice(key string) device { return newDevice("/dev/xvda", key, nil) }

func dataDevice(key string) device { return newDevice("/dev/sdf", key, new(int32(1))) }

func newDevice(name, key string, size *int32) device {
	ebs := &ec2types.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(true), VolumeSize: size, DeleteOnTermination: new(true)}
	if key != "" {
		ebs.KmsKeyId = &key
	}
	return device{DeviceName: &name, Ebs: ebs}
}

// plainImage is an image with an unencrypted root snapshot.
func (c *client) plainImage(t *testing.T) string {
	t.Helper()
	out := must(c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{
		Owners:  []string{"amazon"},
		Filters: []ec2types.Filter{{Name: new("name"), Values: []string{"al2023-ami-*"}}, {Name: new("architecture"), Values: []string{"x86_64"}}},
	}))(t)
	if len(out.Images) == 0 {
		t.Fatal("there is no Amazon Linux 2023 image")
	}
	img := out.Images[0]
	if img.RootDeviceName == nil || *img.RootDeviceName != "/dev/xvda" || len(img.BlockDeviceMappings) == 0 ||
		img.BlockDeviceMappings[0].Ebs == nil || *img.BlockDeviceMappings[0].Ebs.Encrypted {
		t.Fatalf("image %s has no plain root device /dev/xvda: %+v", *img.ImageId, img)
	}
	return *img.ImageId
}

// template makes a launch template of the plain image and devices.
func (c *client) template(t *testing.T, name string, devices ...device) {
	t.Helper()
	c.templateOf(t, name, c.plainImage(t), devices...)
}

// templateOf makes a launch template of an image and devices.
func (c *client) templateOf(t *testing.T, name, image string, devices ...device) {
	t.Helper()
	must(c.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name,
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: &image, InstanceType: ec2types.InstanceTypeT3Micro, BlockDeviceMappings: devices,
		},
	}))(t)
}

func groupInput(template string, size int32) *autoscaling.CreateAutoScalingGroupInput {
	return &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new(template), MinSize: new(int32(0)), MaxSize: new(int32(10)), DesiredCapacity: &size,
		AvailabilityZones: []string{"us-west-2a", "us-west-2b"},
		LaunchTemplate:    &astypes.LaunchTemplateSpecification{LaunchTemplateName: &template, Version: new("$Latest")},
	}
}

// group makes a launch template of devices and a group of that many instances. It is emptied when
// the test ends, so that it does not keep trying on the shared server.
func (c *client) group(t *testing.T, size int32, devices ...device) group {
	t.Helper()
	return c.groupOf(t, c.plainImage(t), size, devices...)
}

// groupOf is group with another image.
func (c *client) groupOf(t *testing.T, image string, size int32, devices ...device) group {
	t.Helper()
	c.templateOf(t, "web", image, devices...)
	return c.groupBy(t, groupInput("web", size))
}

// groupBy makes a group as it is asked for, and empties it when the test ends.
func (c *client) groupBy(t *testing.T, in *autoscaling.CreateAutoScalingGroupInput) group {
	t.Helper()
	must(c.asg.CreateAutoScalingGroup(t.Context(), in))(t)
	g := group{c, *in.AutoScalingGroupName}
	t.Cleanup(func() { g.stop(t) })
	return g
}

// A group is an Auto Scaling group as its owner sees it.
type group struct {
	*client
	name string
}

func (g group) stop(t *testing.T) {
	in := &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &g.name, ForceDelete: new(true)}
	// The test's own context has ended.
	if _, err := g.asg.DeleteAutoScalingGroup(context.WithoutCancel(t.Context()), in); err != nil && !strings.Contains(err.Error(), "not found") {
		t.Errorf("deleting group %s: %v", g.name, err)
	}
}

func (g group) describe(t *testing.T) astypes.AutoScalingGroup {
	t.Helper()
	out := must(g.asg.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{
		AutoScalingGroupNames: []string{g.name},
	}))(t)
	if len(out.AutoScalingGroups) != 1 {
		t.Fatalf("DescribeAutoScalingGroups of %s gives %d groups", g.name, len(out.AutoScalingGroups))
	}
	return out.AutoScalingGroups[0]
}

// activities are the group's, newest first.
func (g group) activities(t *testing.T) []astypes.Activity {
	t.Helper()
	return must(g.asg.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: &g.name,
	}))(t).Activities
}

func (g group) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, i := range g.describe(t).Instances {
		fmt.Fprintf(&b, "%s %s %s; ", *i.InstanceId, i.LifecycleState, *i.HealthStatus)
	}
	for _, a := range g.activities(t) {
		fmt.Fprintf(&b, "\n  %s: %s", a.StatusCode, str(a.Description))
	}
	return b.String()
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// running waits until the group has n instances, all in service, and gives their ids.
func (g group) running(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	eventually(t, fmt.Sprintf("group with %d instances in service", n), func() (bool, string) {
		ids = nil
		all := g.describe(t).Instances
		for _, i := range all {
			if i.LifecycleState == astypes.LifecycleStateInService && *i.HealthStatus == "Healthy" {
				ids = append(ids, *i.InstanceId)
			}
		}
		return len(ids) == n && len(all) == n, g.state(t)
	})
	return ids
}

// launchOK checks what LAUNCH-OK means: n instances in service, each with volumes encrypted under
// keys (ARNs by device), successful activities, and one grant per volume. keyOwner may list the
// grants of the keys. It gives the ids of the instances.
func (g group) launchOK(t *testing.T, n int, keyOwner *client, keys map[string]string) []string {
	t.Helper()
	ids := g.running(t, n)
	for _, id := range ids {
		i := g.instance(t, id)
		if i.State.Name != ec2types.InstanceStateNameRunning {
			t.Errorf("instance %s is %s", id, i.State.Name)
		}
		g.checkVolumes(t, id, keys)
	}
	for _, key := range slices.Compact(slices.Sorted(maps.Values(keys))) {
		keyOwner.checkGrants(t, key, g.attachments(t, ids, key))
	}
	done := map[string]bool{}
	for _, a := range g.activities(t) {
		if a.StatusCode == astypes.ScalingActivityStatusCodeSuccessful && a.Progress != nil && *a.Progress == 100 && a.StatusMessage == nil {
			done[str(a.Description)] = true
		}
	}
	for _, id := range ids {
		if d := "Launching a new EC2 instance: " + id; !done[d] {
			t.Errorf("there is no successful activity %q in %s", d, g.state(t))
		}
	}
	return ids
}

func (c *client) instance(t *testing.T, id string) ec2types.Instance {
	t.Helper()
	out := must(c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))(t)
	if len(out.Reservations) != 1 || len(out.Reservations[0].Instances) != 1 {
		t.Fatalf("DescribeInstances of %s gives %+v", id, out.Reservations)
	}
	return out.Reservations[0].Instances[0]
}

// volumesOf are the volumes attached to an instance.
func (c *client) volumesOf(t *testing.T, instance string) []ec2types.Volume {
	t.Helper()
	return must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{
		Filters: []ec2types.Filter{{Name: new("attachment.instance-id"), Values: []string{instance}}},
	}))(t).Volumes
}

// volumes are all of the account.
func (c *client) volumes(t *testing.T) []ec2types.Volume {
	t.Helper()
	return must(c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{}))(t).Volumes
}

// checkVolumes checks that an instance has volumes at the devices and no other encrypted ones,
// and their keys.
func (c *client) checkVolumes(t *testing.T, instance string, keys map[string]string) {
	t.Helper()
	seen := map[string]string{}
	for _, v := range c.volumesOf(t, instance) {
		a := v.Attachments[0]
		if a.State != ec2types.VolumeAttachmentStateAttached || v.State != ec2types.VolumeStateInUse {
			t.Errorf("volume %s of %s is %s, %s", *v.VolumeId, instance, v.State, a.State)
		}
		if *v.Encrypted {
			seen[*a.Device] = str(v.KmsKeyId)
		} else if v.KmsKeyId != nil {
			t.Errorf("volume %s is not encrypted but has the key %s", *v.VolumeId, *v.KmsKeyId)
		}
	}
	if !maps.Equal(seen, keys) {
		t.Errorf("encrypted volumes of %s are %v, want %v", instance, seen, keys)
	}
}

// attachments are the volumes under a key by instance, as "instance volume".
func (g group) attachments(t *testing.T, instances []string, key string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, id := range instances {
		for _, v := range g.volumesOf(t, id) {
			if str(v.KmsKeyId) == key {
				out[*v.VolumeId] = "arn:aws:sts::" + g.account + ":assumed-role/aws:ec2-infrastructure/" + id
			}
		}
	}
	return out
}

// grants lists all grants of a key.
func (c *client) grants(t *testing.T, key string) []kmstypes.GrantListEntry {
	t.Helper()
	var all []kmstypes.GrantListEntry
	for p := kms.NewListGrantsPaginator(c.kms, &kms.ListGrantsInput{KeyId: &key}); p.HasMorePages(); {
		all = append(all, must(p.NextPage(t.Context()))(t).Grants...)
	}
	return all
}

// volumeGrants are the grants to instances on a key, by volume.
func (c *client) volumeGrants(t *testing.T, key string) map[string]kmstypes.GrantListEntry {
	t.Helper()
	out := map[string]kmstypes.GrantListEntry{}
	for _, g := range c.grants(t, key) {
		if !strings.Contains(str(g.GranteePrincipal), "aws:ec2-infrastructure") {
			continue
		}
		volume := ""
		if g.Constraints != nil {
			volume = g.Constraints.EncryptionContextSubset["aws:ebs:id"]
		}
		if _, twice := out[volume]; twice {
			t.Errorf("volume %q has two grants on %s", volume, key)
		}
		out[volume] = g
	}
	return out
}

// checkGrants checks that the grants on a key for volumes are as S17 says; want are the grantees
// by volume. Grants to others than instances, but no creation grants, may be there too.
func (c *client) checkGrants(t *testing.T, key string, want map[string]string) {
	t.Helper()
	got := c.volumeGrants(t, key)
	for volume, grantee := range want {
		g, ok := got[volume]
		if !ok {
			t.Errorf("volume %s has no grant on %s", volume, key)
			continue
		}
		account := strings.Split(grantee, ":")[4]
		switch {
		case *g.GranteePrincipal != grantee:
			t.Errorf("grantee for %s is %s, want %s", volume, *g.GranteePrincipal, grantee)
		case !slices.Equal(g.Operations, []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt}):
			t.Errorf("operations for %s are %v, want Decrypt alone", volume, g.Operations)
		case len(g.Constraints.EncryptionContextSubset) != 1 || len(g.Constraints.EncryptionContextEquals) != 0:
			t.Errorf("constraints for %s are %+v", volume, g.Constraints)
		case str(g.RetiringPrincipal) != "ec2."+seed.Region+".amazonaws.com":
			t.Errorf("retiring principal for %s is %q", volume, str(g.RetiringPrincipal))
		case str(g.IssuingAccount) != seed.Root(account):
			t.Errorf("issuing account for %s is %q, want %s", volume, str(g.IssuingAccount), seed.Root(account))
		case str(g.KeyId) != key:
			t.Errorf("key of the grant for %s is %q, want %s", volume, str(g.KeyId), key)
		}
		delete(got, volume)
	}
	for volume := range got {
		t.Errorf("there is a grant on %s for volume %q, which is not attached", key, volume)
	}
	for _, g := range c.grants(t, key) {
		if strings.HasPrefix(str(g.GranteePrincipal), "ebs.") || str(g.GranteeServicePrincipal) != "" {
			t.Errorf("a creation grant was left on %s: %+v", key, g)
		}
	}
}

var (
	launching = regexp.MustCompile(`^Launching a new EC2 instance: (i-[0-9a-f]{17})\.  Status Reason: `)
	attempt   = `an instance was started in response to a difference between desired and actual capacity, increasing the capacity from 0 to 1.`
)

// launchFail checks what LAUNCH-FAIL means: a cancelled activity with AWS's texts, the instance
// terminated for the key, the desired capacity kept, nothing left behind. It gives the id of the
// first instance that failed.
func (g group) launchFail(t *testing.T, keyOwner *client, key string) string {
	t.Helper()
	want := g.describe(t).DesiredCapacity
	var first astypes.Activity
	eventually(t, "failed launch", func() (bool, string) {
		ended := slices.DeleteFunc(g.activities(t), func(a astypes.Activity) bool { return a.EndTime == nil })
		if len(ended) == 0 {
			return false, g.state(t)
		}
		first = ended[len(ended)-1] // the newest comes first
		return true, ""
	})
	m := launching.FindStringSubmatch(str(first.Description))
	if m == nil {
		t.Fatalf("the launch's activity is %s %q (%s); it names no instance", first.StatusCode, str(first.Description), str(first.StatusMessage))
	}
	id := m[1]
	if first.StatusCode != astypes.ScalingActivityStatusCodeCancelled || *first.Progress != 100 {
		t.Errorf("the activity is %s at %d %%, want Cancelled at 100 %%", first.StatusCode, *first.Progress)
	}
	if str(first.StatusMessage) != diedText {
		t.Errorf("status message is %q, want %q", str(first.StatusMessage), diedText)
	}
	if d := "Launching a new EC2 instance: " + id + ".  Status Reason: " + diedText; str(first.Description) != d {
		t.Errorf("description is %q, want %q", str(first.Description), d)
	}
	if !strings.Contains(str(first.Cause), attempt) {
		t.Errorf("cause is %q, it does not contain %q", str(first.Cause), attempt)
	}
	g.checkFailedInstance(t, id)
	if d := g.describe(t); *d.DesiredCapacity != *want {
		t.Errorf("the desired capacity went from %d to %d", *want, *d.DesiredCapacity)
	}
	// A later attempt may be under way; each cleans up behind itself.
	eventually(t, "nothing left of the failed launch", func() (bool, string) {
		volumes, grants := len(g.volumes(t)), len(keyOwner.volumeGrants(t, key))
		return volumes == 0 && grants == 0, fmt.Sprintf("%d volumes, %d grants", volumes, grants)
	})
	return id
}

// checkFailedInstance checks how an instance looks that failed on its key.
func (c *client) checkFailedInstance(t *testing.T, id string) {
	t.Helper()
	var i ec2types.Instance
	eventually(t, id+" terminated", func() (bool, string) {
		i = c.instance(t, id)
		return i.State.Name == ec2types.InstanceStateNameTerminated, string(i.State.Name)
	})
	switch {
	case i.StateReason == nil:
		t.Errorf("%s has no state reason", id)
	case str(i.StateReason.Code) != keyCode || str(i.StateReason.Message) != keyReason:
		t.Errorf("state reason of %s is %q, %q", id, str(i.StateReason.Code), str(i.StateReason.Message))
	}
	if len(i.BlockDeviceMappings) != 0 {
		t.Errorf("%s still has block devices: %+v", id, i.BlockDeviceMappings)
	}
}

// key makes a customer managed key with a policy; "" is the default policy. It gives the ARN.
func (c *client) key(t *testing.T, policy string) string {
	t.Helper()
	in := &kms.CreateKeyInput{}
	if policy != "" {
		in.Policy = &policy
	}
	return *must(c.kms.CreateKey(t.Context(), in))(t).KeyMetadata.Arn
}

// setPolicy replaces a key's policy.
func (c *client) setPolicy(t *testing.T, key string, statements ...string) {
	t.Helper()
	must(c.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: new(seed.Policy(statements...))}))(t)
}

// seedKey makes the key of example 1: the default statement and the page's two.
func (c *client) seedKey(t *testing.T) string {
	t.Helper()
	role := seed.Role(c.account)
	return c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role)))
}

// runInstance starts an instance directly and waits until it runs.
func (c *client) runInstance(t *testing.T, devices ...ec2types.BlockDeviceMapping) string {
	t.Helper()
	out := must(c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		BlockDeviceMappings: devices,
	}))(t)
	id := *out.Instances[0].InstanceId
	c.awaitInstance(t, id, ec2types.InstanceStateNameRunning)
	return id
}

func (c *client) awaitInstance(t *testing.T, id string, want ec2types.InstanceStateName) {
	t.Helper()
	eventually(t, id+" "+string(want), func() (bool, string) {
		i := c.instance(t, id)
		reason := ""
		if i.StateReason != nil {
			reason = str(i.StateReason.Message)
		}
		return i.State.Name == want, string(i.State.Name) + " " + reason
	})
}

// createVolume makes an empty encrypted volume and waits until it is available.
func (c *client) createVolume(t *testing.T, key string) string {
	t.Helper()
	in := &ec2.CreateVolumeInput{AvailabilityZone: new("us-west-2a"), Size: new(int32(1)), Encrypted: new(true)}
	if key != "" {
		in.KmsKeyId = &key
	}
	id := *must(c.ec2.CreateVolume(t.Context(), in))(t).VolumeId
	eventually(t, id+" available", func() (bool, string) {
		out, err := c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
		if err != nil {
			return false, err.Error()
		}
		return out.Volumes[0].State == ec2types.VolumeStateAvailable, string(out.Volumes[0].State)
	})
	return id
}

// vanishes waits until a volume whose key refused is gone.
func (c *client) vanishes(t *testing.T, id string) {
	t.Helper()
	eventually(t, id+" gone", func() (bool, string) {
		out, err := c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
		if err == nil {
			if s := out.Volumes[0].State; s != ec2types.VolumeStateCreating && s != ec2types.VolumeStateDeleting {
				t.Fatalf("volume %s is %s", id, s)
			}
			return false, string(out.Volumes[0].State)
		}
		refused(out, err)(t, "InvalidVolume.NotFound", "The volume '"+id+"' does not exist.")
		return true, ""
	})
}

// scale sets the group's desired capacity.
func (g group) scale(t *testing.T, n int32) {
	t.Helper()
	must(g.asg.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &g.name, DesiredCapacity: &n}))(t)
}

func containsInfra(s string) bool { return strings.Contains(s, "aws:ec2-infrastructure") }
