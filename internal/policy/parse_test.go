package policy_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kagimori/kagimori/internal/policy"
)

// ignorePlaces compares documents by what they say.
var ignorePlaces = cmp.Options{
	cmpopts.IgnoreTypes(policy.Pos{}),
	cmpopts.IgnoreFields(policy.Document{}, "Source"),
}

func values(vs ...string) []policy.Text {
	var all []policy.Text
	for _, v := range vs {
		all = append(all, policy.Text{Value: v})
	}
	return all
}

// statement wraps one statement's elements, for the kind Resource.
func statement(elements string) string {
	return `{"Statement":{"Effect":"Allow",` + elements + `}}`
}

func TestParseTree(t *testing.T) {
	tests := []struct {
		name, src string
		want      policy.Statement
	}{
		{"one value is a list of one", `{"Statement":[{"Effect":"Deny","Action":"a:b","Resource":"*"}]}`,
			policy.Statement{Effect: policy.Deny, Actions: values("a:b"), Resources: values("*")}},
		{"not elements", statement(`"NotAction":["a:b","c:d"],"NotResource":[]`),
			policy.Statement{Effect: policy.Allow, NotActions: values("a:b", "c:d")}},
		{"bare principal", statement(`"Principal":"*"`),
			policy.Statement{Effect: policy.Allow, Principal: &policy.Principals{Any: true}}},
		{"everyone as AWS", statement(`"Principal":{"AWS":"*"}`),
			policy.Statement{Effect: policy.Allow, Principal: &policy.Principals{Any: true}}},
		{"all kinds of principal", statement(`"NotPrincipal":{"AWS":["111122223333","*"],"Service":"ec2.amazonaws.com","Federated":["*"],"CanonicalUser":"ff"}`),
			policy.Statement{Effect: policy.Allow, NotPrincipal: &policy.Principals{Any: true,
				AWS: values("111122223333"), Service: values("ec2.amazonaws.com"), Federated: values("*"), Canonical: values("ff")}}},
		{"nobody", statement(`"Principal":{}`),
			policy.Statement{Effect: policy.Allow, Principal: &policy.Principals{}}},
		{"literal condition values", statement(`"Condition":{"Bool":{"k":[true,false,"True"]},"NumericEquals":{"n":[5,1.50,-1e3]}}`),
			policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{
				{Operator: "Bool", Key: "k", Values: values("true", "false", "True")},
				{Operator: "NumericEquals", Key: "n", Values: values("5", "1.50", "-1e3")}}}},
		{"several keys under one operator", statement(`"Condition":{"ForAnyValue:StringLikeIfExists":{"a":"1","b":[]}}`),
			policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{
				{Operator: "ForAnyValue:StringLikeIfExists", Key: "a", Values: values("1")},
				{Operator: "ForAnyValue:StringLikeIfExists", Key: "b"}}}},
		{"empty maps", statement(`"Condition":{"StringEquals":{},"NoSuch":{}}`), policy.Statement{Effect: policy.Allow}},
		{"null among resources", statement(`"Resource":["a",null,"b"]`),
			policy.Statement{Effect: policy.Allow, Resources: values("a", "b")}},
		{"escapes", statement(`"Sid":"\u0041\n\/","Action":"\ud83d\ude00:x"`),
			policy.Statement{Sid: "A\n/", Effect: policy.Allow, Actions: values("😀:x")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.Parse([]byte(tt.src), policy.Resource)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]policy.Statement{tt.want}, d.Statements, ignorePlaces); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseTop(t *testing.T) {
	src := []byte(`{"Id":"i","Statement":[{"Effect":"Allow"},{"Sid":"two","Effect":"Deny"}],"Version":"2012-10-17"}`)
	d, err := policy.Parse(src, policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	if d.Version != policy.Version2012 || d.ID != "i" || !d.Variables() {
		t.Errorf("got version %q, id %q, variables %v", d.Version, d.ID, d.Variables())
	}
	if len(d.Statements) != 2 || d.Statements[1].Index != 1 || d.Statements[1].Sid != "two" {
		t.Errorf("statements: %+v", d.Statements)
	}
	src[0] = 'x'
	if d.Source[0] != '{' {
		t.Error("the document shares memory with its input")
	}
}

func TestParseErrors(t *testing.T) {
	const deep = 20000
	tests := []struct {
		name, src string
		kind      policy.Kind
		rule      policy.Rule
		pointer   string
	}{
		{"empty", ``, policy.Key, policy.RuleJSON, ""},
		{"cut short", `{"Statement":[`, policy.Key, policy.RuleJSON, "/Statement"},
		{"trailing comma", statement(`"Action":["a:b",]`), policy.Key, policy.RuleJSON, "/Statement/Action"},
		{"second document", statement(`"Sid":"a"`) + `{}`, policy.Key, policy.RuleJSON, ""},
		{"text after it", statement(`"Sid":"a"`) + ` x`, policy.Key, policy.RuleJSON, ""},
		{"byte order mark", "\ufeff" + statement(`"Sid":"a"`), policy.Key, policy.RuleJSON, ""},
		{"bad UTF-8", statement("\"Sid\":\"\xff\""), policy.Key, policy.RuleJSON, "/Statement/Sid"},
		{"half a surrogate pair", statement(`"Sid":"\ud800"`), policy.Key, policy.RuleJSON, "/Statement/Sid"},
		{"raw control character", statement("\"Sid\":\"\x00\""), policy.Key, policy.RuleJSON, "/Statement/Sid"},
		{"not JSON beats grammar", `{"Nope":1,}`, policy.Key, policy.RuleJSON, ""},
		{"deep", strings.Repeat("[", deep), policy.Key, policy.RuleJSON, strings.Repeat("/0", 10000)},
		{"name twice", statement(`"Effect":"Deny"`), policy.Key, policy.RuleDuplicate, "/Statement/Effect"},
		{"name twice through an escape", statement(`"Eff\u0065ct":"Deny"`), policy.Key, policy.RuleDuplicate, "/Statement/Effect"},
		{"operator twice", statement(`"Condition":{"Bool":{},"Bool":{}}`), policy.Key, policy.RuleDuplicate, "/Statement/Condition/Bool"},
		{"too long", strings.Repeat(" ", policy.MaxSize+1), policy.Key, policy.RuleSize, ""},
		{"a list", `[]`, policy.Key, policy.RuleShape, ""},
		{"a string", `"x"`, policy.Key, policy.RuleShape, ""},
		{"null", `null`, policy.Key, policy.RuleShape, ""},
		{"statement is a string", `{"Statement":"x"}`, policy.Key, policy.RuleShape, "/Statement"},
		{"statements nested", `{"Statement":[[]]}`, policy.Key, policy.RuleShape, "/Statement/0"},
		{"Id is a list", `{"Id":["x"]}`, policy.Key, policy.RuleShape, "/Id"},
		{"Version is a number", `{"Version":2012}`, policy.Key, policy.RuleShape, "/Version"},
		{"Sid is an object", statement(`"Sid":{}`), policy.Key, policy.RuleShape, "/Statement/Sid"},
		{"Effect is null", `{"Statement":{"Effect":null}}`, policy.Key, policy.RuleShape, "/Statement/Effect"},
		{"Action is an object", statement(`"Action":{}`), policy.Key, policy.RuleShape, "/Statement/Action"},
		{"Action is a number", statement(`"Action":5`), policy.Key, policy.RuleShape, "/Statement/Action"},
		{"null among actions", statement(`"Action":[null]`), policy.Key, policy.RuleShape, "/Statement/Action/0"},
		{"Resource is null", statement(`"Resource":null`), policy.Key, policy.RuleShape, "/Statement/Resource"},
		{"resources nested", statement(`"Resource":["*",["*"]]`), policy.Key, policy.RuleShape, "/Statement/Resource/1"},
		{"Principal is a list", statement(`"Principal":["*"]`), policy.Key, policy.RuleShape, "/Statement/Principal"},
		{"principal is an object", statement(`"Principal":{"AWS":{}}`), policy.Key, policy.RuleShape, "/Statement/Principal/AWS"},
		{"Condition is a list", statement(`"Condition":[]`), policy.Key, policy.RuleShape, "/Statement/Condition"},
		{"operator is a string", statement(`"Condition":{"Bool":"x"}`), policy.Key, policy.RuleShape, "/Statement/Condition/Bool"},
		{"condition value is an object", statement(`"Condition":{"Bool":{"k":{}}}`), policy.Key, policy.RuleShape, "/Statement/Condition/Bool/k"},
		{"condition value is null", statement(`"Condition":{"Bool":{"k":[null]}}`), policy.Key, policy.RuleShape, "/Statement/Condition/Bool/k/0"},
		{"unknown element", `{"Statements":[]}`, policy.Key, policy.RuleUnknown, "/Statements"},
		{"element in lower case", `{"Statement":{"effect":"Allow"}}`, policy.Key, policy.RuleUnknown, "/Statement/effect"},
		{"unknown principal type", statement(`"Principal":{"aws":"*"}`), policy.Key, policy.RuleUnknown, "/Statement/Principal/aws"},
		{"both actions", statement(`"Action":[],"NotAction":"a:b"`), policy.Key, policy.RulePair, "/Statement/NotAction"},
		{"both resources", statement(`"NotResource":"*","Resource":"*"`), policy.Key, policy.RulePair, "/Statement/Resource"},
		{"both principals", statement(`"NotPrincipal":"*","Principal":"*"`), policy.Key, policy.RulePair, "/Statement/Principal"},
		{"unknown version", `{"Version":"2012-10-18"}`, policy.Key, policy.RuleVersion, "/Version"},
		{"empty version", `{"Version":""}`, policy.Key, policy.RuleVersion, "/Version"},
		{"no statement", `{}`, policy.Key, policy.RuleNoStatement, ""},
		{"empty statements", `{"Statement":[]}`, policy.Key, policy.RuleNoStatement, ""},
		{"no effect", `{"Statement":[{"Effect":"Deny"},{}]}`, policy.Key, policy.RuleEffect, "/Statement/1"},
		{"other effect", `{"Statement":{"Effect":"Permit"}}`, policy.Key, policy.RuleEffect, "/Statement/Effect"},
		{"principal without type", statement(`"Principal":"111122223333"`), policy.Key, policy.RulePrincipal, "/Statement/Principal"},
		{"unknown operator", statement(`"Condition":{"stringEquals":{"k":"v"}}`), policy.Key, policy.RuleOperator, "/Statement/Condition/stringEquals"},
		{"effect in other case", `{"Statement":{"Effect":"denY"}}`, policy.Key, policy.RuleEffectCase, "/Statement/Effect"},
		{"identity with principal", statement(`"Principal":"*"`), policy.Identity, policy.RuleProhibited, "/Statement/Principal"},
		{"SCP with principal", statement(`"NotPrincipal":"*"`), policy.SCP, policy.RuleProhibited, "/Statement/NotPrincipal"},
		{"session with principal", statement(`"Principal":"*"`), policy.Session, policy.RuleProhibited, "/Statement/Principal"},
		{"RCP with NotPrincipal", statement(`"NotPrincipal":"*"`), policy.RCP, policy.RuleProhibited, "/Statement/NotPrincipal"},
		{"trust with resource", statement(`"NotResource":"*"`), policy.Trust, policy.RuleProhibited, "/Statement/NotResource"},
		{"trust with NotPrincipal", statement(`"NotPrincipal":"*"`), policy.Trust, policy.RuleProhibited, "/Statement/NotPrincipal"},
		{"escaped control character", statement(`"Sid":"\u0000"`), policy.Key, policy.RuleCharacter, "/Statement/Sid"},
		{"unknown element beats effect case", `{"Statement":{"Effect":"ALLOW","x":1}}`, policy.Key, policy.RuleUnknown, "/Statement/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.Parse([]byte(tt.src), tt.kind)
			e, ok := errors.AsType[*policy.SyntaxError](err)
			if !ok || d != nil {
				t.Fatalf("Parse = %v, %v, want a SyntaxError", d, err)
			}
			if e.Rule != tt.rule || e.Pointer != tt.pointer {
				t.Errorf("rule %d at %.80q, want %d at %.80q: %.200v", e.Rule, e.Pointer, tt.rule, tt.pointer, err)
			}
			if e.Offset < 0 || e.Offset > len(tt.src) || e.Line < 1 || e.Column < 1 || e.Reason == "" {
				t.Errorf("place or reason missing: %+v", e)
			}
		})
	}
}

func TestSyntaxErrorPlace(t *testing.T) {
	tests := []struct {
		name, src string
		want      policy.SyntaxError
		text      string
	}{
		{
			name: "after wide characters and CRLF",
			src:  "{\r\n  \"Id\": \"鍵守\", \"Nope\": 1}",
			want: policy.SyntaxError{Offset: 21, Pointer: "/Nope", Line: 2, Column: 15,
				Reason: `unknown element "Nope"`, Rule: policy.RuleUnknown},
			text: `policy: line 2, column 15 (/Nope): unknown element "Nope"`,
		},
		{
			name: "unfinished text points to its end",
			src:  "{\n\"Id\":",
			want: policy.SyntaxError{Offset: 7, Pointer: "/Id", Line: 2, Column: 6,
				Reason: "document is cut short", Rule: policy.RuleJSON},
			text: "policy: line 2, column 6 (/Id): document is cut short",
		},
		{
			name: "text after the document",
			src:  "{\"Statement\":{\"Effect\":\"Deny\"}}\n \"more\"",
			want: policy.SyntaxError{Offset: 33, Line: 2, Column: 2,
				Reason: "text after the document", Rule: policy.RuleJSON},
			text: "policy: line 2, column 2: text after the document",
		},
		{
			name: "long user text is cut between characters",
			src:  `{"Version":"` + strings.Repeat("é", 50) + `"}`,
			want: policy.SyntaxError{Offset: 11, Pointer: "/Version", Line: 1, Column: 12,
				Reason: `unknown version "` + strings.Repeat("é", 30) + `"...`, Rule: policy.RuleVersion},
			text: `policy: line 1, column 12 (/Version): unknown version "` + strings.Repeat("é", 30) + `"...`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Parse([]byte(tt.src), policy.Key)
			e, ok := errors.AsType[*policy.SyntaxError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(tt.want, *e); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if e.Error() != tt.text {
				t.Errorf("text %q, want %q", e.Error(), tt.text)
			}
		})
	}
}

func TestPositions(t *testing.T) {
	src := "{ \"Id\" : \"鍵\",\n" +
		"  \"Statement\" : [ {\"Effect\":\"Deny\"},\n" +
		"    { \"Sid\":\"é\", \"Effect\" : \"Allow\",\n" +
		"      \"Principal\" : { \"AWS\":[ \"日本\", \"111122223333\" ] },\n" +
		"      \"Action\":\"kms:*\",\n" +
		"      \"Condition\":{\"Bool\":{ \"k\" : [true, \"x\"] }}\n" +
		"    } ]\n}"
	d, err := policy.Parse([]byte(src), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Statements[1]
	tests := []struct {
		name, text   string
		pos          policy.Pos
		line, column int
	}{
		{"first statement", `{"Effect":"Deny"}`, d.Statements[0].Pos, 2, 19},
		{"statement", src[strings.Index(src, `{ "Sid"`):strings.LastIndex(src, " ]")], s.Pos, 3, 5},
		{"principals", `{ "AWS":[ "日本", "111122223333" ] }`, s.Principal.Pos, 4, 21},
		{"first principal", `"日本"`, s.Principal.AWS[0].Pos, 4, 31},
		{"second principal", `"111122223333"`, s.Principal.AWS[1].Pos, 4, 37},
		{"action", `"kms:*"`, s.Actions[0].Pos, 5, 16},
		{"condition", `"k" : [true, "x"]`, s.Conditions[0].Pos, 6, 29},
		{"literal", `true`, s.Conditions[0].Values[0].Pos, 6, 36},
		{"string", `"x"`, s.Conditions[0].Values[1].Pos, 6, 42},
	}
	for _, tt := range tests {
		if got := src[tt.pos.Start:tt.pos.End]; got != tt.text {
			t.Errorf("%s: text %q, want %q", tt.name, got, tt.text)
		}
		if tt.pos.Line != tt.line || tt.pos.Column != tt.column {
			t.Errorf("%s: at %d:%d, want %d:%d", tt.name, tt.pos.Line, tt.pos.Column, tt.line, tt.column)
		}
	}
}

func TestParseOperator(t *testing.T) {
	tests := []struct {
		in   string
		want policy.Operator
		ok   bool
	}{
		{"StringEquals", policy.Operator{Name: "StringEquals"}, true},
		{"ArnNotLikeIfExists", policy.Operator{Name: "ArnNotLike", IfExists: true}, true},
		{"ForAllValues:DateLessThanIfExists", policy.Operator{Set: policy.ForAllValues, Name: "DateLessThan", IfExists: true}, true},
		{"ForAnyValue:Null", policy.Operator{Set: policy.ForAnyValue, Name: "Null"}, true},
		{"NullIfExists", policy.Operator{}, false},
		{"ForAnyValue::StringEquals", policy.Operator{}, false},
		{"forAnyValue:StringEquals", policy.Operator{}, false},
		{"BoolIfExistsIfExists", policy.Operator{}, false},
		{"bool", policy.Operator{}, false},
		{"IfExists", policy.Operator{}, false},
		{"", policy.Operator{}, false},
	}
	for _, tt := range tests {
		if got, ok := policy.ParseOperator(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("ParseOperator(%q) = %+v, %v, want %+v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

// TestParseHostile feeds documents of the largest size that would hurt if a reason, a pointer or a
// position were made once too often.
func TestParseHostile(t *testing.T) {
	fill := func(head, unit, tail string) []byte {
		n := (policy.MaxSize - len(head) - len(tail)) / len(unit)
		return []byte(head + strings.Repeat(unit, n-1) + strings.TrimSuffix(unit, ",") + tail)
	}
	name := strings.Repeat("k", policy.MaxSize/2)
	tests := []struct {
		name string
		src  []byte
		rule policy.Rule
	}{
		{"control characters under a long name", fill(`{"Statement":{"Effect":"Deny","Condition":{"Bool":{"`+name+`":[`, `"\u0001",`, `]}}}}`), policy.RuleCharacter},
		{"statements in the wrong case", fill(`{"Statement":[`, `{"Effect":"deny"},`, `]}`), policy.RuleEffectCase},
		{"long key", fill(`{"`, `k`, `":1}`), policy.RuleUnknown},
		{"deep value", fill(`{"Id":`, `[`, ``), policy.RuleJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := policy.Parse(tt.src, policy.Resource)
			runtime.ReadMemStats(&after)
			e, ok := errors.AsType[*policy.SyntaxError](err)
			if !ok || e.Rule != tt.rule {
				t.Fatalf("got %.200v", err)
			}
			got, limit := after.TotalAlloc-before.TotalAlloc, uint64(256*len(tt.src))
			if got > limit {
				t.Errorf("allocated %d bytes, more than %d", got, limit)
			}
		})
	}
}
