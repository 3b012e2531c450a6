package cfn_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// file is a template of testdata.
func file(t testing.TB, name string) cfn.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	check(t, err)
	if !cfn.Is(data) {
		t.Errorf("%s is not recognized", name)
	}
	return cfn.File{Name: name, Data: data}
}

// open reads the template of a nested stack.
func open(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
}

// read reads templates, with everything that holds of each launch checked.
func read(t testing.TB, opt cfn.Options, files ...cfn.File) *cfn.Result {
	t.Helper()
	r, err := cfn.Read(files, opt)
	check(t, err)
	for i := range r.Launches {
		sound(t, r, &r.Launches[i])
	}
	return r
}

// source is a template as a test writes it.
func source(text string) cfn.File { return cfn.File{Name: "test.yaml", Data: []byte(text)} }

// sound checks that a launch is a scenario, and that everything in it has a place.
func sound(t testing.TB, r *cfn.Result, l *tfplan.Launch) {
	t.Helper()
	data, err := l.Scenario.Encode()
	check(t, err)
	if _, err := format.Parse(data); err != nil {
		t.Errorf("%s is no scenario: %v\n%s", l.Address, err, data)
	}
	if p, ok := r.Where(l.Address); !ok || p.File == "" || p.Line < 1 || p.Column < 1 {
		t.Errorf("%s is at %+v", l.Address, p)
	}
}

// find is the launch of a resource.
func find(t testing.TB, r *cfn.Result, address string) *tfplan.Launch {
	t.Helper()
	for i := range r.Launches {
		if r.Launches[i].Address == address {
			return &r.Launches[i]
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
