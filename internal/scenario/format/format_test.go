package format_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

func read(t *testing.T, id string) *format.Scenario {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../launch/testdata/scenarios", id+".json"))
	if err != nil {
		t.Fatal(err)
	}
	sc, err := format.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// TestAScenarioThatWasMadeCanBePatched as one that was read can: what is nil is empty.
func TestAScenarioThatWasMadeCanBePatched(t *testing.T) {
	sc := read(t, "013-first-statement-only")
	made := *sc
	made = format.Scenario{
		Schema: made.Schema, ID: made.ID, Title: made.Title, Story: made.Story, Source: made.Source, Region: made.Region,
		Accounts: made.Accounts, Keys: made.Keys, Principals: made.Principals, Launch: made.Launch,
	}
	got, err := made.Patched([]format.Edit{{Op: "replace", Path: "/keys/0/state", Value: format.Value(`"Disabled"`)}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Keys[0].State != "Disabled" || got.Expected != nil {
		t.Errorf("the key is %s, expected %v", got.Keys[0].State, got.Expected)
	}
	data, err := sc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := format.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := again.Encode(); err != nil || string(second) != string(data) {
		t.Errorf("written and read again it is another: %v", err)
	}
}

func TestFactsThatAreNotKnownHaveAPlace(t *testing.T) {
	sc := read(t, "012-default-key-policy")
	add := func(unknown string) error {
		_, err := sc.Patched([]format.Edit{{Op: "add", Path: "/unknown", Value: format.Value(unknown)}})
		return err
	}
	for _, good := range []string{`{}`, `{"/keys/0/policy":"no permission"}`, `{"/keys":"there may be others"}`, `{"/launch/templates/0/blockDevices/0/ebs/kmsKeyId":"known after apply"}`} {
		if err := add(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{`{"/keys/7/policy":"why"}`, `{"keys":"why"}`, `{"/nothing":"why"}`} {
		if err := add(bad); err == nil || !strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestACopyNeedsItsSource(t *testing.T) {
	sc := read(t, "037-boundary-hides-kms")
	_, err := sc.Patched([]format.Edit{{Op: "replace", Path: "/launch/operation", Value: format.Value(`"CopySnapshot"`)}})
	if err == nil || !strings.Contains(err.Error(), "launch.templates[0].blockDevices[0].ebs: CopySnapshot needs snapshotId") {
		t.Errorf("got %v", err)
	}
}
