//go:build linux

package faults_test

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// unsettled says what is still on its way: a group without the instances that it is to have, an instance that belongs to
// none, a volume in between. "" is that all is well.
func (w *world) unsettled() (string, error) {
	want, have := 0, 0
	groups := autoscaling.NewDescribeAutoScalingGroupsPaginator(w.asg, &autoscaling.DescribeAutoScalingGroupsInput{})
	for groups.HasMorePages() {
		page, err := groups.NextPage(ctx2)
		if err != nil {
			return "", err
		}
		for _, g := range page.AutoScalingGroups {
			if g.Status != nil {
				return fmt.Sprintf("%s is being deleted", *g.AutoScalingGroupName), nil
			}
			if want += int(*g.DesiredCapacity); len(g.Instances) != int(*g.DesiredCapacity) {
				return fmt.Sprintf("%s has %d instances, wants %d", *g.AutoScalingGroupName, len(g.Instances), *g.DesiredCapacity), nil
			}
			for _, i := range g.Instances {
				if i.LifecycleState != "InService" {
					return fmt.Sprintf("%s is %s", *i.InstanceId, i.LifecycleState), nil
				}
			}
		}
	}
	instances := ec2.NewDescribeInstancesPaginator(w.ec2, &ec2.DescribeInstancesInput{})
	for instances.HasMorePages() {
		page, err := instances.NextPage(ctx2)
		if err != nil {
			return "", err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				switch i.State.Name {
				case ec2types.InstanceStateNameTerminated:
				case ec2types.InstanceStateNameRunning:
					have++
				default:
					return fmt.Sprintf("%s is %s", *i.InstanceId, i.State.Name), nil
				}
			}
		}
	}
	if have != want+1 { // and the instance that has the volumes
		return fmt.Sprintf("%d instances run, %d are wanted", have, want+1), nil
	}
	volumes := ec2.NewDescribeVolumesPaginator(w.ec2, &ec2.DescribeVolumesInput{})
	for volumes.HasMorePages() {
		page, err := volumes.NextPage(ctx2)
		if err != nil {
			return "", err
		}
		for _, v := range page.Volumes {
			if v.State != ec2types.VolumeStateInUse && v.State != ec2types.VolumeStateAvailable {
				return fmt.Sprintf("%s is %s", *v.VolumeId, v.State), nil
			}
		}
	}
	return "", nil
}
