package condition_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

const (
	no    = condition.False
	maybe = condition.Unknown
	yes   = condition.True
)

var names = map[condition.Truth]string{no: "false", maybe: "unknown", yes: "true"}

// parse makes a condition as a statement has it; values is JSON.
func parse(t testing.TB, operator, key, values string) policy.Condition {
	t.Helper()
	k, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	src := `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"` + operator + `":{` + string(k) + `:` + values + `}}}}`
	d, err := policy.Parse([]byte(src), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return d.Statements[0].Conditions[0]
}

// A row evaluates one condition on the key x:k. got is the value of x:k: absent, a string, a
// list, or unknown.
type row struct {
	operator, values string
	got              any
	want             condition.Truth
}

type absent struct{}

type unknown struct{}

func env(got any, more ...condition.Entry) *condition.Env {
	e := &condition.Env{Request: more}
	switch v := got.(type) {
	case string:
		e.Part = []condition.Entry{{Key: "x:k", Value: condition.Value{One: v}}}
	case []string:
		e.Part = []condition.Entry{{Key: "x:k", Value: condition.Value{List: v, Multi: true}}}
	case unknown:
		e.Part = []condition.Entry{{Key: "x:k", Value: condition.Value{Unknown: true}}}
	}
	return e
}

func check(t *testing.T, rows []row, more ...condition.Entry) {
	t.Helper()
	for _, r := range rows {
		c := condition.Compile(parse(t, r.operator, "x:k", r.values), true)
		if got := c.Eval(env(r.got, more...)); got != r.want {
			t.Errorf("%s %s on %#v: %s, want %s", r.operator, r.values, r.got, names[got], names[r.want])
		}
	}
}

// Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
func TestOperators(t *testing.T) {
	check(t, []row{
		{"StringEquals", `"Red"`, "Red", yes},
		{"StringEquals", `"Red"`, "red", no},
		{"StringEquals", `"R*"`, "Red", no},
		{"StringEquals", `["a","Red"]`, "Red", yes},
		{"StringEquals", `true`, "true", yes},
		{"StringNotEquals", `["a","Red"]`, "Red", no},
		{"StringNotEquals", `["a","b"]`, "Red", yes},
		{"StringEqualsIgnoreCase", `"rED"`, "Red", yes},
		{"StringNotEqualsIgnoreCase", `"rED"`, "Red", no},
		{"StringLike", `"R?d*"`, "Red:a/b", yes},
		{"StringLike", `"R?d"`, "Reed", no},
		{"StringLike", `"*"`, "", yes},
		{"StringLike", `"鍵?"`, "鍵森", yes},
		{"StringNotLike", `"R*"`, "Red", no},
		{"NumericEquals", `5`, "5.0", yes},
		{"NumericEquals", `"05"`, "5", yes},
		{"NumericEquals", `-0`, "0", yes},
		{"NumericEquals", `1e3`, "1000", yes},
		{"NumericEquals", `9007199254740993`, "9007199254740992", no},
		{"NumericNotEquals", `5`, "5", no},
		{"NumericLessThan", `10`, "9", yes},
		{"NumericLessThan", `10`, "10", no},
		{"NumericLessThan", `-1`, "-2", yes},
		{"NumericLessThan", `1`, "-2", yes},
		{"NumericLessThanEquals", `1.5`, "1.50", yes},
		{"NumericGreaterThan", `1.5`, "1.51", yes},
		{"NumericGreaterThan", `1.5`, "1.5", no},
		{"NumericGreaterThanEquals", `1.5`, "1.5", yes},
		{"NumericEquals", `5`, "five", no},
		{"NumericNotEquals", `5`, "five", yes},
		{"NumericEquals", `"five"`, "five", no},
		{"DateEquals", `"2026-06-01"`, "2026-06-01T00:00:00Z", yes},
		{"DateEquals", `"2026"`, "2026-01-01T00:00:00Z", yes},
		{"DateEquals", `"2026-06"`, "2026-06-01", yes},
		{"DateEquals", `"2026-06-01T09:00+09:00"`, "2026-06-01T00:00:00.000Z", yes},
		{"DateEquals", `"2026-05-31T23:30:00.5-00:30"`, "2026-06-01T00:00:00.500Z", yes},
		{"DateEquals", `"0"`, "1970-01-01T00:00:00Z", yes},
		{"DateEquals", `"-1"`, "1969-12-31T23:59:59Z", yes},
		{"DateEquals", `1780272000`, "2026-06-01", yes},
		{"DateNotEquals", `"2026-06-01"`, "2026-06-01", no},
		{"DateLessThan", `"2026-06-01"`, "2026-05-31T23:59:59Z", yes},
		{"DateLessThanEquals", `"2026-06-01"`, "2026-06-01", yes},
		{"DateGreaterThan", `"2026-06-01"`, "2026-06-01", no},
		{"DateGreaterThanEquals", `"2026-06-01"`, "2026-06-01", yes},
		{"DateLessThan", `"soon"`, "2026-06-01", no},
		{"DateNotEquals", `"2026-06-01"`, "soon", yes},
		{"DateEquals", `"2026-02-30"`, "2026-03-02", no},
		{"DateEquals", `"2026-06-01T00:00"`, "2026-06-01", no},
		{"Bool", `true`, "true", yes},
		{"Bool", `"True"`, "true", yes},
		{"Bool", `true`, "TRUE", yes},
		{"Bool", `false`, "true", no},
		{"Bool", `"yes"`, "yes", no},
		{"BinaryEquals", `"YWJj"`, "YWJj", yes},
		{"BinaryEquals", `"YWJj"`, "YWI=", no},
		{"BinaryEquals", `"!"`, "!", no},
		{"IpAddress", `"203.0.113.7/24"`, "203.0.113.200", yes},
		{"IpAddress", `"203.0.113.7"`, "203.0.113.7", yes},
		{"IpAddress", `"203.0.113.7"`, "203.0.113.8", no},
		{"IpAddress", `"203.0.113.0/24"`, "::ffff:203.0.113.9", yes},
		{"IpAddress", `"::ffff:203.0.113.0/120"`, "203.0.113.9", yes},
		{"IpAddress", `"2001:DB8::/32"`, "2001:db8:0:1::1", yes},
		{"IpAddress", `"0.0.0.0/0"`, "2001:db8::1", no},
		{"IpAddress", `"10.0.0.0/8"`, "AWS Internal", no},
		{"NotIpAddress", `"10.0.0.0/8"`, "AWS Internal", yes},
		{"NotIpAddress", `["10.0.0.0/8","192.0.2.1"]`, "192.0.2.1", no},
		{"ArnLike", `"arn:aws:iam::*:role/team/*"`, "arn:aws:iam::111122223333:role/team/a/b:c", yes},
		{"ArnEquals", `"arn:aws:iam::*:role/*"`, "arn:aws:iam::111122223333:role/dev", yes},
		{"ArnLike", `"arn:*:role/dev"`, "arn:aws:iam::111122223333:role/dev", no},
		{"ArnLike", `"arn:aws:iam::111122223333:*"`, "arn:aws:iam::111122223333:role/dev", yes},
		{"ArnLike", `"arn:aws:*:*:*:*"`, "arn:aws:ec2:r:a:b:c", yes},
		{"ArnLike", `"*:*:*:*:*:*"`, "a:b:c:d:e:f", no},
		{"ArnLike", `"arn:aws:iam::111122223333:role/Dev"`, "arn:aws:iam::111122223333:role/dev", no},
		{"ArnNotLike", `"arn:aws:iam::*:role/dev"`, "arn:aws:iam::111122223333:role/dev", no},
		{"ArnNotEquals", `"arn:aws:iam::*:role/dev"`, "not an ARN", yes},
	})
}

// Source: the same page, "...IfExists condition operators", "Condition operator to check existence".
func TestMissingKeys(t *testing.T) {
	check(t, []row{
		{"StringEquals", `"a"`, absent{}, no},
		{"StringNotEquals", `"a"`, absent{}, yes},
		{"StringEqualsIfExists", `"a"`, absent{}, yes},
		{"StringNotEqualsIfExists", `"a"`, absent{}, yes},
		{"StringEqualsIfExists", `"a"`, "b", no},
		{"NotIpAddress", `"10.0.0.0/8"`, absent{}, yes},
		{"ArnNotLike", `"arn:aws:iam::*:role/dev"`, absent{}, yes},
		{"NumericLessThanIfExists", `5`, absent{}, yes},
		{"Bool", `false`, absent{}, no},
		{"BoolIfExists", `false`, absent{}, yes},
		{"Null", `true`, absent{}, yes},
		{"Null", `"false"`, absent{}, no},
		{"Null", `"True"`, "", no},
		{"Null", `false`, "", yes},
		{"Null", `"x"`, "", no},
		{"Null", `true`, []string{}, yes},
		{"ForAllValues:StringEquals", `"a"`, absent{}, yes},
		{"ForAllValues:StringNotEquals", `"a"`, absent{}, yes},
		{"ForAnyValue:StringEquals", `"a"`, absent{}, no},
		{"ForAnyValue:StringNotEquals", `"a"`, absent{}, no},
		{"ForAnyValue:StringEqualsIfExists", `"a"`, absent{}, yes},
		{"StringEquals", `[]`, "a", no},
		{"StringNotEquals", `[]`, "a", no},
	})
}

// Source: IAM User Guide, "Multivalued context keys".
func TestListsOfValues(t *testing.T) {
	ab, ac := []string{"a", "b"}, []string{"a", "c"}
	check(t, []row{
		{"ForAllValues:StringEquals", `["a","b","c"]`, ab, yes},
		{"ForAllValues:StringEquals", `["a"]`, ab, no},
		{"ForAllValues:StringEquals", `["a"]`, []string{}, yes},
		{"ForAllValues:StringEquals", `["a"]`, []string{""}, yes},
		{"ForAllValues:StringEquals", `["a"]`, "", yes},
		{"ForAllValues:StringEquals", `["a"]`, []string{"a", ""}, no},
		{"ForAllValues:StringNotEquals", `["c"]`, ab, yes},
		{"ForAllValues:StringNotEquals", `["c"]`, ac, no},
		{"ForAllValues:StringLike", `["a*"]`, "ab", yes},
		{"ForAnyValue:StringEquals", `["c","d"]`, ac, yes},
		{"ForAnyValue:StringEquals", `["d"]`, ac, no},
		{"ForAnyValue:StringNotEquals", `["a","b"]`, ac, yes},
		{"ForAnyValue:StringNotEquals", `["a","b"]`, ab, no},
		{"ForAnyValue:StringEquals", `["a"]`, []string{}, no},
		{"ForAnyValue:StringEquals", `"a"`, "a", yes},
		{"StringEquals", `"a"`, ab, no},
		{"StringNotEquals", `"x"`, ab, no},
		{"StringEquals", `"a"`, []string{"a"}, yes},
		{"StringEquals", `"a"`, []string{}, no},
		{"Null", `false`, ab, yes},
	})
}

// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func TestVariables(t *testing.T) {
	more := []condition.Entry{
		{Key: "x:team", Value: condition.Value{One: "red"}},
		{Key: "x:star", Value: condition.Value{One: "*"}},
		{Key: "x:list", Value: condition.Value{List: []string{"red"}, Multi: true}},
		{Key: "x:open", Value: condition.Value{Unknown: true}},
	}
	check(t, []row{
		{"StringEquals", `"${x:team}"`, "red", yes},
		{"StringEquals", `"${X:TEAM}-1"`, "red-1", yes},
		{"StringEqualsIgnoreCase", `"${x:team}-A"`, "RED-a", yes},
		{"StringEquals", `"${x:list}"`, "red", no},
		{"StringEquals", `"${x:list}"`, "", no},
		{"StringEquals", `"${x:none}"`, "", no},
		{"StringNotEquals", `"${x:none}"`, "red", yes},
		{"StringEquals", `"${x:none, 'blue'}"`, "blue", yes},
		{"StringEquals", `"${x:none, 'a}b'}"`, "a}b", yes},
		{"StringEquals", `"${x:team, 'blue'}"`, "blue", no},
		{"StringEqualsIgnoreCase", `"${x:none}"`, "", no},
		{"StringLike", `"${x:star}"`, "red", no},
		{"StringLike", `"${x:star}"`, "*", yes},
		{"StringLike", `"${x:team}*"`, "redder", yes},
		{"StringLike", `"a${*}${?}${$}"`, "a*?$", yes},
		{"StringLike", `"a${*}"`, "ab", no},
		{"StringEquals", `"${x:team"`, "${x:team", yes},
		{"StringEquals", `"${}"`, "", no},
		{"ArnLike", `"arn:aws:iam::111122223333:user/${x:team}"`, "arn:aws:iam::111122223333:user/red", yes},
		{"StringEquals", `"${x:open}"`, "red", maybe},
		{"StringNotEquals", `"${x:open}"`, "red", maybe},
		{"StringEqualsIgnoreCase", `"${x:open}"`, "red", maybe},
		{"StringEquals", `"a${x:open}"`, "red", no},
		{"StringNotEquals", `"a${x:open}"`, "red", yes},
		{"StringEquals", `["${x:open}","red"]`, "red", yes},
		{"ForAnyValue:StringEquals", `"${x:open}"`, []string{"a"}, maybe},
		{"Bool", `"${x:open}"`, "true", no},
	}, more...)
	c := condition.Compile(parse(t, "StringEquals", "x:k", `"${x:team}"`), false)
	if c.Eval(env("red", more...)) != no || c.Eval(env("${x:team}", more...)) != yes {
		t.Error("a variable counts in a document of 2008")
	}
}

func TestUnknownKeys(t *testing.T) {
	check(t, []row{
		{"StringEquals", `"a"`, unknown{}, maybe},
		{"StringNotEqualsIfExists", `"a"`, unknown{}, maybe},
		{"ForAllValues:StringEquals", `"a"`, unknown{}, maybe},
		{"Null", `true`, unknown{}, maybe},
		{"StringEquals", `[]`, unknown{}, no},
	})
	c := condition.Compile(parse(t, "StringEquals", "X:K", `"a"`), true)
	if got := c.Unknowns(env(unknown{}), nil); !slices.Equal(got, []string{"X:K"}) {
		t.Errorf("unknowns %q", got)
	}
}

func TestUnknownOperatorNeverHolds(t *testing.T) {
	c := condition.Compile(policy.Condition{Operator: "StringMatches", Key: "x:k", Values: []policy.Text{{Value: "a"}}}, true)
	if got := c.Eval(env("a")); got != no {
		t.Error(names[got])
	}
}

// compare evaluates an operator on a value against itself, variables off.
func compare(t testing.TB, operator, s string) condition.Truth {
	t.Helper()
	c := condition.Compile(policy.Condition{Operator: operator, Key: "x:k", Values: []policy.Text{{Value: s}}}, false)
	return c.Eval(env(s))
}
