package condition_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz/condition"
)

// Source: IAM User Guide, "IAM JSON policy elements: Resource".
func TestResourcePatterns(t *testing.T) {
	const queue = "arn:aws:sqs:us-west-2:111122223333:orders"
	tests := []struct {
		pattern, arn string
		want         bool
	}{
		{"*", queue, true},
		{"*", "*", true},
		{"?", "*", false},
		{queue, queue, true},
		{queue, queue + "2", false},
		{queue, strings.ToUpper(queue), false},
		{queue, "*", false},
		{"arn:aws:sqs:us-west-2:111122223333:o?ders", queue, true},
		{"arn:aws:sqs:us-west-2:111122223333:o??ders", queue, false},
		{"arn:aws:sqs:*:*:*", queue, true},
		{"arn:*:sqs:us-*-2:1111*3:*rd*", queue, true},
		{"arn:aws:sqs:us-west-2:1111*", queue, true},
		{"arn:aws:sqs:*", queue, true},
		{"arn:aws:sqs:us*", queue, true},
		{"arn:aws:sqs:eu*", queue, false},
		{"arn:aws:sqs:*:orders", queue, false},
		{"arn:aws:sqs:us-west-2:111122223333", queue, false},
		{"arn:aws:sqs:u*2:*:orders", "arn:aws:sqs:us:west-2:1:orders", false},
		{"arn:aws:sqs:us?west-2:1:2:orders", "arn:aws:sqs:us:west-2:1:2:orders", false},
		{"arn:aws:logs:us-west-2:*:log-stream:b", "arn:aws:logs:us-west-2:1:log-group:a:log-stream:b", true},
		{"arn:aws:logs:*:log-group:a:log-stream:b", "arn:aws:logs:us-west-2:1:log-group:a:log-stream:b", true},
		{"arn:aws:logs:us*:1:log-group:a:log-stream:b", "arn:aws:logs:us-west-2:2:1:log-group:a:log-stream:b", true},
		{"arn:aws:logs:us-west-2:*1:log-stream:b", "arn:aws:logs:us-west-2:1:log-group:a:log-stream:b", false},
		{"arn:aws:logs:*:a*z:b", "arn:aws:logs:us-west-2:a1:az:b", true},
		{"arn:aws:logs:*:a*z:b", "arn:aws:logs:us-west-2:a1:x:z:b", false},
		{"arn:aws*:logs:us-west-2:1:b", "arn:aws:x:logs:us-west-2:1:b", false},
		{"arn:aws:s*:*:*:*", queue, false},
		{"arn:aws:sq?:*:*:*", queue, false},
		{"arn:aws:*", queue, false},
		{"arn:*", queue, false},
		{"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/web", "arn:aws:autoscaling:r:1:autoScalingGroup:uuid:autoScalingGroupName/web", true},
		{"arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:us-east-1:111122223333:instance/*", true},
		{"arn:aws:ec2:*::image/*", "arn:aws:ec2:us-east-1::image/ami-1", true},
		{"arn:aws:ec2:*:*:image/*", "arn:aws:ec2:us-east-1::image/ami-1", true},
		{"arn:aws:sqs:us-west-2:111122223333:${x:q}", queue, true},
		{"arn:aws:sqs:us-west-2:111122223333:${x:none}", queue, false},
		{"arn:aws:sqs:us-west-2:111122223333:${x:none, 'or'}*", queue, true},
		{"arn:aws:sqs:us-west-2:${x:a}:orders", queue, false},
		{"arn:aws:sqs:us-west-2:111122223333:a${*}b", "arn:aws:sqs:us-west-2:111122223333:a*b", true},
		{"arn:aws:sqs:us-west-2:111122223333:a${*}", "arn:aws:sqs:us-west-2:111122223333:ab", false},
		{"", "", false},
		{"orders", "orders", false},
	}
	e := &condition.Env{Request: []condition.Entry{
		{Key: "x:q", Value: condition.Value{One: "orders"}}, {Key: "x:a", Value: condition.Value{One: "111122223333"}},
	}}
	for _, tt := range tests {
		p := condition.Resource(tt.pattern, true)
		if got := p.Match(e, tt.arn); got != condition.Of(tt.want) {
			t.Errorf("%q on %q: %s", tt.pattern, tt.arn, names[got])
		}
	}
}

// literalParts matches an ARN pattern part by part with regular expressions.
func literalParts(pattern, s string, resource bool) bool {
	if resource && pattern == "*" {
		return true
	}
	want, have := strings.SplitN(pattern, ":", 6), strings.SplitN(s, ":", 6)
	if want[0] != "arn" || have[0] != "arn" && !strings.HasPrefix(s, "arn:") {
		return false
	}
	open := resource && strings.HasSuffix(pattern, "*") && len(want) >= 4
	if len(want) < 6 && !open || len(have) < len(want) || resource && strings.ContainsAny(want[2], "*?") {
		return false
	}
	for i, w := range want {
		class, text, tail := "[^:]", have[i], ""
		if i == 5 {
			class = "(?s:.)"
		}
		if i == len(want)-1 {
			text = strings.Join(have[i:], ":")
			if open {
				w, tail = w[:len(w)-1], "(?s:.*)"
			}
		}
		q := regexp.QuoteMeta(w)
		q = strings.ReplaceAll(strings.ReplaceAll(q, `\*`, class+"*"), `\?`, class)
		if !regexp.MustCompile(`\A` + q + tail + `\z`).MatchString(text) {
			return false
		}
	}
	return true
}

// FuzzPatterns compares the matcher with regular expressions.
func FuzzPatterns(f *testing.F) {
	for _, s := range [][2]string{
		{"arn:aws:sqs:*:*:a*b?c*", "arn:aws:sqs:us-west-2:111122223333:axxbxcab:c"}, {"arn:aws:sqs:u*", "arn:aws:sqs:us:1:x"},
		{"*a*b*a*", "aabbaabab"}, {"a?c", "abc"}, {"arn:*:*:*:*:*", "arn:a:b:c:d:e:f"}, {"arn:aws:kms:::*:*", "arn:aws:kms:::鍵:"}, {"**?*", "x"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 60 || len(s) > 200 || !ascii(pattern) || !ascii(s) {
			return // regular expressions treat bad UTF-8 in their own way
		}
		e := &condition.Env{}
		q := strings.NewReplacer(`\*`, "(?s:.*)", `\?`, "(?s:.)").Replace(regexp.QuoteMeta(pattern))
		p := condition.Glob(pattern, false)
		if got, want := p.Match(e, s), regexp.MustCompile(`\A`+q+`\z`).MatchString(s); got != condition.Of(want) {
			t.Errorf("glob %q on %q: %s", pattern, s, names[got])
		}
		p = condition.Text(pattern, false)
		if got := p.Match(e, s); got != condition.Of(pattern == s) {
			t.Errorf("text %q on %q: %s", pattern, s, names[got])
		}
		for _, resource := range []bool{true, false} {
			p := condition.ARN(pattern, false)
			if resource {
				p = condition.Resource(pattern, false)
			}
			if got, want := p.Match(e, s), literalParts(pattern, s, resource); got != condition.Of(want) {
				t.Errorf("ARN %q on %q (resource: %v): %s", pattern, s, resource, names[got])
			}
		}
	})
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 126 })
}

// FuzzValues parses whatever policies and requests may hold: no panic, and a value equals itself.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"2026-06-01T12:00:00Z", "1.50", "-0", "10.0.0.0/8", "::ffff:10.0.0.1", "1e400", "2026-13-01", "${a, 'b'}", "${", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, pair := range [][2]string{{"NumericEquals", "NumericLessThanEquals"}, {"DateEquals", "DateGreaterThanEquals"}} {
			eq, le := compare(t, pair[0], s), compare(t, pair[1], s)
			if eq != le {
				t.Errorf("%q equals itself: %s, ordered: %s", s, names[eq], names[le])
			}
		}
		compare(t, "IpAddress", s)
		compare(t, "BinaryEquals", s)
		if got := compare(t, "StringEquals", s); got != yes {
			t.Errorf("%q does not equal itself", s)
		}
	})
}
