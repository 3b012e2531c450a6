package cfn

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// An Assembly is what the manifest of a cloud assembly (cdk.out/manifest.json) tells: templates, of
// which Data is missing, and folders with assemblies below. Names are relative to the manifest.
type Assembly struct {
	Stacks  []File
	Folders []string
}

var environment = regexp.MustCompile(`^aws://([^/]+)/([^/]+)$`)

// IsAssembly reports whether data looks like the manifest of a cloud assembly.
func IsAssembly(data []byte) bool {
	if !isJSON(data) {
		return false
	}
	names, _ := topLevel(data)
	return slices.Contains(names, "artifacts") && slices.Contains(names, "version")
}

// ReadAssembly reads the manifest of a cloud assembly. The error is an *Error. Source: AWS CDK,
// "Cloud assembly schema".
func ReadAssembly(file string, data []byte) (*Assembly, error) {
	root, err := parseJSON(file, data)
	if err != nil {
		return nil, err
	}
	a := &Assembly{}
	artifacts := root.get("artifacts")
	if !artifacts.is(object) {
		return nil, &Error{file, root.at.line, root.at.column, "a cloud assembly has artifacts"}
	}
	for _, m := range artifacts.members {
		typ, _ := m.value.get("type").scalar()
		switch typ {
		case "aws:cloudformation:stack":
			template, ok := m.value.get("properties", "templateFile").scalar()
			if !ok || !local(template) {
				return nil, &Error{file, m.at.line, m.at.column, "the stack " + m.name + " has no templateFile beside the manifest"}
			}
			f := File{Name: template, Stack: m.name, Parameters: map[string]string{}}
			if name, ok := m.value.get("properties", "stackName").scalar(); ok {
				f.Stack = name
			}
			where, _ := m.value.get("environment").scalar()
			if e := environment.FindStringSubmatch(where); e != nil {
				if arn.IsAccount(e[1]) {
					f.Account = e[1]
				}
				if e[2] != "unknown-region" {
					f.Region = e[2]
				}
			}
			if p := m.value.get("properties", "parameters"); p.is(object) {
				for _, m := range p.members {
					if v, ok := m.value.scalar(); ok {
						f.Parameters[m.name] = v
					}
				}
			}
			a.Stacks = append(a.Stacks, f)
		case "cdk:cloud-assembly":
			if dir, ok := m.value.get("properties", "directoryName").scalar(); ok && local(dir) {
				a.Folders = append(a.Folders, dir)
			}
		}
	}
	return a, nil
}

// local reports whether a name stays below the folder that it is relative to.
func local(name string) bool {
	return name != "" && !path.IsAbs(name) && !strings.Contains(name, `\`) && !strings.HasPrefix(path.Clean(name), "..") && !strings.Contains(name, ":")
}
