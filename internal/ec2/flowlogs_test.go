package ec2_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// flowOf asks for a flow log of a VPC to a bucket.
func flowOf(vpc, bucket string) *ec2api.CreateFlowLogsRequest {
	return &ec2api.CreateFlowLogsRequest{
		ResourceType: new("VPC"), ResourceIds: []string{vpc}, TrafficType: new("ALL"), LogDestinationType: new("s3"), LogDestination: &bucket,
	}
}

func (d *desk) flows(filters ...ec2api.Filter) []ec2api.FlowLog {
	d.T.Helper()
	return ask[ec2api.DescribeFlowLogsResult](d, d.root(mine), &ec2api.DescribeFlowLogsRequest{Filter: filters}).FlowLogs
}

// Flow logs are kept as they were asked for, each resource of a request for itself.
// Sources: EC2 API Reference, CreateFlowLogs, DeleteFlowLogs; VPC User Guide, "Amazon VPC quotas".
func TestFlowLogs(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	in := flowOf(p.vpc, "arn:aws:s3:::logs/of/vpcs/")
	in.DestinationOptions = &ec2api.DestinationOptionsRequest{PerHourPartition: new(true)}
	in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("vpc-flow-log"), Tags: []ec2api.Tag{{Key: new("a"), Value: new("b")}}}}
	in.ResourceIds = append(in.ResourceIds, "vpc-00000000000000001")
	made := ask[ec2api.CreateFlowLogsResult](d, me, in)
	if len(made.FlowLogIds) != 1 || len(made.Unsuccessful) != 1 || *made.Unsuccessful[0].ResourceId != "vpc-00000000000000001" || *made.Unsuccessful[0].Error.Code != "InvalidVpcID.NotFound" {
		t.Fatalf("made %+v", made)
	}
	first := made.FlowLogIds[0]
	f := d.flows(filter("tag:a", "b"))[0]
	if *f.FlowLogId != first || *f.ResourceId != p.vpc || *f.LogDestination != "arn:aws:s3:::logs/of/vpcs/" || *f.MaxAggregationInterval != 600 || *f.FlowLogStatus != "ACTIVE" ||
		f.LogGroupName != nil || *f.DestinationOptions.FileFormat != "plain-text" || !*f.DestinationOptions.PerHourPartition || len(f.Tags) != 1 {
		t.Errorf("flow log %+v", f)
	}
	in.ResourceIds = []string{p.vpc}
	again := func(code string) {
		t.Helper()
		out := ask[ec2api.CreateFlowLogsResult](d, me, in)
		if len(out.FlowLogIds) != 0 || *out.Unsuccessful[0].Error.Code != code {
			t.Errorf("%+v, want %s", out, code)
		}
	}
	again("FlowLogAlreadyExists")
	group := &ec2api.CreateFlowLogsRequest{
		ResourceType: new("VPC"), ResourceIds: []string{p.vpc}, TrafficType: new("REJECT"), DeliverLogsPermissionArn: new(passedRole),
		LogDestination: new("arn:aws:logs:" + region + ":" + mine + ":log-group:flows:*"), MaxAggregationInterval: new(int32(60)), LogFormat: new("${version} ${vpc-id}"),
	}
	second := ask[ec2api.CreateFlowLogsResult](d, me, group).FlowLogIds[0]
	if f := d.flows(filter("log-group-name", "flows"))[0]; *f.FlowLogId != second || *f.LogDestinationType != "cloud-watch-logs" || *f.DeliverLogsPermissionArn != passedRole ||
		*f.MaxAggregationInterval != 60 || *f.LogFormat != "${version} ${vpc-id}" || *f.TrafficType != "REJECT" {
		t.Errorf("flow log %+v", f)
	}
	in.TrafficType = new("ACCEPT")
	again("FlowLogsLimitExceeded")
	left := ask[ec2api.DeleteFlowLogsResult](d, me, &ec2api.DeleteFlowLogsRequest{FlowLogIds: []string{first, "fl-00000000000000001"}}).Unsuccessful
	if len(left) != 1 || *left[0].ResourceId != "fl-00000000000000001" || *left[0].Error.Code != "InvalidFlowLogId.NotFound" {
		t.Errorf("left %+v", left)
	}
	if have := d.flows(); len(have) != 1 || *have[0].FlowLogId != second {
		t.Errorf("flow logs %+v", have)
	}
	d.refuse(me, &ec2api.DescribeFlowLogsRequest{FlowLogIds: []string{first}}, "InvalidFlowLogId.NotFound", "*")
	for _, c := range []struct {
		name, code string
		change     func(*ec2api.CreateFlowLogsRequest)
	}{
		{"a transit gateway", "UnsupportedOperation", func(in *ec2api.CreateFlowLogsRequest) { in.ResourceType = new("TransitGateway") }},
		{"no traffic", "MissingParameter", func(in *ec2api.CreateFlowLogsRequest) { in.TrafficType = nil }},
		{"no destination", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.LogDestination = nil }},
		{"two destinations", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.LogGroupName = new("flows") }},
		{"a group for a bucket", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.LogDestination, in.LogGroupName = nil, new("flows") }},
		{"no ARN", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.LogDestination = new("logs") }},
		{"a role for a bucket", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.DeliverLogsPermissionArn = new(passedRole) }},
		{"no role for a group", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.LogDestinationType = nil }},
		{"a role without an ARN", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.DeliverCrossAccountRole = new("flows") }},
		{"an interval", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.MaxAggregationInterval = new(int32(61)) }},
		{"a format", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) { in.LogFormat = new("version") }},
		{"options for a stream", "InvalidParameter", func(in *ec2api.CreateFlowLogsRequest) {
			in.LogDestinationType, in.DestinationOptions = new("kinesis-data-firehose"), &ec2api.DestinationOptionsRequest{}
		}},
	} {
		in := flowOf(p.vpc, "arn:aws:s3:::others")
		c.change(in)
		if _, err := d.try(me, in); apierr.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
	for kind, id := range map[string]string{"Subnet": p.subnet, "NetworkInterface": *ask[ec2api.CreateNetworkInterfaceResult](d, me, &ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterface.NetworkInterfaceId} {
		in := flowOf(id, "arn:aws:s3:::others")
		in.ResourceType = &kind
		out := ask[ec2api.CreateFlowLogsResult](d, me, in)
		if f := d.flows(filter("resource-id", id)); len(f) != 1 || !slices.Equal(out.FlowLogIds, []string{*f[0].FlowLogId}) {
			t.Errorf("%s: %+v", kind, f)
		}
	}
}

// Who makes a flow log hands its role to the service, and needs iam:PassRole for that.
func TestFlowLogsHaveRoles(t *testing.T) {
	d := newDesk(t)
	p := d.opened()
	in := &ec2api.CreateFlowLogsRequest{ResourceType: new("VPC"), ResourceIds: []string{p.vpc}, TrafficType: new("ALL"), LogGroupName: new("flows"), DeliverLogsPermissionArn: new(passedRole), DryRun: new(true)}
	for service, code := range map[string]string{"vpc-flow-logs.amazonaws.com": "DryRunOperation", "ec2.amazonaws.com": "UnauthorizedOperation"} {
		u := d.User(mine, service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:CreateFlowLogs","Resource":"*"},`+
			`{"Effect":"Allow","Action":"iam:PassRole","Resource":"`+passedRole+`","Condition":{"StringEquals":{"iam:PassedToService":"`+service+`"}}}]}`)
		d.refuse(u, in, code, "*")
	}
}
