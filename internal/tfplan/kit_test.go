package tfplan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// read reads a plan of testdata, with everything that holds of each launch checked.
func read(t *testing.T, file string, opt tfplan.Options) *tfplan.Plan {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	if !tfplan.Is(data) {
		t.Errorf("%s is not recognized", file)
	}
	p, err := tfplan.Read(data, opt)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Launches {
		sound(t, &p.Launches[i])
	}
	return p
}

// sound checks that a launch is a scenario, and that nothing secret is in it.
func sound(t testing.TB, l *tfplan.Launch) {
	t.Helper()
	data, err := l.Scenario.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := format.Parse(data); err != nil {
		t.Errorf("%s is no scenario: %v\n%s", l.Address, err, data)
	}
	if strings.Contains(string(data), "badcafe") {
		t.Errorf("%s tells a value that is marked as sensitive", l.Address)
	}
	for name := range l.Names {
		if !strings.Contains(string(data), name) {
			t.Errorf("%s: %s has a name but is not in the scenario", l.Address, name)
		}
	}
}

// find is the launch of a resource.
func find(t *testing.T, p *tfplan.Plan, address string) *tfplan.Launch {
	t.Helper()
	for i := range p.Launches {
		if p.Launches[i].Address == address {
			return &p.Launches[i]
		}
	}
	t.Fatalf("%s does not launch", address)
	return nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
