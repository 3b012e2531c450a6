package tfsource

import (
	"errors"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// The functions here are those that Terraform has in another way than the library of its language.

var errArguments = errors.New("the arguments do not fit")

func anything(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true}
}

// lookup is an element of a map or object, or else the default, which may be null. Source: Terraform, "lookup Function".
var lookup = function.New(&function.Spec{
	Params: []function.Parameter{anything("map"), {Name: "key", Type: cty.String}}, VarParam: new(anything("default")),
	Type: function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		in, key := args[0], args[1].AsString()
		switch {
		case in.IsNull() || len(args) > 3:
			return cty.NilVal, errArguments
		case !in.IsKnown():
			return cty.DynamicVal, nil
		case in.Type().IsObjectType() && in.Type().HasAttribute(key):
			return in.GetAttr(key), nil
		case in.Type().IsMapType() && in.HasIndex(args[1]).True():
			return in.Index(args[1]), nil
		case len(args) == 3 && (in.Type().IsObjectType() || in.Type().IsMapType()):
			return args[2], nil
		}
		return cty.NilVal, errArguments
	},
})

// coalesce is the first argument that is neither null nor empty, in the type of all. Source: Terraform, "coalesce Function".
var coalesce = function.New(&function.Spec{
	VarParam: new(anything("values")),
	Type:     function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		types := make([]cty.Type, len(args))
		for i, v := range args {
			types[i] = v.Type()
		}
		all, _ := convert.UnifyUnsafe(types)
		for _, v := range args {
			switch {
			case !v.IsKnown():
				return cty.DynamicVal, nil
			case v.IsNull() || v.RawEquals(cty.StringVal("")):
				continue
			case all == cty.NilType:
				return cty.NilVal, errArguments
			}
			return convert.Convert(v, all)
		}
		return cty.NilVal, errArguments
	},
})

// length counts characters of strings too. Source: Terraform, "length Function".
var length = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		switch t := args[0].Type(); {
		case t == cty.String:
			return stdlib.Strlen(args[0])
		case t.IsObjectType():
			return cty.NumberIntVal(int64(len(t.AttributeTypes()))), nil
		case t == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number), nil
		}
		return stdlib.Length(args[0])
	},
})
