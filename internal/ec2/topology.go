package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// topologyPage is how many instances an answer of DescribeInstanceTopology has if nobody says.
const topologyPage = 20

// topologyTypes are the instance types whose place is told, and on how many levels of the network: 3, and 4 of the p6-b
// families. Source: EC2 User Guide, "Prerequisites for Amazon EC2 topology".
var topologyTypes = func() map[string]int {
	levels := map[string]int{"p6-b200.48xlarge": 4, "p6-b300.48xlarge": 4}
	for name := range strings.FieldsSeq(`
		g6e.xlarge g6e.2xlarge g6e.4xlarge g6e.8xlarge g6e.12xlarge g6e.16xlarge g6e.24xlarge g6e.48xlarge
		g7e.2xlarge g7e.4xlarge g7e.8xlarge g7e.12xlarge g7e.24xlarge g7e.48xlarge
		hpc6a.48xlarge hpc6id.32xlarge hpc7g.4xlarge hpc7g.8xlarge hpc7g.16xlarge hpc7a.12xlarge hpc7a.24xlarge hpc7a.48xlarge
		hpc7a.96xlarge hpc8a.96xlarge p3dn.24xlarge p4d.24xlarge p4de.24xlarge p5.48xlarge p5e.48xlarge p5en.48xlarge
		p6e-gb200.36xlarge trn1.2xlarge trn1.32xlarge trn1n.32xlarge trn2.48xlarge trn2u.48xlarge`) {
		levels[name] = 3
	}
	return levels
}()

var topologyFields = fields[*instanceRecord]{
	"availability-zone": func(i *instanceRecord) []string { return idiom.One(i.Zone) },
	"instance-type":     func(i *instanceRecord) []string { return idiom.One(i.Type) },
	"zone-id":           func(i *instanceRecord) []string { return idiom.One(i.ZoneID) },
}

// DescribeInstanceTopology tells which nodes of the network running instances hang on, from the top: those of one host have
// all in common, those of one zone all but the last. Source: EC2 API Reference, DescribeInstanceTopology.
func (s *Service) DescribeInstanceTopology(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceTopologyRequest) (*ec2api.DescribeInstanceTopologyResult, error) {
	size := in.MaxResults
	switch {
	case len(in.InstanceIds) > 0 && size != nil:
		return nil, errIDsAndPage("instancesSet")
	case len(in.InstanceIds) == 0 && size == nil:
		size = new(int32(topologyPage))
	}
	out := &ec2api.DescribeInstanceTopologyResult{}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		found, _, err := s.selectBy(tx, c, topologyFields, in.InstanceIds, in.Filters)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(i *instanceRecord) bool {
			return i.State != running || topologyTypes[i.Type] == 0 || len(in.GroupNames) > 0 && !slices.Contains(in.GroupNames, i.Options.Placement)
		})
		found, out.NextToken, err = paginate(c.Operation, found, instanceOrder, limits{1, 100}, size, in.NextToken)
		out.Instances = []ec2api.InstanceTopology{}
		for _, i := range found {
			out.Instances = append(out.Instances, ec2api.InstanceTopology{
				InstanceId: &i.ID, InstanceType: &i.Type, GroupName: api.Opt(i.Options.Placement), NetworkNodes: i.networkNodes(),
				AvailabilityZone: &i.Zone, ZoneId: &i.ZoneID,
			})
		}
		return err
	})
}

// networkNodes are those above the host of an instance.
func (i *instanceRecord) networkNodes() (out []string) {
	levels := topologyTypes[i.Type]
	for n := range levels {
		at := i.ZoneID
		if n == levels-1 {
			at += "/" + i.Host
		}
		out = append(out, idiom.FixedID("nn", i.Region, "", strings.Repeat("/", n)+at))
	}
	return out
}
