package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// A source is a file of the command line, or all templates of it together: they may refer to one
// another.
type source struct{ read func() ([]input, error) }

// sources sorts the files. Templates are where the first of them is.
func (f *checkFlags) sources(io stdio, files []string) []source {
	var out []source
	var templates []cfn.File
	at := -1
	for _, file := range files {
		data, err := readText(io, file, maxInput)
		if info, statErr := os.Stat(file); statErr == nil && info.IsDir() {
			file = filepath.Join(file, "manifest.json")
			if data, err = os.ReadFile(file); errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%s is a folder without manifest.json, the mark of what cdk synth makes", filepath.ToSlash(filepath.Dir(file)))
			}
		}
		data = plainText(data)
		var found []cfn.File
		switch {
		case err != nil:
		case len(bytes.TrimSpace(data)) == 0:
			err = fmt.Errorf("%s is empty", filepath.ToSlash(file))
		case cfn.IsAssembly(data):
			found, err = readAssembly(file, data, 0)
		case isRecording(data):
			r, err := readRecording(io, file, data)
			out = append(out, source{func() ([]input, error) { return nil, err }})
			if err == nil {
				f.recordings = append(f.recordings, r)
			}
			continue
		case cfn.Is(data):
			found = []cfn.File{{Name: filepath.ToSlash(file), Data: data}}
		default:
			out = append(out, source{func() ([]input, error) {
				held := data
				data = nil // plans are large
				return f.read(io, file, held)
			}})
			continue
		}
		if err != nil {
			out = append(out, source{func() ([]input, error) { return nil, err }})
			continue
		}
		if templates = append(templates, found...); at < 0 && len(found) > 0 {
			at = len(out)
		}
	}
	if at >= 0 {
		out = slices.Insert(out, at, source{func() ([]input, error) { return f.readTemplates(io, templates) }})
	}
	return out
}

// plainText is a text without the mark that some editors and shells of Windows begin files with, in UTF-8.
func plainText(data []byte) []byte {
	order := binary.ByteOrder(binary.LittleEndian)
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return data[3:]
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		order = binary.BigEndian
	case !bytes.HasPrefix(data, []byte("\xff\xfe")):
		return data
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return []byte(string(utf16.Decode(units)))
}

// maxAssemblies is how deep assemblies of CDK may be within one another.
const maxAssemblies = 8

// readAssembly reads the templates of a cloud assembly of CDK, and of those below it.
func readAssembly(file string, data []byte, depth int) ([]cfn.File, error) {
	a, err := cfn.ReadAssembly(filepath.ToSlash(file), data)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	out := a.Stacks
	for i := range out {
		path := filepath.Join(dir, filepath.FromSlash(out[i].Name))
		if out[i].Data, err = os.ReadFile(path); err != nil {
			return nil, err
		}
		out[i].Name = filepath.ToSlash(path)
	}
	for _, folder := range a.Folders {
		path := filepath.Join(dir, filepath.FromSlash(folder), "manifest.json")
		if depth == maxAssemblies {
			return nil, fmt.Errorf("%s: assemblies are too deep within one another", path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		below, err := readAssembly(path, data, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, below...)
	}
	return out, nil
}

// readTemplates makes scenarios of what templates of CloudFormation launch.
func (f *checkFlags) readTemplates(io stdio, files []cfn.File) ([]input, error) {
	r, err := cfn.Read(files, cfn.Options{
		Account: f.accountOf[""], Region: f.live.from.Region, Parameters: f.values, Open: os.ReadFile, Strict: f.strict, PlainImages: f.plainImages,
		DefaultEncryption: f.encryption,
	})
	if err != nil {
		return nil, err
	}
	name := files[0].Name
	if len(files) > 1 {
		name = fmt.Sprintf("%d templates", len(files))
	}
	f.notes(io, name, r.Notes, len(r.Launches))
	var out []input
	for i := range r.Launches {
		l := &r.Launches[i]
		out = append(out, input{file: name, scenario: l.Scenario, origin: templateOrigin(r, l)})
	}
	return out, nil
}

// readValues reads what --parameters says: Name=Value, ParameterKey=Name,ParameterValue=Value, or a
// file.
func (f *checkFlags) readValues() error {
	f.values = map[string]string{}
	for _, arg := range f.parameters {
		name, value, ok := strings.Cut(arg, "=")
		if rest, is := strings.CutPrefix(arg, "ParameterKey="); is {
			if name, value, ok = strings.Cut(rest, ",ParameterValue="); !ok {
				return fmt.Errorf("--parameters %q has no ParameterValue", arg)
			}
		}
		file := strings.TrimPrefix(arg, "file://")
		if ok && !strings.ContainsAny(name, "/.\\") {
			f.values[name] = value
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--parameters is neither Name=Value nor a file: %w", err)
		}
		values, err := cfn.Parameters(filepath.ToSlash(file), data)
		if err != nil {
			return err
		}
		maps.Copy(f.values, values)
	}
	return f.readAccounts()
}

// readAccounts reads what --account says: an id, or one of a provider.
func (f *checkFlags) readAccounts() error {
	f.accountOf = map[string]string{}
	for _, arg := range f.accounts {
		provider, id, of := strings.Cut(arg, "=")
		if !of {
			provider, id = "", arg
		}
		if !arn.IsAccount(id) {
			return fmt.Errorf("--account %q is no account id: it has 12 digits", id)
		}
		f.accountOf[provider] = id
	}
	if f.encryption != "" && f.encryption != tfplan.EncryptionOff && !strings.HasPrefix(f.encryption, "arn:") && !strings.HasPrefix(f.encryption, "alias/") {
		return fmt.Errorf("--default-encryption %q is neither off nor a key: its ARN, or an alias such as alias/aws/ebs", f.encryption)
	}
	return nil
}

// templateOrigin is where a launch of templates comes from.
func templateOrigin(r *cfn.Result, l *tfplan.Launch) *report.Origin {
	return &report.Origin{
		Kind: "cloudformation", At: l.At, Names: l.Names, Assumed: l.Assumed, Form: remedy.CloudFormation,
		Locate: func(pointer string) (report.Location, bool) {
			p, ok := r.Locate(l, pointer)
			return report.Location{
				Address: l.At(pointer), File: p.File, Line: p.Line, Column: p.Column, Stack: p.Stack, LogicalID: p.LogicalID, Type: p.Type, Path: p.Path,
			}, ok
		},
	}
}
