package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// enumerations are the values of keys that have few.
//
// Source: KMS Developer Guide, "AWS KMS condition keys"; KMS API Reference; IAM User Guide, "AWS
// global condition context keys", aws:PrincipalType.
var enumerations = map[string][]string{
	"aws:principaltype":          {"Account", "User", "FederatedUser", "AssumedRole", "Anonymous"},
	"kms:keyusage":               {"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"},
	"kms:customermasterkeyusage": {"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"},
	"kms:keyorigin":              {"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"},
	"kms:grantconstrainttype":    {"EncryptionContextEquals", "EncryptionContextSubset"},
	"kms:multiregionkeytype":     {"PRIMARY", "REPLICA"},
	"kms:expirationmodel":        {"KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"},
	"kms:messagetype":            {"RAW", "DIGEST", "EXTERNAL_MU"},
	"ec2:tenancy":                {"default", "dedicated", "host"},
	"ec2:metadatahttptokens":     {"optional", "required"},
	"ec2:rootdevicetype":         {"ebs", "instance-store"},
	"ec2:volumetype":             {"standard", "gp2", "gp3", "io1", "io2", "sc1", "st1"},
}

// domain gives the values that a key can have in requests that the statement is about, if all are
// known. Being absent is not among them.
func (l *linter) domain(s *statement, c cond) ([]string, bool) {
	switch key := strings.ToLower(c.Key); {
	case c.known && c.key.Type == actions.Bool:
		return []string{"true", "false"}, true
	case key == "aws:resourceaccount" && l.opts.Kind == policy.Key && l.opts.Account != "":
		return []string{l.opts.Account}, true
	case key == "kms:grantoperations":
		return l.grantOperations(), true
	default:
		list, ok := enumerations[key]
		return list, ok
	}
}

// grantOperations are those of the table.
func (l *linter) grantOperations() []string {
	var out []string
	if kms, ok := l.table.Service("kms"); ok {
		for _, a := range kms.Actions() {
			if a.Grant != "" {
				out = append(out, a.Grant)
			}
		}
	}
	return out
}

// wrongValue finds single values that the key never has. Each is asked for by itself: does any
// value of the key satisfy the operator with it?
func (l *linter) wrongValue(s *statement, c cond) bool {
	if l.specialValues(s, c) {
		return true
	}
	wrong := 0
	for _, v := range c.Values {
		one := policy.Condition{Operator: positive(c.op), Key: c.Key, Values: []policy.Text{v}}
		if why := l.impossible(s, l.cond(one), v.Value); !why.Empty() {
			wrong++
			l.add("condition-value", s.Statement, v.Pos, speech.Say("%s is never %s: %s.", c.Key, quote(v.Value), why), l.valueFix(s, c, v.Value))
		}
	}
	return wrong > 0
}

// positive is the operator without set, negation and IfExists: what it compares.
func positive(op policy.Operator) string {
	name := strings.Replace(op.Name, "Not", "", 1)
	if name == "IpAddress" || strings.HasPrefix(name, "Null") {
		return strings.Replace(op.Name, "NotIp", "Ip", 1)
	}
	return name
}

// impossible says why no value of the key satisfies a condition with one value, or nothing.
func (l *linter) impossible(s *statement, c cond, value string) speech.Text {
	if l.doc.Variables() && strings.Contains(value, "${") {
		return speech.Text{}
	}
	switch f := family(c.op); f {
	case "Null", "Bool":
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return speech.Say("it is true or false")
		}
		return speech.Text{}
	case "Arn":
		if _, ok := fields(value); !ok || !strings.HasPrefix(value, "arn:") && !strings.ContainsAny(value[:1], "*?") {
			return speech.Say("%s operators compare ARNs, of six parts", f)
		}
		return speech.Text{}
	}
	if domain, ok := l.domain(s, c); ok {
		if !slices.ContainsFunc(domain, func(d string) bool { return l.holds([]cond{c}, condition.Value{One: d}) }) {
			return speech.Say("its values are %s", strings.Join(domain, ", "))
		}
		return speech.Text{}
	}
	var cases condition.Cases
	cases.Add(&c.ready)
	if !cases.Exact() {
		return speech.Text{}
	}
	for _, v := range cases.Values(&c.ready.Key) {
		if l.holds([]cond{c}, v) {
			return speech.Text{}
		}
	}
	switch family(c.op) {
	case "Numeric":
		return speech.Say("it is a number")
	case "Date":
		return speech.Say("it is a date, or seconds since 1970")
	case "Ip":
		return speech.Say("it is an address, which an address range (CIDR) can hold")
	}
	return speech.Text{}
}

// holds asks the engine whether conditions on one key hold for a value; what depends on other keys
// may.
func (l *linter) holds(conds []cond, v condition.Value) bool {
	env := condition.Env{Part: []condition.Entry{{Key: conds[0].Key, Value: v}}}
	for i := range conds {
		if conds[i].ready.Eval(&env) == condition.False {
			return false
		}
	}
	return true
}

func (l *linter) valueFix(s *statement, c cond, value string) speech.Text {
	if domain, ok := l.domain(s, c); ok {
		for _, d := range domain {
			if strings.EqualFold(d, value) {
				return speech.Say("Write %s.", quote(d))
			}
		}
		if near := nearest(value, domain); near != "" {
			return speech.Say("Did you mean %s?", quote(near))
		}
	}
	if family(c.op) == "Bool" || family(c.op) == "Null" {
		return speech.Say(`Write "true" or "false".`)
	}
	return speech.Say("Correct the value.")
}

// contradictions finds keys on which the statement's conditions cannot hold together.
func (l *linter) contradictions(s *statement, all []cond) {
	for i, c := range all {
		same := []cond{c}
		for _, d := range all[i+1:] {
			if d.ready.Key.Same(&c.ready.Key) {
				same = append(same, d)
			}
		}
		first := !slices.ContainsFunc(all[:i], func(d cond) bool { return d.ready.Key.Same(&c.ready.Key) })
		if first && len(same) > 1 && !l.satisfiable(s, same) {
			var names []string
			for _, d := range same {
				names = append(names, d.Operator)
			}
			last := same[len(same)-1]
			l.add("contradiction", s.Statement, last.Pos,
				speech.Say("No value of %s satisfies %s together, so the statement applies to nothing.", c.Key, listed(names)),
				speech.Say("Conditions of one statement must all hold; write two statements if either is meant."))
		}
	}
}

// satisfiable reports whether some value, or the absence, of a key can satisfy all conditions.
func (l *linter) satisfiable(s *statement, conds []cond) bool {
	values, exact := []condition.Value{{Multi: true}}, false // an empty list is an absent key
	if domain, ok := l.domain(s, conds[0]); ok && !conds[0].key.Multi {
		exact = true
		for _, d := range domain {
			values = append(values, condition.Value{One: d})
		}
	} else if texts, ok := demanded(conds); ok {
		exact = true
		for _, t := range texts {
			values = append(values, condition.Value{One: t})
		}
	} else {
		var cases condition.Cases
		for i := range conds {
			cases.Add(&conds[i].ready)
		}
		exact = cases.Exact()
		values = cases.Values(&conds[0].ready.Key)
	}
	return !exact || slices.ContainsFunc(values, func(v condition.Value) bool { return l.holds(conds, v) })
}

// demanded are the texts to one of which a condition binds the key.
func demanded(conds []cond) ([]string, bool) {
	for _, c := range conds {
		if c.op.Name != "StringEquals" || c.op.Set != "" || c.op.IfExists || c.key.Multi {
			continue
		}
		var texts []string
		for _, v := range c.Values {
			if strings.Contains(v.Value, "${") {
				return nil, false
			}
			texts = append(texts, v.Value)
		}
		return texts, true
	}
	return nil, false
}
