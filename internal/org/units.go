package org

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxDepth is how many levels of organizational units a root may have.
// Source: AWS Organizations User Guide, "Quotas and service limits".
const maxDepth = 5

// maxUnits is how many organizational units an organization may have. Source: as maxDepth.
const maxUnits = 2000

// above are the units from the given one up to the root, which is not among them; empty for the
// root. ok is false if there is no such parent.
func (s *Service) above(tx store.Tx, o directory.Organization, id string) (chain []directory.Unit, ok bool, err error) {
	units, err := s.dir.Units(tx, o)
	if err != nil {
		return nil, false, err
	}
	return climb(o, units, id)
}

func climb(o directory.Organization, units []directory.Unit, id string) (chain []directory.Unit, ok bool, err error) {
	for id != o.Root {
		i := slices.IndexFunc(units, func(u directory.Unit) bool { return u.ID == id })
		if i < 0 && len(chain) == 0 {
			return nil, false, nil
		}
		if i < 0 || len(chain) > maxDepth {
			return nil, false, fmt.Errorf("org: organizational unit %s of %s is lost", id, o.ID)
		}
		chain = append(chain, units[i])
		id = units[i].Parent
	}
	return chain, true, nil
}

// path is where something with that parent is: organization, root and units, without itself.
func path(o directory.Organization, chain []directory.Unit) string {
	var p strings.Builder
	p.WriteString(o.ID + "/" + o.Root + "/")
	for _, u := range slices.Backward(chain) {
		p.WriteString(u.ID + "/")
	}
	return p.String()
}

// openParent is open for an operation on a root or unit.
func (s *Service) openParent(tx store.Tx, c *guard.Call, q question) (directory.Organization, []directory.Unit, error) {
	o, err := s.open(tx, c, q)
	if err != nil {
		return o, nil, err
	}
	chain, ok, err := s.above(tx, o, q.ids[0])
	if err == nil && !ok {
		err = errNoParent
	}
	return o, chain, err
}

// openUnit is open for an operation on a unit.
func (s *Service) openUnit(tx store.Tx, c *guard.Call, id string) (directory.Organization, []directory.Unit, error) {
	o, err := s.open(tx, c, on(id))
	if err != nil {
		return o, nil, err
	}
	chain, ok, err := s.above(tx, o, id)
	if err == nil && !ok {
		err = errNoUnit
	}
	return o, chain, err
}

func showUnit(o directory.Organization, chain []directory.Unit) *organizationsapi.OrganizationalUnit {
	u := chain[0]
	return &organizationsapi.OrganizationalUnit{Id: &u.ID, Arn: new(o.TargetARN(u.ID)), Name: &u.Name, Path: new(path(o, chain))}
}

// children are the units directly under a parent.
func (s *Service) children(tx store.Tx, o directory.Organization, parent string) ([]directory.Unit, error) {
	all, err := s.dir.Units(tx, o)
	return slices.DeleteFunc(all, func(u directory.Unit) bool { return u.Parent != parent }), err
}

// nameFree fails if another unit under the parent has the name.
func (s *Service) nameFree(tx store.Tx, o directory.Organization, u directory.Unit) error {
	siblings, err := s.children(tx, o, u.Parent)
	if slices.ContainsFunc(siblings, func(x directory.Unit) bool { return x.ID != u.ID && strings.EqualFold(x.Name, u.Name) }) {
		return errUnitName
	}
	return err
}

// CreateOrganizationalUnit makes a unit under the root or another unit.
func (s *Service) CreateOrganizationalUnit(ctx context.Context, c *guard.Call, in *organizationsapi.CreateOrganizationalUnitRequest) (*organizationsapi.CreateOrganizationalUnitResponse, error) {
	out := &organizationsapi.CreateOrganizationalUnitResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		o, chain, err := s.openParent(tx, c, question{ids: []string{*in.ParentId}, tags: in.Tags, tagged: newUnit})
		if err != nil {
			return err
		}
		tags, err := merge(nil, in.Tags)
		if err != nil {
			return err
		}
		if len(chain) >= maxDepth {
			return errUnitDepth
		}
		u := directory.Unit{
			ID: directory.NewOrgID("ou-"+strings.TrimPrefix(o.Root, "r-")+"-", 8), Parent: *in.ParentId, Name: *in.Name, Created: s.now(), Tags: tags,
		}
		if err := s.nameFree(tx, o, u); err != nil {
			return err
		}
		if all, err := s.dir.Units(tx, o); err != nil {
			return err
		} else if len(all) >= maxUnits {
			return errUnitNumber
		}
		out.OrganizationalUnit = showUnit(o, append([]directory.Unit{u}, chain...))
		c.Respond(out)
		return s.dir.PutUnit(tx, o, u)
	})
	return out, err
}

// DescribeOrganizationalUnit describes a unit.
func (s *Service) DescribeOrganizationalUnit(ctx context.Context, c *guard.Call, in *organizationsapi.DescribeOrganizationalUnitRequest) (*organizationsapi.DescribeOrganizationalUnitResponse, error) {
	out := &organizationsapi.DescribeOrganizationalUnitResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, chain, err := s.openUnit(tx, c, *in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		out.OrganizationalUnit = showUnit(o, chain)
		return nil
	})
	return out, err
}

// UpdateOrganizationalUnit renames a unit.
func (s *Service) UpdateOrganizationalUnit(ctx context.Context, c *guard.Call, in *organizationsapi.UpdateOrganizationalUnitRequest) (*organizationsapi.UpdateOrganizationalUnitResponse, error) {
	out := &organizationsapi.UpdateOrganizationalUnitResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		o, chain, err := s.openUnit(tx, c, *in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		if in.Name != nil {
			chain[0].Name = *in.Name
		}
		if err := s.nameFree(tx, o, chain[0]); err != nil {
			return err
		}
		out.OrganizationalUnit = showUnit(o, chain)
		c.Respond(out)
		return s.dir.PutUnit(tx, o, chain[0])
	})
	return out, err
}

// DeleteOrganizationalUnit removes a unit with nothing under it.
func (s *Service) DeleteOrganizationalUnit(ctx context.Context, c *guard.Call, in *organizationsapi.DeleteOrganizationalUnitRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		id := *in.OrganizationalUnitId
		o, _, err := s.openUnit(tx, c, id)
		if err != nil {
			return err
		}
		units, err := s.children(tx, o, id)
		if err != nil {
			return err
		}
		accounts, err := s.accountsUnder(tx, o, id)
		if err != nil {
			return err
		}
		if len(units)+len(accounts) > 0 {
			return errUnitNotEmpty
		}
		return s.dir.DeleteUnit(tx, o, id)
	})
}

// ListOrganizationalUnitsForParent lists the units directly under a parent.
func (s *Service) ListOrganizationalUnitsForParent(ctx context.Context, c *guard.Call, in *organizationsapi.ListOrganizationalUnitsForParentRequest) (*organizationsapi.ListOrganizationalUnitsForParentResponse, error) {
	out := &organizationsapi.ListOrganizationalUnitsForParentResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, chain, err := s.openParent(tx, c, on(*in.ParentId))
		if err != nil {
			return err
		}
		all, err := s.children(tx, o, *in.ParentId)
		if err != nil {
			return err
		}
		var units []directory.Unit
		units, out.NextToken, err = page(s, c, in.NextToken, in.MaxResults, all, func(u *directory.Unit) string { return u.ID }, *in.ParentId)
		out.OrganizationalUnits = shown(units, func(u directory.Unit) organizationsapi.OrganizationalUnit {
			return *showUnit(o, append([]directory.Unit{u}, chain...))
		})
		return err
	})
	return out, err
}

// ListParents tells the one parent of an account or unit.
func (s *Service) ListParents(ctx context.Context, c *guard.Call, in *organizationsapi.ListParentsRequest) (*organizationsapi.ListParentsResponse, error) {
	out := &organizationsapi.ListParentsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on(*in.ChildId))
		if err != nil {
			return err
		}
		parent := ""
		if isUnit(*in.ChildId) {
			u, _, err := s.dir.Unit(tx, o, *in.ChildId)
			if err != nil {
				return err
			}
			parent = u.Parent
		} else {
			m, _, err := s.dir.KnownMember(tx, o, *in.ChildId)
			if err != nil {
				return err
			}
			parent = m.Parent
		}
		if parent == "" {
			return errNoChild
		}
		kind := organizationsapi.ParentTypeORGANIZATIONAL_UNIT
		if isRoot(parent) {
			kind = organizationsapi.ParentTypeROOT
		}
		one := []organizationsapi.Parent{{Id: &parent, Type: &kind}}
		out.Parents, out.NextToken, err = page(s, c, in.NextToken, in.MaxResults, one, func(p *organizationsapi.Parent) string { return *p.Id })
		return err
	})
	return out, err
}

// ListChildren lists the ids of the accounts or the units directly under a parent.
func (s *Service) ListChildren(ctx context.Context, c *guard.Call, in *organizationsapi.ListChildrenRequest) (*organizationsapi.ListChildrenResponse, error) {
	out := &organizationsapi.ListChildrenResponse{}
	kind := api.Val(in.ChildType)
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, _, err := s.openParent(tx, c, on(*in.ParentId))
		if err != nil {
			return err
		}
		var ids []string
		if kind == organizationsapi.ChildTypeACCOUNT {
			accounts, err := s.accountsUnder(tx, o, *in.ParentId)
			if err != nil {
				return err
			}
			ids = shown(accounts, func(m directory.Member) string { return m.Account })
		} else {
			units, err := s.children(tx, o, *in.ParentId)
			if err != nil {
				return err
			}
			ids = shown(units, func(u directory.Unit) string { return u.ID })
		}
		ids, out.NextToken, err = page(s, c, in.NextToken, in.MaxResults, ids, func(id *string) string { return *id }, *in.ParentId, kind)
		out.Children = shown(ids, func(id string) organizationsapi.Child { return organizationsapi.Child{Id: &id, Type: &kind} })
		return err
	})
	return out, err
}
