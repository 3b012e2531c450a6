package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// actionRules looks at each entry of Action and NotAction by itself.
func (l *linter) actionRules(s *statement) {
	for _, e := range s.entries {
		if l.unknownAction(s, e) || l.notHere(s, e) {
			continue
		}
		l.withoutResource(s, e)
	}
	for _, t := range s.NotActions {
		l.unknownAction(s, l.match(t))
	}
}

// unknownAction finds entries that match no action.
func (l *linter) unknownAction(s *statement, e entry) bool {
	if len(e.matches) > 0 || e.open {
		return false
	}
	prefix, name, _ := strings.Cut(e.Value, ":")
	service, ok := l.table.Service(prefix)
	if !ok {
		fix := speech.Say("Write the prefix of the service's actions.")
		if near := nearest(prefix, l.table.Prefixes()); near != "" {
			fix = speech.Say("Did you mean %s?", quote(near+":"+name))
		}
		reason := speech.Say("No service has actions that begin with %s.", quote(prefix+":"))
		if strings.ContainsAny(prefix, "*?") {
			reason, fix = speech.Say("The service of an action has no wildcards, so %s matches nothing.", quote(e.Value)), speech.Say(`Write "*" for every action, or the service.`)
		}
		l.add("unknown-service", s.Statement, e.Pos, reason, fix)
		return true
	}
	reason := speech.Say("%s matches no action of %s, so it allows nothing.", quote(e.Value), service.Prefix)
	switch {
	case len(s.NotActions) > 0:
		reason = speech.Say("%s matches no action of %s, so it excludes nothing.", quote(e.Value), service.Prefix)
	case s.Effect == policy.Deny:
		reason = speech.Say("%s matches no action of %s, so it denies nothing.", quote(e.Value), service.Prefix)
	}
	l.add("unknown-action", s.Statement, e.Pos, reason, suggestAction(service, name))
	return true
}

// suggestAction names the actions that a misspelt one may mean.
func suggestAction(service *actions.Service, name string) speech.Text {
	var longer, all []string
	for _, a := range service.Actions() {
		all = append(all, a.Name)
		if plain := strings.TrimRight(name, "*?"); plain != "" && len(a.Name) > len(plain) && strings.EqualFold(a.Name[:len(plain)], plain) {
			longer = append(longer, quote(a.Full()))
		}
	}
	if near := nearest(name, all); near != "" && len(longer) == 0 {
		return speech.Say("Did you mean %s?", quote(service.Prefix+":"+near))
	}
	if len(longer) > 0 {
		return speech.Say("The actions are %s; %s matches them.", listed(longer), quote(service.Prefix+":"+name+"*"))
	}
	return speech.Say("Look up the action in the Service Authorization Reference, or remove the entry.")
}

// notHere finds actions about which this kind of policy never decides.
//
// Source: KMS API Reference, "AWS KMS permissions" (policy type); AWS Organizations User Guide,
// "Resource control policies", List of services that support RCPs.
func (l *linter) notHere(s *statement, e entry) bool {
	if e.Value == "*" || len(e.matches) == 0 && !e.open {
		return false
	}
	prefix, _, _ := strings.Cut(strings.ToLower(e.Value), ":")
	service, known := l.table.Service(prefix)
	reason, fix := speech.Text{}, speech.Say("Remove the entry.")
	switch {
	case l.opts.Kind == policy.RCP && known && !service.RCP:
		reason = speech.Say("Resource control policies do not govern the resources of %s.", prefix)
	case l.opts.Kind == policy.RCP && !e.open && !slices.ContainsFunc(e.matches, func(a *actions.Action) bool { return a.Full() != "kms:RetireGrant" }):
		reason = speech.Say("Resource control policies do not govern kms:RetireGrant.")
	case l.opts.Kind == policy.Key && prefix != "kms":
		reason = speech.Say("No key policy decides about %s: it is not about keys.", quote(e.Value))
	case l.opts.Kind == policy.Key && !slices.ContainsFunc(e.matches, func(a *actions.Action) bool { return a.ByKeyPolicy }):
		reason = speech.Say("No key policy decides about %s: it is not about one key.", quote(e.Value))
		fix = speech.Say("Allow it by an identity-based policy, and remove it here.")
	default:
		return false
	}
	l.add("action-not-here", s.Statement, e.Pos, reason, fix)
	return true
}

// withoutResource finds entries none of whose actions acts on a resource of the statement.
func (l *linter) withoutResource(s *statement, e entry) {
	if e.open || len(e.matches) == 0 || len(s.Resources) == 0 || !l.hasGoodResource(s) {
		return
	}
	for _, a := range e.matches {
		if l.onResource(s, a, nil) {
			return
		}
	}
	a := e.matches[0]
	reason := speech.Say("%s is not an action on %s, so the statement does not apply to it.", quote(e.Value), l.describeResources(s))
	fix := speech.Say(`Move it to a statement of its own whose Resource is "*".`)
	if len(a.Resources) > 0 {
		fix = speech.Say("Move it to a statement whose Resource is %s.", listed(templates(a)))
	}
	l.add("action-without-resource", s.Statement, e.Pos, reason, fix)
}

// hasGoodResource reports whether some Resource of the statement is about one of its actions;
// if not, [linter.resourceRules] says so of each.
func (l *linter) hasGoodResource(s *statement) bool {
	return slices.ContainsFunc(s.Resources, func(r policy.Text) bool { return s.open || l.usable(s, r.Value) })
}

func (l *linter) usable(s *statement, resource string) bool {
	for _, e := range s.entries {
		for _, a := range e.matches {
			if l.actsOn(a, resource, nil) {
				return true
			}
		}
	}
	return false
}

// onResource reports whether a statement can be about an action on a type of resource, or on any
// of its types if on is nil.
func (l *linter) onResource(s *statement, a *actions.Action, on *actions.On) bool {
	if len(s.Resources) == 0 || a.NamesOnly {
		return true
	}
	return slices.ContainsFunc(s.Resources, func(r policy.Text) bool { return l.actsOn(a, r.Value, on) })
}

// actsOn reports whether an entry of Resource can match a resource that the action acts on.
func (l *linter) actsOn(a *actions.Action, resource string, on *actions.On) bool {
	if resource == "*" || a.NamesOnly {
		return true
	}
	if len(a.Resources) == 0 {
		pattern := condition.Resource(resource, l.doc.Variables())
		return pattern.Match(&condition.Env{}, "*") == condition.True
	}
	for i := range a.Resources {
		r := &a.Resources[i]
		if (on == nil || on == r) && (overlaps(resource, r.ARN) || ofUser(a, r) && overlaps(resource, rootUser)) {
			return true
		}
	}
	return on == nil && unknownType(a.Service, resource)
}

// rootUser is what actions on an IAM user act on if that is the root user.
//
// Source: AWS Managed Policy Reference, IAMAuditRootUserCredentials.
const rootUser = "arn:${Partition}:iam::${Account}:root"

func ofUser(a *actions.Action, on *actions.On) bool {
	return a.Service.Prefix == "iam" && on.Name == "user"
}

func (l *linter) describeResources(s *statement) speech.Text {
	var names []string
	for _, r := range s.Resources {
		names = append(names, quote(r.Value))
	}
	return listed(names)
}

// templates are the ARNs of what an action acts on, as people write them.
func templates(a *actions.Action) []string {
	var out []string
	for _, r := range a.Resources {
		out = append(out, quote(strings.Replace(r.ARN, "${Partition}", "aws", 1)))
	}
	return out
}
