package lint_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
)

// A scenario is what of a launch scenario bears on policies.
type scenario struct {
	Expected struct {
		Launches bool     `json:"launches"`
		Warnings []string `json:"warnings"`
	} `json:"expected"`
	Accounts []struct {
		ID   string     `json:"id"`
		SCPs []document `json:"scps"`
		RCPs []document `json:"rcps"`
	} `json:"accounts"`
	Keys []struct {
		ARN    string          `json:"arn"`
		Policy json.RawMessage `json:"policy"`
	} `json:"keys"`
	Principals []struct {
		ARN      string          `json:"arn"`
		Policies []document      `json:"policies"`
		Boundary json.RawMessage `json:"boundary"`
	} `json:"principals"`
	Setup []struct {
		Call   string `json:"call"`
		Params struct {
			Key        string          `json:"key"`
			Policy     json.RawMessage `json:"policy"`
			Grantee    string          `json:"granteePrincipal"`
			Operations []string        `json:"operations"`
		} `json:"params"`
	} `json:"setup"`
}

type document struct {
	Policy json.RawMessage `json:"policy"`
}

// findings lints every policy of a scenario and gives, for each finding, the place of the policy,
// the rule and the statement.
func (s *scenario) findings(t *testing.T, world *lint.World) []string {
	t.Helper()
	var out []string
	check := func(place string, src json.RawMessage, o lint.Options) {
		if len(src) == 0 {
			return
		}
		o.Known = world
		for _, f := range lint.Check(src, o) {
			out = append(out, place+" "+f.Rule)
		}
	}
	for _, a := range s.Accounts {
		for _, d := range a.SCPs {
			check("scp", d.Policy, lint.Options{Kind: policy.SCP, Account: a.ID})
		}
		for _, d := range a.RCPs {
			check("rcp", d.Policy, lint.Options{Kind: policy.RCP, Account: a.ID})
		}
	}
	for _, k := range s.Keys {
		check("key", k.Policy, lint.Options{Kind: policy.Key, Resource: k.ARN})
	}
	for _, p := range s.Principals {
		account := strings.Split(p.ARN, ":")[4]
		for _, d := range p.Policies {
			check("identity", d.Policy, lint.Options{Kind: policy.Identity, Account: account})
		}
		check("boundary", p.Boundary, lint.Options{Kind: policy.Identity, Account: account})
	}
	for _, step := range s.Setup {
		check("new key policy", step.Params.Policy, lint.Options{Kind: policy.Key, Resource: step.Params.Key})
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// world is what the scenario says of principals, keys and grants, with the grants that its setup
// makes before the launch.
func (s *scenario) world(t *testing.T, src []byte) *lint.World {
	t.Helper()
	w := &lint.World{}
	if err := w.Add(src); err != nil {
		t.Fatal(err)
	}
	if !s.Expected.Launches {
		return w
	}
	for _, step := range s.Setup {
		if step.Call == "kms:CreateGrant" {
			k := w.Keys[step.Params.Key]
			k.Grants = append(k.Grants, lint.Grant{Grantee: step.Params.Grantee, Operations: step.Params.Operations})
			w.Keys[step.Params.Key] = k
		}
	}
	return w
}

// found is what the linter finds in scenarios that do not launch. Those that fail for other
// reasons than a document are clean.
var found = map[string][]string{
	"013": {"key launch-incomplete"},
	"017": {"key external-account-grant"},
	"018": {"key external-account-grant"}, // the grant lacks CreateGrant
	"019": {"key external-account-grant", "key grant-condition-external"},
	"020": {"identity any-action", "new key policy unknown-principal"},
	"021": {"identity any-action", "key external-account-grant"},
	"026": {"key via-service-region"},
	"027": {"key unknown-action"},
	"028": {"identity any-action", "scp deny-hits-launches"},
	"029": {"key deny-hits-services"},
	"031": {"identity launch-incomplete", "identity refused"}, // its Sid has underscores, which IAM refuses
	"032": {"key external-account-grant"},
	"034": {"key service-principal"},
	"035": {"identity any-action", "new key policy no-account-statement"},
	"037": {"boundary pass-any-role", "identity any-key"},
	"039": {"identity any-action", "scp launch-incomplete"},
	"040": {"identity any-action", "identity deny-hits-launches"},
	"041": {"key external-account-grant"}, // the grant demands one encryption context
	"043": {"key condition-key-absent"},
	"044": {"identity any-key", "key external-account-grant", "rcp deny-hits-service-principals"},
	"046": {"identity via-service"},
	"047": {"identity any-action"},
	"048": {"identity any-action"},
	"050": {"identity any-key"},
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../launch/testdata/scenarios/*.json")
	if err != nil || len(files) != 50 {
		t.Fatalf("%d scenarios, %v; want 50", len(files), err)
	}
	seen := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s scenario
		if err := json.Unmarshal(src, &s); err != nil {
			t.Fatal(err)
		}
		number := filepath.Base(file)[:3]
		want, listed := found[number]
		if listed {
			seen++
		}
		if s.Expected.Launches && len(s.Expected.Warnings) == 0 && listed {
			t.Errorf("%s launches without warnings: it has to be clean", number)
		}
		if got := s.findings(t, s.world(t, src)); !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", filepath.Base(file), got, want)
		}
	}
	if seen != len(found) {
		t.Errorf("%d of %d expectations are of no scenario", len(found)-seen, len(found))
	}
}
