package scenario_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/scenario"
)

// folder holds the project's copy of the launch scenarios.
const folder = "../launch/testdata/scenarios"

// files are the scenarios of the folder by id.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(folder + "/*.json")
	if err != nil || len(paths) != 50 {
		t.Fatalf("%d scenarios, %v", len(paths), err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".json")] = data
	}
	return all
}

func TestEveryScenarioIsInTheFormatAndSoIsWhatItsFixesMakeOfIt(t *testing.T) {
	patches := 0
	for id, data := range files(t) {
		s, err := scenario.Parse(data)
		if err != nil {
			t.Errorf("%s:\n%v", id, err)
			continue
		}
		if s.ID != id {
			t.Errorf("%s calls itself %s", id, s.ID)
		}
		if s.Expected.Fix == nil {
			continue
		}
		for _, patch := range s.Expected.Fix.Patches() {
			patches++
			if _, err := s.Patched(patch); err != nil {
				t.Errorf("%s with its fix:\n%v", id, err)
			}
		}
	}
	if patches != 44 {
		t.Errorf("%d patches, want 44", patches)
	}
}

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	const id = "012-default-key-policy"
	good := string(files(t)[id])
	tests := []struct {
		name, old, new string
		want           string
	}{
		{"unknown member", `"title":`, `"tilte":`, "4:2: the format has no member \"tilte\" here"},
		{"missing member", `"title": `, `"story2": `, "1:1: the member \"title\" is missing"},
		{"wrong type", `"launches": false`, `"launches": "no"`, `: expected.launches: this is a string, but must be a boolean`},
		{"null where it must not be", `"region": "us-east-1",
 "accounts"`, `"region": null, "accounts"`, `: region: this is null, but must be a string`},
		{"a number that is none of ours", `"desired": 2`, `"desired": 2.5`, `: launch.group.desired: this must be a whole number`},
		{"unknown word", `"market": "on-demand"`, `"market": "reserved"`, `: launch.templates[0].market: "reserved" is none of on-demand, spot, mixed`},
		{"unknown rule", `"rule": "not-in-key-policy"`, `"rule": "because"`, `: expected.failures[0].rule: "because" is none of `},
		{"duplicate member", `"title":`, `"id": "x", "title":`, "a member of this name is there already"},
		{"not JSON", `"title": `, `"title" `, "this is not JSON"},
		{"more text", "", "", ""},
		{"an image that is not there", `"imageId": "ami-0plain1"`, `"imageId": "ami-0other"`, `image "ami-0other" is not among the images`},
		{"a key of another account", `"account": "210987654321",
   "region"`, `"account": "111122223333", "region"`, `: keys[0].account: account "111122223333" is not among the accounts`},
		{"an account that is none", `"id": "210987654321"`, `"id": "2109"`, `accounts[0].id: "2109" is not an account id of 12 digits`},
		{"a key of another region", `"region": "us-east-1",
   "manager"`, `"region": "us-east-2", "manager"`, `keys[0].arn: "arn:aws:kms:us-east-1:210987654321:key/4d5e6f70-8192-4d5e-9f60-81924d5e6f20" is not the ARN of a key of account 210987654321 in us-east-2`},
		{"an alias without its prefix", `"aliases": []`, `"aliases": ["web"]`, `keys[0].aliases[0]: the name of an alias begins with alias/`},
		{"a role that is called a user", `"kind": "service-linked-role"`, `"kind": "user"`, ` is not the ARN of a user`},
		{"a service-linked role with policies", `"policies": []`, `"policies": [{"name": "p", "policy": {}}]`, `principals[0]: a service-linked role cannot be given policies or a boundary`},
		{"a plain snapshot with a key", `"key": null,
   "sharedWith"`, `"key": "arn:aws:kms:us-east-1:210987654321:key/4d5e6f70-8192-4d5e-9f60-81924d5e6f20", "sharedWith"`,
			`snapshots[0].key: an encrypted snapshot has a key, any other has none`},
		{"a snapshot under a key that is not there", `"encrypted": false,
   "key": null`, `"encrypted": true, "key": "other"`, `snapshots[0].key: key other is not among the keys`},
		{"an image of nothing", `"devices": [
    {
     "device": "/dev/sda1",
     "snapshotId": "snap-0plain1"
    }
   ]`, `"devices": []`, `images[0].devices: an image has at least one device`},
		{"a device of a snapshot that is not there", `"snapshotId": "snap-0plain1"`, `"snapshotId": "snap-0"`, `images[0].devices[0].snapshotId: snapshot "snap-0" is not among the snapshots`},
		{"a group with a caller", `"caller": null`, `"caller": "arn:aws:iam::210987654321:root"`, `launch.caller: the role of the group is the caller: this must be null`},
		{"a launch by nobody", `"operation": "AutoScalingLaunch"`, `"operation": "RunInstances"`, `launch.caller: somebody has to call EC2: this must not be null`},
		{"a start of nothing", `"operation": "AutoScalingLaunch"`, `"operation": "StartInstances"`, `launch: StartInstances needs existingVolumes`},
		{"a caller who is not there", `"operation": "AutoScalingLaunch",
  "account": "210987654321",
  "caller": null`, `"operation": "RunInstances", "account": "210987654321", "caller": "arn:aws:iam::210987654321:role/x"`,
			`launch.caller: "arn:aws:iam::210987654321:role/x" is neither a root user nor among the roles and users`},
		{"steps that nobody expects", `"launch": {`, `"setup": [{"call": "kms:CreateGrant", "as": "arn:aws:iam::210987654321:root", "params": {"key": "x"}}], "launch": {`,
			`setup has 1 steps, expected.setup 0`},
		{"a grant to nobody", `"launch": {`, `"setup": [{"call": "kms:CreateGrant", "as": "arn:aws:iam::210987654321:root", "params": {"key": "x"}}], "launch": {`,
			`setup[0].params: a grant needs granteePrincipal and operations`},
		{"a failure that launches", `"launches": false`, `"launches": true`, `expected: what launches has no failures, symptom and fix`},
		{"a model without its tag", `"region": "us-east-1",`, `"region": "us-east-1", "assumesModel": "rewrap",`, `tags: the tag model-sensitive and the member assumesModel go together`},
		{"a fix that cannot be applied", `"path": "/keys/0/policy/Statement/-"`, `"path": "/keys/7/policy/Statement/-"`,
			`: expected.fix.patch: this cannot be applied to the scenario: operation 1, add /keys/7/policy/Statement/-: there is no item 7 in a list of 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := good + "{}"
			if tt.old != "" {
				bad = strings.Replace(good, tt.old, tt.new, 1)
				if bad == good {
					t.Fatalf("the scenario has no %s", tt.old)
				}
			} else {
				tt.want = "there is text after the scenario"
			}
			_, err := scenario.Parse([]byte(bad))
			e, ok := errors.AsType[*scenario.FormatError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(e.Error(), tt.want) {
				t.Errorf("got:\n%v\nwant %s", e, tt.want)
			}
		})
	}
}

// TestPatches: the operations of RFC 6902, on the tags of a scenario, which were a, b and c.
func TestPatches(t *testing.T) {
	tests := []struct {
		edit scenario.Edit
		want string // "" for an error
	}{
		{scenario.Edit{Op: "add", Path: "/tags/-", Value: scenario.Value(`"d"`)}, "a b c d"},
		{scenario.Edit{Op: "add", Path: "/tags/1", Value: scenario.Value(`"d"`)}, "a d b c"},
		{scenario.Edit{Op: "add", Path: "/tags/3", Value: scenario.Value(`"d"`)}, "a b c d"},
		{scenario.Edit{Op: "add", Path: "/tags/4", Value: scenario.Value(`"d"`)}, ""},
		{scenario.Edit{Op: "add", Path: "/tags/01", Value: scenario.Value(`"d"`)}, ""},
		{scenario.Edit{Op: "add", Path: "/tags", Value: scenario.Value(`["d"]`)}, "d"},
		{scenario.Edit{Op: "add", Path: "/tags/0/x", Value: scenario.Value(`1`)}, ""},
		{scenario.Edit{Op: "add", Path: "/tags/-"}, ""},
		{scenario.Edit{Op: "replace", Path: "/tags/1", Value: scenario.Value(`"d"`)}, "a d c"},
		{scenario.Edit{Op: "replace", Path: "/tags/-", Value: scenario.Value(`"d"`)}, ""},
		{scenario.Edit{Op: "replace", Path: "/tugs", Value: scenario.Value(`"d"`)}, ""},
		{scenario.Edit{Op: "remove", Path: "/tags/0"}, "b c"},
		{scenario.Edit{Op: "remove", Path: "/tags/3"}, ""},
		{scenario.Edit{Op: "remove", Path: ""}, ""},
		{scenario.Edit{Op: "remove", Path: "tags"}, ""},
		{scenario.Edit{Op: "move", From: "/tags/2", Path: "/tags/0"}, "c a b"},
		{scenario.Edit{Op: "copy", From: "/tags/2", Path: "/tags/0"}, "c a b c"},
		{scenario.Edit{Op: "copy", From: "/tags/7", Path: "/tags/0"}, ""},
		{scenario.Edit{Op: "test", Path: "/tags/2", Value: scenario.Value(`"c"`)}, "a b c"},
		{scenario.Edit{Op: "test", Path: "/tags/2", Value: scenario.Value(`"d"`)}, ""},
		{scenario.Edit{Op: "test", Path: "/accounts/0/ebs/us-east-1/defaultKmsKeyId", Value: scenario.Value(`"alias/aws/ebs"`)}, "a b c"},
		{scenario.Edit{Op: "test", Path: "/accounts/0/id~1x", Value: scenario.Value(`1`)}, ""},
		{scenario.Edit{Op: "turn", Path: "/tags/2"}, ""},
	}
	for _, tt := range tests {
		sc := variant(t, "012-default-key-policy", "/tags", `["a","b","c"]`)
		got, err := sc.Patched([]scenario.Edit{tt.edit})
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%+v is applied", tt.edit)
		case tt.want != "" && err != nil:
			t.Errorf("%+v: %v", tt.edit, err)
		case tt.want != "" && strings.Join(got.Tags, " ") != tt.want:
			t.Errorf("%+v: %v, want %s", tt.edit, got.Tags, tt.want)
		}
	}
}

// FuzzParse: whatever is parsed is written and parsed as the same, and nothing else panics.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"004-cross-account-grant", "012-default-key-policy", "030-scheduler-start"} {
		data, err := os.ReadFile(folder + "/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"schema":[{}]}`))
	f.Add([]byte("\n{]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sc, err := scenario.Parse(data)
		if err != nil {
			if e, ok := errors.AsType[*scenario.FormatError](err); !ok || len(e.Problems) == 0 {
				t.Fatalf("%#v", err)
			}
			return
		}
		first, err := sc.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := scenario.Parse(first)
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		if second, err := again.Encode(); err != nil || string(second) != string(first) {
			t.Errorf("%v\n%s\n%s", err, first, second)
		}
	})
}

// What was cut off is told so, wherever that was.
func TestCutOffIsSaid(t *testing.T) {
	for _, text := range []string{"", "{", `{"id"`, `{"id":`, `{"id": "x"`, strings.Repeat("[", 50), strings.Repeat(`{"a":`, 50), `{"id": "x`} {
		_, err := scenario.Parse([]byte(text))
		if err == nil || !strings.HasSuffix(err.Error(), "the file ends too early") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
