package ec2_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
)

// viaEC2 is a key policy with which a user may launch, and root administers.
func viaEC2(user string, actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[
{"Sid":"Root","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + mine + `:root"},"Action":["kms:Put*","kms:List*","kms:Get*","kms:Describe*","kms:RevokeGrant","kms:DisableKey","kms:EnableKey","kms:Schedule*"],"Resource":"*"},
{"Sid":"Launch","Effect":"Allow","Principal":{"AWS":"` + user + `"},"Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*",
"Condition":{"StringEquals":{"kms:ViaService":"ec2.` + region + `.amazonaws.com","kms:CallerAccount":"` + mine + `"}}}]}`
}

func TestAnInstanceRunsWhenTheHostHoldsItsVolumes(t *testing.T) {
	h := newHouse(t)
	user := h.launcher()
	key := h.key(viaEC2(user.Principal.ARN, "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"))
	res := ask[ec2api.Reservation](h.desk, user, runRequest(encrypted(rootDevice, key), encrypted("/dev/sdf", key)))
	id := *res.Instances[0].InstanceId
	if got := *res.Instances[0].State.Name; got != "pending" || *res.Instances[0].StateReason.Code != "pending" {
		t.Errorf("the answer says %s", got)
	}
	h.wantState(id, "pending")
	h.Advance(2 * time.Second)
	h.wantState(id, "running")
	if i := h.instance(id); i.StateReason != nil || len(i.BlockDeviceMappings) != 2 || i.PrivateIpAddress == nil {
		t.Errorf("running instance: %+v", i)
	}
	want := []string{
		"CreateGrant by " + user.Principal.ARN, "GenerateDataKeyWithoutPlaintext by " + user.Principal.ARN,
		"Decrypt by ebs.amazonaws.com", "RetireGrant by ec2." + region + ".amazonaws.com",
		"GenerateDataKeyWithoutPlaintext by " + user.Principal.ARN,
		"CreateGrant by " + user.Principal.ARN, "CreateGrant by " + user.Principal.ARN, "Decrypt by " + id, "Decrypt by " + id,
	}
	if got := strings.Join(h.wire.seen(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("KMS saw\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for _, device := range []string{rootDevice, "/dev/sdf"} {
		v := h.volumeOn(id, device)
		if !*v.Encrypted || *v.KmsKeyId != key || *v.State != "in-use" || *v.Attachments[0].State != "attached" {
			t.Errorf("%s: %+v", device, v)
		}
	}
	grants := h.grants(key)
	if len(grants) != 2 {
		t.Fatalf("%d grants", len(grants))
	}
	g := grants[0]
	if *g.GranteePrincipal != "arn:aws:sts::"+mine+":assumed-role/aws:ec2-infrastructure/"+id || len(g.Operations) != 1 ||
		*g.RetiringPrincipal != "ec2."+region+".amazonaws.com" || *g.IssuingAccount != "arn:aws:iam::"+mine+":root" {
		t.Errorf("grant: %+v", g)
	}
	h.noJobs()
	if len(h.changes) != 2 { // pending, running
		t.Errorf("changes: %v", h.changes)
	}
}

func TestContentIsOnDiskOnlyEncrypted(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted(rootDevice, key))
	v := *h.volumeOn(id, rootDevice).VolumeId
	d := h.disk(v)
	head := make([]byte, 2048)
	if _, err := d.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	if head[1024+56] != 0x53 || head[1024+57] != 0xef {
		t.Error("the root disk has no ext2 file system")
	}
	pattern := bytes.Repeat([]byte("kagimori keeps this to itself. "), 200)
	if _, err := d.WriteAt(pattern, 5<<30); err != nil {
		t.Fatal(err)
	}
	h.Must(d.Flush())
	h.ec2.Stop()
	raw, err := h.folder.Open(v + ".kvol")
	h.Must(err)
	defer raw.Close()
	buf := make([]byte, len(pattern)+8192)
	if _, err := raw.ReadAt(buf, 1<<20+5<<30); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(buf, pattern[:31]) || bytes.Equal(buf, make([]byte, len(buf))) {
		t.Error("the pattern is on disk in the clear, or not at all")
	}
}

// TestAFailedLaunchLeavesNothing: each permission in turn is missing.
func TestAFailedLaunchLeavesNothing(t *testing.T) {
	for _, missing := range []string{"kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"} {
		t.Run(missing, func(t *testing.T) {
			h := newHouse(t)
			user := h.launcher()
			has := "kms:CreateGrant"
			if missing == has {
				has = "kms:GenerateDataKeyWithoutPlaintext"
			}
			key := h.key(viaEC2(user.Principal.ARN, has))
			res := ask[ec2api.Reservation](h.desk, user, runRequest(encrypted("/dev/sdf", key)))
			id := *res.Instances[0].InstanceId
			h.Advance(2 * time.Second)
			h.wantState(id, "shutting-down")
			h.Advance(time.Second)
			h.wantState(id, "terminated")
			i := h.instance(id)
			if *i.StateReason.Code != "Client.InvalidKMSKey.InvalidState" || len(i.BlockDeviceMappings) != 0 ||
				*i.StateReason.Message != "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state" {
				t.Errorf("reason: %+v", i.StateReason)
			}
			h.clean(key)
			h.wantDenied(id, missing)
			if len(h.changes) != 3 {
				t.Errorf("changes: %v", h.changes)
			}
		})
	}
}

func TestALaunchWithoutEncryptionNeedsNoKMS(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.launcher())
	h.wantState(id, "running")
	if calls := h.wire.seen(); len(calls) != 0 {
		t.Errorf("KMS saw %v", calls)
	}
	if v := h.volumeOn(id, rootDevice); *v.Encrypted || v.KmsKeyId != nil {
		t.Errorf("volume: %+v", v)
	}
}

func TestAnUnknownKeyFailsLater(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner(), encrypted(rootDevice, "alias/nothing"))
	h.wantState(id, "terminated")
	if got := *h.instance(id).StateReason.Code; got != "Client.InvalidKMSKey.InvalidState" {
		t.Error(got)
	}
	h.clean()
}

func TestStopTakesTheKeyAwayAndStartNeedsAGrantAgain(t *testing.T) {
	h := newHouse(t)
	user := h.launcher()
	key := h.key(viaEC2(user.Principal.ARN, "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"))
	id := h.run(user, encrypted("/dev/sdf", key))
	v := *h.volumeOn(id, "/dev/sdf").VolumeId
	if _, err := h.disk(v).WriteAt([]byte("remember"), 4096); err != nil {
		t.Fatal(err)
	}
	change := ask[ec2api.StopInstancesResult](h.desk, user, &ec2api.StopInstancesRequest{InstanceIds: []string{id}}).StoppingInstances[0]
	if *change.PreviousState.Name != "running" || *change.CurrentState.Name != "stopping" {
		t.Errorf("%+v", change)
	}
	h.Advance(time.Second)
	h.wantState(id, "stopped")
	if _, err := h.ec2.Disk(t.Context(), mine, region, v); !errors.Is(err, hosts.ErrNotHeld) {
		t.Errorf("the host still holds the volume: %v", err)
	}
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("%d grants while stopped", len(g))
	}
	if got := *h.instance(id).StateReason.Code; got != "Client.UserInitiatedShutdown" {
		t.Error(got)
	}

	h.askKMS("PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(viaEC2(user.Principal.ARN, "kms:Encrypt"))})
	ask[ec2api.StartInstancesResult](h.desk, user, &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.wantState(id, "pending")
	h.Advance(2 * time.Second)
	h.wantState(id, "stopped")
	if got := *h.instance(id).StateReason.Code; got != "Client.InvalidKMSKey.InvalidState" {
		t.Error(got)
	}

	h.askKMS("PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(viaEC2(user.Principal.ARN, "kms:CreateGrant"))})
	ask[ec2api.StartInstancesResult](h.desk, user, &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(2 * time.Second)
	h.wantState(id, "running")
	got := make([]byte, 8)
	if _, err := h.disk(v).ReadAt(got, 4096); err != nil || string(got) != "remember" {
		t.Errorf("content is %q, %v", got, err)
	}
	if g := h.grants(key); len(g) != 1 {
		t.Errorf("%d grants", len(g))
	}
	h.noJobs()
}

func TestRebootAndRevocationDoNotDisturbARunningInstance(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key))
	v := *h.volumeOn(id, "/dev/sdf").VolumeId
	h.askKMS("DisableKey", &kmsapi.DisableKeyRequest{KeyId: &key})
	h.wire.mend()
	_, err := h.try(h.owner(), &ec2api.RebootInstancesRequest{InstanceIds: []string{id}})
	h.Must(err)
	if _, err := h.disk(v).WriteAt([]byte("x"), 0); err != nil || len(h.wire.seen()) != 0 {
		t.Errorf("%v; KMS saw %v", err, h.wire.seen())
	}
}

func TestTerminateGivesEverythingBack(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	keep := encrypted("/dev/sdf", key)
	keep.Ebs.DeleteOnTermination = new(false)
	id := h.run(h.owner(), encrypted(rootDevice, key), keep)
	kept := *h.volumeOn(id, "/dev/sdf").VolumeId
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.wantState(id, "shutting-down")
	h.Advance(time.Second)
	h.wantState(id, "terminated")
	vols := h.volumes()
	if len(vols) != 1 || *vols[0].VolumeId != kept || *vols[0].State != "available" {
		t.Errorf("volumes: %+v", vols)
	}
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("%d grants", len(g))
	}
	again := ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}}).TerminatingInstances[0]
	if *again.CurrentState.Name != "terminated" || *again.PreviousState.Name != "terminated" {
		t.Errorf("%+v", again)
	}
	h.Advance(time.Hour)
	h.refuse(h.owner(), &ec2api.DescribeInstancesRequest{InstanceIds: []string{id}}, "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
	_, err := h.try(h.owner(), &ec2api.DeleteVolumeRequest{VolumeId: &kept})
	h.Must(err)
	h.clean(key)
}

func TestTerminateCutsALaunchOff(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := *ask[ec2api.Reservation](h.desk, h.owner(), runRequest(encrypted(rootDevice, key))).Instances[0].InstanceId
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.wantState(id, "shutting-down")
	h.Advance(5 * time.Second)
	h.wantState(id, "terminated")
	if got := *h.instance(id).StateReason.Code; got != "Client.UserInitiatedShutdown" {
		t.Error(got)
	}
	if calls := h.wire.seen(); len(calls) != 0 {
		t.Errorf("KMS saw %v", calls)
	}
	h.clean(key)
}

func TestTheAWSManagedKeyIsMadeOnFirstUse(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.launcher(), encrypted(rootDevice, ""))
	h.wantState(id, "running")
	key := *h.volumeOn(id, rootDevice).KmsKeyId
	meta := h.askKMS("DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &key}).(*kmsapi.DescribeKeyResponse).KeyMetadata
	if api.Val(meta.KeyManager) != "AWS" {
		t.Errorf("key: %+v", meta)
	}
}
