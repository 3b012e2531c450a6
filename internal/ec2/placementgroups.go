package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A placementRecord is a placement group. All instances are on one host: it changes nothing there.
type placementRecord struct {
	Region     string `json:"region"`
	Account    string `json:"account"`
	ID         string `json:"id"`
	Name       string `json:"name"`
	Strategy   string `json:"strategy"`
	Partitions int32  `json:"partitions,omitempty"`
	Spread     string `json:"spread,omitempty"`
}

// placementTable is keyed by (region, account, name).
var placementTable = store.Table[placementRecord]{Bucket: "ec2/placement-group", Version: 1}

// placementOperations are the handlers of placement groups.
func (s *Service) placementOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreatePlacementGroup":    guard.Handle(s.CreatePlacementGroup),
		"DeletePlacementGroup":    guard.HandleVoid(s.DeletePlacementGroup),
		"DescribePlacementGroups": guard.Handle(s.DescribePlacementGroups),
	}
}

func errPlacement(name string) error {
	return apierr.Newf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", name)
}

func (g *placementRecord) arn() string {
	return arn.EC2(g.Region, g.Account, "placement-group/"+g.Name)
}

// describe puts a placement group's condition keys into a part.
func (g *placementRecord) describe(p *authz.Part) {
	p.Context.Set("ec2:placementgroupname", g.Name)
	p.Context.Set("ec2:placementgroupstrategy", g.Strategy)
}

func (g *placementRecord) wire() ec2api.PlacementGroup {
	w := ec2api.PlacementGroup{
		GroupId: &g.ID, GroupName: &g.Name, GroupArn: new(g.arn()), State: new("available"), Strategy: &g.Strategy, SpreadLevel: api.Opt(g.Spread),
	}
	if g.Partitions > 0 {
		w.PartitionCount = &g.Partitions
	}
	return w
}

// placementOf reads a request for a placement group.
// Source: EC2 API Reference, CreatePlacementGroup; EC2 User Guide, "Placement groups".
func placementOf(in *ec2api.CreatePlacementGroupRequest) (placementRecord, error) {
	g := placementRecord{Name: api.Val(in.GroupName), Strategy: api.Val(in.Strategy), Partitions: api.Val(in.PartitionCount), Spread: api.Val(in.SpreadLevel)}
	if g.Strategy == "" {
		g.Strategy = "cluster"
	}
	switch {
	case g.Name == "":
		return g, apierr.New("MissingParameter", "The request must contain the parameter groupName")
	case len(g.Name) > 255:
		return g, invalidValue("Value (%s) for parameter groupName is invalid. It has up to 255 ASCII characters.", g.Name)
	case g.Strategy != "cluster" && g.Strategy != "spread" && g.Strategy != "partition":
		return g, invalidValue("Value (%s) for parameter strategy is invalid. Valid values: cluster, spread, partition.", g.Strategy)
	case in.PartitionCount != nil && g.Strategy != "partition":
		return g, apierr.New("InvalidParameterCombination", "The parameter partitionCount is valid only with the strategy partition.")
	case in.PartitionCount != nil && (g.Partitions < 1 || g.Partitions > 7):
		return g, invalidValue("Value (%d) for parameter partitionCount is invalid. It is from 1 to 7.", g.Partitions)
	case g.Spread != "" && g.Strategy != "spread":
		return g, apierr.New("InvalidParameterCombination", "The parameter spreadLevel is valid only with the strategy spread.")
	case g.Spread == "host":
		return g, apierr.New("UnsupportedOperation", "Spread level host is for Outposts only.")
	case g.Spread != "" && g.Spread != "rack":
		return g, invalidValue("Value (%s) for parameter spreadLevel is invalid. Valid values: host, rack.", g.Spread)
	}
	switch g.Strategy {
	case "partition":
		g.Partitions = max(g.Partitions, 1)
		if in.PartitionCount == nil {
			g.Partitions = 2
		}
	case "spread":
		g.Spread = "rack"
	}
	return g, nil
}

// CreatePlacementGroup makes a placement group.
func (s *Service) CreatePlacementGroup(ctx context.Context, c *guard.Call, in *ec2api.CreatePlacementGroupRequest) (*ec2api.CreatePlacementGroupResult, error) {
	g, err := placementOf(in)
	if err != nil {
		return nil, err
	}
	g.Region, g.Account, g.ID = c.Region, c.Account(), randomID("pg")
	specs, err := tagSpecs(c, in.TagSpecifications, "placement-group")
	if err != nil {
		return nil, err
	}
	tags := specs["placement-group"]
	out := &ec2api.CreatePlacementGroupResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		p := s.part(c, "ec2:CreatePlacementGroup", "placement-group/"+g.Name, nil)
		g.describe(&p)
		addRequestTags(&p, tags)
		c.Touch(g.arn(), g.Account, "")
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: s.withTags(c, []authz.Part{p}, "placement-group", tags)}); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if _, ok, err := placementTable.Get(tx, g.Region, g.Account, g.Name); err != nil {
			return err
		} else if ok {
			return apierr.Newf("InvalidPlacementGroup.Duplicate", "The placement group '%s' already exists.", g.Name)
		}
		w := g.wire()
		w.Tags = apiTags(tagMap(tags))
		out.PlacementGroup = &w
		if err := placementTable.Put(tx, g, g.Region, g.Account, g.Name); err != nil {
			return err
		}
		return putTags(tx, g.Region, g.Account, g.ID, tags)
	})
}

// DeletePlacementGroup deletes a placement group without instances.
func (s *Service) DeletePlacementGroup(ctx context.Context, c *guard.Call, in *ec2api.DeletePlacementGroupRequest) error {
	name := api.Val(in.GroupName)
	if name == "" {
		return apierr.New("MissingParameter", "The request must contain the parameter groupName")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, ok, err := placementTable.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return err
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), g.ID)
		if err != nil {
			return err
		}
		p := s.part(c, "ec2:DeletePlacementGroup", "placement-group/"+name, tags)
		if ok {
			g.describe(&p)
		}
		c.Touch(p.Resource.ARN, c.Account(), "")
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if !ok {
			return errPlacement(name)
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		used, err := s.instanceWith(tx, c, func(i *instanceRecord) bool { return i.Options.Placement == name })
		if err != nil {
			return err
		}
		if used {
			return apierr.Newf("InvalidPlacementGroup.InUse", "The placement group '%s' is in use and may not be deleted.", name)
		}
		if err := dropTags(tx, g.Region, g.Account, g.ID); err != nil {
			return err
		}
		return placementTable.Delete(tx, g.Region, g.Account, name)
	})
}

// placementByID finds a placement group of the caller by its id.
func placementByID(tx store.Tx, c *guard.Call, id string) (placementRecord, error) {
	for r, err := range placementTable.Scan(tx, c.Region, c.Account()) {
		if err != nil || r.Value.ID == id {
			return r.Value, err
		}
	}
	return placementRecord{}, errPlacement(id)
}

// placementFor is the placement group of a launch, or nil.
func (s *Service) placementFor(tx store.Tx, c *guard.Call, p *ec2api.Placement) (*placementRecord, error) {
	switch {
	case p == nil || api.Val(p.GroupName) == "" && api.Val(p.GroupId) == "":
		return nil, nil
	case api.Val(p.GroupName) != "" && api.Val(p.GroupId) != "":
		return nil, apierr.New("InvalidParameterCombination", "You can specify a placement group by its name or by its ID, not by both.")
	case api.Val(p.GroupId) != "":
		g, err := placementByID(tx, c, *p.GroupId)
		return &g, err
	}
	g, ok, err := placementTable.Get(tx, c.Region, c.Account(), *p.GroupName)
	if err == nil && !ok {
		err = errPlacement(*p.GroupName)
	}
	if err == nil && api.Val(p.PartitionNumber) > g.Partitions {
		err = invalidValue("Value (%d) for parameter partitionNumber is invalid. The placement group has %d partitions.", *p.PartitionNumber, g.Partitions)
	}
	return &g, err
}

var placementFields = fields[ec2api.PlacementGroup]{
	"group-name":   func(g ec2api.PlacementGroup) []string { return oneOf(*g.GroupName) },
	"group-arn":    func(g ec2api.PlacementGroup) []string { return oneOf(*g.GroupArn) },
	"state":        func(g ec2api.PlacementGroup) []string { return oneOf(*g.State) },
	"strategy":     func(g ec2api.PlacementGroup) []string { return oneOf(*g.Strategy) },
	"spread-level": func(g ec2api.PlacementGroup) []string { return oneOf(api.Val(g.SpreadLevel)) },
}

// DescribePlacementGroups lists the caller's placement groups.
func (s *Service) DescribePlacementGroups(ctx context.Context, c *guard.Call, in *ec2api.DescribePlacementGroupsRequest) (*ec2api.DescribePlacementGroupsResult, error) {
	out := &ec2api.DescribePlacementGroupsResult{}
	err := s.viewList(ctx, c, "ec2:DescribePlacementGroups", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.PlacementGroup
		for r, err := range placementTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			items = append(items, r.Value.wire())
		}
		items, err := pick(items, in.GroupNames, func(g ec2api.PlacementGroup) string { return *g.GroupName }, errPlacement)
		if err != nil {
			return err
		}
		items, err = pick(items, in.GroupIds, func(g ec2api.PlacementGroup) string { return *g.GroupId }, errPlacement)
		if err != nil {
			return err
		}
		out.PlacementGroups, err = sift(tx, c, placementFields, in.Filters, items,
			func(g *ec2api.PlacementGroup) (string, *[]ec2api.Tag) { return *g.GroupId, &g.Tags })
		return err
	})
	return out, err
}
