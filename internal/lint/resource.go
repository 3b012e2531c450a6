package lint

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// resourceRules looks at each entry of Resource and NotResource.
func (l *linter) resourceRules(s *statement) {
	for _, r := range slices.Concat(s.Resources, s.NotResources) {
		switch {
		case r.Value == "*" || l.opts.Kind == policy.Trust:
		case l.opts.Kind == policy.Key:
			l.keyResource(s, r)
		case l.badARN(s, r):
		case len(s.Resources) > 0 && !s.open && len(matches(s)) > 0 && !l.usable(s, r.Value):
			l.mismatch(s, r)
		}
	}
}

// keyResource wants a Resource of a key policy to match its key.
//
// Source: KMS Developer Guide, "Creating a key policy", Resource element.
func (l *linter) keyResource(s *statement, r policy.Text) {
	fix := speech.Say(`Write "Resource": "*", which in a key policy is this key and no other.`)
	key := l.opts.Resource
	switch {
	case key != "":
		pattern := condition.Resource(r.Value, l.doc.Variables())
		if pattern.Match(&condition.Env{}, key) == condition.False {
			l.add("key-resource", s.Statement, r.Pos, speech.Say("%s does not match the key %s, so the statement applies to nothing.", quote(r.Value), key), fix)
		}
	case !overlaps(r.Value, l.keyTemplate()):
		reason := speech.Say("a key policy is about its key, whose ARN this is not")
		if f, ok := fields(r.Value); ok && l.opts.Account != "" && f[2] == "kms" && strings.HasPrefix(f[5], "key/") {
			reason = speech.Say("the key is in account %s", l.opts.Account)
		}
		l.add("key-resource", s.Statement, r.Pos, speech.Say("%s matches nothing: %s.", quote(r.Value), reason), fix)
	}
}

// keyTemplate is the form of the ARN of the key, as far as it is known.
func (l *linter) keyTemplate() string {
	t, _ := l.keyType()
	if l.opts.Account != "" {
		t = strings.Replace(t, "${Account}", l.opts.Account, 1)
	}
	return t
}

func (l *linter) keyType() (string, bool) {
	kms, ok := l.table.Service("kms")
	if !ok {
		return "", false
	}
	r, ok := kms.ResourceType("key")
	if !ok {
		return "", false
	}
	return r.ARN, true
}

// badARN finds ARNs that are those of no resource, whatever the action.
func (l *linter) badARN(s *statement, r policy.Text) bool {
	f, ok := fields(r.Value)
	if !ok || !globs(f[0], "arn") {
		l.add("bad-arn", s.Statement, r.Pos, speech.Say(`%s is no ARN: six parts, of which the first is "arn", separated by colons.`, quote(r.Value)), arnFix(r.Value))
		return true
	}
	service, ok := l.table.Service(f[2])
	if !ok {
		if !slices.ContainsFunc(partitions, func(p string) bool { return globs(f[1], p) }) {
			l.add("bad-arn", s.Statement, r.Pos, speech.Say("%s: there is no partition %s.", quote(r.Value), quote(f[1])), speech.Say(`The partition is "aws", "aws-cn" or "aws-us-gov".`))
			return true
		}
		return false
	}
	problem, template := speech.Text{}, ""
	for s := range l.table.Services() {
		for _, t := range s.ResourceTypes() {
			parts := strings.SplitN(t.ARN, ":", 6)
			if parts[2] != service.Prefix || !meet(unvary(f[5]), open(parts[5])) {
				continue
			}
			p := fieldProblem(f, parts)
			if p.Empty() {
				return false
			}
			problem, template = p, t.ARN
		}
	}
	if problem.Empty() {
		return false // not the table's: a type that it lacks
	}
	l.add("bad-arn", s.Statement, r.Pos, speech.Say("%s is the ARN of no resource: %s.", quote(r.Value), problem), speech.Say("Its form is %s.", quote(strings.Replace(template, "${Partition}", "aws", 1))))
	return true
}

func arnFix(s string) speech.Text {
	if strings.HasPrefix(s, "alias/") || strings.HasPrefix(s, "key/") {
		return speech.Say(`Write the whole ARN: "arn:aws:kms:REGION:ACCOUNT:%s".`, s)
	}
	return speech.Say("Write the whole ARN.")
}

// typeName is a resource type as it stands in an ARN, without wildcards.
var typeName = regexp.MustCompile(`^[a-z][a-z0-9-]*[:/]`)

// unknownType reports whether a resource is of a type of the service that the table lacks, and not of one that it has with
// a slip of the pen. Who may tag transit gateways is not for a table to judge that has none.
func unknownType(service *actions.Service, resource string) bool {
	f, ok := fields(resource)
	if !ok || f[2] != service.Prefix || !service.Partial() {
		return false
	}
	name := typeName.FindString(f[5])
	if name == "" {
		return false
	}
	var known []string
	for _, t := range service.ResourceTypes() {
		known = append(known, typeName.FindString(strings.SplitN(t.ARN, ":", 6)[5]))
	}
	return !slices.Contains(known, name) && nearest(name, known) == ""
}

// mismatch says that no action of the statement acts on a resource.
func (l *linter) mismatch(s *statement, r policy.Text) {
	if f, ok := fields(r.Value); ok && f[2] == "kms" && strings.HasPrefix(f[5], "alias/") {
		l.add("alias-as-key", s.Statement, r.Pos,
			speech.Say("%s is the alias itself. Using a key is decided by the ARN of the key, however it is named in the request, so the statement does not apply.", quote(r.Value)),
			speech.Say(`Write the key's ARN, or all keys ("arn:aws:kms:REGION:ACCOUNT:key/*") with a condition on kms:RequestAlias or kms:ResourceAliases.`))
		return
	}
	var act []string
	for _, a := range matches(s) {
		act = append(act, templates(a)...)
	}
	slices.Sort(act)
	act = slices.Compact(act)
	fix := speech.Say(`They have no resource: write "Resource": "*".`)
	if len(act) > 0 {
		fix = speech.Say("They act on %s.", listed(act))
	}
	l.add("resource-mismatch", s.Statement, r.Pos, speech.Say("No action of the statement acts on %s.", quote(r.Value)), fix)
}
