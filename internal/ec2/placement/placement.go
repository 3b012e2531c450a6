// Package placement is placement groups, which launches name and which change nothing where instances run.
package placement

import (
	"cmp"
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Group is a placement group. All instances are on one host: it changes nothing there.
type Group struct {
	Region     string `json:"region"`
	Account    string `json:"account"`
	ID         string `json:"id"`
	Name       string `json:"name"`
	Strategy   string `json:"strategy"`
	Partitions int32  `json:"partitions,omitempty"`
	Spread     string `json:"spread,omitempty"`
}

// table is keyed by (region, account, name).
var table = store.Table[Group]{Bucket: "ec2/placement-group", Version: 1}

// A Service has the operations on placement groups. Safe for concurrent use.
type Service struct {
	g    *guard.Guard
	used func(tx store.Tx, c *guard.Call, name string) (bool, error)
}

// New makes a Service; used reports whether an instance of the caller that is not terminated is in a group.
func New(g *guard.Guard, used func(tx store.Tx, c *guard.Call, name string) (bool, error)) *Service {
	return &Service{g, used}
}

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreatePlacementGroup":    guard.Handle(s.CreatePlacementGroup),
		"DeletePlacementGroup":    guard.HandleVoid(s.DeletePlacementGroup),
		"DescribePlacementGroups": guard.Handle(s.DescribePlacementGroups),
	}
}

func errUnknown(name string) error {
	return apierr.Newf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", name)
}

// ARN is the group's.
func (g *Group) ARN() string {
	return arn.EC2(g.Region, g.Account, "placement-group/"+g.Name)
}

// Describe puts a placement group's condition keys into a part.
func (g *Group) Describe(p *authz.Part) {
	p.Context.Set("ec2:placementgroupname", g.Name)
	p.Context.Set("ec2:placementgroupstrategy", g.Strategy)
}

func (g *Group) wire() ec2api.PlacementGroup {
	w := ec2api.PlacementGroup{
		GroupId: &g.ID, GroupName: &g.Name, GroupArn: new(g.ARN()), State: new("available"), Strategy: &g.Strategy, SpreadLevel: api.Opt(g.Spread),
	}
	if g.Partitions > 0 {
		w.PartitionCount = &g.Partitions
	}
	return w
}

// SpreadHost is the spread level of groups for instances on Outposts: here no instance can be in one.
// Source: EC2 API Reference, CreatePlacementGroup.
const SpreadHost = "host"

// asked reads a request for a placement group.
// Source: EC2 API Reference, CreatePlacementGroup; EC2 User Guide, "Placement groups".
func asked(in *ec2api.CreatePlacementGroupRequest) (Group, error) {
	g := Group{Name: api.Val(in.GroupName), Strategy: api.Val(in.Strategy), Partitions: api.Val(in.PartitionCount), Spread: api.Val(in.SpreadLevel)}
	if g.Strategy == "" {
		g.Strategy = "cluster"
	}
	switch {
	case g.Name == "":
		return g, apierr.New("MissingParameter", "The request must contain the parameter groupName")
	case len(g.Name) > 255:
		return g, idiom.InvalidValue("Value (%s) for parameter groupName is invalid. It has up to 255 ASCII characters.", g.Name)
	case g.Strategy != "cluster" && g.Strategy != "spread" && g.Strategy != "partition":
		return g, idiom.InvalidValue("Value (%s) for parameter strategy is invalid. Valid values: cluster, spread, partition.", g.Strategy)
	case in.PartitionCount != nil && g.Strategy != "partition":
		return g, apierr.New("InvalidParameterCombination", "The parameter partitionCount is valid only with the strategy partition.")
	case in.PartitionCount != nil && (g.Partitions < 1 || g.Partitions > 7):
		return g, idiom.InvalidValue("Value (%d) for parameter partitionCount is invalid. It is from 1 to 7.", g.Partitions)
	case g.Spread != "" && g.Strategy != "spread":
		return g, apierr.New("InvalidParameterCombination", "The parameter spreadLevel is valid only with the strategy spread.")
	case g.Spread != "" && g.Spread != "rack" && g.Spread != SpreadHost:
		return g, idiom.InvalidValue("Value (%s) for parameter spreadLevel is invalid. Valid values: host, rack.", g.Spread)
	case api.Val(in.LinkedGroupId) != "" || api.Val(in.ParentGroupId) != "":
		return g, apierr.New("UnsupportedOperation", "This server does not support placement groups within, or linked to, others.")
	}
	switch g.Strategy {
	case "partition":
		g.Partitions = max(g.Partitions, 1)
		if in.PartitionCount == nil {
			g.Partitions = 2
		}
	case "spread":
		g.Spread = cmp.Or(g.Spread, "rack")
	}
	return g, nil
}

// CreatePlacementGroup makes a placement group.
func (s *Service) CreatePlacementGroup(ctx context.Context, c *guard.Call, in *ec2api.CreatePlacementGroupRequest) (*ec2api.CreatePlacementGroupResult, error) {
	g, err := asked(in)
	if err == nil {
		err = idiom.NoOperator(in.Operator)
	}
	if err != nil {
		return nil, err
	}
	g.Region, g.Account, g.ID = c.Region, c.Account(), idiom.RandomID("pg")
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, "placement-group")
	if err != nil {
		return nil, err
	}
	tags := specs["placement-group"]
	out := &ec2api.CreatePlacementGroupResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		p := idiom.Part(c, "ec2:CreatePlacementGroup", "placement-group/"+g.Name, nil)
		g.Describe(&p)
		idiom.AddRequestTags(&p, tags)
		c.Touch(g.ARN(), g.Account, "")
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: idiom.WithTags(c, []authz.Part{p}, "placement-group", tags)}); err != nil {
			return err
		}
		if err := idiom.DryRun(in.DryRun); err != nil {
			return err
		}
		if _, ok, err := table.Get(tx, g.Region, g.Account, g.Name); err != nil {
			return err
		} else if ok {
			return apierr.Newf("InvalidPlacementGroup.Duplicate", "The placement group '%s' already exists.", g.Name)
		}
		w := g.wire()
		w.Tags = idiom.Wire(idiom.TagMap(tags))
		out.PlacementGroup = &w
		if err := table.Put(tx, g, g.Region, g.Account, g.Name); err != nil {
			return err
		}
		return idiom.PutTags(tx, g.Region, g.Account, g.ID, tags)
	})
}

// DeletePlacementGroup deletes a placement group without instances.
func (s *Service) DeletePlacementGroup(ctx context.Context, c *guard.Call, in *ec2api.DeletePlacementGroupRequest) error {
	name := api.Val(in.GroupName)
	if name == "" {
		return apierr.New("MissingParameter", "The request must contain the parameter groupName")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, ok, err := table.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return err
		}
		tags, err := idiom.TagsOf(tx, c.Region, c.Account(), g.ID)
		if err != nil {
			return err
		}
		p := idiom.Part(c, "ec2:DeletePlacementGroup", "placement-group/"+name, tags)
		if ok {
			g.Describe(&p)
		}
		c.Touch(p.Resource.ARN, c.Account(), "")
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if !ok {
			return errUnknown(name)
		}
		if err := idiom.DryRun(in.DryRun); err != nil {
			return err
		}
		used, err := s.used(tx, c, name)
		if err != nil {
			return err
		}
		if used {
			return apierr.Newf("InvalidPlacementGroup.InUse", "The placement group '%s' is in use and may not be deleted.", name)
		}
		if err := idiom.DropTags(tx, g.Region, g.Account, g.ID); err != nil {
			return err
		}
		return table.Delete(tx, g.Region, g.Account, name)
	})
}

// ByID finds a placement group of the caller by its id.
func ByID(tx store.Tx, c *guard.Call, id string) (Group, error) {
	for r, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil || r.Value.ID == id {
			return r.Value, err
		}
	}
	return Group{}, errUnknown(id)
}

// For is the placement group of a launch, or nil.
func For(tx store.Tx, c *guard.Call, p *ec2api.Placement) (*Group, error) {
	switch {
	case p == nil || api.Val(p.GroupName) == "" && api.Val(p.GroupId) == "":
		return nil, nil
	case api.Val(p.GroupName) != "" && api.Val(p.GroupId) != "":
		return nil, apierr.New("InvalidParameterCombination", "You can specify a placement group by its name or by its ID, not by both.")
	case api.Val(p.GroupId) != "":
		g, err := ByID(tx, c, *p.GroupId)
		return &g, err
	}
	g, ok, err := table.Get(tx, c.Region, c.Account(), *p.GroupName)
	if err == nil && !ok {
		err = errUnknown(*p.GroupName)
	}
	if err == nil && api.Val(p.PartitionNumber) > g.Partitions {
		err = idiom.InvalidValue("Value (%d) for parameter partitionNumber is invalid. The placement group has %d partitions.", *p.PartitionNumber, g.Partitions)
	}
	return &g, err
}

var fields = idiom.Fields[ec2api.PlacementGroup]{
	"group-name":   func(g ec2api.PlacementGroup) []string { return idiom.One(*g.GroupName) },
	"group-arn":    func(g ec2api.PlacementGroup) []string { return idiom.One(*g.GroupArn) },
	"state":        func(g ec2api.PlacementGroup) []string { return idiom.One(*g.State) },
	"strategy":     func(g ec2api.PlacementGroup) []string { return idiom.One(*g.Strategy) },
	"spread-level": func(g ec2api.PlacementGroup) []string { return idiom.One(api.Val(g.SpreadLevel)) },
}

// DescribePlacementGroups lists the caller's placement groups.
func (s *Service) DescribePlacementGroups(ctx context.Context, c *guard.Call, in *ec2api.DescribePlacementGroupsRequest) (*ec2api.DescribePlacementGroupsResult, error) {
	out := &ec2api.DescribePlacementGroupsResult{}
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribePlacementGroups", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.PlacementGroup
		for r, err := range table.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			items = append(items, r.Value.wire())
		}
		items, err := idiom.Pick(items, in.GroupNames, func(g ec2api.PlacementGroup) string { return *g.GroupName }, errUnknown)
		if err != nil {
			return err
		}
		items, err = idiom.Pick(items, in.GroupIds, func(g ec2api.PlacementGroup) string { return *g.GroupId }, errUnknown)
		if err != nil {
			return err
		}
		out.PlacementGroups, err = idiom.Sift(tx, c, fields, in.Filters, items,
			func(g *ec2api.PlacementGroup) (string, *[]ec2api.Tag) { return *g.GroupId, &g.Tags })
		return err
	})
	return out, err
}
