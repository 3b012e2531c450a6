package ec2_test

import (
	"strconv"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2"
)

func TestFilterWildcards(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"abc", "abc", true},
		{"abc", "ABC", false},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"*b*", "abc", true},
		{"a*c*", "abcd", true},
		{"a*d", "abc", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"??", "日本", true},
		{"*", "", true},
		{"?", "", false},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{`a\?c`, "abc", false},
		{`a\\`, `a\`, true},
		{`a\`, `a\`, true},
		{"*aab", "aaaaab", true},
		{"a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	}
	for _, tt := range tests {
		if got := ec2.Wildcard(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q on %q: %v", tt.pattern, tt.text, got)
		}
	}
}

func TestFilterLimits(t *testing.T) {
	d := newDesk(t)
	var values []string
	for i := range 201 {
		values = append(values, "vpc-"+strconv.Itoa(i))
	}
	d.refuse(d.root(mine), &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{filter("vpc-id", values...)}}, "FilterLimitExceeded", "*")
	d.refuse(d.root(mine), &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{{Values: []string{"x"}}}}, "InvalidParameterValue", "The filter 'null' is invalid")
	none := ask[ec2api.DescribeVpcsResult](d, d.root(mine), &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{filter("vpc-id")}})
	if len(none.Vpcs) != 0 {
		t.Error("a filter without values matches")
	}
}
