package launch_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
)

// A scenario is what these tests need of a file of testdata/scenarios: a small world, one launch,
// what must happen.
type scenario struct {
	ID       string
	Region   string
	Accounts []struct {
		ID  string
		EBS map[string]struct {
			EncryptionByDefault bool
			DefaultKmsKeyId     string
		}
	}
	Keys      []scenarioKey
	Snapshots []struct {
		ID, Owner string
		Encrypted bool
		Key       string
	}
	Images []struct {
		ID      string
		Devices []struct{ Device, SnapshotID string }
	}
	Launch struct {
		Operation, Account, Caller string
		Group                      struct{ ServiceLinkedRoleArn string }
		Templates                  []scenarioTemplate
		ExistingVolumes            []struct{ ID, Device, Key string }
	}
	Expected struct {
		Launches bool
		Setup    []struct{ OK bool }
		Volumes  []volumeWant
		Failures []failureWant
	}
}

type scenarioKey struct {
	ARN, Account, Region string
	Aliases              []string
}

type scenarioTemplate struct {
	Name, Kind, Market, ImageID string
	BlockDevices                []struct {
		Device string
		EBS    struct {
			Encrypted            *bool
			KmsKeyID, SnapshotID string
			VolumeSize           int64
		}
	}
}

type volumeWant struct {
	Template, Device string
	Encrypted        bool
	Key              string
	ChosenBy         launch.ChosenBy
}

type failureWant struct {
	Template, Device, Step, Principal string
	Actions                           []string
	Key                               string
}

func scenarios(t *testing.T) []scenario {
	t.Helper()
	files, err := filepath.Glob("testdata/scenarios/*.json")
	if err != nil || len(files) != 50 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	all := make([]scenario, len(files))
	for i, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &all[i]); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
	}
	return all
}

func (sc *scenario) setupFails() bool {
	return slices.ContainsFunc(sc.Expected.Setup, func(s struct{ OK bool }) bool { return !s.OK })
}

// resolve is the resolver of the scenario: account and region are those of the launch.
func (sc *scenario) resolve(id string) (string, bool) {
	account, region := sc.Launch.Account, sc.Region
	if a, err := arn.Parse(id); err == nil {
		account, region, id = a.Account, a.Region, strings.TrimPrefix(a.Resource, "key/")
	}
	if region != sc.Region {
		return "", false
	}
	for _, k := range sc.Keys {
		if k.Account == account && k.Region == region &&
			(strings.HasSuffix(k.ARN, ":key/"+id) || slices.Contains(k.Aliases, id)) {
			return k.ARN, true
		}
	}
	return "", false
}

// specs gives one Spec for each template, or one for operations on existing volumes, by template.
func (sc *scenario) specs(t *testing.T) map[string]launch.Spec {
	t.Helper()
	base := launch.Spec{Region: sc.Region, Account: sc.Launch.Account, InstanceID: "i-0123456789abcdef0"}
	for _, a := range sc.Accounts {
		if a.ID == base.Account {
			e := a.EBS[sc.Region]
			base.Defaults = launch.Defaults{EncryptionByDefault: e.EncryptionByDefault, DefaultKey: e.DefaultKmsKeyId}
		}
	}
	base.Operation = launch.Operation(sc.Launch.Operation)
	if base.Operation == "AutoScalingLaunch" {
		base.Operation = launch.RunInstances
	}
	if vols := sc.Launch.ExistingVolumes; len(vols) > 0 {
		for _, v := range vols {
			base.Devices = append(base.Devices, launch.Device{Name: v.Device, VolumeID: v.ID, Source: launch.Source{
				Kind: launch.Existing, Encrypted: v.Key != "", KeyARN: v.Key}})
		}
		return map[string]launch.Spec{"": base}
	}
	specs := map[string]launch.Spec{}
	for _, tpl := range sc.Launch.Templates {
		s := base
		s.Devices = sc.devices(tpl)
		specs[tpl.Name] = s
	}
	return specs
}

// devices merges the devices of image and template: the template's values win.
func (sc *scenario) devices(tpl scenarioTemplate) []launch.Device {
	var devices []launch.Device
	device := func(name string) *launch.Device {
		i := slices.IndexFunc(devices, func(d launch.Device) bool { return d.Name == name })
		if i < 0 {
			i = len(devices)
			devices = append(devices, launch.Device{Name: name, Source: launch.Source{Kind: launch.Empty},
				VolumeID: "vol-0123456789abcde" + string(rune('a'+i))})
		}
		return &devices[i]
	}
	for _, img := range sc.Images {
		for _, d := range img.Devices {
			if img.ID == tpl.ImageID {
				device(d.Device).Source = sc.source(d.SnapshotID)
			}
		}
	}
	for _, b := range tpl.BlockDevices {
		d := device(b.Device)
		d.Encrypted, d.KmsKeyID, d.SizeGiB = b.EBS.Encrypted, b.EBS.KmsKeyID, b.EBS.VolumeSize
		if b.EBS.SnapshotID != "" {
			d.Source = sc.source(b.EBS.SnapshotID)
		}
	}
	return devices
}

func (sc *scenario) source(snapshot string) launch.Source {
	src := launch.Source{Kind: launch.Snapshot, SnapshotID: snapshot}
	for _, s := range sc.Snapshots {
		if s.ID == snapshot {
			src.Owned, src.Encrypted, src.KeyARN = s.Owner == sc.Launch.Account, s.Encrypted, s.Key
			src.ContextID = "vol-0fedcba9876543210"
		}
	}
	return src
}

// TestCorpusKeys: in every scenario that reaches the launch each device gets the expected key.
func TestCorpusKeys(t *testing.T) {
	seen := 0
	for _, sc := range scenarios(t) {
		if sc.setupFails() {
			continue
		}
		t.Run(sc.ID, func(t *testing.T) {
			got := []volumeWant{}
			for template, sp := range sc.specs(t) {
				for _, d := range sp.Devices {
					st, err := launch.New(sp.Only(d.Name))
					if err != nil { // the only scenario without a choice is the refused parameter
						wantDependency(t, err)
						if f := sc.Expected.Failures; len(f) != 1 || f[0].Step != "group-create" || f[0].Device != d.Name {
							t.Errorf("%s is refused: %v", d.Name, err)
						}
						continue
					}
					if step := st.Step(); step.Kind == launch.StepResolveKey {
						key, ok := sc.resolve(step.KeyID)
						if !ok {
							if !slices.ContainsFunc(sc.Expected.Failures, func(f failureWant) bool {
								return f.Step == "resolve-key" && f.Device == d.Name && f.Key == step.KeyID
							}) {
								t.Errorf("%s: %s does not resolve", d.Name, step.KeyID)
							}
							continue
						}
						st, _ = st.Next(launch.Result{KeyARN: key})
					}
					v := st.Volumes()[0]
					got = append(got, volumeWant{template, d.Name, v.Encrypted, v.KeyARN, v.ChosenBy})
					seen++
				}
			}
			want := slices.Clone(sc.Expected.Volumes)
			byName := func(a, b volumeWant) int {
				return strings.Compare(a.Template+a.Device, b.Template+b.Device)
			}
			slices.SortFunc(got, byName)
			slices.SortFunc(want, byName)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("volumes (-want +got):\n%s", diff)
			}
		})
	}
	if seen < 42 {
		t.Errorf("only %d devices were looked at", seen)
	}
}

// roleARN is the principal of a failure as the scenarios write it: a role, or a user.
func (sc *scenario) roleARN(template string, as launch.Actor) string {
	if as == launch.Infrastructure {
		return arn.InfrastructureRole(sc.Launch.Account)
	}
	if sc.Launch.Operation != "AutoScalingLaunch" {
		return sc.Launch.Caller
	}
	for _, tpl := range sc.Launch.Templates {
		if tpl.Name == template && tpl.Kind == "launch-configuration" && tpl.Market == "spot" {
			return arn.Role(sc.Launch.Account, arn.ServiceLinkedPath("spot.amazonaws.com"), "AWSServiceRoleForEC2Spot")
		}
	}
	if r := sc.Launch.Group.ServiceLinkedRoleArn; r != "" {
		return r
	}
	return arn.Role(sc.Launch.Account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
}

// refuse drives one device and refuses the first evaluation that refused reports.
func (sc *scenario) refuse(t *testing.T, sp launch.Spec, refused func(as launch.Actor, action, key string) bool) *launch.Fail {
	t.Helper()
	w, st := newWorld(t), mustNew(t, sp)
	for step := st.Step(); ; {
		if step.Terminal() {
			return step.Fail
		}
		var r launch.Result
		n := 0
		for _, q := range step.Requests {
			for _, p := range q.Parts() {
				if n++; r.Failure == nil && !step.Undo && refused(q.As, p.Action, p.Resource.ARN) {
					r.Failure = &launch.Failure{Part: n, Cause: "refused"}
				}
			}
		}
		key, known := sc.resolve(step.KeyID)
		switch {
		case step.Kind == launch.StepResolveKey && !known:
			r.Failure = &launch.Failure{Cause: "unknown"}
		case r.Failure == nil:
			r = w.perform(step)
		}
		if known {
			r.KeyARN = key
		}
		st, step = st.Next(r)
	}
}

// TestCorpusFailures refuses to each device what its scenario says is refused: the plan asks for
// exactly that, in the phase and as the principal that the scenario names.
func TestCorpusFailures(t *testing.T) {
	seen := 0
	for _, sc := range scenarios(t) {
		for _, f := range sc.Expected.Failures {
			if f.Step == "setup" || f.Step == "group-create" {
				continue
			}
			seen++
			got := sc.refuse(t, sc.specs(t)[f.Template].Only(f.Device), func(_ launch.Actor, action, key string) bool {
				return key == f.Key && slices.Contains(f.Actions, action)
			})
			switch {
			case got == nil:
				t.Errorf("%s: nothing asks for %v on %s", sc.ID, f.Actions, f.Key)
			case string(got.Phase) != f.Step || got.KeyARN != f.Key || got.Device != f.Device ||
				sc.roleARN(f.Template, got.As) != f.Principal:
				t.Errorf("%s: got %+v, want %+v", sc.ID, got, f)
			}
		}
	}
	if seen < 25 {
		t.Errorf("only %d failures were looked at", seen)
	}
}
