package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// A fleet is an account whose instances are stopped, started and given volumes while its server is
// killed.
type fleet struct {
	*client
	key       string
	instances []string // with a volume under the key each
	volumes   []string // under the key, to be attached and detached
	mu        sync.Mutex
	snapshots map[string]bool // that were acknowledged
}

// TestKill9_StopsAttachmentsAndSnapshotsAreWhole kills a server while instances stop and start,
// volumes come and go, and snapshots are made: after a restart everything comes to rest, and there is
// exactly one grant for each volume on a running instance.
func TestKill9_StopsAttachmentsAndSnapshotsAreWhole(t *testing.T) {
	t.Parallel()
	const rounds, many = 8, 4
	dir := t.TempDir() + "/data"
	s := run9(t, dir)
	f := &fleet{client: adminOf(s.URL, seed.NewAccount()), snapshots: map[string]bool{}}
	f.key = f.client.key(t, "")
	run := must(f.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: new(f.plainImage(t)), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(many)), MaxCount: new(int32(many)),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &ec2types.EbsBlockDevice{
			Encrypted: new(true), KmsKeyId: &f.key, VolumeSize: new(int32(1)), DeleteOnTermination: new(true),
		}}},
	}))(t)
	for _, i := range run.Instances {
		f.instances = append(f.instances, *i.InstanceId)
		f.awaitInstance(t, *i.InstanceId, ec2types.InstanceStateNameRunning)
		f.volumes = append(f.volumes, f.createVolume(t, f.key))
	}
	for round := range rounds {
		calls, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() { f.bother(calls, i) })
		}
		<-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond) // a random moment is the test
		s = restart9(t, s, dir)
		stop()
		wg.Wait()
		f.client = adminOf(s.URL, f.account)
		f.rest(t, round)
		if t.Failed() {
			t.Fatalf("round %d failed; the end of the server's log:\n%s", round, s.Tail(4000))
		}
	}
	f.end(t, dir)
}

// bother changes an instance and a volume in turn until the server is gone. What is refused because
// of the state of the moment does not matter here.
func (f *fleet) bother(ctx context.Context, i int) {
	id, vol := f.instances[i], f.volumes[i]
	host := f.instances[(i+1)%len(f.instances)]
	for n := 0; ctx.Err() == nil; n++ {
		switch rand.IntN(6) {
		case 0:
			_, _ = f.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}) // as below
		case 1, 2:
			_, _ = f.ec2.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}}) // as below
		case 3:
			_, _ = f.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &vol, InstanceId: &host, Device: new("/dev/sdg")}) // as below
		case 4:
			_, _ = f.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &vol}) // refused in some states
		default:
			if n%4 != 0 { // snapshots stay
				continue
			}
			if out, err := f.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &vol}); err == nil {
				f.mu.Lock()
				f.snapshots[*out.SnapshotId] = true
				f.mu.Unlock()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond): // the server is for other work too
		}
	}
}

// rest waits until nothing is on its way and compares what is there with what should be.
func (f *fleet) rest(t *testing.T, round int) {
	t.Helper()
	eventually(t, fmt.Sprintf("round %d: everything at rest", round), func() (bool, string) {
		state, moving := f.state(t)
		return !moving, state
	})
	want := map[string]string{} // volumes with a grant, and its grantee
	living := f.living(t)
	if len(living) != len(f.instances) {
		t.Errorf("round %d: %d instances, want %d", round, len(living), len(f.instances))
	}
	n := 0
	for _, v := range f.client.volumes(t) {
		n++
		for _, a := range v.Attachments {
			if *v.Encrypted && living[*a.InstanceId].State.Name == ec2types.InstanceStateNameRunning {
				want[*v.VolumeId] = "arn:aws:sts::" + f.account + ":assumed-role/aws:ec2-infrastructure/" + *a.InstanceId
			}
		}
	}
	if n != 2*len(f.instances)+len(f.volumes) {
		t.Errorf("round %d: %d volumes, want %d", round, n, 2*len(f.instances)+len(f.volumes))
	}
	eventually(t, fmt.Sprintf("round %d: grants for the volumes of running instances", round), func() (bool, string) {
		var extra []string
		all := f.grants(t, f.key)
		for _, g := range all {
			if volume := g.Constraints.EncryptionContextSubset["aws:ebs:id"]; want[volume] != str(g.GranteePrincipal) {
				extra = append(extra, fmt.Sprintf("%s for %s since %s", volume, str(g.GranteePrincipal), g.CreationDate))
			}
		}
		state, _ := f.state(t)
		return len(all) == len(want), fmt.Sprintf("%d grants, want %d, too many are %q; %s", len(all), len(want), extra, state)
	})
	f.checkGrants(t, f.key, want)
	for _, s := range f.ownSnapshots(t) {
		if s.State != ec2types.SnapshotStateCompleted {
			t.Errorf("round %d: snapshot %s is %s: %s", round, *s.SnapshotId, s.State, str(s.StateMessage))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.snapshots {
		if s := f.snapshot(t, id); str(s.KmsKeyId) != f.key {
			t.Errorf("round %d: snapshot %s is under %s", round, id, str(s.KmsKeyId))
		}
	}
}

func (f *fleet) ownSnapshots(t *testing.T) []ec2types.Snapshot {
	t.Helper()
	return must(f.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}))(t).Snapshots
}

// state is that of instances, volumes and snapshots, and whether anything is between two states.
func (f *fleet) state(t *testing.T) (text string, moving bool) {
	t.Helper()
	var all []string
	for id, i := range f.living(t) {
		moving = moving || i.State.Name != ec2types.InstanceStateNameRunning && i.State.Name != ec2types.InstanceStateNameStopped
		all = append(all, id+" "+string(i.State.Name))
	}
	for _, v := range f.client.volumes(t) {
		var state strings.Builder
		state.WriteString(string(v.State))
		moving = moving || v.State != ec2types.VolumeStateAvailable && v.State != ec2types.VolumeStateInUse
		for _, a := range v.Attachments {
			moving = moving || a.State != ec2types.VolumeAttachmentStateAttached
			state.WriteString(" " + string(a.State))
		}
		all = append(all, *v.VolumeId+" "+state.String())
	}
	for _, s := range f.ownSnapshots(t) {
		moving = moving || s.State == ec2types.SnapshotStatePending
		if s.State != ec2types.SnapshotStateCompleted {
			all = append(all, *s.SnapshotId+" "+string(s.State))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", "), moving
}

// end removes everything and checks that nothing is left, on disk neither.
func (f *fleet) end(t *testing.T, dir string) {
	t.Helper()
	must(f.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: f.instances}))(t)
	eventually(t, "instances terminated", func() (bool, string) { return len(f.living(t)) == 0, "" })
	for _, id := range f.volumes {
		f.available(t, id)
		must(f.ec2.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: &id}))(t)
	}
	made := f.ownSnapshots(t)
	for _, s := range made {
		must(f.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: s.SnapshotId}))(t)
	}
	eventually(t, "nothing left", func() (bool, string) {
		left := fmt.Sprintf("%d volumes, %d grants, %d snapshots, %d files",
			len(f.client.volumes(t)), len(f.grants(t, f.key)), len(f.ownSnapshots(t)), volumeFiles(t, dir))
		return left == "0 volumes, 0 grants, 0 snapshots, 0 files", left
	})
	t.Logf("%d snapshots were made, %d acknowledged", len(made), len(f.snapshots))
}
