package ec2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestAnswersFollowTheRequest: what instances change to is told in the order of the request, whatever their ids.
func TestAnswersFollowTheRequest(t *testing.T) {
	h := newHouse(t)
	ids := []string{h.run(h.owner()), h.run(h.owner()), h.run(h.owner())}
	slices.Sort(ids)
	ids = []string{ids[1], ids[2], ids[0]}
	h.Advance(time.Minute)
	names := func(all []ec2api.InstanceStateChange) (out []string) {
		for _, c := range all {
			out = append(out, *c.InstanceId)
		}
		return out
	}
	stop := ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: ids}).StoppingInstances
	h.Advance(time.Minute)
	start := ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: ids}).StartingInstances
	h.Advance(time.Minute)
	end := ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: slices.Concat(ids, ids[:1])}).TerminatingInstances
	for _, got := range [][]ec2api.InstanceStateChange{stop, start, end} {
		if diff := cmp.Diff(ids, names(got)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestSeveralThatAreMissing: an error names all of them.
func TestSeveralThatAreMissing(t *testing.T) {
	d := newDesk(t)
	me := d.root(mine)
	d.refuse(me, &ec2api.DescribeVolumesRequest{VolumeIds: []string{"vol-00000001", "vol-00000002"}}, "InvalidVolume.NotFound",
		"The volumes 'vol-00000001, vol-00000002' do not exist.")
	d.refuse(me, &ec2api.DescribeVolumesRequest{VolumeIds: []string{"vol-00000002"}}, "InvalidVolume.NotFound", "The volume 'vol-00000002' does not exist.")
	d.refuse(me, &ec2api.DescribeImagesRequest{ImageIds: []string{"ami-00000002", exampleImage, "ami-00000001"}}, "InvalidAMIID.NotFound",
		"The image ids '[ami-00000002, ami-00000001]' do not exist")
	d.refuse(me, &ec2api.DescribeImagesRequest{ImageIds: []string{"ami-00000002", "linux"}}, "InvalidAMIID.Malformed", "*")
	d.refuse(me, &ec2api.DescribeInstancesRequest{InstanceIds: []string{"i-00000002", "i-00000001"}}, "InvalidInstanceID.NotFound",
		"The instance IDs 'i-00000001, i-00000002' do not exist")
}

// TestEnclavesNeedATypeThatHasThem, and AMD SEV-SNP too.
func TestEnclavesNeedATypeThatHasThem(t *testing.T) {
	h := newHouse(t)
	run := func(kind string, enclave bool, snp *string) *ec2api.RunInstancesRequest {
		in := runRequest()
		in.InstanceType = &kind
		if enclave {
			in.EnclaveOptions = &ec2api.EnclaveOptionsRequest{Enabled: new(true)}
		}
		if snp != nil {
			in.CpuOptions = &ec2api.CpuOptionsRequest{AmdSevSnp: snp}
		}
		return in
	}
	h.refuse(h.owner(), run("t3.micro", true, nil), "InvalidParameterCombination", "*")
	h.refuse(h.owner(), run("m5.large", true, nil), "InvalidParameterCombination", "*")
	i := ask[ec2api.Reservation](h.desk, h.owner(), run("m5.xlarge", true, nil)).Instances[0]
	if !*i.EnclaveOptions.Enabled || i.CpuOptions.AmdSevSnp != nil {
		t.Errorf("instance %+v", i)
	}
	h.refuse(h.owner(), run("m5.large", false, new("enabled")), "InvalidParameterCombination", "*")
	h.refuse(h.owner(), run("m6a.large", false, new("on")), "InvalidParameterValue", "*")
	i = ask[ec2api.Reservation](h.desk, h.owner(), run("m6a.large", false, new("enabled"))).Instances[0]
	if got := h.instance(*i.InstanceId).CpuOptions; *got.AmdSevSnp != "enabled" || *got.CoreCount != 1 || *got.ThreadsPerCore != 2 {
		t.Errorf("CPU options %+v", got)
	}
}
