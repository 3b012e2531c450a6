package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/linkedrole"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// principalRules looks at who is named: in Principal and NotPrincipal, by aws:PrincipalArn, and
// as roles in Resource.
func (l *linter) principalRules(s *statement) {
	for _, p := range []*policy.Principals{s.Principal, s.NotPrincipal} {
		for kind, t := range p.All() {
			if kind == policy.PrincipalAWS && !l.linkedRole(s, t) {
				l.unknownPrincipal(s, t)
			}
		}
	}
	if s.NotPrincipal != nil && s.Effect == policy.Deny {
		l.add("not-principal", s.Statement, s.NotPrincipal.Pos,
			speech.Say("NotPrincipal with Deny also denies every principal that has a permissions boundary, and spares a session only if its role and account are named too."),
			speech.Say(`Write "Principal": "*" with a condition ArnNotEquals on aws:PrincipalArn.`))
	}
	for _, r := range slices.Concat(s.Resources, s.NotResources) {
		if f, ok := fields(r.Value); ok && f[2] == "iam" && strings.HasPrefix(f[5], "role/") && plain(f[5]) {
			l.linkedRole(s, r)
		}
	}
	for _, c := range s.Conditions {
		if strings.EqualFold(c.Key, "aws:PrincipalArn") {
			for _, v := range c.Values {
				if plain(v.Value) {
					l.linkedRole(s, v)
				}
			}
		}
	}
}

const linkedPrefix = "AWSServiceRoleFor"

// linkedRole checks the ARN of a service-linked role or of its session. It reports whether
// something is wrong with it.
//
// Source: IAM User Guide, "Using service-linked roles"; EC2 Auto Scaling User Guide,
// "Service-linked roles for Amazon EC2 Auto Scaling".
func (l *linter) linkedRole(s *statement, t policy.Text) bool {
	a, ok := parseARN(t.Value)
	if !ok {
		return false
	}
	if a.Service == "sts" {
		return l.linkedSession(s, t, a)
	}
	path, ok := strings.CutPrefix(a.Resource, "role/")
	if !ok || a.Service != "iam" {
		return false
	}
	i := strings.LastIndexByte(path, '/') + 1
	dir, name := "/"+path[:i], path[i:]
	service, under := strings.CutPrefix(dir, "/aws-service-role/")
	service = strings.TrimSuffix(service, "/")
	switch {
	case !under && !linked(name):
		return false
	case !under:
		l.linkedPath(s, t, a, name)
		return true
	}
	role, ok := linkedrole.Of(service)
	if !ok {
		severity, fix := Note, speech.Say("Look up the service principal of the role.")
		label, _, _ := strings.Cut(service, ".")
		if near := nearest(service, slices.Collect(maps.Keys(linkedrole.All()))); near != "" && !l.table.Exists(label) {
			severity, fix = Warning, speech.Say("Did you mean %s?", quote(near))
		}
		l.addAs(severity, "linked-role-unknown-service", s.Statement, t.Pos, speech.Say("%s is not known to have a service-linked role.", service), fix)
		return true
	}
	return l.linkedName(s, t, service, role, name)
}

func linked(name string) bool {
	return len(name) >= len(linkedPrefix) && strings.EqualFold(name[:len(linkedPrefix)], linkedPrefix)
}

// ownerOf is the service whose service-linked role has a name, or "".
func ownerOf(name string) string {
	owner := ""
	for service, r := range linkedrole.Each() {
		if (name == r.Name || r.Suffix && strings.HasPrefix(name, r.Name+"_")) && (owner == "" || service < owner) {
			owner = service
		}
	}
	return owner
}

// linkedPath says under which path a role lies.
func (l *linter) linkedPath(s *statement, t policy.Text, a arn.ARN, name string) {
	fix := speech.Say(`Service-linked roles lie under "role/aws-service-role/SERVICE.amazonaws.com/".`)
	if service := ownerOf(name); service != "" {
		a.Resource = "role" + arn.ServiceLinkedPath(service) + name
		fix = speech.Say("Write %s.", quote(a.String()))
	}
	l.add("linked-role-path", s.Statement, t.Pos, speech.Say("%s names no service-linked role: the path of its service is missing.", quote(t.Value)), fix)
}

func (l *linter) linkedName(s *statement, t policy.Text, service string, role linkedrole.Role, name string) bool {
	rest, ok := strings.CutPrefix(name, role.Name)
	prefix := strings.TrimSuffix(t.Value, name)
	switch {
	case name == role.Name:
		return false
	case !ok && ownerOf(name) != "":
		a, _ := parseARN(t.Value)
		a.Resource = "role" + arn.ServiceLinkedPath(ownerOf(name)) + name
		l.add("linked-role-path", s.Statement, t.Pos, speech.Say("%s is the service-linked role of %s, not of %s.", name, ownerOf(name), service), speech.Say("Write %s.", quote(a.String())))
	case !ok:
		l.add("linked-role-name", s.Statement, t.Pos, speech.Say("The service-linked role of %s is %s, not %s; names are case-sensitive.", service, role.Name, name),
			speech.Say("Write %s.", quote(prefix+role.Name)))
	case !role.Suffix:
		l.add("linked-role-suffix", s.Statement, t.Pos, speech.Say("%s has one service-linked role in an account; it takes no suffix.", service), speech.Say("Write %s.", quote(prefix+role.Name)))
	case rest[0] != '_' || rest == "_":
		l.add("linked-role-suffix", s.Statement, t.Pos, speech.Say("A suffix is appended with an underscore, so no role is called %s.", name),
			speech.Say("Write %s.", quote(prefix+role.Name+"_"+strings.TrimLeft(rest, "-_."))))
	default:
		return false
	}
	return true
}

// linkedSession finds sessions in the place of their role.
func (l *linter) linkedSession(s *statement, t policy.Text, a arn.ARN) bool {
	path, ok := strings.CutPrefix(a.Resource, "assumed-role/")
	if !ok || !strings.Contains(path, linkedPrefix) {
		return false
	}
	name := path[strings.Index(path, linkedPrefix):]
	name, _, _ = strings.Cut(name, "/")
	fix := speech.Say("Name the role: its ARN covers all its sessions.")
	if service := ownerOf(name); service != "" {
		fix = speech.Say("Write %s.", quote(arn.Role(a.Account, arn.ServiceLinkedPath(service), name)))
	}
	l.add("linked-role-session", s.Statement, t.Pos, speech.Say("This is one session of a service-linked role. How the service names its sessions is its own affair and may change."), fix)
	return true
}

// unknownPrincipal finds principals that are known not to exist.
func (l *linter) unknownPrincipal(s *statement, t policy.Text) {
	if l.opts.Known == nil || l.opts.Known.exists(t.Value) {
		return
	}
	fix := speech.Say("Create it before the document is stored, or correct the ARN.")
	if near := nearest(t.Value, l.opts.Known.Principals); near != "" {
		fix = speech.Say("Did you mean %s? Otherwise create it before the document is stored.", quote(near))
	}
	l.add("unknown-principal", s.Statement, t.Pos, speech.Say("%s does not exist, so AWS refuses the document.", quote(t.Value)), fix)
}
