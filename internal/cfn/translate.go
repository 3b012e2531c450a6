package cfn

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/tfplan"
)

// A translation says a resource in the words of Terraform's provider.
type translation struct {
	s     *stack
	r     *res
	props *node // as far as they are known
	out   []tfplan.Resource
	paths map[string]string
}

// translators are the types that are read. It is only read.
func translators() map[string]func(*translation) {
	return map[string]func(*translation){
		"AWS::KMS::Key":                         (*translation).key,
		"AWS::KMS::ReplicaKey":                  (*translation).replica,
		"AWS::KMS::Alias":                       (*translation).alias,
		"AWS::IAM::Role":                        (*translation).role,
		"AWS::IAM::User":                        (*translation).user,
		"AWS::IAM::Group":                       (*translation).group,
		"AWS::IAM::Policy":                      (*translation).policy,
		"AWS::IAM::RolePolicy":                  (*translation).rolePolicy,
		"AWS::IAM::UserPolicy":                  (*translation).userPolicy,
		"AWS::IAM::GroupPolicy":                 (*translation).groupPolicy,
		"AWS::IAM::ManagedPolicy":               (*translation).managedPolicy,
		"AWS::IAM::UserToGroupAddition":         (*translation).membership,
		"AWS::IAM::ServiceLinkedRole":           (*translation).linkedRole,
		"AWS::Organizations::Policy":            (*translation).organizationPolicy,
		"AWS::EC2::LaunchTemplate":              (*translation).launchTemplate,
		"AWS::AutoScaling::LaunchConfiguration": (*translation).launchConfiguration,
		"AWS::AutoScaling::AutoScalingGroup":    (*translation).autoScalingGroup,
		"AWS::EKS::Nodegroup":                   (*translation).nodegroup,
		"AWS::EC2::Instance":                    (*translation).instance,
		"AWS::EC2::EC2Fleet":                    (*translation).fleet,
		"AWS::EC2::SpotFleet":                   (*translation).spotFleet,
		"AWS::EC2::Volume":                      (*translation).volume,
		"AWS::EC2::VolumeAttachment":            (*translation).attachment,
		"Custom::AWS":                           (*translation).custom,
	}
}

func (t *translation) translate() {
	if strings.HasPrefix(t.r.typ, "AWS::Serverless::") && t.r.props.get("Role") == nil {
		t.generatedRole()
	}
	if f := translators()[t.r.typ]; f != nil {
		t.props = t.s.eval(t.r.props)
		if t.props.is(unknown) {
			t.s.set.note(t.s, t.r.name, "its properties are not known: "+t.props.s)
			t.props = nil
		}
		f(t)
	}
}

// add adds a resource.
func (t *translation) add(typ, name string, values map[string]any) {
	for attr, v := range values {
		if v == nil {
			delete(values, attr)
		}
	}
	out := tfplan.Resource{
		Address: t.s.address(t.r.name), Type: typ, Account: t.s.account, Region: t.s.region, AccountName: t.s.accountName, RegionName: t.s.regionName,
		Values: values, Paths: t.paths, Assumed: t.r.assumed,
	}
	if name != "" {
		out.Name = t.s.address(t.r.name) + "." + name
	}
	t.out = append(t.out, out)
}

// called remembers what an attribute is called in the template.
func (t *translation) called(attr, path string) {
	if t.paths == nil {
		t.paths = map[string]string{}
	}
	t.paths[attr] = path
}

// An obj is an object of the template, with where it is there and where it goes.
type obj struct {
	t        *translation
	n        *node
	path, to string
}

// top are the properties of the resource.
func (t *translation) top() obj { return obj{t: t, n: t.props} }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// in is an object in a property.
func (o obj) in(property, to string) obj {
	return obj{o.t, o.n.get(property), join(o.path, property), join(o.to, to)}
}

// value is a property as a text or truth, or unknown; nil if it is absent.
func (o obj) value(property, attr string) any {
	if o.n.is(unknown) {
		return tfplan.Unknown(o.n.s)
	}
	v := o.n.get(property)
	if v == nil {
		return nil
	}
	o.t.called(join(o.to, attr), join(o.path, property))
	return plain(v)
}

// plain is a scalar, or unknown.
func plain(v *node) any {
	t, ok := v.scalar()
	switch {
	case v.is(unknown):
		return tfplan.Unknown(v.s)
	case !ok:
		return tfplan.Unknown("it is no text")
	case v.stands != "":
		return tfplan.Unknown(v.stands + " is not known before deployment")
	}
	return t
}

// truth is a property that is true or false.
func (o obj) truth(property, attr string) any {
	v := o.value(property, attr)
	if _, ok := v.(string); ok {
		return o.n.get(property).isTrue()
	}
	return v
}

// number is a property that is a number.
func (o obj) number(property, attr string) any {
	v := o.value(property, attr)
	if s, ok := v.(string); ok {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil
		}
		return f
	}
	return v
}

// texts is a property that is a list of texts.
func (o obj) texts(property, attr string) any {
	v := o.n.get(property)
	if v == nil {
		return nil
	}
	o.t.called(join(o.to, attr), join(o.path, property))
	if v.is(unknown) {
		return tfplan.Unknown(v.s)
	}
	out := []any{}
	for i, item := range v.list() {
		o.t.called(fmt.Sprintf("%s[%d]", join(o.to, attr), i), fmt.Sprintf("%s[%d]", join(o.path, property), i))
		if item.stands != "" {
			out = append(out, item.s)
			continue
		}
		out = append(out, plain(item))
	}
	return out
}

// each makes blocks of the items of a property.
func (o obj) each(property, attr string, block func(obj) map[string]any) any {
	v := o.n.get(property)
	if v == nil {
		return nil
	}
	o.t.called(join(o.to, attr), join(o.path, property))
	if v.is(unknown) {
		return tfplan.Unknown(v.s)
	}
	out := []any{}
	for i, item := range v.list() {
		in := obj{o.t, item, fmt.Sprintf("%s[%d]", join(o.path, property), i), fmt.Sprintf("%s[%d]", join(o.to, attr), i)}
		if item.is(unknown) {
			o.t.called(in.to, in.path)
			return tfplan.Unknown(item.s)
		}
		out = append(out, whole(block(in)))
	}
	return out
}

// one makes a block of an object in a property: a list of one, as the provider has it.
func (o obj) one(property, attr string, block func(obj) map[string]any) any {
	v := o.n.get(property)
	if v == nil {
		return nil
	}
	o.t.called(join(o.to, attr), join(o.path, property))
	if v.is(unknown) {
		return tfplan.Unknown(v.s)
	}
	return []any{whole(block(obj{o.t, v, join(o.path, property), join(o.to, attr) + "[0]"}))}
}

// whole is a block without what is absent.
func whole(block map[string]any) map[string]any {
	for name, v := range block {
		if v == nil {
			delete(block, name)
		}
	}
	return block
}

// document is a policy document as JSON, or unknown.
func (o obj) document(property, attr string) any {
	v := o.n.get(property)
	if v == nil {
		return nil
	}
	path := join(o.path, property)
	o.t.called(join(o.to, attr), path)
	switch {
	case o.t.r.doubt != "" && o.t.r.typ != "AWS::KMS::Key" && o.t.r.typ != "AWS::KMS::ReplicaKey":
		return tfplan.Unknown("whether it is created is not known: " + o.t.r.doubt)
	case v.is(text) && v.stands == "":
		return v.s
	case v.is(object):
		if at, why := doubt(v, ""); why != "" {
			return tfplan.Unknown(strings.TrimPrefix(at+": ", ": ") + why)
		}
		return string(encode(v, true))
	}
	return plain(v)
}

// doubt is the first place of a document that is not known. Names that stand for something of another
// service than IAM and KMS may be there, but for principals.
func doubt(n *node, at string) (place, why string) {
	switch {
	case n == nil:
	case n.kind == unknown:
		return at, n.s
	case n.stands != "" && strings.Contains(at, "Principal."):
		return at, n.stands + " is not known before deployment"
	}
	if n == nil {
		return "", ""
	}
	for i, item := range n.items {
		if at, why := doubt(item, fmt.Sprintf("%s[%d]", at, i)); why != "" {
			return at, why
		}
	}
	for _, m := range n.members {
		if at, why := doubt(m.value, join(at, m.name)); why != "" {
			return at, why
		}
	}
	return "", ""
}

// places remembers where the resource and its properties are.
func (t *translation) places() {
	address := t.s.address(t.r.name)
	p := Place{File: t.s.file.Name, Line: t.r.at.line, Column: t.r.at.column, Stack: t.s.name, LogicalID: t.r.name, Type: t.r.typ}
	to := t.s.set.result.places
	to[address] = p
	if t.props == nil {
		return
	}
	var walk func(n *node, path string, depth int)
	walk = func(n *node, path string, depth int) {
		if n == nil || depth > 6 {
			return
		}
		for _, m := range n.members {
			q := p
			q.Path = join(path, m.name)
			q.Line, q.Column = m.at.line, m.at.column
			to[address+"."+q.Path] = q
			walk(m.value, q.Path, depth+1)
		}
		for i, item := range n.items {
			q := p
			q.Path = fmt.Sprintf("%s[%d]", path, i)
			q.Line, q.Column = item.at.line, item.at.column
			if item.at.line > 0 {
				to[address+"."+q.Path] = q
			}
			walk(item, q.Path, depth+1)
		}
	}
	walk(t.props, "", 0)
}
