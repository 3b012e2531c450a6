package launch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/launch"
)

// failing drives spec until the step whose line starts with prefix, and fails that one.
func failing(t *testing.T, s launch.Spec, prefix string, f launch.Failure) *launch.Fail {
	t.Helper()
	w, st := newWorld(t), mustNew(t, s)
	step := st.Step()
	for !step.Terminal() && !strings.HasPrefix(line(step), prefix) {
		st, step = st.Next(w.perform(step))
	}
	if step.Terminal() {
		t.Fatalf("no step %q", prefix)
	}
	for st, step = st.Next(launch.Result{Failure: &f}); !step.Terminal(); {
		st, step = st.Next(w.perform(step))
	}
	return step.Fail
}

func TestFail(t *testing.T) {
	run := spec(launch.RunInstances, device("a", "encrypted own", new(true), "X"))
	x := resolve("X")
	tests := []struct {
		at   string
		part int
		want launch.Fail
	}{
		{"resolve-key", 0, launch.Fail{Phase: launch.PhaseResolveKey, As: launch.Caller, KeyARN: "X"}},
		{"caller: AuthorizeReEncrypt", 0, launch.Fail{Phase: launch.PhaseCreateVolume, Action: "kms:ReEncryptFrom", As: launch.Caller, KeyARN: snapKey}},
		{"caller: AuthorizeReEncrypt", 2, launch.Fail{Phase: launch.PhaseCreateVolume, Action: "kms:ReEncryptTo", As: launch.Caller, KeyARN: x}},
		{"caller: GenerateDataKey", 1, launch.Fail{Phase: launch.PhaseCreateVolume, Action: "kms:GenerateDataKeyWithoutPlaintext", As: launch.Caller, KeyARN: x}},
		{"caller: CreateGrant(source)", 0, launch.Fail{Phase: launch.PhaseCreateVolume, Action: "kms:CreateGrant", As: launch.Caller, KeyARN: snapKey}},
		{"caller: CreateGrant(target)", 0, launch.Fail{Phase: launch.PhaseCreateVolume, Action: "kms:CreateGrant", As: launch.Caller, KeyARN: x}},
		{"create-volume", 0, launch.Fail{Phase: launch.PhaseCreateVolume}},
		{"hydrate", 0, launch.Fail{Phase: launch.PhaseCreateVolume}},
		{"hydrate", 1, launch.Fail{Phase: launch.PhaseCreateVolume, Action: "kms:Decrypt", As: launch.EBS, KeyARN: snapKey}},
		{"hydrate", 2, launch.Fail{Phase: launch.PhaseCreateVolume, Action: "kms:Decrypt", As: launch.EBS, KeyARN: x}},
		{"hydrate", 3, launch.Fail{Phase: launch.PhaseCreateVolume, Cause: launch.CauseBadResult}},
		{"hydrate", -1, launch.Fail{Phase: launch.PhaseCreateVolume, Cause: launch.CauseBadResult}},
		{"caller: CreateGrant(attach)", 0, launch.Fail{Phase: launch.PhaseAttach, Action: "kms:CreateGrant", As: launch.Caller, KeyARN: x}},
		{"attach", 0, launch.Fail{Phase: launch.PhaseAttach}},
		{"open-volume", 0, launch.Fail{Phase: launch.PhaseDecrypt}},
		{"open-volume", 1, launch.Fail{Phase: launch.PhaseDecrypt, Action: "kms:Decrypt", As: launch.Infrastructure, KeyARN: x}},
	}
	for _, tt := range tests {
		got := failing(t, run, tt.at, launch.Failure{Part: tt.part, Cause: "dec-1"})
		want := tt.want
		want.Device = "a"
		if want.Cause == "" {
			want.Cause = "dec-1"
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s, part %d (-want +got):\n%s", tt.at, tt.part, diff)
		}
	}
}

func TestUnusableResults(t *testing.T) {
	s := mustNew(t, spec(launch.CreateVolume, device("a", "plain own", new(true), "X")))
	for _, arn := range []string{"", "X", "arn:aws:kms:us-west-2:111122223333:alias/x", "arn:aws:s3:r:a:key/x"} {
		if _, step := s.Next(launch.Result{KeyARN: arn}); step.Kind != launch.StepFail ||
			step.Fail.Cause != launch.CauseBadResult || step.Fail.Phase != launch.PhaseResolveKey {
			t.Errorf("key ARN %q: %+v", arn, step)
		}
	}
	s, _ = s.Next(launch.Result{KeyARN: ownKey})
	if _, step := s.Next(launch.Result{}); step.Kind != launch.StepFail ||
		step.Fail.Cause != launch.CauseBadResult || step.Fail.Action != "kms:CreateGrant" {
		t.Errorf("no grant id: %+v", step)
	}
}

// TestData follows the data keys through a launch: ciphertext and lineage go where they belong.
func TestData(t *testing.T) {
	rewrap, fresh := device("a", "encrypted own", nil, ""), device("b", "encrypted shared", new(true), "X")
	for _, d := range []*launch.Device{&rewrap, &fresh} {
		d.Source.WrappedKey, d.Source.DataKeyID, d.SizeGiB = []byte("old"), "dek-old", 8
	}
	w, st := newWorld(t), mustNew(t, spec(launch.RunInstances, rewrap, fresh))
	var seen []string
	note := func(format string, a ...any) { seen = append(seen, fmt.Sprintf(format, a...)) }
	step := st.Step()
	for !step.Terminal() {
		for _, q := range step.Requests {
			if q.Ciphertext != nil {
				note("%s %s takes %q with %d tokens", q.As, q.Call, q.Ciphertext, len(q.GrantTokens))
			}
			if q.Call == launch.GenerateDataKey && q.NumberOfBytes != 64 {
				t.Errorf("data key of %d bytes", q.NumberOfBytes)
			}
		}
		if c := step.Create; c != nil && step.Kind == launch.StepCreateVolume {
			note("%s: %s of %s, %d GiB, %q, %s", step.Device, c.How, c.SnapshotID, c.SizeGiB, c.WrappedKey, c.DataKeyID)
		}
		st, step = st.Next(w.perform(step))
	}
	want := []string{
		`caller ReEncrypt takes "old" with 0 tokens`,
		`a: rewrap of snap-1, 8 GiB, "wrapped for vol-a", dek-old`,
		`caller AuthorizeReEncrypt takes "old" with 0 tokens`,
		`b: reencrypt of snap-1, 8 GiB, "wrapped for vol-b", dek-vol-b`,
		`ebs Decrypt takes "old" with 1 tokens`,
		`ebs Decrypt takes "wrapped for vol-b" with 1 tokens`,
		`infrastructure Decrypt takes "wrapped for vol-a" with 1 tokens`,
		`infrastructure Decrypt takes "wrapped for vol-b" with 1 tokens`,
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestStateIsAValue: an old State stays what it was, whatever is done with it or its results.
func TestStateIsAValue(t *testing.T) {
	sp := spec(launch.CreateVolume, device("a", "encrypted own", new(true), "X"))
	sp.Devices[0].Source.WrappedKey = []byte("old")
	s := mustNew(t, sp)
	sp.Devices[0].Name, sp.Devices[0].Source.WrappedKey[0], *sp.Devices[0].Encrypted = "changed", 'X', false
	if got := s.Spec().Devices[0]; got.Name != "a" || string(got.Source.WrappedKey) != "old" || !*got.Encrypted {
		t.Errorf("the State follows the Spec it was made from: %+v", got)
	}
	first := s.Step()
	left, _ := s.Next(launch.Result{KeyARN: ownKey})
	right, _ := s.Next(launch.Result{KeyARN: resolve("other")})
	if !cmp.Equal(first, s.Step()) || left.Volumes()[0].KeyARN != ownKey ||
		right.Volumes()[0].KeyARN != resolve("other") {
		t.Error("two continuations of one State disturb each other")
	}
	key := []byte("new")
	left, _ = left.Next(launch.Result{}) // AuthorizeReEncrypt
	left, _ = left.Next(launch.Result{WrappedKey: key})
	key[0], left.Volumes()[0].WrappedKey[0] = 'X', 'X'
	if got := string(left.Volumes()[0].WrappedKey); got != "new" {
		t.Errorf("wrapped key = %q", got)
	}
}

func TestOnly(t *testing.T) {
	s := spec(launch.RunInstances, device("a", "empty", nil, ""), device("b", "empty", nil, ""))
	if got := s.Only("b").Devices; len(got) != 1 || got[0].Name != "b" {
		t.Errorf("Only(b) = %+v", got)
	}
	if got := s.Only("c").Devices; len(got) != 0 {
		t.Errorf("Only(c) = %+v", got)
	}
	if len(s.Devices) != 2 {
		t.Error("Only changed its receiver")
	}
}

func TestZeroStateIsDone(t *testing.T) {
	var s launch.State
	if _, step := s.Next(launch.Result{}); step.Kind != launch.StepDone || s.Step().Kind != launch.StepDone {
		t.Errorf("step = %+v", step)
	}
	again := reload(t, s)
	if again.Step().Kind != launch.StepDone {
		t.Error("the zero State does not survive JSON")
	}
}

func reload(t *testing.T, s launch.State) launch.State {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again launch.State
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return again
}

// TestResume stores and reads the State before every step, of healthy runs and of runs that fail
// anywhere: the other process goes on as the first would have.
func TestResume(t *testing.T) {
	for _, tt := range sequences {
		for failAt := -1; failAt < strings.Count(tt.want, "\n"); failAt++ {
			w, s := newWorld(t), mustNew(t, tt.spec)
			for i := 0; ; i++ {
				again := reload(t, s)
				if diff := cmp.Diff(s.Step(), again.Step()); diff != "" {
					t.Fatalf("%s, step %d (-kept +reloaded):\n%s", tt.name, i, diff)
				}
				if diff := cmp.Diff(s.Volumes(), again.Volumes()); diff != "" {
					t.Fatalf("%s, step %d, volumes (-kept +reloaded):\n%s", tt.name, i, diff)
				}
				if s.Step().Terminal() {
					break
				}
				r := launch.Result{Failure: &launch.Failure{Cause: "boom"}}
				if i != failAt {
					r = w.perform(s.Step())
				}
				if i%2 == 0 {
					s = again
				}
				s, _ = s.Next(r)
			}
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	s := mustNew(t, spec(launch.RunInstances, device("a", "plain own", new(true), "X")))
	w := newWorld(t)
	for range 4 {
		s, _ = s.Next(w.perform(s.Step()))
	}
	good, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, by string) string {
		bad := bytes.Replace(good, []byte(old), []byte(by), 1)
		if bytes.Equal(good, bad) {
			t.Fatalf("%s has no %s", good, old)
		}
		return string(bad)
	}
	for name, data := range map[string]string{
		"not an object":    `[]`,
		"unknown field":    replace(`"Version"`, `"More":1,"Version"`),
		"other version":    replace(`"Version":1`, `"Version":2`),
		"bad spec":         replace(`"111122223333"`, `"1"`),
		"refused choice":   replace(`"Encrypted":true,"KmsKeyID"`, `"KmsKeyID"`),
		"too far":          replace(`"Completed":4`, `"Completed":40`),
		"negative":         replace(`"Completed":4`, `"Completed":-1`),
		"key known early":  replace(`"Completed":4`, `"Completed":0`),
		"undone only":      replace(`"Completed":4`, `"Completed":4,"Undone":1`),
		"undone too much":  replace(`"Completed":4`, `"Completed":4,"Fail":{"Device":"a"},"Undone":9`),
		"foreign volume":   replace(`"Volumes":[{"Device":"a"`, `"Volumes":[{"Device":"b"`),
		"no volumes":       replace(`"Volumes":[{`, `"Volumes":[],"volumes":[{"Device":"b"},{`),
		"left out of thin": replace(`"Completed":4`, `"Completed":4,"Left":[{"Op":{"Kind":"attach","Device":7}}]`),
	} {
		back := mustNew(t, spec(launch.RunInstances))
		if err := json.Unmarshal([]byte(data), &back); err == nil {
			t.Errorf("%s: no error for %s", name, data)
		} else if _, syntax := errors.AsType[*json.SyntaxError](err); !syntax && !errors.Is(err, launch.ErrSpec) {
			t.Errorf("%s: error = %v, want ErrSpec", name, err)
		}
		if back.Step().Kind != launch.StepRunning {
			t.Errorf("%s: changed the State in spite of the error", name)
		}
	}
}

func FuzzState(f *testing.F) {
	for _, tt := range sequences {
		s, err := launch.New(tt.spec)
		if err != nil {
			f.Fatal(err)
		}
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, failAt uint8) {
		var s launch.State
		if json.Unmarshal(data, &s) != nil {
			return
		}
		// Whatever is accepted runs to its end, and reads back the same at every step.
		limit := 2 + 30*len(s.Volumes())
		for i := range limit {
			step := s.Step()
			if !cmp.Equal(step, reload(t, s).Step()) {
				t.Fatalf("step %d does not survive", i)
			}
			if step.Terminal() {
				return
			}
			r := launch.Result{KeyARN: ownKey, Grant: launch.GrantRef{ID: "g"}, WrappedKey: []byte("w")}
			if i == int(failAt) {
				r = launch.Result{Failure: &launch.Failure{Part: i, Cause: "boom"}}
			}
			s, _ = s.Next(r)
		}
		t.Fatalf("no end after %d steps", limit)
	})
}
