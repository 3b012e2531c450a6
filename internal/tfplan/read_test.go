package tfplan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/tfplan"
)

func TestRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		err      error
		is       bool
	}{
		{"Terraform's own plan file", "PK\x03\x04rest", tfplan.ErrRaw, true},
		{"Terraform's own state file", `{"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "x", "resources": []}`, tfplan.ErrRaw, true},
		{"no JSON", "resource {}", tfplan.ErrFormat, false},
		{"nothing", "", tfplan.ErrFormat, false},
		{"half a file", `{"format_version":"1.2","terraform_version":"1.11.4","resource_changes":[{"addr`, tfplan.ErrFormat, true},
		{"two files", `{"format_version":"1.2","terraform_version":"1.11.4"} {}`, tfplan.ErrFormat, true},
		{"another type", `{"format_version":"1.2","terraform_version":"1.11.4","resource_changes":{}}`, tfplan.ErrFormat, true},
		{"a later format", `{"format_version":"2.0","terraform_version":"9.0.0"}`, tfplan.ErrVersion, true},
		{"a scenario", `{"schema":"kagimori.launch-scenario/1","id":"x"}`, tfplan.ErrFormat, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tfplan.Is([]byte(tt.in)); got != tt.is {
				t.Errorf("it is taken for Terraform's: %v", got)
			}
			if _, err := tfplan.Read([]byte(tt.in), tfplan.Options{}); !errors.Is(err, tt.err) {
				t.Errorf("the error is %v, want %v", err, tt.err)
			}
		})
	}
}

func TestAnEmptyStateLaunchesNothing(t *testing.T) {
	p, err := tfplan.Read([]byte(`{"format_version":"1.0"}`), tfplan.Options{})
	check(t, err)
	if len(p.Launches) != 0 || len(p.Notes) != 0 {
		t.Errorf("it has %v, %v", p.Launches, p.Notes)
	}
}

// The order of members is not part of the format.
func TestOrderOfMembersDoesNotMatter(t *testing.T) {
	const resource = `"type":"aws_ebs_volume","mode":"managed","address":"aws_ebs_volume.a","name":"a"`
	const change = `"change":{"after":{"encrypted":false,"size":7},"actions":["create"],"after_unknown":{"arn":true}}`
	var want []tfplan.Launch
	for i, r := range []string{resource + "," + change, change + "," + resource} {
		p, err := tfplan.Read([]byte(`{"resource_changes":[{`+r+`}],"format_version":"1.2"}`), tfplan.Options{})
		check(t, err)
		if len(p.Launches) != 1 || p.Launches[0].Scenario.Launch.Templates[0].BlockDevices[0].EBS.VolumeSize != 7 {
			t.Fatalf("%s: %+v", r, p.Launches)
		}
		if i == 0 {
			want = p.Launches
		} else if diff := cmp.Diff(want[0].Scenario, p.Launches[0].Scenario, cmp.AllowUnexported(*want[0].Scenario)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWhatGoesAwayDoesNotCount(t *testing.T) {
	for _, actions := range []string{`["delete"]`, `["forget"]`} {
		p, err := tfplan.Read([]byte(`{"format_version":"1.2","resource_changes":[{"address":"aws_autoscaling_group.a","mode":"managed",`+
			`"type":"aws_autoscaling_group","name":"a","change":{"actions":`+actions+`,"before":{"name":"a"},"after":null}}]}`), tfplan.Options{})
		check(t, err)
		if len(p.Launches) != 0 {
			t.Errorf("%s: %v", actions, p.Launches)
		}
	}
}

func TestAPlanThatEndedWithAnErrorSaysSo(t *testing.T) {
	p, err := tfplan.Read([]byte(`{"format_version":"1.2","errored":true}`), tfplan.Options{})
	check(t, err)
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0].Text, "not whole") {
		t.Errorf("notes are %v", p.Notes)
	}
}

// FuzzRead sees that no input breaks the reader, and that whatever it makes is a scenario.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := tfplan.Read(data, tfplan.Options{})
		if err != nil {
			return
		}
		for i := range p.Launches {
			sound(t, &p.Launches[i])
		}
	})
}
