package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestEventWindows: when scheduled events may touch instances with a tag.
func TestEventWindows(t *testing.T) {
	c, ctx := admin(t), t.Context()
	made := must(c.ec2.CreateInstanceEventWindow(ctx, &ec2.CreateInstanceEventWindowInput{Name: new("nights"), CronExpression: new("* 21-23,0-4 * * *")}))(t).InstanceEventWindow
	id := made.InstanceEventWindowId
	must(c.ec2.ModifyInstanceEventWindow(ctx, &ec2.ModifyInstanceEventWindowInput{InstanceEventWindowId: id, TimeRanges: []types.InstanceEventWindowTimeRangeRequest{
		{StartWeekDay: types.WeekDaySaturday, StartHour: new(int32(22)), EndWeekDay: types.WeekDaySunday, EndHour: new(int32(4))},
	}}))(t)
	tags := []types.Tag{{Key: new("env"), Value: new("test")}}
	must(c.ec2.AssociateInstanceEventWindow(ctx, &ec2.AssociateInstanceEventWindowInput{InstanceEventWindowId: id, AssociationTarget: &types.InstanceEventWindowAssociationRequest{InstanceTags: tags}}))(t)
	all := must(c.ec2.DescribeInstanceEventWindows(ctx, &ec2.DescribeInstanceEventWindowsInput{InstanceEventWindowIds: []string{*id}}))(t).InstanceEventWindows
	if len(all) != 1 || all[0].CronExpression != nil || len(all[0].TimeRanges) != 1 || len(all[0].AssociationTarget.Tags) != 1 || all[0].State != types.InstanceEventWindowStateActive {
		t.Errorf("windows %+v", all)
	}
	must(c.ec2.DisassociateInstanceEventWindow(ctx, &ec2.DisassociateInstanceEventWindowInput{InstanceEventWindowId: id, AssociationTarget: &types.InstanceEventWindowDisassociationRequest{InstanceTags: tags}}))(t)
	must(c.ec2.DeleteInstanceEventWindow(ctx, &ec2.DeleteInstanceEventWindowInput{InstanceEventWindowId: id}))(t)
	refused(c.ec2.DescribeInstanceEventWindows(ctx, &ec2.DescribeInstanceEventWindowsInput{InstanceEventWindowIds: []string{*id}}))(t, "InvalidInstanceEventWindowID.NotFound")
}
