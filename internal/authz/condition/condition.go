package condition

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/policy"
)

type kind uint8

const (
	kindString kind = iota + 1
	kindFold
	kindLike
	kindNumeric
	kindDate
	kindBool
	kindBinary
	kindIP
	kindARN
	kindNull
)

type relation uint8

const (
	equal relation = iota
	less
	lessEqual
	greater
	greaterEqual
)

// A Condition is a (operator, key, values) triple made ready for evaluation. It is immutable.
type Condition struct {
	Operator string   // as written
	Values   []string // as written
	Key      Key
	kind     kind // 0 if there is no such operator
	relation relation
	negated  bool
	set      string
	ifExists bool
	values   []value
	exact    bool // StringEquals or StringNotEquals without set operator, wildcards and variables
}

// A value of a condition, parsed for its operator. A value that does not parse equals nothing.
type value struct {
	pattern Pattern
	number  number
	date    time.Time
	prefix  netip.Prefix
	bytes   []byte
	text    string
	bad     bool
}

// Compile makes a condition ready. variables says whether ${...} are policy variables.
func Compile(c policy.Condition, variables bool) Condition {
	out := Condition{Operator: c.Operator, Key: MakeKey(c.Key)}
	op, ok := policy.ParseOperator(c.Operator)
	if ok {
		out.set, out.ifExists = op.Set, op.IfExists
		out.classify(op.Name)
	}
	for _, v := range c.Values {
		out.Values = append(out.Values, v.Value)
		out.values = append(out.values, out.parse(v.Value, variables))
	}
	out.exact = out.kind == kindString && out.set == ""
	for i := range out.values {
		out.exact = out.exact && out.values[i].pattern.isExact
	}
	return out
}

func (c *Condition) classify(name string) {
	switch {
	case name == "Null":
		c.kind = kindNull
		return
	case name == "NotIpAddress":
		c.kind, c.negated = kindIP, true
		return
	case name == "IpAddress":
		c.kind = kindIP
		return
	case name == "Bool":
		c.kind = kindBool
		return
	case name == "BinaryEquals":
		c.kind = kindBinary
		return
	}
	for _, family := range [...]string{"String", "Numeric", "Date", "Arn"} {
		rest, ok := strings.CutPrefix(name, family)
		if !ok {
			continue
		}
		rest, c.negated = strings.CutPrefix(rest, "Not")
		c.kind = kinds[family+rest]
		c.relation = relations[rest]
	}
}

var kinds = map[string]kind{
	"StringEquals": kindString, "StringEqualsIgnoreCase": kindFold, "StringLike": kindLike,
	"ArnEquals": kindARN, "ArnLike": kindARN,
	"NumericEquals": kindNumeric, "NumericLessThan": kindNumeric, "NumericLessThanEquals": kindNumeric,
	"NumericGreaterThan": kindNumeric, "NumericGreaterThanEquals": kindNumeric,
	"DateEquals": kindDate, "DateLessThan": kindDate, "DateLessThanEquals": kindDate,
	"DateGreaterThan": kindDate, "DateGreaterThanEquals": kindDate,
}

var relations = map[string]relation{
	"LessThan": less, "LessThanEquals": lessEqual, "GreaterThan": greater, "GreaterThanEquals": greaterEqual,
}

func (c *Condition) parse(s string, variables bool) value {
	v := value{text: s}
	ok := true
	switch c.kind {
	case kindString, kindFold:
		v.pattern = Text(s, variables)
	case kindLike:
		v.pattern = Glob(s, variables)
	case kindARN:
		v.pattern = ARN(s, variables)
	case kindNumeric:
		v.number, ok = parseNumber(s)
	case kindDate:
		v.date, ok = parseDate(s)
	case kindBool, kindNull:
		ok = isBool(s)
	case kindIP:
		v.prefix, ok = parseIP(s)
	case kindBinary:
		b, err := base64.StdEncoding.DecodeString(s)
		v.bytes, ok = b, err == nil
	}
	v.bad = !ok
	return v
}

// Eval evaluates the condition. An unknown operator and an empty list of values are False.
func (c *Condition) Eval(env *Env) Truth {
	if c.kind == 0 || len(c.values) == 0 {
		return False
	}
	got, present := env.given(&c.Key), true
	if got == nil {
		var derived Value
		derived, present = env.derived(&c.Key)
		got = &derived
	}
	if c.exact && present && !got.Unknown && !got.Multi {
		return c.among(got.One)
	}
	return c.holds(env, got, present)
}

// among is [Condition.member] for a condition that is exact.
func (c *Condition) among(s string) Truth {
	for i := range c.values {
		if c.values[i].pattern.exact == s {
			return Of(!c.negated)
		}
	}
	return Of(c.negated)
}

// holds says whether a value, if the key is present, satisfies the condition.
func (c *Condition) holds(env *Env, got *Value, present bool) Truth {
	if present && got.Unknown {
		return Unknown
	}
	if got.Multi && len(got.List) == 0 {
		present = false
	}
	switch {
	case c.kind == kindNull:
		return c.null(present)
	case !present:
		return c.missing()
	case c.set == "" && !got.Multi:
		return c.member(env, got.One)
	case c.set == "" && len(got.List) == 1:
		return c.member(env, got.List[0])
	case c.set == "":
		return False // a plain operator compares no list
	case !got.Multi:
		if c.set == policy.ForAllValues && got.One == "" {
			return True
		}
		return c.member(env, got.One)
	case c.set == policy.ForAllValues:
		return c.all(env, got.List)
	}
	any := False
	for _, s := range got.List {
		any = max(any, c.member(env, s))
	}
	return any
}

func (c *Condition) null(present bool) Truth {
	for i := range c.values {
		if !c.values[i].bad && strings.EqualFold(c.values[i].text, "true") != present {
			return True
		}
	}
	return False
}

func (c *Condition) missing() Truth {
	switch {
	case c.ifExists, c.set == policy.ForAllValues:
		return True
	case c.set == policy.ForAnyValue:
		return False
	}
	return Of(c.negated)
}

// all is ForAllValues. A list of empty strings counts as empty.
func (c *Condition) all(env *Env, list []string) Truth {
	all, empty := True, true
	for _, s := range list {
		all = min(all, c.member(env, s))
		empty = empty && s == ""
	}
	if empty {
		return True
	}
	return all
}

// member compares one value of the request with the list: "equals one of", or "equals none of"
// for negated operators.
func (c *Condition) member(env *Env, s string) Truth {
	any := False
	for i := range c.values {
		if any = max(any, c.compare(env, &c.values[i], s)); any == True {
			break
		}
	}
	if c.negated {
		return any.Not()
	}
	return any
}

func (c *Condition) compare(env *Env, v *value, s string) Truth {
	switch c.kind {
	case kindString, kindLike, kindARN:
		return v.pattern.Match(env, s)
	case kindFold:
		return v.pattern.Fold(env, s)
	}
	if v.bad {
		return False
	}
	switch c.kind {
	case kindNumeric:
		n, ok := parseNumber(s)
		return Of(ok && c.relation.holds(n.compare(v.number)))
	case kindDate:
		d, ok := parseDate(s)
		return Of(ok && c.relation.holds(d.Compare(v.date)))
	case kindBool:
		return Of(s == v.text || strings.EqualFold(s, v.text))
	case kindIP:
		a, ok := parseAddr(s)
		return Of(ok && v.prefix.Contains(a))
	case kindBinary:
		return Of(sameBytes(v.bytes, v.text, s))
	}
	return False
}

func (r relation) holds(c int) bool {
	switch r {
	case less:
		return c < 0
	case lessEqual:
		return c <= 0
	case greater:
		return c > 0
	case greaterEqual:
		return c >= 0
	}
	return c == 0
}

// Unknowns appends the names of the keys because of which the condition is Unknown: its own, or
// those of variables in its values.
func (c *Condition) Unknowns(env *Env, names []string) []string {
	if v, ok := env.Lookup(&c.Key); ok && v.Unknown {
		return append(names, c.Key.Name)
	}
	for i := range c.values {
		names = c.values[i].pattern.Unknowns(env, names)
	}
	return names
}
