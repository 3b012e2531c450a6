package ec2_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func TestModifyInstanceCpuOptions(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	in := runRequest()
	in.InstanceType = new("m8i.xlarge")
	id := *ask[ec2api.Reservation](h.desk, me, in).Instances[0].InstanceId
	h.Advance(time.Minute)
	change := func(cores, threads int32, nested string) *ec2api.ModifyInstanceCpuOptionsRequest {
		return &ec2api.ModifyInstanceCpuOptionsRequest{InstanceId: &id, CoreCount: api.Opt(cores), ThreadsPerCore: api.Opt(threads), NestedVirtualization: api.Opt(nested)}
	}
	h.refuse(me, change(1, 1, ""), "IncorrectInstanceState", "*")
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	for _, x := range []struct {
		in   *ec2api.ModifyInstanceCpuOptionsRequest
		want string
	}{
		{change(0, 0, "enabled"), "2x2 enabled"},
		{change(1, 2, ""), "1x2 enabled"},
		{change(2, 1, "disabled"), "2x1 disabled"},
	} {
		out := ask[ec2api.ModifyInstanceCpuOptionsResult](h.desk, me, x.in)
		if got := fmt.Sprintf("%dx%d %s", *out.CoreCount, *out.ThreadsPerCore, api.Val(out.NestedVirtualization)); got != x.want || *out.InstanceId != id {
			t.Errorf("%s: answered %s, want %s", *out.InstanceId, got, x.want)
		}
		o := h.instance(id).CpuOptions
		if got := fmt.Sprintf("%dx%d %s", *o.CoreCount, *o.ThreadsPerCore, api.Val(o.NestedVirtualization)); got != x.want {
			t.Errorf("the instance has %s, want %s", got, x.want)
		}
	}
	small := h.run(me)
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{small}})
	h.Advance(time.Minute)
	for _, x := range []struct {
		in   *ec2api.ModifyInstanceCpuOptionsRequest
		code string
	}{
		{change(0, 0, ""), "MissingParameter"},
		{change(1, 0, ""), "InvalidParameterCombination"},
		{change(0, 1, ""), "InvalidParameterCombination"},
		{change(3, 1, ""), "InvalidParameterValue"},
		{change(1, 3, ""), "InvalidParameterValue"},
		{change(0, 0, "on"), "InvalidParameterValue"},
		{&ec2api.ModifyInstanceCpuOptionsRequest{InstanceId: &small, NestedVirtualization: new("enabled")}, "InvalidParameterCombination"},
		{&ec2api.ModifyInstanceCpuOptionsRequest{InstanceId: new("i-00000000000000001"), NestedVirtualization: new("enabled")}, "InvalidInstanceID.NotFound"},
	} {
		h.refuse(me, x.in, x.code, "*")
	}
	two := h.allowed("two", `"ec2:ModifyInstanceCpuOptions"`, `"*"`, `{"StringEquals":{"ec2:Attribute/CoreCount":"2"}}`)
	ask[ec2api.ModifyInstanceCpuOptionsResult](h.desk, two, change(2, 2, ""))
	h.refuse(two, change(1, 2, ""), "UnauthorizedOperation", "*")
}
