package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// hibernating is a request for instances that can hibernate, with a root volume of so many GiB.
func hibernating(kind string, gib int32, root ec2api.EbsBlockDevice) *ec2api.RunInstancesRequest {
	root.VolumeSize = &gib
	in := runRequest(ec2api.BlockDeviceMapping{DeviceName: new(rootDevice), Ebs: &root})
	in.InstanceType, in.HibernationOptions = &kind, &ec2api.HibernationOptionsRequest{Configured: new(true)}
	return in
}

func TestHibernationIsRefused(t *testing.T) {
	h := newHouse(t)
	secret := ec2api.EbsBlockDevice{Encrypted: new(true)}
	enclave := hibernating("m5.large", 10, secret)
	enclave.EnclaveOptions = &ec2api.EnclaveOptionsRequest{Enabled: new(true)}
	for name, tt := range map[string]struct {
		in   *ec2api.RunInstancesRequest
		code string
	}{
		"plain root volume":   {hibernating("m5.large", 10, ec2api.EbsBlockDevice{}), "UnsupportedHibernationConfiguration"},
		"smaller than memory": {hibernating("m5.xlarge", 15, secret), "UnsupportedHibernationConfiguration"},
		"too much memory":     {hibernating("r5.12xlarge", 500, secret), "UnsupportedHibernationConfiguration"},
		"magnetic root": {hibernating("m5.large", 10, ec2api.EbsBlockDevice{Encrypted: new(true), VolumeType: new("standard")}),
			"UnsupportedHibernationConfiguration"},
		"enclave": {enclave, "InvalidParameterCombination"},
	} {
		t.Run(name, func(t *testing.T) { h.refuse(h.owner(), tt.in, tt.code, "*") })
	}
	id := h.run(h.owner())
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}, Hibernate: new(true)}, "UnsupportedHibernationConfiguration", "*")
	h.wantState(id, "running")
}

func TestHibernation(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := *ask[ec2api.Reservation](h.desk, h.owner(), hibernating("m5.large", 8, ec2api.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &key})).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	if !*h.instance(id).HibernationOptions.Configured {
		t.Error("not configured")
	}
	out := ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}, Hibernate: new(true)}).StoppingInstances[0]
	if *out.CurrentState.Name != "stopping" || *out.PreviousState.Name != "running" {
		t.Errorf("%+v", out)
	}
	h.Advance(2 * time.Second)
	h.wantState(id, "stopped")
	if r := h.instance(id).StateReason; *r.Code != "Client.UserInitiatedHibernate" || *r.Message != "Client.UserInitiatedHibernate: User initiated hibernate" {
		t.Errorf("%s %s", *r.Code, *r.Message)
	}
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("%d grants while it hibernates", len(g))
	}
	h.refuse(h.owner(), &ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, InstanceType: &ec2api.AttributeValue{Value: new("m5.xlarge")}}, "UnsupportedOperation", "*")
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(3 * time.Second)
	h.wantState(id, "running")
	if h.instance(id).StateReason != nil || len(h.grants(key)) != 1 {
		t.Errorf("%+v", h.instance(id).StateReason)
	}
}
