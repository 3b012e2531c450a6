package tfsource

import (
	"errors"
	"io/fs"
	"path"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are those of Terraform that policies are made with. Files are named from the
// configuration's folder, as path.module begins.
func (f *Files) functions(dir string) map[string]function.Function {
	out := plainFunctions()
	out["file"] = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}}, Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			data, err := f.file(args[0].AsString())
			return cty.StringVal(string(data)), err
		},
	})
	out["templatefile"] = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType, AllowUnknown: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[1].IsKnown() || args[1].IsNull() || !args[1].CanIterateElements() {
				return cty.UnknownVal(cty.String), nil
			}
			data, err := f.file(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			e, diags := hclsyntax.ParseTemplate(data, args[0].AsString(), hcl.InitialPos)
			if diags.HasErrors() {
				return cty.NilVal, diags
			}
			v, diags := e.Value(&hcl.EvalContext{Variables: args[1].AsValueMap(), Functions: plainFunctions()})
			if diags.HasErrors() {
				return cty.NilVal, diags
			}
			return v, nil
		},
	})
	return out
}

var errFile = errors.New("the file is outside of the configuration, or too large")

func (f *Files) file(name string) ([]byte, error) {
	name = path.Clean(name)
	if !fs.ValidPath(name) {
		return nil, errFile
	}
	if info, err := fs.Stat(f.fsys, name); err != nil || info.Size() > maxFile {
		return nil, errors.Join(err, errFile)
	}
	return fs.ReadFile(f.fsys, name)
}

func plainFunctions() map[string]function.Function {
	return map[string]function.Function{
		"jsonencode": stdlib.JSONEncodeFunc, "jsondecode": stdlib.JSONDecodeFunc,
		"concat": stdlib.ConcatFunc, "flatten": stdlib.FlattenFunc, "compact": stdlib.CompactFunc, "distinct": stdlib.DistinctFunc, "sort": stdlib.SortFunc,
		"merge": stdlib.MergeFunc, "keys": stdlib.KeysFunc, "values": stdlib.ValuesFunc, "lookup": lookup, "element": stdlib.ElementFunc,
		"length": length, "coalesce": coalesce, "coalescelist": stdlib.CoalesceListFunc, "contains": stdlib.ContainsFunc,
		"setunion": stdlib.SetUnionFunc, "setsubtract": stdlib.SetSubtractFunc, "setproduct": stdlib.SetProductFunc, "range": stdlib.RangeFunc, "zipmap": stdlib.ZipmapFunc,
		"slice": stdlib.SliceFunc, "reverse": stdlib.ReverseListFunc, "chunklist": stdlib.ChunklistFunc,
		"format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc, "join": stdlib.JoinFunc, "split": stdlib.SplitFunc, "replace": stdlib.ReplaceFunc,
		"lower": stdlib.LowerFunc, "upper": stdlib.UpperFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimspace": stdlib.TrimSpaceFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "trimsuffix": stdlib.TrimSuffixFunc, "substr": stdlib.SubstrFunc, "chomp": stdlib.ChompFunc, "regex": stdlib.RegexFunc,
		"tostring": to(cty.String), "tonumber": to(cty.Number), "tobool": to(cty.Bool), "tolist": to(cty.List(cty.DynamicPseudoType)),
		"toset": to(cty.Set(cty.DynamicPseudoType)), "tomap": to(cty.Map(cty.DynamicPseudoType)),
		"try": tryfunc.TryFunc, "can": tryfunc.CanFunc, "one": one(),
	}
}

func to(t cty.Type) function.Function { return stdlib.MakeToFunc(t) }

// one is the only item of a list, or null.
func one() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
		Type:   func([]cty.Value) (cty.Type, error) { return cty.DynamicPseudoType, nil },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[0].CanIterateElements() || args[0].LengthInt() > 1 {
				return cty.NilVal, errors.New("one takes a list of one item at most")
			}
			for it := args[0].ElementIterator(); it.Next(); {
				_, v := it.Element()
				return v, nil
			}
			return cty.NullVal(cty.DynamicPseudoType), nil
		},
	})
}
