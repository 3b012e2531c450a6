package ec2_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/store"
)

// TestAnInterruptedLaunchIsFinishedAfterARestart kills the process before and after each KMS
// request of a launch: the result is the same, with no grant and no volume too many.
func TestAnInterruptedLaunchIsFinishedAfterARestart(t *testing.T) {
	const requests = 9 // see TestAnInstanceRunsWhenTheHostHoldsItsVolumes
	for n := range 2 * requests {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHouse(t)
			user := h.launcher()
			key := h.key(viaEC2(user.Principal.ARN, "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"))
			die := func(_ string, at int) error {
				if at >= n/2 {
					return store.ErrClosed
				}
				return nil
			}
			if n%2 == 0 {
				h.wire.breakAt(die, nil)
			} else {
				h.wire.breakAt(nil, die)
			}
			id := *ask[ec2api.Reservation](h.desk, user, runRequest(encrypted(rootDevice, key), encrypted("/dev/sdf", key))).Instances[0].InstanceId
			h.Advance(5 * time.Second)
			h.wantState(id, "pending")
			h.restart()
			h.Advance(5 * time.Second)
			h.wantState(id, "running")
			if g := h.grants(key); len(g) != 2 {
				t.Errorf("%d grants", len(g))
			}
			if vols := h.volumes(); len(vols) != 2 {
				t.Errorf("%d volumes", len(vols))
			}
			if files, err := blockdev.List(h.folder); err != nil || len(files) != 2 {
				t.Errorf("files %v, %v", files, err)
			}
			h.disk(*h.volumeOn(id, rootDevice).VolumeId)
			h.noJobs()
		})
	}
}

// TestAnInterruptedUndoIsFinishedAfterARestart: the last permission is missing, and the process
// dies while it takes back what it did.
func TestAnInterruptedUndoIsFinishedAfterARestart(t *testing.T) {
	h := newHouse(t)
	user := h.launcher()
	key := h.key(viaEC2(user.Principal.ARN, "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"))
	denied := apierr.New("AccessDeniedException", "the instance may not")
	h.wire.breakAt(func(call string, at int) error {
		switch {
		case call == "Decrypt" && at > 3:
			return denied
		case call == "RetireGrant" && at > 3:
			return store.ErrClosed
		}
		return nil
	}, nil)
	id := h.run(user, encrypted(rootDevice, key))
	h.wantState(id, "pending")
	h.restart()
	h.Advance(5 * time.Second)
	h.wantState(id, "terminated")
	h.clean(key)
}

func TestARunningInstanceSurvivesARestartOfTheServer(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted(rootDevice, key), encrypted("/dev/sdf", ""))
	v := *h.volumeOn(id, rootDevice).VolumeId
	if _, err := h.disk(v).WriteAt([]byte("before"), 1<<30); err != nil {
		t.Fatal(err)
	}
	h.ec2.Stop()
	if _, err := h.ec2.Disk(t.Context(), mine, region, v); !errors.Is(err, hosts.ErrNotHeld) {
		t.Errorf("a stopped service holds the volume: %v", err)
	}
	h.restart()
	h.wantState(id, "running")
	got := make([]byte, 6)
	if _, err := h.disk(v).ReadAt(got, 1<<30); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	if calls := h.wire.seen(); strings.Join(calls, ",") != "Decrypt by "+id+",Decrypt by "+id {
		t.Errorf("KMS saw %v", calls)
	}
}

// TestARevokedGrantStopsAnInstanceAtTheNextRestart: while it ran, nobody noticed.
func TestARevokedGrantStopsAnInstanceAtTheNextRestart(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted(rootDevice, key), encrypted("/dev/sdf", key))
	for _, g := range h.grants(key) {
		if _, err := h.Invoke(t.Context(), h.owner(), kmsapi.Service(), h.kms.Operations(), "RevokeGrant",
			&kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: g.GrantId}); err != nil {
			t.Fatal(err)
		}
	}
	h.wantState(id, "running")
	h.restart()
	h.Advance(time.Second)
	h.wantState(id, "stopped")
	if got := *h.instance(id).StateReason.Code; got != "Client.InvalidKMSKey.InvalidState" {
		t.Error(got)
	}
	h.wantDenied(id, "kms:Decrypt")
	h.noJobs()
	if vols := h.volumes(filter("attachment.instance-id", id), filter("status", "error")); len(vols) != 2 {
		t.Errorf("%d volumes in error are attached to the stopped instance", len(vols))
	}
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(2 * time.Second)
	h.wantState(id, "running")
	if vols := h.volumes(filter("status", "in-use")); len(vols) != 2 {
		t.Errorf("%d volumes are in use again", len(vols))
	}
}

// TestAVolumeThatIsRefusedAtARestartIsInError: its instance runs on without it, and volume and instance
// say so. Both are well again when the key can be used at the next start.
func TestAVolumeThatIsRefusedAtARestartIsInError(t *testing.T) {
	h := newHouse(t)
	root, data := h.key(""), h.key("")
	id := h.run(h.owner(), encrypted(rootDevice, root), encrypted("/dev/sdf", data))
	h.askKMS("DisableKey", &kmsapi.DisableKeyRequest{KeyId: &data})
	h.restart()
	h.wantState(id, "running")
	v := h.volumeOn(id, "/dev/sdf")
	if *v.State != "error" || *h.volumeOn(id, rootDevice).State != "in-use" {
		t.Errorf("the volume is %s", *v.State)
	}
	if _, err := h.ec2.Disk(t.Context(), mine, region, *v.VolumeId); !errors.Is(err, hosts.ErrNotHeld) {
		t.Errorf("it is held: %v", err)
	}
	status := ask[ec2api.DescribeInstanceStatusResult](h.desk, h.owner(), &ec2api.DescribeInstanceStatusRequest{}).InstanceStatuses[0]
	if *status.InstanceStatus.Status != "ok" || *status.AttachedEbsStatus.Status != "impaired" || *status.AttachedEbsStatus.Details[0].Status != "failed" {
		t.Errorf("%s %s", *status.InstanceStatus.Status, *status.AttachedEbsStatus.Status)
	}
	of := ask[ec2api.DescribeVolumeStatusResult](h.desk, h.owner(), &ec2api.DescribeVolumeStatusRequest{VolumeIds: []string{*v.VolumeId}}).VolumeStatuses[0]
	if *of.VolumeStatus.Status != "impaired" {
		t.Error(*of.VolumeStatus.Status)
	}
	h.refuse(h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: v.VolumeId}, "IncorrectState", "*")
	h.askKMS("EnableKey", &kmsapi.EnableKeyRequest{KeyId: &data})
	h.restart()
	if v := h.volumeOn(id, "/dev/sdf"); *v.State != "in-use" {
		t.Errorf("after another restart it is %s", *v.State)
	}
	h.disk(*v.VolumeId)
}

func TestAGrantThatCouldNotBeRetiredIsRetiredLater(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted(rootDevice, key))
	h.wire.breakAt(func(call string, _ int) error {
		if call == "RetireGrant" {
			return apierr.New("KMSInternalException", "try again")
		}
		return nil
	}, nil)
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Second)
	h.wantState(id, "terminated") // the leftover holds nothing up
	if g := h.grants(key); len(g) != 1 {
		t.Fatalf("%d grants", len(g))
	}
	h.Advance(time.Minute) // fails again
	h.restart()
	h.Advance(2 * time.Minute)
	h.clean(key)
}

// TestSessionPoliciesDoNotOutliveAProcess: nobody knows any more what they allowed.
func TestSessionPoliciesDoNotOutliveAProcess(t *testing.T) {
	h := newHouse(t)
	user := h.launcher()
	key := h.key(viaEC2(user.Principal.ARN, "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"))
	scaling := h.scaling()
	scaling.Session.Policies = h.sessionPolicy()
	h.askKMS("PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{
		KeyId: &key, Policy: new(viaEC2(scaling.Principal.RoleARN, "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant")),
	})
	first := h.run(scaling, encrypted(rootDevice, key))
	h.wantState(first, "running")
	second := *ask[ec2api.Reservation](h.desk, scaling, runRequest(encrypted(rootDevice, key))).Instances[0].InstanceId
	h.restart()
	h.Advance(5 * time.Second)
	h.wantState(second, "terminated")
	h.wantState(first, "running")
}

// TestASessionOutlivesAProcess as far as it has no policies of its own.
func TestASessionOutlivesAProcess(t *testing.T) {
	h := newHouse(t)
	scaling := h.scaling()
	key := h.key(seedPolicy(scaling.Principal.RoleARN))
	id := *ask[ec2api.Reservation](h.desk, scaling, runRequest(encrypted(rootDevice, key))).Instances[0].InstanceId
	h.restart()
	h.Advance(5 * time.Second)
	h.wantState(id, "running")
	if calls := h.wire.seen(); !slices.Contains(calls, "CreateGrant by AutoScaling") {
		t.Errorf("KMS saw %v", calls)
	}
}

func TestFilesThatNobodyKnowsAreSwept(t *testing.T) {
	h := newHouse(t)
	h.Must(blockdev.Create(h.folder, blockdev.Spec{ID: "vol-0123456789abcdef0", Size: 1 << 20}))
	h.Must(blockdev.Create(h.folder, blockdev.Spec{ID: "snap-0123456789abcdef0", Size: 1 << 20}))
	id := h.run(h.owner())
	h.restart()
	want := []string{*h.volumeOn(id, rootDevice).VolumeId}
	if files, err := blockdev.List(h.folder); err != nil || strings.Join(files, " ") != strings.Join(want, " ") {
		t.Errorf("files %v, want %v, %v", files, want, err)
	}
}

func TestAKeyDisabledMeanwhileFailsTheLaunch(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := *ask[ec2api.Reservation](h.desk, h.owner(), runRequest(encrypted(rootDevice, key))).Instances[0].InstanceId
	h.askKMS("DisableKey", &kmsapi.DisableKeyRequest{KeyId: &key})
	h.Advance(5 * time.Second)
	h.wantState(id, "terminated")
	h.clean(key)
}

// TestAnInterruptedAttachmentToAStoppedInstanceHoldsNothing: the process dies before and after each
// KMS request of it, and afterwards the volume is attached or not, with no grant and not open.
func TestAnInterruptedAttachmentToAStoppedInstanceHoldsNothing(t *testing.T) {
	const requests = 3 // CreateGrant, Decrypt, RetireGrant
	for n := range 2 * requests {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHouse(t)
			key := h.key("")
			id := h.run(h.owner())
			ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
			vol := *h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key}).VolumeId
			h.Advance(2 * time.Second)
			h.wantState(id, "stopped")
			die := func(_ string, at int) error {
				if at >= n/2 {
					return store.ErrClosed
				}
				return nil
			}
			if n%2 == 0 {
				h.wire.breakAt(die, nil)
			} else {
				h.wire.breakAt(nil, die)
			}
			if _, err := h.try(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &vol, Device: new("/dev/sdf")}); err == nil {
				t.Fatal("the attachment was not interrupted")
			}
			h.restart()
			h.Advance(time.Minute)
			h.wantState(id, "stopped")
			if v := h.volumes(filter("volume-id", vol))[0]; *v.State != "in-use" || len(v.Attachments) != 1 || *v.Attachments[0].State != "attached" {
				t.Errorf("volume %+v", v)
			}
			if g := h.grants(key); len(g) != 0 {
				t.Errorf("%d grants", len(g))
			}
			h.noJobs()
			ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
			h.Advance(3 * time.Second)
			h.wantState(id, "running")
			if g := h.grants(key); len(g) != 1 {
				t.Errorf("%d grants of the running instance", len(g))
			}
			h.disk(vol)
		})
	}
}
