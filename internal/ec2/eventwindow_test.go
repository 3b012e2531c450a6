package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestEventWindows: hours of the week, and targets of one kind that have one window.
func TestEventWindows(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	type create = ec2api.CreateInstanceEventWindowRequest
	during := func(from, to int32) []ec2api.InstanceEventWindowTimeRangeRequest {
		return []ec2api.InstanceEventWindowTimeRangeRequest{{StartWeekDay: new("saturday"), StartHour: &from, EndWeekDay: new("sunday"), EndHour: &to}}
	}
	for name, tt := range map[string]struct {
		in   create
		code string
	}{
		"both":                 {create{CronExpression: new("* 0-4 * * *"), TimeRanges: during(22, 4)}, "InvalidParameterCombination"},
		"minutes":              {create{CronExpression: new("0 0-4 * * *")}, "InvalidParameterValue"},
		"an hour":              {create{CronExpression: new("* 0-1 * * *")}, "InvalidParameterValue"},
		"no range":             {create{CronExpression: new("* 4 * * *")}, "InvalidParameterValue"},
		"a short week":         {create{CronExpression: new("* 0-2 * * 1")}, "InvalidParameterValue"},
		"no such day":          {create{CronExpression: new("* 0-4 * * 7")}, "InvalidParameterValue"},
		"the same hours twice": {create{CronExpression: new("* 0-2,0-2 * * 1,MON")}, "InvalidParameterValue"},
		"the same range twice": {create{TimeRanges: append(during(22, 0), during(22, 0)...)}, "InvalidParameterValue"},
		"a short range":        {create{TimeRanges: during(23, 0)}, "InvalidParameterValue"},
		"three hours":          {create{TimeRanges: during(22, 1)}, "InvalidParameterValue"},
		"tried dry":            {create{CronExpression: new("* 20-23,0-4 * * SUN,3-5"), DryRun: new(true)}, "DryRunOperation"},
	} {
		t.Run(name, func(t *testing.T) { h.refuse(h.owner(), &tt.in, tt.code, "*") })
	}
	made := ask[ec2api.CreateInstanceEventWindowResult](h.desk, h.owner(), &create{Name: new("nights"), TimeRanges: during(22, 4), TagSpecifications: specs("instance-event-window")}).InstanceEventWindow
	if r := made.TimeRanges; *made.State != "creating" || len(made.Tags) != 1 || len(r) != 1 || *r[0].StartWeekDay != "saturday" || *r[0].StartHour != 22 || *r[0].EndWeekDay != "sunday" || *r[0].EndHour != 4 {
		t.Errorf("made %+v", made)
	}
	other := ask[ec2api.CreateInstanceEventWindowResult](h.desk, h.owner(), &create{CronExpression: new("* 0-4 * * *")}).InstanceEventWindow
	type associate = ec2api.AssociateInstanceEventWindowRequest
	type target = ec2api.InstanceEventWindowAssociationRequest
	mineOnly := &associate{InstanceEventWindowId: made.InstanceEventWindowId, AssociationTarget: &target{InstanceIds: []string{id}}}
	if w := ask[ec2api.AssociateInstanceEventWindowResult](h.desk, h.owner(), mineOnly).InstanceEventWindow; len(w.AssociationTarget.InstanceIds) != 1 || w.AssociationTarget.DedicatedHostIds == nil || *w.State != "creating" {
		t.Errorf("associated %+v", w)
	}
	h.refuse(h.owner(), &associate{InstanceEventWindowId: other.InstanceEventWindowId, AssociationTarget: mineOnly.AssociationTarget}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &associate{InstanceEventWindowId: made.InstanceEventWindowId, AssociationTarget: &target{InstanceTags: tagList("a", "b")}}, "InvalidParameterCombination", "*")
	h.refuse(h.owner(), &associate{InstanceEventWindowId: made.InstanceEventWindowId, AssociationTarget: &target{}}, "MissingParameter", "*")
	h.refuse(h.owner(), &associate{InstanceEventWindowId: made.InstanceEventWindowId, AssociationTarget: &target{InstanceIds: []string{"i-0123456789abcdef0"}}}, "InvalidInstanceID.NotFound", "*")
	changed := ask[ec2api.ModifyInstanceEventWindowResult](h.desk, h.owner(), &ec2api.ModifyInstanceEventWindowRequest{InstanceEventWindowId: made.InstanceEventWindowId, CronExpression: new("* 0-4 * * *")}).InstanceEventWindow
	if len(changed.TimeRanges) != 0 || *changed.CronExpression != "* 0-4 * * *" || api.Val(changed.Name) != "nights" {
		t.Errorf("changed %+v", changed)
	}
	for name, value := range map[string]string{"event-window-name": "nights", "instance-id": id, "tag-key": *made.Tags[0].Key} {
		got := ask[ec2api.DescribeInstanceEventWindowsResult](h.desk, h.owner(), &ec2api.DescribeInstanceEventWindowsRequest{Filters: []ec2api.Filter{filter(name, value)}}).InstanceEventWindows
		if len(got) != 1 || *got[0].State != "active" || *got[0].InstanceEventWindowId != *made.InstanceEventWindowId {
			t.Errorf("%s: %+v", name, got)
		}
	}
	h.refuse(h.owner(), &ec2api.DeleteInstanceEventWindowRequest{InstanceEventWindowId: made.InstanceEventWindowId}, "DependencyViolation", "*")
	leave := &ec2api.DisassociateInstanceEventWindowRequest{InstanceEventWindowId: made.InstanceEventWindowId, AssociationTarget: &ec2api.InstanceEventWindowDisassociationRequest{InstanceIds: []string{id}}}
	if w := ask[ec2api.DisassociateInstanceEventWindowResult](h.desk, h.owner(), leave).InstanceEventWindow; w.AssociationTarget == nil || len(w.AssociationTarget.InstanceIds) != 0 || *w.State != "creating" {
		t.Errorf("disassociated %+v", w)
	}
	h.refuse(h.owner(), leave, "InvalidParameterValue", "*")
	ask[ec2api.DeleteInstanceEventWindowResult](h.desk, h.owner(), &ec2api.DeleteInstanceEventWindowRequest{InstanceEventWindowId: made.InstanceEventWindowId})
	h.refuse(h.owner(), &ec2api.DescribeInstanceEventWindowsRequest{InstanceEventWindowIds: []string{*made.InstanceEventWindowId}}, "InvalidInstanceEventWindowID.NotFound", "*")
}
