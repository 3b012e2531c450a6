package ec2_test

import (
	"strconv"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

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
