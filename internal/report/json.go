package report

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
)

// origin is what a line of JSON says more of an item that is no file of its own.
type origin struct {
	// At are the resources that each failure is about, Change those that the fix changes.
	At     []string `json:"at"`
	Change []string `json:"change"`
	// Names are what ARNs and ids that only stand for something are called.
	Names   map[string]string `json:"names"`
	Assumed []string          `json:"assumed"`
	// Places are where the resources of At and Change are written, as far as that is known.
	Places []Location `json:"places,omitempty"`
}

// accepted is an accepted finding on a line of JSON.
type accepted struct {
	Rule   string `json:"rule"`
	Device string `json:"device,omitempty"`
	Reason string `json:"reason"`
	Until  string `json:"until"`
}

// JSON writes an item as one line: the report, and of an item that was made of something else a
// member with its places; steps if it is verbose. Texts are English: programs read one language.
func JSON(w io.Writer, it *Item, findings []Finding, style Style) error {
	if it.Own != nil {
		line, err := it.Own.Line()
		if err == nil {
			_, err = w.Write(line)
		}
		return err
	}
	r := it.Report
	if style.Verbose {
		r = r.Detailed()
	}
	line, err := r.Line()
	if err != nil {
		return err
	}
	member := func(name string, v any) error {
		var more bytes.Buffer
		enc := json.NewEncoder(&more)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(map[string]any{name: v}); err != nil {
			return err
		}
		line = append(append(bytes.TrimSuffix(bytes.TrimSpace(line), []byte("}")), ','), more.Bytes()[1:]...)
		return nil
	}
	if it.Origin != nil {
		if err := member(it.Origin.Kind, about(it)); err != nil {
			return err
		}
	}
	var known []accepted
	for _, f := range findings {
		if f.Accepted != nil {
			known = append(known, accepted{f.Code, f.Device, f.Accepted.Reason, f.Accepted.Until})
		}
	}
	if known != nil {
		if err := member("accepted", known); err != nil {
			return err
		}
	}
	_, err = w.Write(line)
	return err
}

// about tells where in the configuration what a report says is.
func about(it *Item) origin {
	o := it.Origin
	t := origin{At: []string{}, Change: []string{}, Names: o.Names, Assumed: append([]string{}, o.Assumed...)}
	locate := func(pointer string) {
		if l, ok := o.Locate(pointer); ok && !slices.Contains(t.Places, l) {
			t.Places = append(t.Places, l)
		}
	}
	for i := range it.Report.Failures {
		at := pointer(it.Report, &it.Report.Failures[i].Failure)
		t.At = append(t.At, o.At(at))
		locate(at)
	}
	if it.Report.Fix != nil {
		for _, e := range it.Report.Fix.Patch {
			if at := o.At(e.Path); !slices.Contains(t.Change, at) {
				t.Change = append(t.Change, at)
			}
			locate(e.Path)
		}
	}
	return t
}
