package cfn

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/tfplan"
)

// A File is a template with what is known of the stack that it makes. Only Name and Data are needed.
type File struct {
	Name            string
	Data            []byte
	Stack           string // name of the stack; it is made after the file's where it is not known
	Account, Region string
	Parameters      map[string]string
}

// Options say what to take for granted.
type Options struct {
	// Account and Region are those of stacks of which nothing else says them.
	Account, Region string
	// Parameters are values of parameters of all templates. They count more than those of a File.
	Parameters map[string]string
	// Open reads the template of a nested stack, by its name beside that of its parent; nil reads none.
	Open func(name string) ([]byte, error)
	// Strict, PlainImages and DefaultEncryption are as in [tfplan.Options].
	Strict, PlainImages bool
	DefaultEncryption   string
}

// A Result is what templates say of launches.
type Result struct {
	Launches []tfplan.Launch // by address: "LogicalId", or "Stack/LogicalId" of several stacks
	Notes    []tfplan.Note   // what could not be used

	places  map[string]Place
	devices map[string]string // path of the mapping of a device, by address and name
}

// A Place is where something is in the templates.
type Place struct {
	File         string
	Line, Column int // from 1
	Stack        string
	LogicalID    string
	Type         string // AWS::KMS::Key
	Path         string // of the property below Properties, "KeyPolicy", or ""
}

// Where is the place of a resource, or of a property of it: the addresses that [tfplan.Launch.At]
// tells, or with the names of properties behind them, "Volumes.KeyPolicy". Where there is no such
// property, it is the place of what would have it.
func (r *Result) Where(address string) (Place, bool) {
	for {
		if p, ok := r.places[address]; ok {
			return p, true
		}
		i := strings.LastIndexAny(address, ".[")
		if i < 0 {
			return Place{}, false
		}
		address = address[:i]
	}
}

// Locate is the place of what is at a JSON Pointer of a launch's scenario.
func (r *Result) Locate(l *tfplan.Launch, pointer string) (Place, bool) {
	at := l.At(pointer)
	p, ok := r.Where(at)
	if !ok {
		return p, false
	}
	for _, property := range r.properties(l, at, pointer) {
		if exact, ok := r.places[at+"."+property]; ok {
			return exact, true
		}
	}
	return p, true
}

// properties are what the property at a JSON Pointer may be called in the resource at an address, the
// most exact first.
func (r *Result) properties(l *tfplan.Launch, at, pointer string) (out []string) {
	parts := strings.Split(pointer, "/")
	switch {
	case strings.Contains(pointer, "/policy") || strings.Contains(pointer, "/policies"):
		return []string{"KeyPolicy", "PolicyDocument", "Policies", "ManagedPolicyArns", "Content"}
	case strings.HasPrefix(pointer, "/launch/group/serviceLinkedRoleArn"):
		return []string{"ServiceLinkedRoleARN"}
	case strings.HasPrefix(pointer, "/launch/templates/") && len(parts) > 5 && parts[4] == "blockDevices":
		i, _ := strconv.Atoi(parts[3])
		j, err := strconv.Atoi(parts[5])
		if err != nil || i < 0 || i >= len(l.Scenario.Launch.Templates) || j < 0 || j >= len(l.Scenario.Launch.Templates[i].BlockDevices) {
			return nil
		}
		mapping, ok := r.devices[at+" "+l.Scenario.Launch.Templates[i].BlockDevices[j].Device]
		if !ok {
			return nil
		}
		member := map[string]string{"kmsKeyId": "KmsKeyId", "encrypted": "Encrypted", "snapshotId": "SnapshotId"}[parts[len(parts)-1]]
		return []string{mapping + ".Ebs." + member, mapping}
	}
	return map[string][]string{"state": {"Enabled"}, "boundary": {"PermissionsBoundary"}, "imageId": {"LaunchTemplateData.ImageId", "ImageId"}}[parts[len(parts)-1]]
}

// Read reads templates, which may refer to one another's exports. The error is an *Error if a
// template is none.
func Read(files []File, opt Options) (*Result, error) {
	w := &set{opt: opt, exporting: map[string]bool{}, given: map[string]bool{}, result: &Result{places: map[string]Place{}, devices: map[string]string{}}}
	names := map[string]int{}
	for _, f := range files {
		s, err := w.load(f)
		if err != nil {
			return nil, err
		}
		if names[s.name]++; names[s.name] > 1 {
			s.name = fmt.Sprintf("%s-%d", s.name, names[s.name])
		}
		if len(files) > 1 {
			s.prefix = s.name + "/"
		}
		w.stacks = append(w.stacks, s)
		if err := w.loadNested(s); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(opt.Parameters)) {
		if !w.given[name] {
			return nil, &Error{File: files[0].Name, Text: "there is no parameter " + name + ", of which a value is given"}
		}
	}
	var resources []tfplan.Resource
	w.settleHomes()
	for _, s := range w.stacks {
		s.settle()
	}
	w.stacks = slices.DeleteFunc(w.stacks, (*stack).gone)
	for _, s := range w.stacks {
		for _, r := range s.order {
			t := &translation{s: s, r: r}
			t.translate()
			resources = append(resources, t.out...)
			t.places()
		}
		s.noteIgnored()
	}
	p := tfplan.FromResources(resources, tfplan.Words{
		Story: "From a CloudFormation template.", Tag: "cloudformation", File: "the template", Applies: "deploys the template", Applier: "cloudformation",
	}, tfplan.Options{Strict: opt.Strict, PlainImages: opt.PlainImages, DefaultEncryption: opt.DefaultEncryption})
	w.result.Launches = p.Launches
	w.result.Notes = append(w.result.Notes, p.Notes...)
	return w.result, nil
}

func (w *set) used(parameter string) { w.given[parameter] = true }

func (w *set) note(s *stack, name, text string) {
	address := name
	if name != "" {
		address = s.address(name)
	} else if s.prefix != "" {
		address = s.name
	}
	w.result.Notes = append(w.result.Notes, tfplan.Note{Address: address, Text: text})
}

// noteIgnored tells of what makes resources that are not seen.
func (s *stack) noteIgnored() {
	serverless, nested := 0, []string{}
	for _, r := range s.order {
		switch {
		case strings.HasPrefix(r.typ, "AWS::Serverless::"):
			serverless++
		case s.nested[r.name] != nil:
		case r.typ == "AWS::CloudFormation::Stack" || r.typ == "AWS::CloudFormation::Macro" || r.typ == "AWS::CloudFormation::StackSet":
			nested = append(nested, r.name)
		}
	}
	if serverless > 0 {
		s.set.note(s, "", fmt.Sprintf("what SAM makes of %d resources of AWS::Serverless is not looked at: nothing of it launches instances", serverless))
	}
	for _, name := range nested {
		s.set.note(s, name, "what this makes is not in the template: give its template too, to have it checked")
	}
}
