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
	if err != nil || len(paths) != 42 {
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
	if patches != 36 {
		t.Errorf("%d patches, want 36", patches)
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
