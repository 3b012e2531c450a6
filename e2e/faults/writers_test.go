//go:build linux

package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"regexp"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/kagimori/kagimori/e2e/internal/block"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// storm has all writers write until ctx ends or the server does not answer. An error of the service is no reason to
// stop if tolerant says so.
func (w *world) storm(ctx context.Context, tolerant bool) error {
	writers := []func(context.Context) error{w.writeKeys, w.writeKeys, w.writeRoles, w.writeSnapshots, w.writeGroups, w.writeSectors}
	errs := make([]error, len(writers))
	var wait sync.WaitGroup
	for i, write := range writers {
		wait.Go(func() {
			for ctx.Err() == nil {
				err := write(ctx)
				if err == nil || ctx.Err() != nil {
					continue
				}
				if tolerant && w.denied(err) {
					time.Sleep(10 * time.Millisecond) // clients wait before they try again
					continue
				}
				select { // the answer may be cut before ctx ends
				case <-ctx.Done():
				case <-time.After(2 * time.Second):
					errs[i] = fmt.Errorf("a change failed: %w", err)
				}
				return
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// denied reports whether a server that still runs refused something.
func (w *world) denied(err error) bool {
	_, refused := errors.AsType[block.Error](err)
	_, command := errors.AsType[*exec.ExitError](err)
	select {
	case <-w.srv.Ended():
		return false
	default:
		return refused || command || code(err) != ""
	}
}

func (w *world) name(prefix string) string { return fmt.Sprintf("%s-%d", prefix, w.serial.Add(1)) }

// numbered is a key policy that tells its number.
func (w *world) numbered(n int) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Id":"n%d","Statement":[%s]}`, n, seed.Full(seed.Root(w.account)))
}

var number = regexp.MustCompile(`"(?:Id|Sid)" ?: ?"(n\d+)"`)

// numberIn is the number that a policy tells.
func numberIn(policy string) string {
	if m := number.FindStringSubmatch(policy); m != nil && json.Valid([]byte(policy)) {
		return m[1]
	}
	return "no policy: " + policy
}

// writeKeys makes a key with everything that a key has.
func (w *world) writeKeys(ctx context.Context) error {
	made, err := w.kms.CreateKey(ctx, &kms.CreateKeyInput{Policy: new(w.numbered(0))})
	if err != nil {
		return err
	}
	id, arn := *made.KeyMetadata.KeyId, *made.KeyMetadata.Arn
	w.things.creates.Add(1)
	policy := w.ledger.start("the policy of "+id, "n0", func(w *world) (string, error) {
		out, err := w.kms.GetKeyPolicy(ctx2, &kms.GetKeyPolicyInput{KeyId: &arn})
		if err != nil {
			return absent("", err, "NotFoundException")
		}
		return numberIn(*out.Policy), nil
	})
	plain := []byte(arn)
	enc, err := w.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &arn, Plaintext: plain})
	if err != nil {
		return err
	}
	w.ledger.start("a ciphertext under "+id, arn, func(w *world) (string, error) {
		out, err := w.kms.Decrypt(ctx2, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob})
		if err != nil {
			return absent("", err, "NotFoundException", "AccessDeniedException")
		}
		return string(out.Plaintext), nil
	})
	if err := w.writeAlias(ctx, id); err != nil {
		return err
	}
	for i := 1; i <= 3; i++ {
		if err := w.writeGrant(ctx, id, i == 2); err != nil {
			return err
		}
		text := w.numbered(i)
		err := w.ledger.set(policy, fmt.Sprintf("n%d", i), func() error {
			_, err := w.kms.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &arn, Policy: &text})
			return err
		})
		if err != nil {
			return err
		}
	}
	return w.writeState(ctx)
}

// ctx2 is the context of reads: they end when the server does.
var ctx2 = context.Background()

func (w *world) writeAlias(ctx context.Context, id string) error {
	name := "alias/" + w.name("a")
	alias := w.ledger.add(name, func(w *world) (string, error) {
		out, err := w.kms.DescribeKey(ctx2, &kms.DescribeKeyInput{KeyId: &name})
		if err != nil {
			return absent("", err, "NotFoundException")
		}
		return *out.KeyMetadata.KeyId, nil
	})
	return errors.Join(
		w.ledger.set(alias, id, func() error {
			_, err := w.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &id})
			return err
		}),
		w.ledger.set(alias, "", func() error {
			_, err := w.kms.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: &name})
			return err
		}),
	)
}

func (w *world) writeGrant(ctx context.Context, id string, revoke bool) error {
	g, err := w.kms.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: &id, GranteePrincipal: new(seed.Root(w.account)), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
	})
	if err != nil {
		return err
	}
	grant := w.ledger.start("grant "+*g.GrantId, "there", func(w *world) (string, error) {
		out, err := w.kms.ListGrants(ctx2, &kms.ListGrantsInput{KeyId: &id, GrantId: g.GrantId})
		if err != nil || len(out.Grants) == 0 {
			return absent("", err, "NotFoundException")
		}
		return "there", nil
	})
	if !revoke {
		return nil
	}
	return w.ledger.set(grant, "", func() error {
		_, err := w.kms.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &id, GrantId: g.GrantId})
		return err
	})
}

// writeState changes the state of a key.
func (w *world) writeState(ctx context.Context) error {
	made, err := w.kms.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	id := made.KeyMetadata.KeyId
	state := w.ledger.start("the state of "+*id, "Enabled", func(w *world) (string, error) {
		out, err := w.kms.DescribeKey(ctx2, &kms.DescribeKeyInput{KeyId: id})
		if err != nil {
			return absent("", err, "NotFoundException")
		}
		return string(out.KeyMetadata.KeyState), nil
	})
	err = w.ledger.set(state, "Disabled", func() error {
		_, err := w.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: id})
		return err
	})
	if err != nil {
		return err
	}
	return w.ledger.set(state, "PendingDeletion", func() error {
		_, err := w.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: id})
		return err
	})
}

// writeRoles makes a role, changes its policy and removes both.
func (w *world) writeRoles(ctx context.Context) error {
	name := w.name("role")
	role := w.ledger.add(name, func(w *world) (string, error) {
		_, err := w.iam.GetRole(ctx2, &iam.GetRoleInput{RoleName: &name})
		return absent("there", err, "NoSuchEntity")
	})
	policy := w.ledger.add("the policy of "+name, func(w *world) (string, error) {
		out, err := w.iam.GetRolePolicy(ctx2, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: new("p")})
		if err != nil {
			return absent("", err, "NoSuchEntity")
		}
		text, err := url.QueryUnescape(*out.PolicyDocument)
		return numberIn(text), err
	})
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + seed.Root(w.account) + `"},"Action":"sts:AssumeRole"}]}`
	err := w.ledger.set(role, "there", func() error {
		_, err := w.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
		return err
	})
	if err != nil {
		return err
	}
	for i := 1; i <= 3; i++ {
		err := w.ledger.set(policy, fmt.Sprintf("n%d", i), func() error {
			_, err := w.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: new("p"), PolicyDocument: new(fmt.Sprintf(
				`{"Version":"2012-10-17","Statement":[{"Sid":"n%d","Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}`, i))})
			return err
		})
		if err != nil {
			return err
		}
	}
	if rand.IntN(2) == 0 {
		return nil
	}
	err = w.ledger.set(policy, "", func() error {
		_, err := w.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: new("p")})
		return err
	})
	if err != nil {
		return err
	}
	return w.ledger.set(role, "", func() error {
		_, err := w.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
		return err
	})
}

// writeSnapshots makes a snapshot of the quiet volume, and a volume of the snapshot, and removes one or both.
func (w *world) writeSnapshots(ctx context.Context) error {
	made, err := w.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &w.things.quiet})
	if err != nil {
		return err
	}
	id := made.SnapshotId
	snapshot := w.ledger.start(*id, "whole", func(w *world) (string, error) { return w.snapshot(*id) })
	if err := w.await(ctx, *id); err != nil {
		return err
	}
	vol, err := w.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(zone), SnapshotId: id})
	if err != nil {
		return err
	}
	volume := w.ledger.start(*vol.VolumeId, "there", func(w *world) (string, error) {
		out, err := w.ec2.DescribeVolumes(ctx2, &ec2.DescribeVolumesInput{VolumeIds: []string{*vol.VolumeId}})
		if err != nil {
			return absent("", err, "InvalidVolume.NotFound")
		}
		switch state := out.Volumes[0].State; state {
		case "creating", "available":
			return "there", nil
		case "deleting":
			return "", nil
		default:
			return string(state), nil
		}
	})
	if w.refuses {
		if err := w.ledger.made(volume, "there", func() error { return w.available(ctx, *vol.VolumeId) }); err != nil {
			return err
		}
	}
	time.Sleep(20 * time.Millisecond)
	if rand.IntN(3) > 0 {
		err := w.ledger.set(volume, "", func() error {
			for {
				_, err := w.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: vol.VolumeId})
				if code(err) != "IncorrectState" && code(err) != "VolumeInUse" {
					return err
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		if err != nil {
			return err
		}
	}
	if rand.IntN(3) == 0 {
		return nil
	}
	return w.ledger.set(snapshot, "", func() error {
		_, err := w.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: id})
		return err
	})
}

// available waits until a volume is made. One that cannot be made disappears, whatever the reason.
func (w *world) available(ctx context.Context, id string) error {
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		out, err := w.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
		if err != nil || out.Volumes[0].State == "available" {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("it is %s", out.Volumes[0].State)
		}
	}
}

// await waits until a snapshot is complete.
func (w *world) await(ctx context.Context, id string) error {
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out, err := w.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
		if err != nil {
			return err
		}
		state := out.Snapshots[0].State
		if state == "completed" {
			return nil
		}
		if state != "pending" || time.Now().After(until) {
			return fmt.Errorf("it is %s", state)
		}
	}
}

// snapshot reads a snapshot: "whole" if it holds what the quiet volume does.
func (w *world) snapshot(id string) (string, error) {
	if err := w.await(ctx2, id); err != nil {
		return absent(err.Error(), err, "InvalidSnapshot.NotFound")
	}
	list, err := w.ebs.ListSnapshotBlocks(ctx2, &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	if err != nil {
		return "", err
	}
	if len(list.Blocks) != 1 {
		return fmt.Sprintf("%d blocks", len(list.Blocks)), nil
	}
	get, err := w.ebs.GetSnapshotBlock(ctx2, &ebs.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: list.Blocks[0].BlockIndex, BlockToken: list.Blocks[0].BlockToken})
	if err != nil {
		return "", err
	}
	defer get.BlockData.Close()
	data, err := io.ReadAll(get.BlockData)
	for i := range 64 << 10 {
		if err == nil && (i >= len(data) || data[i] != w.things.quietText) {
			return fmt.Sprintf("other bytes at %d", i), nil
		}
	}
	return "whole", err
}

// writeGroups makes a group, changes its size and removes it.
func (w *world) writeGroups(ctx context.Context) error {
	name := w.name("group")
	group := w.ledger.add(name, func(w *world) (string, error) {
		out, err := w.asg.DescribeAutoScalingGroups(ctx2, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
		if err != nil || len(out.AutoScalingGroups) == 0 || out.AutoScalingGroups[0].Status != nil {
			return "", err
		}
		return fmt.Sprintf("n%d", *out.AutoScalingGroups[0].DesiredCapacity), nil
	})
	err := w.ledger.set(group, "n0", func() error {
		_, err := w.asg.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &name, MinSize: new(int32(0)), MaxSize: new(int32(9)), DesiredCapacity: new(int32(0)), AvailabilityZones: []string{zone},
			LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("$Latest")},
		})
		return err
	})
	for i := int32(1); err == nil && i <= 2; i++ {
		err = w.ledger.set(group, fmt.Sprintf("n%d", i%2), func() error {
			_, err := w.asg.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: new(i % 2)})
			return err
		})
	}
	if err != nil || rand.IntN(4) == 0 {
		return err
	}
	return w.ledger.set(group, "", func() error {
		_, err := w.asg.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: new(true)})
		return err
	})
}

// writeSectors writes to the busy volume.
func (w *world) writeSectors(ctx context.Context) error {
	b, err := w.attach(w.things.busy)
	if err != nil {
		return err
	}
	defer b.Close()
	return w.sectors.write(b, w.ledger.mark, func() bool { return ctx.Err() != nil })
}
