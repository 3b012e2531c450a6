package launch_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/launch"
)

func spec(op launch.Operation, devices ...launch.Device) launch.Spec {
	s := launch.Spec{Operation: op, Region: "us-west-2", Account: "111122223333", Devices: devices,
		Defaults: launch.Defaults{DefaultKey: "alias/default"}}
	if op != launch.CreateVolume && op != launch.CopySnapshot && op != launch.CopyImage {
		s.InstanceID = "i-1"
	}
	return s
}

// device is one whose volume is vol-NAME.
func device(name, source string, encrypted *bool, key string) launch.Device {
	return launch.Device{Name: name, VolumeID: "vol-" + name, Encrypted: encrypted, KmsKeyID: key,
		Source: sources()[source]}
}

func existing(name, key string) launch.Device {
	d := launch.Device{Name: name, VolumeID: "vol-" + name, Source: launch.Source{Kind: launch.Existing}}
	if key != "" {
		d.Source.Encrypted, d.Source.KeyARN, d.Source.WrappedKey = true, key, []byte("w")
	}
	return d
}

func with(s launch.Spec, change func(*launch.Spec)) launch.Spec {
	change(&s)
	return s
}

// sequences are the operations of the golden tables, with the steps that they go through.
var sequences = []struct {
	name string
	spec launch.Spec
	want string
}{
	{"CreateVolume, empty and plain", spec(launch.CreateVolume, device("a", "empty", nil, "")), `
create-volume a empty`},
	{"CreateVolume, empty", spec(launch.CreateVolume, device("a", "empty", new(true), "X")), `
resolve-key a X
caller: GenerateDataKeyWithoutPlaintext X[vol-a]
create-volume a empty`},
	{"CreateVolume, plain snapshot", spec(launch.CreateVolume, device("a", "plain own", new(true), "X")), `
resolve-key a X
caller: CreateGrant(target) X[vol-a]
caller: GenerateDataKeyWithoutPlaintext X[vol-a]
create-volume a copy
hydrate a copy + ebs: Decrypt X[vol-a]
ec2: RetireGrant(target) X[vol-a]`},
	{"CreateVolume, plain snapshot stays plain", spec(launch.CreateVolume, device("a", "plain own", nil, "")), `
create-volume a copy
hydrate a copy`},
	{"CreateVolume, encrypted snapshot, its key", spec(launch.CreateVolume, device("a", "encrypted own", nil, "")), `
caller: ReEncrypt 5a[vol-old] -> 5a[vol-a]
create-volume a rewrap
hydrate a rewrap`},
	{"CreateVolume, shared encrypted snapshot, its key named", spec(launch.CreateVolume,
		device("a", "encrypted shared", new(true), snapKey)), `
resolve-key a ` + snapKey + `
caller: ReEncrypt 5a[vol-old] -> 5a[vol-a]
create-volume a rewrap
hydrate a rewrap`},
	{"CreateVolume, encrypted snapshot, other key", spec(launch.CreateVolume,
		device("a", "encrypted shared", nil, "")), `
resolve-key a alias/default
caller: AuthorizeReEncrypt 5a[vol-old] -> alias-default[vol-a]
caller: GenerateDataKeyWithoutPlaintext alias-default[vol-a]
caller: CreateGrant(source) 5a[vol-old]
caller: CreateGrant(target) alias-default[vol-a]
create-volume a reencrypt
hydrate a reencrypt + ebs: Decrypt 5a[vol-old] + ebs: Decrypt alias-default[vol-a]
ec2: RetireGrant(source) 5a[vol-old]
ec2: RetireGrant(target) alias-default[vol-a]`},
	{"CopySnapshot, plain to encrypted", spec(launch.CopySnapshot, device("a", "plain own", new(true), "")), `
resolve-key a alias/default
caller: DescribeKey alias-default
caller: GenerateDataKeyWithoutPlaintext alias-default[vol-a]
caller: CreateGrant(target) alias-default[vol-a]
create-snapshot a copy
hydrate a copy + ebs: Decrypt alias-default[vol-a]
ec2: RetireGrant(target) alias-default[vol-a]`},
	{"CopySnapshot, encrypted, same key", with(spec(launch.CopySnapshot, device("a", "encrypted own", nil, "")),
		func(s *launch.Spec) { s.CopyKeepsKey = true }), `
caller: ReEncrypt 5a[vol-old] -> 5a[vol-a]
create-snapshot a rewrap
hydrate a rewrap`},
	{"CopySnapshot, encrypted, other key", spec(launch.CopySnapshot, device("a", "encrypted own", nil, "")), `
resolve-key a alias/aws/ebs
caller: DescribeKey alias-aws-ebs
caller: AuthorizeReEncrypt 5a[vol-old] -> alias-aws-ebs[vol-a]
caller: GenerateDataKeyWithoutPlaintext alias-aws-ebs[vol-a]
caller: CreateGrant(source) 5a[vol-old]
caller: CreateGrant(target) alias-aws-ebs[vol-a]
create-snapshot a reencrypt
hydrate a reencrypt + ebs: Decrypt 5a[vol-old] + ebs: Decrypt alias-aws-ebs[vol-a]
ec2: RetireGrant(source) 5a[vol-old]
ec2: RetireGrant(target) alias-aws-ebs[vol-a]`},
	{"CopyImage, one plain and one encrypted", spec(launch.CopyImage, device("a", "plain own", nil, ""),
		device("b", "encrypted own", nil, "")), `
create-snapshot a copy
hydrate a copy
caller: ReEncrypt 5a[vol-old] -> 5a[vol-b]
create-snapshot b rewrap
hydrate b rewrap`},
	{"RunInstances, nothing encrypted", spec(launch.RunInstances, device("a", "plain own", nil, "")), `
create-volume a copy
hydrate a copy
attach a
open-volume a
running`},
	{"RunInstances without volumes", spec(launch.RunInstances), `
running`},
	{"RunInstances, encryption by default, plain image, data volume", with(spec(launch.RunInstances,
		device("a", "plain shared", nil, ""), device("b", "empty", new(true), "X")),
		func(s *launch.Spec) { s.Defaults.EncryptionByDefault = true }), `
resolve-key a alias/default
resolve-key b X
caller: CreateGrant(target) alias-default[vol-a]
caller: GenerateDataKeyWithoutPlaintext alias-default[vol-a]
create-volume a copy
hydrate a copy + ebs: Decrypt alias-default[vol-a]
ec2: RetireGrant(target) alias-default[vol-a]
caller: GenerateDataKeyWithoutPlaintext X[vol-b]
create-volume b empty
caller: CreateGrant(attach) alias-default[vol-a]
attach a
caller: CreateGrant(attach) X[vol-b]
attach b
open-volume a + infrastructure: Decrypt alias-default[vol-a]
open-volume b + infrastructure: Decrypt X[vol-b]
running`},
	{"RunInstances, re-encryption", spec(launch.RunInstances, device("a", "encrypted own", new(true), "X")), `
resolve-key a X
caller: AuthorizeReEncrypt 5a[vol-old] -> X[vol-a]
caller: GenerateDataKeyWithoutPlaintext X[vol-a]
caller: CreateGrant(source) 5a[vol-old]
caller: CreateGrant(target) X[vol-a]
create-volume a reencrypt
hydrate a reencrypt + ebs: Decrypt 5a[vol-old] + ebs: Decrypt X[vol-a]
ec2: RetireGrant(source) 5a[vol-old]
ec2: RetireGrant(target) X[vol-a]
caller: CreateGrant(attach) X[vol-a]
attach a
open-volume a + infrastructure: Decrypt X[vol-a]
running`},
	{"AttachVolume", spec(launch.AttachVolume, existing("a", ownKey)), `
caller: CreateGrant(attach) 0b[vol-a]
attach a
open-volume a + infrastructure: Decrypt 0b[vol-a]`},
	{"StartInstances", spec(launch.StartInstances, existing("a", ownKey), existing("b", "")), `
caller: CreateGrant(attach) 0b[vol-a]
open-volume a + infrastructure: Decrypt 0b[vol-a]
open-volume b
running`},
}

func TestSequences(t *testing.T) {
	for _, tt := range sequences {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			s, end := w.run(mustNew(t, tt.spec), -1)
			got := "\n" + strings.Join(w.lines, "\n")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if end.Kind != launch.StepDone || end.Fail != nil || end.Left != nil {
				t.Errorf("ends with %+v", end)
			}
			if again, step := s.Next(launch.Result{}); step.Kind != launch.StepDone ||
				!cmp.Equal(again.Volumes(), s.Volumes()) {
				t.Error("Next after the end is not the end")
			}
			// What stays is one attach grant for each encrypted volume of an instance.
			want := map[string]bool{}
			for _, v := range s.Volumes() {
				if v.Source.ID != "" || v.Target.ID != "" {
					t.Errorf("%s keeps a creation grant", v.Device)
				}
				if v.Attach.ID != "" {
					want[v.Attach.ID] = true
				}
			}
			for id, q := range w.grants {
				if q.Purpose != launch.ForAttach || !want[id] {
					t.Errorf("grant %s for %s is left", id, q.Purpose)
				}
			}
			if len(want) != len(w.grants) {
				t.Errorf("%d attach grants known, %d exist", len(want), len(w.grants))
			}
		})
	}
}

// TestUndo fails every step of every sequence in turn: whatever had been done is taken back.
func TestUndo(t *testing.T) {
	for _, tt := range sequences {
		steps := strings.Count(tt.want, "\n")
		for at := range steps {
			w := newWorld(t)
			s, end := w.run(mustNew(t, tt.spec), at)
			retire := strings.Contains(strings.Split(tt.want, "\n")[at+1], "RetireGrant")
			if retire { // not a failure of the operation, but something to be done later
				if end.Kind != launch.StepDone || len(end.Left) != 1 || len(end.Left[0].Requests) != 1 ||
					end.Left[0].Cause != "boom" || len(w.grants) == 0 {
					t.Errorf("%s, step %d: ends with %+v", tt.name, at, end)
				}
				continue
			}
			if end.Kind != launch.StepFail || end.Fail == nil || end.Fail.Cause != "boom" || end.Left != nil {
				t.Errorf("%s, step %d: ends with %+v", tt.name, at, end)
			}
			if n := len(w.grants) + len(w.volumes) + len(w.attachd) + len(w.open); n != 0 {
				t.Errorf("%s, step %d leaves %d things:\n%s", tt.name, at, n, strings.Join(w.lines, "\n"))
			}
			for _, v := range s.Volumes() {
				if v.Source.ID+v.Target.ID+v.Attach.ID != "" {
					t.Errorf("%s, step %d: %s still names a grant", tt.name, at, v.Device)
				}
			}
		}
	}
}

// TestUndoOrder is the whole way back of a launch with two volumes that could not run.
func TestUndoOrder(t *testing.T) {
	w := newWorld(t)
	_, end := w.run(mustNew(t, spec(launch.RunInstances, device("a", "plain own", new(true), "X"),
		device("b", "empty", nil, ""))), 12)
	got := "\n" + strings.Join(w.lines[12:], "\n")
	want := `
FAILS running
undo close-volume b
undo close-volume a
undo detach b
undo detach a
undo ec2: RetireGrant(attach) X[vol-a]
undo delete-volume b
undo delete-volume a`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&launch.Fail{Phase: launch.PhaseRun, Cause: "boom"}, end.Fail); diff != "" {
		t.Errorf("Fail (-want +got):\n%s", diff)
	}
}

// TestUndoFails: an undo step that fails does not stop the others, and is handed on.
func TestUndoFails(t *testing.T) {
	s := mustNew(t, spec(launch.CreateVolume, device("a", "plain own", new(true), "X")))
	w := newWorld(t)
	step := s.Step()
	for !step.Terminal() {
		var r launch.Result
		switch {
		case step.Kind == launch.StepHydrate:
			r.Failure = &launch.Failure{Cause: "disk"}
		case step.Undo:
			r.Failure = &launch.Failure{Cause: "again"}
		default:
			r = w.perform(step)
		}
		s, step = s.Next(r)
	}
	if step.Kind != launch.StepFail || step.Fail.Cause != "disk" || step.Fail.Action != "" {
		t.Errorf("ends with %+v", step)
	}
	if len(step.Left) != 2 || step.Left[0].Kind != launch.StepDeleteVolume || step.Left[0].VolumeID != "vol-a" ||
		step.Left[1].Cause != "again" || step.Left[1].Requests[0].Grant.ID != s.Volumes()[0].Target.ID ||
		step.Left[1].Requests[0].Grant.ID == "" {
		t.Errorf("Left = %+v", step.Left)
	}
}

func TestRelease(t *testing.T) {
	a, b := existing("a", ownKey), existing("b", "")
	a.Grant, a.DeleteOnTermination = launch.GrantRef{ID: "g-1"}, true
	for op, want := range map[launch.Operation]string{
		launch.StopInstances: `
close-volume a
ec2: RetireGrant(attach) 0b[vol-a]
close-volume b`,
		launch.DetachVolume: `
close-volume a
detach a
ec2: RetireGrant(attach) 0b[vol-a]
close-volume b
detach b`,
		launch.TerminateInstances: `
close-volume a
detach a
ec2: RetireGrant(attach) 0b[vol-a]
delete-volume a
close-volume b
detach b`,
	} {
		n := strings.Count(want, "\n")
		for failAt := -1; failAt < n; failAt++ {
			w := newWorld(t)
			for _, v := range []string{"vol-a", "vol-b"} {
				w.open[v], w.attachd[v], w.volumes[v] = true, true, true
			}
			w.grants["g-1"] = launch.Request{}
			_, end := w.run(mustNew(t, spec(op, a, b)), failAt)
			got := "\n" + strings.ReplaceAll(strings.Join(w.lines, "\n"), "FAILS ", "")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", op, diff)
			}
			if wantLeft := min(failAt+1, 1); end.Kind != launch.StepDone || len(end.Left) != wantLeft {
				t.Errorf("%s, step %d fails: ends with %+v", op, failAt, end)
			}
		}
	}
}

// TestReopen: a host that lost its memory asks for nothing but the data keys, through the grants
// that exist; what it opened is closed again if one volume cannot be opened.
func TestReopen(t *testing.T) {
	a, b := existing("a", ownKey), existing("b", "")
	a.Grant = launch.GrantRef{ID: "g-1", Token: "token-1"}
	for failAt, want := range map[int]string{
		-1: `
open-volume a + infrastructure: Decrypt 0b[vol-a]
open-volume b`,
		1: `
open-volume a + infrastructure: Decrypt 0b[vol-a]
FAILS open-volume b
undo close-volume a`,
	} {
		st := mustNew(t, spec(launch.ReopenVolumes, a, b))
		w := newWorld(t)
		w.grants["g-1"] = launch.Request{KeyARN: ownKey, Grant: &launch.Grant{
			Grantee:       "arn:aws:sts::" + st.Spec().Account + ":assumed-role/aws:ec2-infrastructure/" + st.Spec().InstanceID,
			ContextSubset: map[string]string{launch.ContextKey: "vol-a"}, Operations: []string{"Decrypt"},
		}}
		if got := st.Step().Requests[0].GrantTokens; len(got) != 1 || got[0] != "token-1" {
			t.Errorf("the grant's token is not used: %v", got)
		}
		_, end := w.run(st, failAt)
		if diff := cmp.Diff(want, "\n"+strings.Join(w.lines, "\n")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if failed := end.Kind == launch.StepFail; failed != (failAt >= 0) {
			t.Errorf("ends with %+v", end)
		}
	}
}
