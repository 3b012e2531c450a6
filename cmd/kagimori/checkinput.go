package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// An input is a scenario to check.
type input struct {
	file     string // as it was named
	scenario *format.Scenario
	source   []byte         // the file, if the scenario is all of it
	origin   *report.Origin // what the scenario was made of, or nil
}

// kinds are what check reads, for who gave something else.
const kinds = `check reads: what terraform show -json prints of a plan or a state; a template of CloudFormation, with its Resources, or the folder cdk.out;
a launch scenario (kagimori check --live --save FILE writes one of an account); CloudTrail's records; and the
output of aws autoscaling describe-scaling-activities or aws ec2 describe-instances.`

// read makes scenarios of what a file says.
func (f *checkFlags) read(io stdio, file string, data []byte) ([]input, error) {
	if tfplan.Is(data) {
		return f.readPlan(io, file, data)
	}
	sc, err := format.Parse(data)
	if err != nil {
		err = fmt.Errorf("%s is not in the format:\n%w", filepath.ToSlash(file), err)
		if !bytes.Contains(data, []byte(`"`+format.Schema+`"`)) {
			err = fmt.Errorf("%w\n%s", err, kinds)
		}
		return nil, err
	}
	return []input{{file: file, scenario: sc, source: data}}, nil
}

// readPlan makes scenarios of what a plan or state of Terraform launches.
func (f *checkFlags) readPlan(io stdio, file string, data []byte) ([]input, error) {
	p, err := tfplan.Read(data, tfplan.Options{
		Strict: f.strict, PlainImages: f.plainImages, Accounts: f.accountOf, DefaultEncryption: f.encryption, Files: f.files(file),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.ToSlash(file), err)
	}
	f.notes(io, filepath.ToSlash(file), p.Notes, len(p.Launches))
	where, err := f.blocks(file)
	if err != nil {
		return nil, err
	}
	var out []input
	for i := range p.Launches {
		l := &p.Launches[i]
		out = append(out, input{file: file, scenario: l.Scenario, origin: &report.Origin{
			Kind: "terraform", At: l.At, Names: l.Names, Assumed: l.Assumed, Form: remedy.Terraform,
			Locate: func(pointer string) (report.Location, bool) { return where(l.At(pointer)) },
		}})
	}
	return out, nil
}

// notes tells what of a file could not be used.
func (f *checkFlags) notes(io stdio, file string, ns []tfplan.Note, launches int) {
	in, _ := language(f.told.lang) // English if there is no such language: that is told later
	for _, n := range ns {
		fmt.Fprintf(io.err, "kagimori: %s: %s\n", strings.TrimSuffix(file+": "+n.Address, ": "), speech.Written(n.Text).In(in))
	}
	if launches == 0 {
		fmt.Fprintf(io.err, "kagimori: %s\n", speech.Say("%s launches nothing", file).In(in))
	}
}

// files is the folder with the files that a plan was made of: that of --source, else the one of the
// plan, or of a plan from standard input the one where terraform was run. nil: there is none.
func (f *checkFlags) files(file string) fs.FS {
	dir := f.source
	if dir == "" {
		dir = filepath.Dir(file)
		if beside, _ := filepath.Glob(filepath.Join(dir, "*.tf")); beside == nil {
			return nil
		}
	}
	return os.DirFS(dir)
}

// blocks finds the places of resources in the files that a plan was made of: those of --source, else
// those beside the plan.
func (f *checkFlags) blocks(file string) (func(address string) (report.Location, bool), error) {
	dir := f.source
	if dir == "" {
		dir = filepath.Dir(file)
		if beside, _ := filepath.Glob(filepath.Join(dir, "*.tf")); beside == nil || file == "-" {
			return func(string) (report.Location, bool) { return report.Location{}, false }, nil
		}
	}
	b, err := tfplan.FindBlocks(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("--source: %w", err)
	}
	return func(address string) (report.Location, bool) {
		name, line, ok := b.Where(address)
		return report.Location{Address: address, File: path.Join(filepath.ToSlash(dir), name), Line: line}, ok
	}, nil
}

// readGround reads the scenarios of --on: the first that tells of something counts.
func (f *checkFlags) readGround() error {
	for _, name := range f.on {
		files := []string{name}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(name, "*.json")); err != nil || files == nil {
				return fmt.Errorf("--on: %s has no scenarios", filepath.ToSlash(name))
			}
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("--on: %w", err)
			}
			sc, err := format.Parse(data)
			if err != nil {
				return fmt.Errorf("--on: %s is not in the format:\n%w", filepath.ToSlash(file), err)
			}
			if f.ground == nil {
				f.ground = sc
			} else {
				f.ground = f.ground.Over(sc)
			}
		}
	}
	return nil
}
