package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// spotRole is the ARN of EC2 Spot's service-linked role.
func spotRole(account string) string {
	return "arn:aws:iam::" + account + ":role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
}

// statementsFor is the page's policy for a role.
func (c *client) statementsFor(role string) []string {
	return []string{seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role)}
}

// isSpot checks the lifecycle of an instance.
func (c *client) isSpot(t *testing.T, id string) {
	t.Helper()
	if got := c.instance(t, id).InstanceLifecycle; got != ec2types.InstanceLifecycleTypeSpot {
		t.Errorf("the lifecycle of %s is %q", id, got)
	}
}

func TestS21_ALaunchConfigurationWithASpotPriceUsesTheRoleOfSpot(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.key(t, seed.Policy(c.statementsFor(seed.Role(c.account))...))
	g := c.configGroup(t, "web", c.imageUnder(t, key), func(in *autoscaling.CreateLaunchConfigurationInput) { in.SpotPrice = new("0.01") })
	why := c.why(t, g.launchFail(t, c, key))
	const session = ":assumed-role/AWSServiceRoleForEC2Spot/"
	if want := "arn:aws:sts::" + c.account + session; len(why.Principal) <= len(want) || why.Principal[:len(want)] != want {
		t.Errorf("the refused principal is %s, want %s...", why.Principal, want)
	}
	why.denied(t, why.Principal, "kms:ReEncryptFrom", key, "key-policy", spotRole(c.account))

	// Auto Scaling made the role; its own role is of no use here.
	made := must(c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new("AWSServiceRoleForEC2Spot")}))(t).Role
	if *made.Arn != spotRole(c.account) {
		t.Errorf("the role is %s", *made.Arn)
	}
	attached := must(c.iam.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: made.RoleName}))(t).AttachedPolicies
	if len(attached) != 1 || *attached[0].PolicyName != "AWSEC2SpotServiceRolePolicy" {
		t.Errorf("the role's policies are %+v", attached)
	}
	c.setPolicy(t, key, c.statementsFor(spotRole(c.account))...)
	c.isSpot(t, g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})[0])
}

// Without a price the same configuration is launched by the group's role, which the key of Spot
// does not know.
func TestS21_ALaunchConfigurationWithoutAPriceUsesTheGroupsRole(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	must(c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("spot.amazonaws.com")}))(t)
	key := c.key(t, seed.Policy(c.statementsFor(spotRole(c.account))...))
	g := c.configGroup(t, "web", c.imageUnder(t, key), nil)
	c.why(t, g.launchFail(t, c, key)).denied(t, seed.Session(c.account), "kms:ReEncryptFrom", key, "key-policy", seed.Role(c.account))
	c.setPolicy(t, key, c.statementsFor(seed.Role(c.account))...)
	id := g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})[0]
	if got := c.instance(t, id).InstanceLifecycle; got != "" {
		t.Errorf("the lifecycle is %q", got)
	}
}

func TestS21_SpotInALaunchTemplateUsesTheGroupsRole(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		role func(string) string
		ok   bool
	}{"role of Auto Scaling": {seed.Role, true}, "role of Spot": {spotRole, false}} {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			must(c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("spot.amazonaws.com")}))(t)
			key := c.key(t, seed.Policy(c.statementsFor(want.role(c.account))...))
			must(c.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
				LaunchTemplateName: new("web"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
					ImageId: new(c.imageUnder(t, key)), InstanceType: ec2types.InstanceTypeT3Micro,
					InstanceMarketOptions: &ec2types.LaunchTemplateInstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeSpot},
				},
			}))(t)
			g := c.groupBy(t, groupInput("web", 1))
			if want.ok {
				c.isSpot(t, g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})[0])
				return
			}
			c.why(t, g.launchFail(t, c, key)).denied(t, seed.Session(c.account), "kms:ReEncryptFrom", key, "key-policy", seed.Role(c.account))
		})
	}
}

func TestS21_AMixedInstancesPolicyUsesTheGroupsRole(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	c.template(t, "web", rootDevice(key))
	in := groupInput("web", 2)
	in.LaunchTemplate = nil
	in.MixedInstancesPolicy = &astypes.MixedInstancesPolicy{
		LaunchTemplate: &astypes.LaunchTemplate{
			LaunchTemplateSpecification: &astypes.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("$Latest")},
		},
		InstancesDistribution: &astypes.InstancesDistribution{
			OnDemandBaseCapacity: new(int32(1)), OnDemandPercentageAboveBaseCapacity: new(int32(0)),
		},
	}
	spot := 0
	for _, id := range c.groupBy(t, in).launchOK(t, 2, c, map[string]string{"/dev/xvda": key}) {
		if c.instance(t, id).InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot {
			spot++
		}
	}
	if spot != 1 {
		t.Errorf("%d of 2 instances are Spot Instances, want 1", spot)
	}
}

func TestS21_APriceBelowTheMarketFailsWithoutAnInstance(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	g := c.configGroup(t, "web", c.plainImage(t), func(in *autoscaling.CreateLaunchConfigurationInput) { in.SpotPrice = new("0.0001") })
	var a activity
	eventually(t, "failed launch", func() (bool, string) {
		all := g.activities(t)
		if len(all) == 0 || all[len(all)-1].EndTime == nil {
			return false, g.state(t)
		}
		a = all[len(all)-1]
		return true, ""
	})
	const text = "Your Spot request price of 0.0001 is lower than the minimum required Spot request fulfillment price of "
	if a.StatusCode != astypes.ScalingActivityStatusCodeFailed || len(str(a.StatusMessage)) < len(text) || str(a.StatusMessage)[:len(text)] != text {
		t.Errorf("the activity is %s: %q", a.StatusCode, str(a.StatusMessage))
	}
	if len(c.volumes(t)) != 0 {
		t.Error("a launch that was refused left volumes")
	}
}
