package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// overlays are key policies in files of their own.
type overlays struct {
	keys  []string // as they were named
	files []string
	texts [][]byte
}

// newOverlays reads KEY=FILE.
func newOverlays(flags []string) (*overlays, error) {
	o := &overlays{}
	for _, f := range flags {
		key, file, ok := strings.Cut(f, "=")
		if !ok || key == "" || file == "" {
			return nil, fmt.Errorf("--key-policy %q is not KEY=FILE", f)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--key-policy: %w", err)
		}
		if _, err := format.ParseAny(text); err != nil {
			return nil, fmt.Errorf("--key-policy: %s is not JSON: %w", filepath.ToSlash(file), err)
		}
		o.keys, o.files, o.texts = append(o.keys, key), append(o.files, file), append(o.texts, text)
	}
	return o, nil
}

// of is the place of a key among the overlays, or -1.
func (o *overlays) of(in input, k *format.Key) int {
	return slices.IndexFunc(o.keys, func(name string) bool {
		if name == k.ARN || strings.HasSuffix(k.ARN, ":key/"+name) || slices.Contains(k.Aliases, name) {
			return true
		}
		if in.origin == nil {
			return false
		}
		is := in.origin.Names[k.ARN]
		return is != "" && (is == name || strings.TrimSuffix(is, ".arn") == name)
	})
}

// over is the scenario of an input with the policies that are in files of their own.
func (o *overlays) over(in input) (*format.Scenario, error) {
	var patch []format.Edit
	for i := range in.scenario.Keys {
		j := o.of(in, &in.scenario.Keys[i])
		if j < 0 {
			continue
		}
		at := fmt.Sprintf("/keys/%d/policy", i)
		patch = append(patch, format.Edit{Op: "replace", Path: at, Value: format.Value(o.texts[j])})
		if _, unknown := in.scenario.Unknown[at]; unknown {
			patch = append(patch, format.Edit{Op: "remove", Path: "/unknown/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(at)})
		}
	}
	if patch == nil {
		return in.scenario, nil
	}
	return in.scenario.Patched(patch)
}

// mend writes the fix of a report into the files that say what it changes, after the changed files
// were checked again.
func (f *checkFlags) mend(io stdio, judge *doctor.Doctor, in input, c report.Checked) (doctor.Verdict, error) {
	p := &c.Report.Fix.Proposal
	changed := *f.overlays
	changed.texts = slices.Clone(changed.texts)
	next := in
	next.source = bytes.Clone(in.source)
	var files, left []string
	for _, e := range p.Patch {
		file, err := changed.edit(&next, e)
		switch {
		case err != nil:
			return 0, fmt.Errorf("--fix: %s: %w", in.file, err)
		case file == "":
			left = append(left, e.Path)
		case !slices.Contains(files, file):
			files = append(files, file)
		}
	}
	if len(left) > 0 {
		fmt.Fprintf(io.err, "kagimori: --fix: %s: not written, for %s is not in a file that can be changed; see --fix-as and --key-policy\n",
			c.Report.ID, strings.Join(left, ", "))
		return report.Told(c.Report, c.Findings), nil
	}
	if in.source != nil {
		var err error
		if next.scenario, err = format.Parse(next.source); err != nil {
			return 0, fmt.Errorf("--fix: %s: %w", in.file, err)
		}
	}
	again := *f
	again.overlays = &changed
	after, err := again.judge(judge, next)
	if err != nil {
		return 0, err
	}
	f.baseline.accept(after.Findings)
	if after.Report.Told() == doctor.Fails {
		return 0, fmt.Errorf("--fix: %s does not launch with the fix: nothing was written", c.Report.ID)
	}
	for _, file := range files {
		text := next.source
		if i := slices.Index(changed.files, file); i >= 0 {
			text = changed.texts[i]
		}
		if err := replaceFile(file, text); err != nil {
			return 0, fmt.Errorf("--fix: %w", err)
		}
	}
	*f.overlays = changed
	fmt.Fprintf(io.err, "kagimori: %s: wrote %s: %s Checked again: %s.\n", c.Report.ID, strings.Join(files, ", "), p.Summary, report.Verdict(after.Report.Told()))
	return report.Told(after.Report, after.Findings), nil
}

// edit does an edit of a scenario in the file that holds its place, whose name it gives; "" if no file
// holds it.
func (o *overlays) edit(in *input, e format.Edit) (file string, err error) {
	for i := range in.scenario.Keys {
		at := fmt.Sprintf("/keys/%d/policy", i)
		if j := o.of(*in, &in.scenario.Keys[i]); j >= 0 && strings.HasPrefix(e.Path, at+"/") {
			o.texts[j], err = jsonedit.Apply(o.texts[j], e.Op, e.Path[len(at):], remedy.Value(e))
			return o.files[j], err
		}
	}
	switch {
	case in.source == nil:
		return "", nil
	case in.file == "-":
		return "", errors.New("standard input cannot be written")
	}
	in.source, err = jsonedit.Apply(in.source, e.Op, e.Path, remedy.Value(e))
	return in.file, err
}
