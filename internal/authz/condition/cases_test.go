package condition_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz/condition"
)

// families are conditions that compare one key in one way, with values that a request may have.
var families = map[string]struct {
	conditions [][2]string // operator, values
	values     []any
}{
	"text": {
		[][2]string{{"StringEquals", `["a","b"]`}, {"StringNotEquals", `"b"`}, {"StringLike", `"c"`}, {"Null", `true`}, {"StringEqualsIfExists", `"a"`}},
		[]any{"a", "b", "c", "A", "", "zzz", absent{}, []string{"a"}, []string{"a", "b"}, []string{}, []string{"c"}},
	},
	"folded": {
		[][2]string{{"StringEqualsIgnoreCase", `"Red"`}, {"StringNotEqualsIgnoreCase", `"BLUE"`}},
		[]any{"red", "RED", "blue", "Blue", "green", absent{}},
	},
	"boolean": {
		[][2]string{{"Bool", `true`}, {"Bool", `"false"`}, {"BoolIfExists", `false`}},
		[]any{"true", "True", "false", "maybe", absent{}},
	},
	"number": {
		[][2]string{{"NumericLessThan", `10`}, {"NumericGreaterThanEquals", `0.5`}, {"NumericEquals", `-3`}, {"NumericNotEquals", `0`}, {"NumericLessThan", `1000`}},
		[]any{"-4", "-3", "-2.5", "0", "0.4", "0.5", "0.51", "9.99", "10", "11", "999", "1000", "1000.1", "x", absent{}},
	},
	"date": {
		[][2]string{{"DateLessThan", `"2026-06-01"`}, {"DateGreaterThanEquals", `"2026-01-01T12:00:00Z"`}, {"DateNotEquals", `"2026-03"`}},
		[]any{"2025", "2026-01-01T12:00:00Z", "2026-02-01", "2026-03-01", "2026-05-31T23:59:59.999Z", "2026-06-01", "2030", "x", absent{}},
	},
	"address": {
		[][2]string{{"IpAddress", `"10.0.0.0/8"`}, {"NotIpAddress", `["10.1.0.0/16","192.0.2.1"]`}, {"IpAddress", `"2001:db8::/32"`}, {"IpAddress", `"0.0.0.0/0"`}},
		[]any{"10.0.0.1", "10.1.2.3", "10.2.0.0", "9.255.255.255", "192.0.2.1", "192.0.2.2", "2001:db8::9", "2001:db9::", "AWS Internal", absent{}},
	},
}

func TestCasesStandForAllValues(t *testing.T) {
	for name, f := range families {
		var cases condition.Cases
		var all []condition.Condition
		for _, c := range f.conditions {
			compiled := condition.Compile(parse(t, c[0], "x:k", c[1]), true)
			cases.Add(&compiled)
			all = append(all, compiled)
		}
		if !cases.Exact() {
			t.Fatalf("%s: not exact", name)
		}
		outcomes := func(e *condition.Env) string {
			var s strings.Builder
			for i := range all {
				s.WriteString(fmt.Sprint(all[i].Eval(e)))
			}
			return s.String()
		}
		seen := map[string]bool{}
		for _, v := range cases.Values(new(condition.MakeKey("x:k"))) {
			seen[outcomes(&condition.Env{Part: []condition.Entry{{Key: "x:k", Value: v}}})] = true
		}
		real := map[string]bool{}
		for _, v := range f.values {
			got := outcomes(env(v))
			real[got] = true
			if !seen[got] {
				t.Errorf("%s: nothing stands for %#v", name, v)
			}
		}
		if len(real) < 3 {
			t.Errorf("%s: the values make only %d differences", name, len(real))
		}
	}
}

func TestCasesAreNotExactForEverything(t *testing.T) {
	for _, list := range [][][2]string{
		{{"StringLike", `"a*"`}},
		{{"ArnLike", `"arn:aws:iam::111122223333:role/dev"`}},
		{{"StringEquals", `"${x:team}"`}},
		{{"ForAnyValue:StringEquals", `"a"`}},
		{{"BinaryEquals", `"YWJj"`}},
		{{"StringEquals", `"10.0.0.1"`}, {"IpAddress", `"10.0.0.0/8"`}},
		{{"StringEquals", `"a"`}, {"StringEqualsIgnoreCase", `"A"`}},
	} {
		var cases condition.Cases
		for _, c := range list {
			compiled := condition.Compile(parse(t, c[0], "x:k", c[1]), true)
			cases.Add(&compiled)
		}
		if cases.Exact() {
			t.Errorf("%v: taken for exact", list)
		}
	}
}
