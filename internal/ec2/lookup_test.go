package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// An id without a letter is malformed to what changes the state of instances, and none at all to DescribeInstances.
func TestEmptyInstanceIDs(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	for _, ids := range [][]string{{""}, {id, ""}} {
		for _, in := range []any{
			&ec2api.StartInstancesRequest{InstanceIds: ids}, &ec2api.StopInstancesRequest{InstanceIds: ids},
			&ec2api.RebootInstancesRequest{InstanceIds: ids}, &ec2api.TerminateInstancesRequest{InstanceIds: ids},
		} {
			h.refuse(h.owner(), in, "InvalidInstanceID.Malformed", `Invalid id: "" (expecting "i-...")`)
		}
		h.refuse(h.owner(), &ec2api.DescribeInstancesRequest{InstanceIds: ids}, "MissingParameter", "The request must contain the parameter InstanceId")
	}
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{}}, "MissingParameter", "The request must contain the parameter InstanceId")
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{"bad"}}, "InvalidInstanceID.Malformed", `Invalid id: "bad"`)
	if i := h.instance(id); *i.State.Name != "running" {
		t.Errorf("the instance is %s", *i.State.Name)
	}
}
