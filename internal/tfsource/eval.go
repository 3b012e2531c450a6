package tfsource

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/gocty"
)

// A Step is an instance of a module within another.
type Step struct{ Name, Key string }

// A Place is an attribute of a resource.
type Place struct {
	Module   []Step
	Resource string // without a key: aws_kms_key.volumes
	Key      string
	Attr     string
}

// Text is what an attribute says. refs are what the expression refers to, as a plan writes it
// (local.x, aws_kms_key.k), where is its file and line. ok is false if it cannot be computed.
func (f *Files) Text(w World, p Place) (text string, refs []string, where string, ok bool) {
	s := f.scope(w, p.Module)
	if s == nil {
		return "", nil, "", false
	}
	block := s.folder.resources[p.Resource]
	e := attribute(block, p.Attr)
	if e == nil {
		return "", nil, "", false
	}
	s.of(block, p.Key)
	v := s.value(e)
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return "", nil, "", false
	}
	for _, t := range e.Variables() {
		refs = append(refs, named(t))
	}
	return v.AsString(), refs, fmt.Sprintf("%s:%d", e.Range().Filename, e.Range().Start.Line), true
}

// named is the beginning of a reference: what it is to, without attributes and keys.
func named(t hcl.Traversal) string {
	names := []string{t.RootName()}
	need := 2
	if names[0] == "data" {
		need = 3
	}
	for _, step := range t[1:] {
		if a, ok := step.(hcl.TraverseAttr); ok && len(names) < need {
			names = append(names, a.Name)
		} else {
			break
		}
	}
	return strings.Join(names, ".")
}

// A scope is where expressions stand: an instance of a module, and a block there.
type scope struct {
	files  *Files
	world  World
	folder *folder
	module string // address of the instance
	parent *scope
	call   *hclsyntax.Block
	// key is each.key or count.index of what stands here, and forEach its expression.
	key     string
	forEach hclsyntax.Expression
	// iterators are those of the dynamic blocks around: key and value of each.
	iterators map[string]map[string]cty.Value
	depth     *int
}

// maxDepth bounds references that lead to references, and so also those that lead to themselves.
const maxDepth = 64

// scope finds the instance of a module.
func (f *Files) scope(w World, steps []Step) *scope {
	root := f.folder(".")
	if root == nil {
		return nil
	}
	s := &scope{files: f, world: w, folder: root, depth: new(int)}
	for i := range steps {
		if s = s.child(steps[:i+1]); s == nil {
			return nil
		}
	}
	return s
}

// child is a module that this one calls.
func (s *scope) child(steps []Step) *scope {
	last := steps[len(steps)-1]
	call := s.folder.calls[last.Name]
	if call == nil {
		return nil
	}
	var names []string
	for _, step := range steps {
		names = append(names, step.Name)
	}
	dir, ok := s.files.installed[strings.Join(names, ".")]
	if !ok {
		e := attribute(call, "source")
		if e == nil {
			return nil
		}
		v, diags := e.Value(nil)
		if diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.Type() != cty.String || !strings.HasPrefix(v.AsString(), ".") {
			return nil
		}
		dir = path.Join(s.folder.dir, v.AsString())
	}
	if !fs.ValidPath(dir) {
		return nil // outside of the folder
	}
	to := s.files.folder(dir)
	if to == nil {
		return nil
	}
	parent := *s
	parent.of(call, last.Key)
	address := "module." + last.Name + last.Key
	if s.module != "" {
		address = s.module + "." + address
	}
	return &scope{files: s.files, world: s.world, folder: to, module: address, parent: &parent, call: call, depth: s.depth}
}

// of has the scope be that of an instance of a block.
func (s *scope) of(b *hclsyntax.Block, key string) { s.key, s.forEach = key, attribute(b, "for_each") }

// value is that of an expression; what cannot be computed is unknown.
func (s *scope) value(e hclsyntax.Expression) cty.Value {
	if e == nil {
		return cty.DynamicVal
	}
	if *s.depth++; *s.depth > maxDepth {
		*s.depth--
		return cty.DynamicVal
	}
	defer func() { *s.depth-- }()
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: s.files.functions(s.folder.dir)}
	tree := map[string]map[string]cty.Value{}
	data := map[string]map[string]cty.Value{}
	put := func(in map[string]map[string]cty.Value, kind, name string, v func() cty.Value) {
		if in[kind] == nil {
			in[kind] = map[string]cty.Value{}
		}
		if _, there := in[kind][name]; !there {
			in[kind][name] = v()
		}
	}
	for _, t := range e.Variables() {
		names := strings.Split(named(t), ".")
		switch {
		case names[0] == "data" && len(names) == 3:
			put(data, names[1], names[2], func() cty.Value { return s.resource(strings.Join(names, ".")) })
		case len(names) == 2:
			put(tree, names[0], names[1], func() cty.Value { return s.refer(names[0], names[1]) })
		default:
			return cty.DynamicVal
		}
	}
	for kind, of := range tree {
		ctx.Variables[kind] = cty.ObjectVal(of)
	}
	if len(data) > 0 {
		kinds := map[string]cty.Value{}
		for kind, of := range data {
			kinds[kind] = cty.ObjectVal(of)
		}
		ctx.Variables["data"] = cty.ObjectVal(kinds)
	}
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	v, _ = v.UnmarkDeep()
	return v
}

// refer is what a reference of two names leads to.
func (s *scope) refer(kind, name string) cty.Value {
	if of, is := s.iterators[kind]; is {
		if v, ok := of[name]; ok {
			return v
		}
		return cty.DynamicVal
	}
	switch kind {
	case "local":
		if e := s.folder.locals[name]; e != nil {
			return (&scope{files: s.files, world: s.world, folder: s.folder, module: s.module, parent: s.parent, call: s.call, depth: s.depth}).value(e)
		}
	case "var":
		return s.variable(name)
	case "path":
		if name == "module" || name == "root" && s.module == "" {
			return cty.StringVal(s.folder.dir)
		}
	case "each":
		return s.each(name)
	case "count":
		var i int
		if _, err := fmt.Sscanf(s.key, "[%d]", &i); err == nil && name == "index" {
			return cty.NumberIntVal(int64(i))
		}
	case "module":
		return s.outputs(name)
	case "self", "terraform":
	default:
		return s.resource(kind + "." + name)
	}
	return cty.DynamicVal
}

func (s *scope) variable(name string) cty.Value {
	def := attribute(s.folder.vars[name], "default")
	if s.parent == nil {
		if v, ok := s.world.Variable(name); ok {
			return valueOf(v)
		}
	} else if e := attribute(s.call, name); e != nil {
		return s.parent.value(e)
	}
	if def == nil {
		return cty.DynamicVal
	}
	v, diags := def.Value(nil)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	return v
}

func (s *scope) each(name string) cty.Value {
	key, ok := unquote(s.key)
	if !ok {
		return cty.DynamicVal
	}
	if name == "key" {
		return cty.StringVal(key)
	}
	if s.forEach == nil || name != "value" {
		return cty.DynamicVal
	}
	of := *s
	of.key, of.forEach = "", nil
	all := of.value(s.forEach)
	switch {
	case !all.IsKnown() || all.IsNull():
	case all.Type().IsSetType():
		return cty.StringVal(key)
	case all.Type().IsObjectType() && all.Type().HasAttribute(key):
		return all.GetAttr(key)
	case all.Type().IsMapType() && all.HasIndex(cty.StringVal(key)).True():
		return all.Index(cty.StringVal(key))
	}
	return cty.DynamicVal
}

func unquote(key string) (string, bool) {
	inner, ok := strings.CutPrefix(key, `["`)
	if !ok || !strings.HasSuffix(inner, `"]`) {
		return "", false
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(strings.TrimSuffix(inner, `"]`)), true
}

// outputs are those of a module that is called once.
func (s *scope) outputs(name string) cty.Value {
	call := s.folder.calls[name]
	if call == nil || attribute(call, "for_each") != nil || attribute(call, "count") != nil {
		return cty.DynamicVal
	}
	child := s.child(append(steps(s.module), Step{Name: name}))
	if child == nil {
		return cty.DynamicVal
	}
	out := map[string]cty.Value{}
	for name, b := range child.folder.outs {
		if e := attribute(b, "value"); e != nil {
			out[name] = child.value(e)
		}
	}
	return cty.ObjectVal(out)
}

// steps are those of a module's address.
func steps(module string) []Step {
	var out []Step
	for part := range strings.SplitSeq(module, "module.") {
		if part = strings.TrimSuffix(part, "."); part != "" {
			name, _, _ := strings.Cut(part, "[")
			out = append(out, Step{name, part[len(name):]})
		}
	}
	return out
}

// resource is a resource with all its instances.
func (s *scope) resource(name string) cty.Value {
	all, ok := s.world.Instances(s.module, name)
	block := s.folder.resources[name]
	counted, each := attribute(block, "count") != nil, attribute(block, "for_each") != nil
	switch {
	case !ok, len(all) == 0 && !counted && !each:
		return cty.DynamicVal
	case !counted && !each:
		return valueOf(all[0].Values)
	case counted && len(all) == 1 && all[0].Key == "": // it is the same however many there are
		return cty.TupleVal([]cty.Value{valueOf(all[0].Values)})
	}
	list, byKey := make([]cty.Value, len(all)), map[string]cty.Value{}
	for _, in := range all {
		var i int
		if key, ok := unquote(in.Key); ok {
			byKey[key] = valueOf(in.Values)
		} else if _, err := fmt.Sscanf(in.Key, "[%d]", &i); err == nil && i < len(list) {
			list[i] = valueOf(in.Values)
		}
	}
	if each {
		return cty.ObjectVal(byKey)
	}
	if slices.Contains(list, cty.NilVal) {
		return cty.DynamicVal
	}
	return cty.TupleVal(list)
}

// valueOf is a value of JSON.
func valueOf(v any) cty.Value {
	switch v := v.(type) {
	case nil:
		return cty.NullVal(cty.DynamicPseudoType)
	case string:
		return cty.StringVal(v)
	case bool:
		return cty.BoolVal(v)
	case float64:
		if out, err := gocty.ToCtyValue(v, cty.Number); err == nil {
			return out
		}
	case []any:
		list := make([]cty.Value, len(v))
		for i := range v {
			list[i] = valueOf(v[i])
		}
		return cty.TupleVal(list)
	case map[string]any:
		out := map[string]cty.Value{}
		for name := range v {
			out[name] = valueOf(v[name])
		}
		return cty.ObjectVal(out)
	}
	return cty.DynamicVal
}
