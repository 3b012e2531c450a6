// Sbom completes the bill of materials of the program, as cyclonedx-gomod makes it of a binary, with the npm
// packages that are in the console's built files, and checks the whole against CycloneDX's schema.
package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func main() {
	in := flag.String("in", "", "`file` that cyclonedx-gomod made")
	lock := flag.String("lock", "", "package-lock.json of the console")
	schema := flag.String("schema", "", "`folder` with CycloneDX's schemas")
	out := flag.String("out", "", "`file` to write")
	flag.Parse()
	if err := run(*in, *lock, *schema, *out); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(in, lock, schema, out string) error {
	data, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	locked, err := os.ReadFile(lock)
	if err != nil {
		return err
	}
	if data, err = complete(data, locked); err != nil {
		return err
	}
	if err := validate(schema, data); err != nil {
		return err
	}
	return os.WriteFile(out, data, 0o644)
}

// complete adds the packages of a lock file to a bill of materials.
func complete(bill, lock []byte) ([]byte, error) {
	var bom cdx.BOM
	if err := json.Unmarshal(bill, &bom); err != nil {
		return nil, err
	}
	if bom.Metadata == nil || bom.Metadata.Component == nil || bom.Components == nil || bom.Dependencies == nil {
		return nil, errors.New("the bill of materials has no component, or no dependencies")
	}
	components, needs, err := packages(lock)
	if err != nil {
		return nil, err
	}
	*bom.Components = append(*bom.Components, components...)
	root := bom.Metadata.Component.BOMRef
	i := slices.IndexFunc(*bom.Dependencies, func(d cdx.Dependency) bool { return d.Ref == root })
	if i < 0 {
		return nil, errors.New("the program depends on nothing")
	}
	top := &(*bom.Dependencies)[i]
	if top.Dependencies == nil {
		top.Dependencies = &[]string{}
	}
	*top.Dependencies = append(*top.Dependencies, needs[""]...)
	for _, c := range components {
		d := cdx.Dependency{Ref: c.BOMRef}
		if n := needs[c.BOMRef]; len(n) > 0 {
			d.Dependencies = &n
		}
		*bom.Dependencies = append(*bom.Dependencies, d)
	}
	var b bytes.Buffer
	err = cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).Encode(&bom)
	return b.Bytes(), err
}

// A pack is an entry of a lock file. Source: npm documentation, "package-lock.json", lockfileVersion 3.
type pack struct {
	Version      string            `json:"version"`
	Integrity    string            `json:"integrity"`
	License      string            `json:"license"`
	Dev          bool              `json:"dev"`
	DevOptional  bool              `json:"devOptional"`
	Link         bool              `json:"link"`
	Dependencies map[string]string `json:"dependencies"`
}

// packages are the components of a lock file that are not only for development, and what each needs; "" is
// the console itself.
func packages(lock []byte) ([]cdx.Component, map[string][]string, error) {
	var f struct {
		LockfileVersion int             `json:"lockfileVersion"`
		Packages        map[string]pack `json:"packages"`
	}
	if err := json.Unmarshal(lock, &f); err != nil {
		return nil, nil, err
	}
	if f.LockfileVersion != 3 {
		return nil, nil, fmt.Errorf("the lock file has version %d, not 3", f.LockfileVersion)
	}
	needs := map[string][]string{}
	byRef := map[string]cdx.Component{}
	for path, p := range f.Packages {
		if p.Dev || p.DevOptional || p.Link {
			continue
		}
		ref := ""
		if path != "" {
			c, err := p.component(nameOf(path))
			if err != nil {
				return nil, nil, err
			}
			ref = c.BOMRef
			byRef[ref] = c
		}
		for name := range p.Dependencies {
			at, ok := resolve(f.Packages, path, name)
			if !ok {
				return nil, nil, fmt.Errorf("%s needs %s, which is not in the lock file", path, name)
			}
			needs[ref] = append(needs[ref], refOf(nameOf(at), f.Packages[at].Version))
		}
		slices.Sort(needs[ref])
		needs[ref] = slices.Compact(needs[ref])
	}
	var all []cdx.Component
	for _, c := range byRef {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	return all, needs, nil
}

// nameOf is the package's name in the path of its folder.
func nameOf(path string) string {
	return path[strings.LastIndex(path, "node_modules/")+len("node_modules/"):]
}

// resolve finds the folder of a package as Node does: in the nearest node_modules above.
func resolve(all map[string]pack, from, name string) (string, bool) {
	for {
		at := strings.TrimPrefix(from+"/node_modules/"+name, "/")
		if _, ok := all[at]; ok {
			return at, true
		}
		if from == "" {
			return "", false
		}
		i := strings.LastIndex(from, "node_modules/")
		from = strings.TrimSuffix(from[:max(i, 0)], "/")
	}
}

// refOf is the package URL. Source: the purl specification, type npm.
func refOf(name, version string) string {
	return "pkg:npm/" + strings.ReplaceAll(name, "@", "%40") + "@" + version
}

func (p pack) component(name string) (cdx.Component, error) {
	c := cdx.Component{BOMRef: refOf(name, p.Version), Type: cdx.ComponentTypeLibrary, Name: name, Version: p.Version, PackageURL: refOf(name, p.Version), Scope: cdx.ScopeRequired}
	if group, rest, ok := strings.Cut(name, "/"); ok {
		c.Group, c.Name = group, rest
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.Integrity, "sha512-"))
	if err != nil || len(sum) != 64 {
		return c, fmt.Errorf("%s has no SHA-512", name)
	}
	c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA512, Value: hex.EncodeToString(sum)}}
	switch {
	case strings.ContainsAny(p.License, " ("):
		c.Licenses = &cdx.Licenses{{Expression: p.License}}
	case p.License != "":
		c.Licenses = &cdx.Licenses{{License: &cdx.License{ID: p.License}}}
	}
	return c, nil
}

// validate checks a bill of materials against the schema of its version.
func validate(folder string, bill []byte) error {
	c := jsonschema.NewCompiler()
	const base = "http://cyclonedx.org/schema/"
	for name, file := range map[string]string{"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schema.json"} {
		data, err := os.ReadFile(filepath.Join(folder, file))
		if errors.Is(err, os.ErrNotExist) {
			data, err = os.ReadFile(filepath.Join(folder, strings.Replace(file, ".schema.json", ".schemax.json", 1)))
		}
		if err != nil {
			return err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return err
		}
		if err := c.AddResource(base+name, doc); err != nil {
			return err
		}
	}
	s, err := c.Compile(base + "bom-1.6.schema.json")
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(bill))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}
