package placement_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/placement"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// newDesk has placement groups, of which that with the name is used.
func newDesk(t *testing.T, used string) *ec2test.Desk {
	return ec2test.New(t, func(g *guard.Guard) map[string]guard.Handler {
		return placement.New(g, func(_ store.Tx, _ *guard.Call, name string) (bool, error) { return name == used, nil }).Operations()
	})
}

func TestLifeOfAPlacementGroup(t *testing.T) {
	d := newDesk(t, "busy")
	for name, want := range map[string]struct {
		in               ec2api.CreatePlacementGroupRequest
		strategy, spread string
		partitions       int32
	}{
		"cluster": {strategy: "cluster"},
		"spread":  {in: ec2api.CreatePlacementGroupRequest{Strategy: new("spread")}, strategy: "spread", spread: "rack"},
		"hosts":   {in: ec2api.CreatePlacementGroupRequest{Strategy: new("spread"), SpreadLevel: new("host")}, strategy: "spread", spread: "host"},
		"parts":   {in: ec2api.CreatePlacementGroupRequest{Strategy: new("partition")}, strategy: "partition", partitions: 2},
		"busy":    {in: ec2api.CreatePlacementGroupRequest{Strategy: new("partition"), PartitionCount: new(int32(7))}, strategy: "partition", partitions: 7},
	} {
		want.in.GroupName = &name
		want.in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("placement-group"), Tags: ec2test.Tags("name", name)}}
		g := ec2test.Ask[ec2api.CreatePlacementGroupResult](d, d.Root(), &want.in).PlacementGroup
		if *g.Strategy != want.strategy || value(g.SpreadLevel) != want.spread || value(g.PartitionCount) != want.partitions || len(g.Tags) != 1 {
			t.Errorf("%s: %+v", name, g)
		}
	}
	d.Refuse(d.Root(), &ec2api.CreatePlacementGroupRequest{GroupName: new("busy")}, "InvalidPlacementGroup.Duplicate", "The placement group 'busy' already exists.")
	found := ec2test.Ask[ec2api.DescribePlacementGroupsResult](d, d.Root(), &ec2api.DescribePlacementGroupsRequest{
		Filters: []ec2api.Filter{ec2test.Filter("strategy", "partition"), ec2test.Filter("tag:name", "parts", "busy")},
	}).PlacementGroups
	if len(found) != 2 {
		t.Errorf("%+v", found)
	}
	d.Refuse(d.Root(), &ec2api.DeletePlacementGroupRequest{GroupName: new("busy")}, "InvalidPlacementGroup.InUse", "*")
	d.Refuse(d.Root(), &ec2api.DeletePlacementGroupRequest{GroupName: new("none")}, "InvalidPlacementGroup.Unknown", "The Placement Group 'none' is unknown.")
	for _, name := range []string{"cluster", "spread", "hosts", "parts"} {
		_, err := d.Try(d.Root(), &ec2api.DeletePlacementGroupRequest{GroupName: &name})
		d.Must(err)
	}
	if records, tagged := d.Count("ec2/placement-group"), d.Count("ec2/tag"); records != 1 || tagged != 1 {
		t.Errorf("%d groups and tags of %d are left", records, tagged)
	}
}

func TestPlacementGroupsThatAreNone(t *testing.T) {
	d := newDesk(t, "")
	for name, tt := range map[string]struct {
		in   ec2api.CreatePlacementGroupRequest
		code string
	}{
		"no name":         {ec2api.CreatePlacementGroupRequest{}, "MissingParameter"},
		"strategy":        {ec2api.CreatePlacementGroupRequest{GroupName: new("a"), Strategy: new("heap")}, "InvalidParameterValue"},
		"many partitions": {ec2api.CreatePlacementGroupRequest{GroupName: new("a"), Strategy: new("partition"), PartitionCount: new(int32(8))}, "InvalidParameterValue"},
		"partitions of a spread": {ec2api.CreatePlacementGroupRequest{GroupName: new("a"), Strategy: new("spread"), PartitionCount: new(int32(2))},
			"InvalidParameterCombination"},
		"spread of a cluster": {ec2api.CreatePlacementGroupRequest{GroupName: new("a"), SpreadLevel: new("rack")}, "InvalidParameterCombination"},
		"spread of a city":    {ec2api.CreatePlacementGroupRequest{GroupName: new("a"), Strategy: new("spread"), SpreadLevel: new("city")}, "InvalidParameterValue"},
		"dry run":             {ec2api.CreatePlacementGroupRequest{GroupName: new("a"), DryRun: new(true)}, "DryRunOperation"},
	} {
		t.Run(name, func(t *testing.T) { d.Refuse(d.Root(), &tt.in, tt.code, "*") })
	}
	user := d.Allowed("builder", `"ec2:CreatePlacementGroup"`, `"*"`, `{"StringEquals":{"ec2:PlacementGroupStrategy":"spread"}}`)
	d.Refuse(user, &ec2api.CreatePlacementGroupRequest{GroupName: new("a")}, "UnauthorizedOperation", "*")
	ec2test.Ask[ec2api.CreatePlacementGroupResult](d, user, &ec2api.CreatePlacementGroupRequest{GroupName: new("a"), Strategy: new("spread")})
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
