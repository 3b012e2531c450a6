package tfsource

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Unknown is in the place of a value that nobody knows before apply.
type Unknown struct{}

// An Instance is an instance of a resource.
type Instance struct {
	Key    string // ["a"], [0] or ""
	Values map[string]any
}

// A World tells of what the files refer to and do not say.
type World interface {
	// Instances are those of a resource or data source ("data.aws_region.current") in an instance of a
	// module, "" for the root; ok is false if it is of a kind that is not told.
	Instances(module, resource string) (_ []Instance, ok bool)
	// Variable is the value of a variable of the root module; ok is false if it is not told.
	Variable(name string) (value any, ok bool)
}

// Files are the files of a configuration. Not safe for concurrent use.
type Files struct {
	fsys      fs.FS
	folders   map[string]*folder
	installed map[string]string // folders of installed modules, by "a.b"
}

// A folder is a module as it is written.
type folder struct {
	dir                          string
	resources, calls, vars, outs map[string]*hclsyntax.Block
	locals                       map[string]hclsyntax.Expression
}

// maxFile is the size of a file above which it is none that somebody wrote.
const maxFile = 4 << 20

// New is the configuration in a folder. Files are read when they are needed.
func New(fsys fs.FS) *Files {
	f := &Files{fsys: fsys, folders: map[string]*folder{}, installed: map[string]string{}}
	var list struct {
		Modules []struct{ Key, Dir string }
	}
	if data, err := fs.ReadFile(fsys, ".terraform/modules/modules.json"); err == nil && json.Unmarshal(data, &list) == nil {
		for _, m := range list.Modules {
			f.installed[m.Key] = path.Clean(strings.ReplaceAll(m.Dir, `\`, "/"))
		}
	}
	return f
}

// folder reads a module; nil: there is none that can be read.
func (f *Files) folder(dir string) *folder {
	if m, ok := f.folders[dir]; ok {
		return m
	}
	f.folders[dir] = nil
	names, err := fs.Glob(f.fsys, path.Join(dir, "*.tf"))
	if err != nil || len(names) == 0 {
		return nil
	}
	m := &folder{dir: dir, resources: map[string]*hclsyntax.Block{}, calls: map[string]*hclsyntax.Block{}, vars: map[string]*hclsyntax.Block{},
		outs: map[string]*hclsyntax.Block{}, locals: map[string]hclsyntax.Expression{}}
	for _, name := range names {
		info, err := fs.Stat(f.fsys, name)
		if err != nil || info.Size() > maxFile {
			return nil
		}
		src, err := fs.ReadFile(f.fsys, name)
		if err != nil {
			return nil
		}
		file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		if diags.HasErrors() {
			return nil
		}
		m.add(file.Body.(*hclsyntax.Body))
	}
	f.folders[dir] = m
	return m
}

// add takes the blocks of a file over. What is there twice is nobody's: it is not one configuration.
func (m *folder) add(body *hclsyntax.Body) {
	put := func(to map[string]*hclsyntax.Block, name string, b *hclsyntax.Block) {
		if _, twice := to[name]; twice {
			b = nil
		}
		to[name] = b
	}
	for _, b := range body.Blocks {
		switch {
		case b.Type == "resource" && len(b.Labels) == 2:
			put(m.resources, b.Labels[0]+"."+b.Labels[1], b)
		case b.Type == "data" && len(b.Labels) == 2:
			put(m.resources, "data."+b.Labels[0]+"."+b.Labels[1], b)
		case b.Type == "module" && len(b.Labels) == 1:
			put(m.calls, b.Labels[0], b)
		case b.Type == "variable" && len(b.Labels) == 1:
			put(m.vars, b.Labels[0], b)
		case b.Type == "output" && len(b.Labels) == 1:
			put(m.outs, b.Labels[0], b)
		case b.Type == "locals":
			for name, a := range b.Body.Attributes {
				if _, twice := m.locals[name]; twice {
					m.locals[name] = nil
					continue
				}
				m.locals[name] = a.Expr
			}
		}
	}
}

// attribute is the expression of an attribute of a block, or nil.
func attribute(b *hclsyntax.Block, name string) hclsyntax.Expression {
	if b == nil || b.Body.Attributes[name] == nil {
		return nil
	}
	return b.Body.Attributes[name].Expr
}
