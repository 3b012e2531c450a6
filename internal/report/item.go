package report

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/speech"
)

// An Item is one scenario that was checked.
type Item struct {
	File   string // as it was named
	Report *doctor.Report
	Origin *Origin // nil: the scenario is a file of its own
	// Source is the file, if its lines can be told.
	Source []byte
	// Own tells of an item that is no launch, to people and as a line of JSON; nil of a launch.
	Own Teller
}

// A Teller tells of itself.
type Teller interface {
	Write(out io.Writer, language speech.Language, verbose bool) error
	Line() ([]byte, error)
}

// An Origin is what a scenario was made of, if it is not a file of its own.
type Origin struct {
	// Kind names the origin, and the member with its places in JSON: "terraform", "cloudformation", ...
	Kind string
	// At is the resource that says what is at a place of the scenario, a JSON Pointer.
	At func(pointer string) string
	// Names are what ARNs and ids that only stand for something are called.
	Names map[string]string
	// Assumed is what was taken for granted.
	Assumed []string
	// Locate is where what is at a place of the scenario is written; !ok: that is not known.
	Locate func(pointer string) (at Location, ok bool)
	// Form is that of fixes for the origin.
	Form remedy.Form
}

// A Location is where something is in a configuration.
type Location struct {
	Address   string `json:"address"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	Stack     string `json:"stack"`
	LogicalID string `json:"logicalId"`
	Type      string `json:"type"`
	Path      string `json:"path"` // of the property
}

// A Place is a line of a file, from 1.
type Place struct {
	File string
	Line int
}

// Style is how reports are told.
type Style struct {
	Language speech.Language
	Verbose  bool
	Color    bool
	Forms    []remedy.Form // of fixes; nil: what fits the origin
	Version  string        // of the program
}

// at is the resource, or "", and the place of what is at a pointer of the scenario.
func (it *Item) at(pointer string) (resource string, place Place) {
	place = Place{File: filepath.ToSlash(it.File), Line: 1}
	if it.Origin == nil {
		if line := lineOf(it.Source, pointer); line > 0 {
			place.Line = line
		}
		return "", place
	}
	resource = it.Origin.At(pointer)
	if l, ok := it.Origin.Locate(pointer); ok {
		place = Place{l.File, l.Line}
	}
	return resource, place
}

// names puts what things are called in the place of what stands for them.
func (it *Item) names() *strings.Replacer {
	var pairs []string
	if it.Origin != nil {
		for name, is := range it.Origin.Names {
			if !strings.Contains(is, " ") {
				is = "${" + is + "}"
			}
			pairs = append(pairs, name, is)
		}
	}
	return strings.NewReplacer(pairs...)
}
