package tfsource

import (
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Below is what an attribute within blocks says: path has names of blocks, each with its index behind it, and
// the name of the attribute last. Dynamic blocks are written out. value is a string, a bool or a list of strings;
// nil if the attribute is null or not there. refs and where are as of Text; ok is false if it cannot be computed.
// Source: Terraform, "dynamic Blocks".
func (f *Files) Below(w World, p Place, path []any) (value any, refs []string, where string, ok bool) {
	s := f.scope(w, p.Module)
	if s == nil || s.folder.resources[p.Resource] == nil {
		return nil, nil, "", false
	}
	block := s.folder.resources[p.Resource]
	s.of(block, p.Key)
	body := block.Body
	for ; len(path) > 1; path = path[2:] {
		name, isName := path[0].(string)
		i, isIndex := path[1].(int)
		if !isName || !isIndex {
			return nil, nil, "", false
		}
		if s, body = s.nth(body, name, i); body == nil {
			return nil, nil, "", false
		}
	}
	at := body.SrcRange
	name, _ := path[0].(string)
	if a := body.Attributes[name]; a != nil {
		at = a.SrcRange
		v := s.value(a.Expr)
		if !v.IsWhollyKnown() {
			return nil, nil, "", false
		}
		if value, ok = plain(v); !ok {
			return nil, nil, "", false
		}
		for _, t := range a.Expr.Variables() {
			refs = append(refs, named(t))
		}
	}
	return value, refs, fmt.Sprintf("%s:%d", at.Filename, at.Start.Line), true
}

// plain is a value as Below answers it.
func plain(v cty.Value) (any, bool) {
	switch t := v.Type(); {
	case v.IsNull():
		return nil, true
	case t == cty.String:
		return v.AsString(), true
	case t == cty.Bool:
		return v.True(), true
	case v.CanIterateElements() && !t.IsMapType() && !t.IsObjectType():
		list := []string{}
		for at := v.ElementIterator(); at.Next(); {
			_, item := at.Element()
			s, err := convert.Convert(item, cty.String)
			if err != nil || s.IsNull() {
				return nil, false
			}
			list = append(list, s.AsString())
		}
		return list, true
	}
	return nil, false
}

// nth is the i-th block of a name, with the scope of what it says; nil if that cannot be told.
func (s *scope) nth(body *hclsyntax.Body, name string, i int) (*scope, *hclsyntax.Body) {
	for _, b := range body.Blocks {
		switch {
		case b.Type == name:
			if i == 0 {
				return s, b.Body
			}
			i--
		case b.Type == "dynamic" && len(b.Labels) == 1 && b.Labels[0] == name:
			all := s.value(attribute(b, "for_each"))
			if !all.IsKnown() || all.IsNull() || !all.CanIterateElements() {
				return nil, nil
			}
			n := all.LengthInt()
			if i >= n {
				i -= n
				continue
			}
			iterator := name
			if e, ok := attribute(b, "iterator").(*hclsyntax.ScopeTraversalExpr); ok {
				iterator = e.Traversal.RootName()
			}
			for at := all.ElementIterator(); at.Next(); i-- {
				if i > 0 {
					continue
				}
				key, value := at.Element()
				if all.Type().IsSetType() {
					key = value
				}
				for _, content := range b.Body.Blocks {
					if content.Type == "content" {
						return s.with(iterator, key, value), content.Body
					}
				}
				return nil, nil
			}
		}
	}
	return nil, nil
}

// with is the scope of the content of a dynamic block.
func (s *scope) with(iterator string, key, value cty.Value) *scope {
	in := *s
	in.iterators = map[string]map[string]cty.Value{iterator: {"key": key, "value": value}}
	for name, of := range s.iterators {
		if name != iterator {
			in.iterators[name] = of
		}
	}
	return &in
}
