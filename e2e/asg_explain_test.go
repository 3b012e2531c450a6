package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// failedActivity waits for an activity about a launch that failed, whose description begins with a
// text, and gives its id and instance.
func (g group) failedActivity(t *testing.T, begins string) (id, instance string) {
	t.Helper()
	eventually(t, "failed activity "+begins, func() (bool, string) {
		for _, a := range g.activities(t) {
			d, ours := strings.CutPrefix(str(a.Description), begins)
			if ours && a.StatusCode == astypes.ScalingActivityStatusCodeCancelled && strings.HasSuffix(str(a.StatusMessage), keyReason) {
				id, instance = str(a.ActivityId), d[:strings.IndexByte(d, '.')]
				return true, ""
			}
		}
		return false, g.state(t)
	})
	return id, instance
}

// tells checks what `kagimori explain` says.
func (c *client) tells(t *testing.T, args []string, texts ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), must(server.Binary())(t), append([]string{"explain"}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+c.url, "AWS_REGION="+c.region,
		"AWS_ACCESS_KEY_ID="+c.creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.creds.SecretAccessKey)
	out := string(must(cmd.CombinedOutput())(t))
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("explain %v does not say %q:\n%s", args, text, out)
		}
	}
}

// The start of an instance of a warm pool that fails on its key is explained by its activity and by
// its instance: the volume, the call, the principal, the statement that is missing.
func TestAutoScalingExplainsAStartFromTheWarmPool(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 0, rootDevice(key))
	ctx := t.Context()
	must(c.asg.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: &g.name, MaxGroupPreparedCapacity: new(int32(1))}))(t)
	var warm, volume string
	eventually(t, "an instance waits", func() (bool, string) {
		all := must(c.asg.DescribeWarmPool(ctx, &autoscaling.DescribeWarmPoolInput{AutoScalingGroupName: &g.name}))(t).Instances
		if len(all) != 1 || all[0].LifecycleState != astypes.LifecycleStateWarmedStopped {
			return false, g.state(t)
		}
		warm = *all[0].InstanceId
		return true, ""
	})
	volume = *c.volumesOf(t, warm)[0].VolumeId
	role := seed.Role(c.account)
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(role))
	g.scale(t, 1)
	activity, instance := g.failedActivity(t, "Launching a new EC2 instance from warm pool: ")
	if instance != warm {
		t.Errorf("the activity is about %s, want %s", instance, warm)
	}
	for _, id := range []string{activity, instance} {
		c.why(t, id).denied(t, seed.Session(c.account), "kms:CreateGrant", key, "kms:GrantIsForAWSResource")
	}
	told := []string{"CreateGrant by " + seed.Session(c.account), key, "For: volume " + volume, `Fix "least"`, `"kms:CreateGrant"`, "kms:PutKeyPolicy on the key"}
	c.tells(t, []string{"activity", activity}, told...)
	c.tells(t, []string{"instance", instance}, told...)
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))
	g.running(t, 1)
}

// A replacement of an instance refresh that fails on its key is explained by its activity.
func TestAutoScalingExplainsAnInstanceRefresh(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 1, rootDevice(key))
	before := g.running(t, 1)
	role := seed.Role(c.account)
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)))
	must(c.asg.StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: &g.name,
		Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(200))}}))(t)
	activity, instance := g.failedActivity(t, "Launching a new EC2 instance: ")
	for _, id := range []string{activity, instance} {
		c.why(t, id).denied(t, seed.Session(c.account), "kms:CreateGrant", key)
	}
	c.tells(t, []string{activity}, "by "+seed.Session(c.account), key, "For: volume vol-", `Fix "least"`, "kms:PutKeyPolicy on the key")
	if ids := g.running(t, 1); !slices.Equal(ids, before) {
		t.Errorf("%v run, want %v: a replacement is launched first", ids, before)
	}
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))
	eventually(t, "the refresh goes on", func() (bool, string) {
		r := must(c.asg.DescribeInstanceRefreshes(t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &g.name}))(t).InstanceRefreshes[0]
		return r.Status == astypes.InstanceRefreshStatusSuccessful, string(r.Status) + " " + g.state(t)
	})
}

// A launch that fails before there is an instance is explained too: what it was refused, by whom.
func TestAutoScalingExplainsLaunchesThatNeverBegin(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	ctx := t.Context()
	refused := func(g group, texts ...string) {
		t.Helper()
		g.scale(t, 1)
		var id string
		eventually(t, "a failed activity", func() (bool, string) {
			for _, a := range g.activities(t) {
				if a.StatusCode == astypes.ScalingActivityStatusCodeFailed && strings.Contains(str(a.StatusMessage), texts[len(texts)-1]) {
					id = str(a.ActivityId)
					return true, ""
				}
			}
			return false, g.state(t)
		})
		c.tells(t, []string{"activity", id}, texts...)
		c.tells(t, []string{id, "--format", "tree"}, texts...)
		g.scale(t, 0)
	}

	g := c.group(t, 0)
	made := must(c.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: &g.name, SourceVersion: new("1"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "t3.small"},
	}))(t)
	version := fmt.Sprint(*made.LaunchTemplateVersion.VersionNumber)
	must(c.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &g.name,
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: &g.name, Version: &version}}))(t)
	must(c.ec2.DeleteLaunchTemplateVersions(ctx, &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateName: &g.name, Versions: []string{version}}))(t)
	refused(g, "ec2.amazonaws.com RunInstances by "+seed.Session(c.account), "InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version "+version)

	vpc := *must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.9.0.0/16")}))(t).Vpc.VpcId
	subnet := *must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: new("10.9.1.0/24")}))(t).Subnet.SubnetId
	must(c.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &g.name, VPCZoneIdentifier: &subnet,
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: &g.name, Version: new("1")}}))(t)
	must(c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}))(t)
	refused(g, "ec2.amazonaws.com DescribeSubnets by "+seed.Session(c.account), "InvalidSubnetID.NotFound", subnet)
}
