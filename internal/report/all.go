package report

import (
	"io"
	"path/filepath"
	"strings"
)

// A Format is how reports are written.
type Format string

// Formats.
const (
	FormatHuman    Format = "human"
	FormatJSON     Format = "json"
	FormatSARIF    Format = "sarif"
	FormatJUnit    Format = "junit"
	FormatGitHub   Format = "github"
	FormatMarkdown Format = "markdown"
)

// Formats are all of them.
func Formats() []Format {
	return []Format{FormatHuman, FormatJSON, FormatSARIF, FormatJUnit, FormatGitHub, FormatMarkdown}
}

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, bool) {
	for _, f := range Formats() {
		if string(f) == name {
			return f, true
		}
	}
	return "", false
}

// FormatOf is the format that the name of a file tells: x.sarif, x.xml, x.json, x.jsonl, x.md, x.txt.
func FormatOf(file string) (Format, bool) {
	f, ok := map[string]Format{
		".sarif": FormatSARIF, ".xml": FormatJUnit, ".json": FormatJSON, ".jsonl": FormatJSON, ".md": FormatMarkdown, ".txt": FormatHuman,
	}[strings.ToLower(filepath.Ext(file))]
	return f, ok
}

// Streams reports whether a format is written item by item.
func (f Format) Streams() bool { return f == FormatHuman || f == FormatJSON }

// One writes one item in a format that streams; more: another was written before.
func (f Format) One(w io.Writer, c Checked, style Style, more bool) error {
	if f == FormatJSON {
		return JSON(w, c.Item, c.Findings, style)
	}
	if more {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	return Human(w, c.Item, c.Findings, style)
}

// All writes all items.
func (f Format) All(w io.Writer, all []Checked, style Style) error {
	switch f {
	case FormatSARIF:
		return SARIF(w, all, style)
	case FormatJUnit:
		return JUnit(w, all, style)
	case FormatGitHub:
		return GitHub(w, all, style)
	case FormatMarkdown:
		return Markdown(w, all, style)
	}
	for i, c := range all {
		if err := f.One(w, c, style, i > 0); err != nil {
			return err
		}
	}
	return nil
}
