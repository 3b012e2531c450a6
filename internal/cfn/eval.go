package cfn

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// functions are the intrinsic functions. Source: CloudFormation Template Reference Guide, "Intrinsic
// function reference".
var functions = []string{
	"Fn::And", "Fn::Base64", "Fn::Cidr", "Fn::Equals", "Fn::FindInMap", "Fn::GetAtt", "Fn::GetAZs", "Fn::If", "Fn::ImportValue", "Fn::Join",
	"Fn::Length", "Fn::Not", "Fn::Or", "Fn::Select", "Fn::Split", "Fn::Sub", "Fn::ToJsonString", "Fn::Transform", "Fn::GetStackOutput",
	"Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn", "Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll",
}

// call is the function that an object stands for: "Ref" or "Fn::...".
func call(n *node) (name string, arg *node, ok bool) {
	if !n.is(object) {
		return "", nil, false
	}
	for _, m := range n.members {
		if m.name == "Fn::Transform" || len(n.members) == 1 && (m.name == "Ref" || strings.HasPrefix(m.name, "Fn::")) {
			return m.name, m.value, true
		}
	}
	return "", nil, false
}

// eval is a value as far as it is known; nil is none.
func (s *stack) eval(n *node) *node {
	if n == nil || n.kind == null {
		return nil
	}
	s.depth++
	defer func() { s.depth-- }()
	if s.set.steps++; s.set.steps > maxSteps || s.depth > 4*maxDepth {
		return unknownNode("the template is too large to tell")
	}
	if name, arg, ok := call(n); ok {
		out := s.apply(name, arg)
		if out != nil && out.at.line == 0 {
			placed := *out
			placed.at = n.at
			out = &placed
		}
		return out
	}
	switch n.kind {
	case text:
		return dynamic(n)
	case list:
		out := &node{kind: list, at: n.at}
		for _, item := range n.items {
			if v := s.eval(item); v != nil {
				out.items = append(out.items, v)
			}
		}
		return out
	case object:
		out := &node{kind: object, at: n.at}
		for _, m := range n.members {
			if v := s.eval(m.value); v != nil {
				out.members = append(out.members, member{m.name, m.at, v})
			}
		}
		return out
	}
	return n
}

// publicImages is where AWS publishes the ids of images. Source: Systems Manager User Guide,
// "Discovering public parameters in Parameter Store".
const publicImages = "/aws/service/"

// dynamic is unknown if a text has a dynamic reference.
func dynamic(n *node) *node {
	_, ref, ok := strings.Cut(n.s, "{{resolve:")
	if !ok {
		return n
	}
	ref, _, _ = strings.Cut(ref, "}}")
	service, name, _ := strings.Cut(ref, ":")
	out := &node{kind: unknown, at: n.at, s: "it is in " + map[string]string{"ssm": "the SSM parameter ", "secretsmanager": "the secret "}[service] + name}
	if service == "ssm" && strings.HasPrefix(name, publicImages) && strings.HasPrefix(n.s, "{{") {
		out.public = name
	}
	return out
}

func (s *stack) apply(name string, arg *node) *node {
	switch name {
	case "Ref":
		name := s.eval(arg) // a function with AWS::LanguageExtensions
		ref, ok := name.scalar()
		if !ok {
			return unknownNode("Ref needs a name: %s", name.why())
		}
		return s.ref(ref)
	case "Fn::GetAtt":
		return s.getAttOf(arg)
	case "Fn::Sub":
		return s.sub(arg)
	case "Fn::If":
		return s.choose(arg)
	case "Fn::ImportValue":
		return s.importValue(arg)
	case "Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals":
		t := s.test(&node{kind: object, members: []member{{name: name, value: arg}}})
		if t.why != "" {
			return unknownNode("%s", t.why)
		}
		return &node{kind: truth, s: strconv.FormatBool(t.v)}
	case "Fn::FindInMap":
		return s.findInMap(arg)
	case "Fn::Transform":
		what, _ := arg.get("Name").scalar()
		return unknownNode("the macro %s makes it", what)
	case "Fn::Join", "Fn::Select", "Fn::Split", "Fn::Base64", "Fn::GetAZs", "Fn::Length", "Fn::ToJsonString":
		return s.compute(name, s.eval(arg))
	}
	if slices.Contains(functions, name) {
		return unknownNode("%s is not computed", name)
	}
	return unknownNode("no function is called %s", name)
}

// compute applies a function to its arguments.
func (s *stack) compute(name string, arg *node) *node {
	if arg.is(unknown) {
		return arg
	}
	wrong := unknownNode("%s has other arguments than it needs", name)
	switch name {
	case "Fn::Base64":
		v, ok := arg.scalar()
		if !ok {
			return wrong
		}
		return textNode(base64.StdEncoding.EncodeToString([]byte(v)))
	case "Fn::GetAZs":
		region, _ := arg.scalar()
		if region == "" {
			region = s.region
		}
		return &node{kind: list, items: []*node{textNode(region + "a"), textNode(region + "b"), textNode(region + "c")}}
	case "Fn::Length":
		if !arg.is(list) {
			return wrong
		}
		return &node{kind: number, s: strconv.Itoa(len(arg.items))}
	case "Fn::ToJsonString":
		if why := arg.why(); why != "" {
			return unknownNode("%s", why)
		}
		return textNode(string(encode(arg, false)))
	}
	args := arg.list()
	if len(args) != 2 {
		return wrong
	}
	if args[0].kind == unknown {
		return args[0]
	}
	if args[1].kind == unknown {
		return args[1]
	}
	first, ok := args[0].scalar()
	if !ok {
		return wrong
	}
	switch name {
	case "Fn::Join":
		var parts []*node
		for i, item := range args[1].list() {
			if i > 0 {
				parts = append(parts, textNode(first))
			}
			parts = append(parts, item)
		}
		return concat(parts)
	case "Fn::Split":
		whole, ok := args[1].scalar()
		if !ok || first == "" {
			return wrong
		}
		out := &node{kind: list}
		for part := range strings.SplitSeq(whole, first) {
			out.items = append(out.items, &node{kind: text, s: part, stands: args[1].stands})
		}
		return out
	}
	i, err := strconv.Atoi(first)
	if items := args[1].list(); err == nil && i >= 0 && i < len(items) {
		return items[i]
	}
	return unknownNode("Fn::Select finds no item %s", first)
}

// concat joins scalars. It stands for something if a part does.
func concat(parts []*node) *node {
	out := &node{kind: text}
	var b strings.Builder
	for _, p := range parts {
		v, ok := p.scalar()
		switch {
		case p.is(unknown):
			return p
		case !ok:
			return unknownNode("a part of the text is no text")
		}
		if b.WriteString(v); b.Len() > 1<<20 {
			return unknownNode("the text is too long")
		}
		if out.stands == "" {
			out.stands = p.stands
		}
	}
	out.s = b.String()
	return dynamic(out)
}

// sub is Fn::Sub: a text with ${Name}, ${Name.Attribute} and ${!literal}, and perhaps names of its own.
func (s *stack) sub(arg *node) *node {
	own := map[string]*node{}
	pattern, ok := arg.scalar()
	if arg.is(list) && len(arg.items) == 2 {
		pattern, ok = arg.items[0].scalar()
		if arg.items[1].is(object) {
			for _, m := range arg.items[1].members {
				own[m.name] = s.eval(m.value)
			}
		}
	}
	if !ok {
		return unknownNode("Fn::Sub needs a text")
	}
	var parts []*node
	for {
		before, rest, found := strings.Cut(pattern, "${")
		parts = append(parts, textNode(before))
		if !found {
			return concat(parts)
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return concat(append(parts, textNode("${"+rest)))
		}
		pattern = after
		name = strings.TrimSpace(name)
		if literal, is := strings.CutPrefix(name, "!"); is {
			parts = append(parts, textNode("${"+literal+"}"))
			continue
		}
		v, there := own[name]
		if !there {
			if resource, attr, dotted := strings.Cut(name, "."); dotted {
				v = s.getAtt(resource, attr)
			} else {
				v = s.ref(name)
			}
		}
		if v != nil {
			parts = append(parts, v)
		}
	}
}

func (s *stack) getAttOf(arg *node) *node {
	var parts []string
	if arg.is(list) {
		for _, item := range arg.items {
			v := s.eval(item)
			t, ok := v.scalar()
			if !ok {
				return unknownNode("Fn::GetAtt: %s", v.why())
			}
			parts = append(parts, t)
		}
	} else if t, ok := arg.scalar(); ok {
		parts = []string{t}
	}
	name, attr, ok := strings.Cut(strings.Join(parts, "."), ".")
	if !ok {
		return unknownNode("Fn::GetAtt needs a resource and an attribute")
	}
	return s.getAtt(name, attr)
}

func (s *stack) findInMap(arg *node) *node {
	if !arg.is(list) || len(arg.items) < 3 {
		return unknownNode("Fn::FindInMap needs a mapping and two keys")
	}
	var keys []string
	for _, item := range arg.items[:3] {
		v := s.eval(item)
		if v.is(unknown) {
			return v
		}
		key, _ := v.scalar()
		keys = append(keys, key)
	}
	if v := s.mappings.get(keys...); v != nil {
		return s.eval(v)
	}
	if len(arg.items) > 3 {
		if v := arg.items[3].get("DefaultValue"); v != nil {
			return s.eval(v)
		}
	}
	return unknownNode("the mapping %s has no %s", keys[0], strings.Join(keys[1:], "."))
}

// importValue is an output that another of the given stacks exports.
func (s *stack) importValue(arg *node) *node {
	name := s.eval(arg)
	key, ok := name.scalar()
	if !ok {
		return unknownNode("the name of the import is not known: %s", name.why())
	}
	out := s.set.export(s, key)
	if out == nil {
		return unknownNode("no given stack exports %s", key)
	}
	return out
}

// export is what an export is to stack to; nil if there is none. The name of an export is unique within
// an account and Region, so that one of the same place counts first.
func (w *set) export(to *stack, name string) *node {
	if w.exporting[name] {
		return unknownNode("the export %s is made of itself", name)
	}
	w.exporting[name] = true
	defer delete(w.exporting, name)
	for _, same := range []bool{true, false} {
		for _, s := range w.stacks {
			if (s.account == to.account && s.region == to.region) != same || !s.outputs.is(object) {
				continue
			}
			for _, m := range s.outputs.members {
				if v, ok := s.eval(m.value.get("Export", "Name")).scalar(); ok && v == name {
					return s.eval(m.value.get("Value"))
				}
			}
		}
	}
	return nil
}

// pseudo are the pseudo parameters. Source: CloudFormation Template Reference Guide, "Get AWS values
// using pseudo parameters".
func (s *stack) pseudo(name string) (*node, bool) {
	switch name {
	case "AWS::AccountId":
		return textNode(s.account), true
	case "AWS::Region":
		return textNode(s.region), true
	case "AWS::Partition":
		return textNode(arn.Partition), true
	case "AWS::URLSuffix":
		return textNode("amazonaws.com"), true
	case "AWS::StackName":
		return textNode(s.name), true
	case "AWS::StackId":
		return &node{kind: text, s: arn.Make("cloudformation", s.region, s.account, fmt.Sprintf("stack/%s/%s", s.name, s.digest("")[:12])), stands: name}, true
	case "AWS::NoValue":
		return nil, true
	case "AWS::NotificationARNs":
		return unknownNode("%s is not in the template", name), true
	}
	return nil, false
}
