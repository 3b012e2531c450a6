package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// A cond is a condition with what the table knows of its key.
type cond struct {
	policy.Condition
	op    policy.Operator
	key   actions.Key
	known bool // the key is in the table
	ready condition.Condition
}

func (l *linter) cond(c policy.Condition) cond {
	out := cond{Condition: c, ready: condition.Compile(c, l.doc.Variables())}
	out.op, _ = policy.ParseOperator(c.Operator)
	out.key, out.known = l.table.Key(c.Key)
	return out
}

// conditionRules looks at the conditions of a statement, first each by itself, then those that
// are well formed together.
func (l *linter) conditionRules(s *statement) {
	var sound []cond
	for _, c := range s.Conditions {
		k := l.cond(c)
		if l.unknownKey(s, k) || l.absent(s, k) || l.wrongType(s, k) || l.wrongSet(s, k) || l.wrongValue(s, k) {
			continue
		}
		sound = append(sound, k)
	}
	l.contradictions(s, sound)
}

// unknownKey finds keys that do not exist.
func (l *linter) unknownKey(s *statement, c cond) bool {
	if c.known {
		return false
	}
	prefix, _, _ := strings.Cut(c.Key, ":")
	var names []string
	foreign := false // actions that the table lacks may have keys under another prefix than theirs, as aws-marketplace has catalog:ChangeType
	if strings.EqualFold(prefix, "aws") {
		names = l.table.GlobalKeys()
	} else if service, ok := l.table.Service(prefix); ok {
		names = service.Keys()
	} else if l.table.Exists(prefix) || strings.ContainsAny(prefix, "./") {
		return false // a service that the table lacks, or an identity provider
	} else {
		foreign = s.open
		names = l.table.GlobalKeys()
		for s := range l.table.Services() {
			names = append(names, s.Keys()...)
		}
	}
	fix := speech.Say("Look up the key in the Service Authorization Reference.")
	if near := nearest(c.Key, names); near != "" {
		fix = speech.Say("Did you mean %s?", quote(near))
	} else if foreign {
		return false
	}
	l.add("unknown-condition-key", s.Statement, c.Pos, speech.Say("There is no condition key %s, so %s.", quote(c.Key), l.without(s, c)), fix)
	return true
}

// without says what the condition comes to if no request has the key: the engine is asked.
func (l *linter) without(s *statement, c cond) speech.Text {
	holds := c.ready.Eval(&condition.Env{}) == condition.True
	switch {
	case holds:
		return speech.Say("the condition is always true")
	case s.Effect == policy.Deny:
		return speech.Say("the statement denies nothing")
	}
	return speech.Say("the statement allows nothing")
}

// absent finds keys that requests for the statement's actions never carry.
//
// Source: Service Authorization Reference, condition keys by action and resource type.
func (l *linter) absent(s *statement, c cond) bool {
	if !c.known || l.table.Global(c.Key) || len(s.NotActions) > 0 || l.opts.Kind == policy.Trust && c.key.Global {
		return false
	}
	var without []entry
	carried := s.open
	for _, e := range s.entries {
		if len(e.matches) == 0 {
			continue
		}
		if e.open || slices.ContainsFunc(e.matches, func(a *actions.Action) bool { return l.carries(s, a, c.Key) }) {
			carried = true
		} else {
			without = append(without, e)
		}
	}
	holds := c.ready.Eval(&condition.Env{}) == condition.True
	switch {
	case len(without) == 0 || holds && carried || isNull(c):
		return false
	case !carried && holds:
		l.add("condition-without-effect", s.Statement, c.Pos,
			speech.Say("Requests for %s never carry %s, so %s.", entries(without), c.Key, l.without(s, c)), speech.Say("Remove the condition%s.", l.insteadOf(c)))
		return true
	case !carried:
		l.add("condition-key-absent", s.Statement, c.Pos,
			speech.Say("Requests for %s never carry %s, so %s.", entries(without), c.Key, l.without(s, c)), speech.Say("Remove the condition%s.", l.insteadOf(c)))
		return true
	}
	for _, e := range without {
		severity := rules["condition-key-absent"].Severity
		// AWS's guides allow services such entries beside others under a condition on the encryption context, and the
		// services do without them: CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS Key
		// Management Service".
		if isContext(c) && e.reads() && ofServices(s.Principal) {
			severity = Note
		}
		l.addAs(severity, "condition-key-absent", s.Statement, e.Pos,
			speech.Say("Requests for %s never carry %s, so under this condition the statement does not apply to it.", quote(e.Value), c.Key),
			speech.Say("Move the action to a statement without the condition%s.", l.insteadOf(c)))
	}
	return false
}

// isContext reports whether a condition is about an encryption context.
func isContext(c cond) bool {
	return c.key.Template == "kms:EncryptionContext:${EncryptionContextKey}" || c.key.Template == "kms:EncryptionContextKeys"
}

// ofServices reports whether only services are principals.
func ofServices(p *policy.Principals) bool {
	return p != nil && len(p.Service) > 0 && !p.Any && len(p.AWS)+len(p.Federated)+len(p.Canonical) == 0
}

// isNull reports whether a condition is about the presence of its key: it is meant for requests
// without the key too.
func isNull(c cond) bool { return c.op.Name == "Null" }

// carries reports whether the evaluation of an action, on a resource that the statement can be
// about, carries a key.
func (l *linter) carries(s *statement, a *actions.Action, key string) bool {
	fits := func(template string) bool { return actions.Fits(template, key) }
	if slices.ContainsFunc(a.Keys, fits) {
		return true
	}
	for i := range a.Resources {
		on := &a.Resources[i]
		if slices.ContainsFunc(on.Carried(), fits) && (l.opts.Kind == policy.Key || l.onResource(s, a, on)) {
			return true
		}
	}
	return false
}

// insteadOf is advice for the keys that are most often in the wrong place.
func (l *linter) insteadOf(c cond) speech.Text {
	switch c.key.Template {
	case "kms:GrantIsForAWSResource":
		return speech.Say("; it belongs to kms:CreateGrant, kms:ListGrants and kms:RevokeGrant")
	case "kms:EncryptionContext:${EncryptionContextKey}", "kms:EncryptionContextKeys":
		return speech.Say("; encryption contexts belong to the operations that encrypt and decrypt, and to kms:CreateGrant")
	case "aws:RequestTag/${TagKey}", "aws:TagKeys":
		return speech.Say("; it belongs to actions that create or tag")
	}
	return speech.Text{}
}

func entries(list []entry) speech.Text {
	var names []string
	for _, e := range list {
		names = append(names, e.Value)
	}
	return listed(names)
}

// wrongType finds operators for other types than the key's.
func (l *linter) wrongType(s *statement, c cond) bool {
	if !c.known {
		return false
	}
	switch fits(family(c.op), c.key.Type) {
	case never:
		l.add("condition-type", s.Statement, c.Pos,
			speech.Say("%s never compares %s well: its values are of type %s.", c.Operator, c.Key, string(c.key.Type)), speech.Say("Use %s.", operators(c.key.Type)))
		return true
	case asText:
		l.addAs(Warning, "condition-type", s.Statement, c.Pos,
			speech.Say("%s compares the text of %s, whose values are of type %s: the same value in another spelling differs.", c.Operator, c.Key, string(c.key.Type)),
			speech.Say("Use %s.", operators(c.key.Type)))
	}
	return false
}

// wrongSet finds set operators that are missing or out of place.
//
// Source: IAM User Guide, "Multivalued context keys".
func (l *linter) wrongSet(s *statement, c cond) bool {
	if !c.known || isNull(c) {
		return false
	}
	switch {
	case c.key.Multi && c.op.Set == "":
		fix := speech.Say("Write %s:%s (one of the values) or %s:%s (each of them).", policy.ForAnyValue, c.Operator, policy.ForAllValues, c.Operator)
		l.add("multivalued", s.Statement, c.Pos, speech.Say("%s can have several values, which %s without a set operator does not compare.", c.Key, c.Operator), fix)
		return true
	case !c.key.Multi && c.op.Set == policy.ForAllValues && s.Effect == policy.Allow && !l.requiresKey(s, c.Key):
		l.add("for-all-values", s.Statement, c.Pos, speech.Say("%s has one value; with ForAllValues the condition also holds for requests without it.", c.Key),
			speech.Say("Write %s.", plainOperator(c)))
		return true
	case !c.key.Multi && c.op.Set != "":
		l.addAs(Warning, "multivalued", s.Statement, c.Pos, speech.Say("%s has one value; set operators are for keys with several.", c.Key), speech.Say("Write %s.", plainOperator(c)))
	case c.op.Set == policy.ForAllValues && s.Effect == policy.Allow && !l.requiresKey(s, c.Key):
		l.add("for-all-values", s.Statement, c.Pos, speech.Say("ForAllValues also holds for requests without %s, so they are allowed.", c.Key),
			speech.Say(`Add "Null": {%s: "false"}.`, quote(c.Key)))
	}
	return false
}

func plainOperator(c cond) string {
	_, plain, _ := strings.Cut(c.Operator, ":")
	return plain
}

// requiresKey reports whether the requests that a statement allows have a key in any case: another
// condition is false without it, or all requests for the actions bring it.
func (l *linter) requiresKey(s *statement, key string) bool {
	itself, want := condition.MakeKey(key), l.cond(policy.Condition{Key: key}).key.Template
	absent := condition.Env{}
	for _, c := range s.Conditions {
		k := l.cond(c)
		bears := k.ready.Key.Same(&itself) || k.known && k.key.Template == partOf[want]
		if bears && k.ready.Eval(&absent) == condition.False {
			return true
		}
	}
	return !s.open && len(s.entries) > 0 && !slices.ContainsFunc(s.entries, func(e entry) bool {
		return len(e.matches) == 0 || slices.ContainsFunc(e.matches, func(a *actions.Action) bool { return !always(a, want) })
	})
}

// always reports whether every request for an action has a key, since what the key lists is a
// required parameter.
func always(a *actions.Action, key string) bool {
	switch key {
	case "aws:TagKeys":
		return slices.Contains(a.Level, "Tagging") && a.Full() != "ec2:DeleteTags" // which deletes all tags if none is named
	case "kms:GrantOperations":
		return a.Full() == "kms:CreateGrant"
	}
	return false
}

// partOf are the keys of the single members of what a key lists: who has one has the list.
var partOf = map[string]string{
	"aws:TagKeys":               "aws:RequestTag/${TagKey}",
	"kms:EncryptionContextKeys": "kms:EncryptionContext:${EncryptionContextKey}",
}
