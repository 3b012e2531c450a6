package tfplan

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// Blocks are the places of resources and data sources in Terraform's files below a folder: a plan
// does not tell them.
type Blocks struct{ at map[string][]spot }

// A spot is a line of a file.
type spot struct {
	file string
	line int
}

var (
	blockLine = regexp.MustCompile(`^\s*(resource|data)\s+"([^"]+)"\s+"([^"]+)"`)
	keyed     = regexp.MustCompile(`\[[^\]]*\]`)
)

// FindBlocks reads the files with the ending .tf. Folders that begin with a dot are left out.
func FindBlocks(fsys fs.FS) (*Blocks, error) {
	b := &Blocks{map[string][]spot{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".tf":
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		line := 0
		for text := range bytes.Lines(src) {
			line++
			if m := blockLine.FindSubmatch(text); m != nil {
				kind := string(m[2]) + "." + string(m[3])
				if string(m[1]) == "data" {
					kind = "data." + kind
				}
				b.at[kind] = append(b.at[kind], spot{name, line})
			}
		}
		return nil
	})
	return b, err
}

// Where is the place of a resource by its address. Resources of the root module are in the folder
// itself, others below it. ok is false if there is none, or more than one.
func (b *Blocks) Where(address string) (file string, line int, ok bool) {
	bare := keyed.ReplaceAllString(address, "")
	root := !strings.HasPrefix(bare, "module.")
	parts := strings.Split(bare, ".")
	for !root && len(parts) > 2 && parts[0] == "module" {
		parts = parts[2:]
	}
	var found []spot
	for _, p := range b.at[strings.Join(parts, ".")] {
		if inRoot := path.Dir(p.file) == "."; inRoot == root {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return "", 0, false
	}
	return found[0].file, found[0].line, true
}
