package launch_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/launch"
)

const (
	snapKey = "arn:aws:kms:us-west-2:111122223333:key/5a"
	ownKey  = "arn:aws:kms:us-west-2:111122223333:key/0b"
)

// sources are the five sources of AWS's tables.
func sources() map[string]launch.Source {
	snap := launch.Source{Kind: launch.Snapshot, SnapshotID: "snap-1"}
	own, shared := snap, snap
	own.Owned = true
	encOwn, encShared := own, shared
	encOwn.Encrypted, encOwn.KeyARN, encOwn.ContextID = true, snapKey, "vol-old"
	encShared.Encrypted, encShared.KeyARN, encShared.ContextID = true, snapKey, "vol-old"
	return map[string]launch.Source{
		"empty": {Kind: launch.Empty}, "plain own": own, "plain shared": shared,
		"encrypted own": encOwn, "encrypted shared": encShared,
	}
}

var (
	none     = launch.Choice{ChosenBy: launch.ByNone}
	snapshot = launch.Choice{Encrypted: true, KeyID: snapKey, ChosenBy: launch.BySnapshot}
	deflt    = launch.Choice{Encrypted: true, KeyID: "alias/default", ChosenBy: launch.ByAccountDefault}
	template = launch.Choice{Encrypted: true, KeyID: "X", ChosenBy: launch.ByTemplate}
	managed  = launch.Choice{Encrypted: true, KeyID: "alias/aws/ebs", ChosenBy: launch.ByAWSManaged}
)

// wantDependency checks that err is EC2's refusal of a key without Encrypted.
func wantDependency(t *testing.T, err error) {
	t.Helper()
	p, ok := errors.AsType[*launch.ParameterError](err)
	if !ok || p.Code != "InvalidParameterDependency" ||
		p.Message != "The parameter KmsKeyId requires the parameter Encrypted to be set." {
		t.Errorf("error = %v, want InvalidParameterDependency", err)
	}
}

// TestChooseKeyTable holds the 20 rows of AWS's table. Rows without Encrypted are tried with the
// parameter absent and false, which are the same.
func TestChooseKeyTable(t *testing.T) {
	rows := []struct {
		asked, byDefault bool
		source           string
		want             launch.Choice
	}{
		{false, false, "empty", none},
		{false, false, "plain own", none},
		{false, false, "encrypted own", snapshot},
		{false, false, "plain shared", none},
		{false, false, "encrypted shared", deflt},
		{true, false, "empty", deflt},
		{true, false, "plain own", deflt},
		{true, false, "encrypted own", snapshot},
		{true, false, "plain shared", deflt},
		{true, false, "encrypted shared", deflt},
		{false, true, "empty", deflt},
		{false, true, "plain own", deflt},
		{false, true, "encrypted own", snapshot},
		{false, true, "plain shared", deflt},
		{false, true, "encrypted shared", deflt},
		{true, true, "empty", deflt},
		{true, true, "plain own", deflt},
		{true, true, "encrypted own", snapshot},
		{true, true, "plain shared", deflt},
		{true, true, "encrypted shared", deflt},
	}
	for _, r := range rows {
		params := []*bool{new(true)}
		if !r.asked {
			params = []*bool{nil, new(false)}
		}
		for i, p := range params {
			t.Run(fmt.Sprintf("%s/asked %v/default %v/%d", r.source, r.asked, r.byDefault, i), func(t *testing.T) {
				in := launch.KeyInput{Encrypted: p, Source: sources()[r.source],
					Defaults: launch.Defaults{EncryptionByDefault: r.byDefault, DefaultKey: "alias/default"}}
				got, err := launch.ChooseKey(in)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(r.want, got); diff != "" {
					t.Errorf("without a key id (-want +got):\n%s", diff)
				}
				in.KmsKeyID = "X"
				got, err = launch.ChooseKey(in)
				if !r.asked {
					wantDependency(t, err)
					return
				}
				if diff := cmp.Diff(template, got); diff != "" || err != nil {
					t.Errorf("with a key id: %v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

func TestChooseKeyUntouchedDefaultIsAWSManaged(t *testing.T) {
	got, err := launch.ChooseKey(launch.KeyInput{Encrypted: new(true), Source: sources()["empty"]})
	want := launch.Choice{Encrypted: true, KeyID: launch.AWSManagedAlias, ChosenBy: launch.ByAccountDefault}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestChooseKeyExisting(t *testing.T) {
	src := launch.Source{Kind: launch.Existing}
	on := launch.Defaults{EncryptionByDefault: true, DefaultKey: "alias/default"}
	if got, err := launch.ChooseKey(launch.KeyInput{Source: src, Defaults: on}); err != nil || got != none {
		t.Errorf("a plain volume stays plain: got %+v, %v", got, err)
	}
	src.Encrypted, src.KeyARN = true, ownKey
	want := launch.Choice{Encrypted: true, KeyID: ownKey, ChosenBy: launch.ByExisting}
	if got, err := launch.ChooseKey(launch.KeyInput{Source: src}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestChooseCopyKey(t *testing.T) {
	// The columns: no parameter and Encrypted alone, each with encryption by default off and on.
	type row struct{ off, on, askedOff, askedOn launch.Choice }
	tables := []struct {
		name    string
		keepKey bool
		rows    map[string]row
	}{
		{"current table", false, map[string]row{
			"plain own":        {none, deflt, deflt, deflt},
			"plain shared":     {none, deflt, deflt, deflt},
			"encrypted own":    {managed, deflt, managed, deflt},
			"encrypted shared": {managed, deflt, managed, deflt},
		}},
		{"older guide and CopyImage", true, map[string]row{
			"plain own":        {none, deflt, deflt, deflt},
			"plain shared":     {none, deflt, deflt, deflt},
			"encrypted own":    {snapshot, snapshot, snapshot, snapshot},
			"encrypted shared": {deflt, deflt, deflt, deflt},
		}},
	}
	for _, tbl := range tables {
		for source, r := range tbl.rows {
			for _, c := range []struct {
				encrypted *bool
				byDefault bool
				want      launch.Choice
			}{
				{nil, false, r.off}, {nil, true, r.on},
				{new(false), false, r.off}, {new(false), true, r.on},
				{new(true), false, r.askedOff}, {new(true), true, r.askedOn},
			} {
				in := launch.KeyInput{Encrypted: c.encrypted, Source: sources()[source],
					Defaults: launch.Defaults{EncryptionByDefault: c.byDefault, DefaultKey: "alias/default"}}
				got, err := launch.ChooseCopyKey(in, tbl.keepKey)
				if err != nil || got != c.want {
					t.Errorf("%s, %s, default %v: got %+v, %v, want %+v", tbl.name, source, c.byDefault, got, err, c.want)
				}
				in.KmsKeyID = "X"
				got, err = launch.ChooseCopyKey(in, tbl.keepKey)
				if c.encrypted == nil || !*c.encrypted {
					wantDependency(t, err)
				} else if err != nil || got != template {
					t.Errorf("%s, %s with a key id: got %+v, %v", tbl.name, source, got, err)
				}
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := func() launch.Spec {
		return launch.Spec{Operation: launch.RunInstances, Region: "us-west-2", Account: "111122223333",
			InstanceID: "i-1", Devices: []launch.Device{
				{Name: "a", VolumeID: "vol-a", Source: launch.Source{Kind: launch.Empty}},
				{Name: "b", VolumeID: "vol-b", Source: sources()["encrypted own"]},
			}}
	}
	if _, err := launch.New(good()); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*launch.Spec){
		"unknown operation":         func(s *launch.Spec) { s.Operation = "RebootInstances" },
		"no region":                 func(s *launch.Spec) { s.Region = "" },
		"bad account":               func(s *launch.Spec) { s.Account = "1" },
		"no instance":               func(s *launch.Spec) { s.InstanceID = "" },
		"two devices of one name":   func(s *launch.Spec) { s.Devices[1].Name = "a" },
		"nameless among several":    func(s *launch.Spec) { s.Devices[1].Name = "" },
		"no volume id":              func(s *launch.Spec) { s.Devices[0].VolumeID = "" },
		"volume id twice":           func(s *launch.Spec) { s.Devices[0].VolumeID = "vol-b" },
		"zero source":               func(s *launch.Spec) { s.Devices[0].Source = launch.Source{} },
		"existing volume in a run":  func(s *launch.Spec) { s.Devices[0].Source.Kind = launch.Existing },
		"empty but encrypted":       func(s *launch.Spec) { s.Devices[0].Source.Encrypted = true },
		"no snapshot id":            func(s *launch.Spec) { s.Devices[1].Source.SnapshotID = "" },
		"source key is not an ARN":  func(s *launch.Spec) { s.Devices[1].Source.KeyARN = "alias/x" },
		"source key is an alias":    func(s *launch.Spec) { s.Devices[1].Source.KeyARN = "arn:aws:kms:r:1:alias/x" },
		"source without context id": func(s *launch.Spec) { s.Devices[1].Source.ContextID = "" },
		"start of an empty volume":  func(s *launch.Spec) { s.Operation = launch.StartInstances },
		"key for an existing volume": func(s *launch.Spec) {
			s.Operation, s.Devices = launch.AttachVolume, s.Devices[:1]
			s.Devices[0].Source.Kind, s.Devices[0].KmsKeyID = launch.Existing, "X"
		},
	}
	for name, spoil := range tests {
		s := good()
		spoil(&s)
		if _, err := launch.New(s); !errors.Is(err, launch.ErrSpec) {
			t.Errorf("%s: error = %v, want ErrSpec", name, err)
		}
	}
	s := good()
	s.Devices[0].KmsKeyID = "X"
	_, err := launch.New(s)
	wantDependency(t, err)
}
