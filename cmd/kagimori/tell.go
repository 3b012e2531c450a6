package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/speech"
)

// tellFlags say how reports are told.
type tellFlags struct {
	format, lang, color string
	outputs             []string
	verbose             bool
}

func (f *tellFlags) add(fl *pflag.FlagSet, verbose string) {
	fl.StringVar(&f.format, "format", "human", "`FORM` of the output: human, json (one object a line), sarif, junit, github (annotations) or markdown")
	fl.StringArrayVar(&f.outputs, "output", nil, "write into `FILE` too: FORM=FILE, or a name that tells the form (x.sarif, x.xml for junit, x.json, x.md, x.txt); repeatable")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, verbose)
	addLanguage(fl, &f.lang)
	fl.StringVar(&f.color, "color", "auto", "`WHEN` to use colour: auto (on a terminal, unless NO_COLOR is set), always or never")
}

// addLanguage adds the flag --lang.
func addLanguage(fl *pflag.FlagSet, lang *string) {
	fl.StringVar(lang, "lang", "", "`LANGUAGE` of texts for people: en or ja (default: that of LC_ALL, LC_MESSAGES or LANG)")
}

// completeWords has a flag completed with words.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// language is that of --lang, or of the environment.
func language(lang string) (speech.Language, error) {
	if lang == "" {
		return speech.Environment(os.Getenv), nil
	}
	l, ok := speech.Parse(lang)
	if !ok {
		return l, fmt.Errorf("--lang %q is neither en nor ja", lang)
	}
	return l, nil
}

// A teller writes reports where the flags say.
type teller struct {
	out     io.Writer
	form    report.Format
	style   report.Style
	written int
	files   []outputFile
}

type outputFile struct {
	name string
	form report.Format
}

// teller reads the flags.
func (f *tellFlags) teller(io stdio) (*teller, error) {
	form, ok := report.ParseFormat(f.format)
	if !ok {
		return nil, fmt.Errorf("--format %q is neither human, json, sarif, junit, github nor markdown", f.format)
	}
	t := &teller{out: io.out, form: form, style: report.Style{Verbose: f.verbose, Version: version()}}
	var err error
	if t.style.Language, err = language(f.lang); err != nil {
		return nil, err
	}
	switch f.color {
	case "always":
		t.style.Color = true
	case "auto":
		t.style.Color = os.Getenv("NO_COLOR") == "" && terminal(io.out)
	case "never":
	default:
		return nil, fmt.Errorf("--color %q is neither auto, always nor never", f.color)
	}
	for _, o := range f.outputs {
		file, err := parseOutput(o)
		if err != nil {
			return nil, err
		}
		t.files = append(t.files, file)
	}
	return t, nil
}

// parseOutput reads FORM=FILE, or FILE whose name tells the form.
func parseOutput(o string) (outputFile, error) {
	if name, file, ok := strings.Cut(o, "="); ok {
		if form, known := report.ParseFormat(name); known && file != "" {
			return outputFile{file, form}, nil
		}
	}
	if form, ok := report.FormatOf(o); ok {
		return outputFile{o, form}, nil
	}
	return outputFile{}, fmt.Errorf("--output %q is neither FORM=FILE nor a name that ends in .sarif, .xml, .json, .jsonl, .md or .txt", o)
}

// terminal reports whether somebody looks at what is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// one tells of one item at once, if the format allows.
func (t *teller) one(c report.Checked) error {
	if !t.form.Streams() {
		return nil
	}
	t.written++
	return t.form.One(t.out, c, t.style, t.written > 1)
}

// end tells of all items where that was not done yet.
func (t *teller) end(all []report.Checked) error {
	if !t.form.Streams() {
		if err := t.form.All(t.out, all, t.style); err != nil {
			return err
		}
	}
	for _, f := range t.files {
		var b bytes.Buffer
		style := t.style
		style.Color = false
		if err := f.form.All(&b, all, style); err != nil {
			return err
		}
		if err := os.WriteFile(f.name, b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// formsNamed are forms of fixes by their names.
func formsNamed(names []string) ([]remedy.Form, error) {
	var out []remedy.Form
	for _, n := range names {
		form, ok := remedy.ParseForm(n)
		if !ok {
			return nil, fmt.Errorf("--fix-as %q is neither aws, terraform, cloudformation nor patch", n)
		}
		out = append(out, form)
	}
	return out, nil
}
