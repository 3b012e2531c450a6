package prefixlist

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DescribeManagedPrefixLists lists the caller's lists and AWS's.
// Source: EC2 API Reference, DescribeManagedPrefixLists.
func (s *Service) DescribeManagedPrefixLists(ctx context.Context, c *guard.Call, in *ec2api.DescribeManagedPrefixListsRequest) (*ec2api.DescribeManagedPrefixListsResult, error) {
	out := new(ec2api.DescribeManagedPrefixListsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := all(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.ManagedPrefixList
		for i := range have {
			items = append(items, have[i].wire(nil))
		}
		out.PrefixLists, out.NextToken, err = idiom.Query[ec2api.ManagedPrefixList]{
			IDs: in.PrefixListIds, Missing: errMissing, Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Fields: idiom.Fields[ec2api.ManagedPrefixList]{
				"owner-id":         func(p ec2api.ManagedPrefixList) []string { return idiom.One(*p.OwnerId) },
				"prefix-list-id":   func(p ec2api.ManagedPrefixList) []string { return idiom.One(*p.PrefixListId) },
				"prefix-list-name": func(p ec2api.ManagedPrefixList) []string { return idiom.One(*p.PrefixListName) },
			},
			Described: func(p *ec2api.ManagedPrefixList) (string, *[]ec2api.Tag) { return *p.PrefixListId, &p.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// the decides the call's action on a list and finds it.
func (s *Service) the(tx store.Tx, c *guard.Call, dry *bool, id string) (List, error) {
	if err := s.desk.Allow(tx, c, dry, nil, idiom.On(kind, id)); err != nil {
		return List{}, err
	}
	return Find(tx, c, id)
}

// GetManagedPrefixListEntries tells the ranges of a list, in one of its versions.
// Source: EC2 API Reference, GetManagedPrefixListEntries.
func (s *Service) GetManagedPrefixListEntries(ctx context.Context, c *guard.Call, in *ec2api.GetManagedPrefixListEntriesRequest) (*ec2api.GetManagedPrefixListEntriesResult, error) {
	out := new(ec2api.GetManagedPrefixListEntriesResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		l, err := s.the(tx, c, in.DryRun, *in.PrefixListId)
		if err != nil {
			return err
		}
		have, err := l.at(tx, api.Val(in.TargetVersion))
		if err != nil {
			return err
		}
		items := []ec2api.PrefixListEntry{}
		for _, e := range have {
			items = append(items, ec2api.PrefixListEntry{Cidr: &e.CIDR, Description: api.Opt(e.Description)})
		}
		out.Entries, out.NextToken, err = idiom.Page(c.Operation, items, func(e ec2api.PrefixListEntry) string { return *e.Cidr }, idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// GetManagedPrefixListAssociations tells what refers to a list.
// Source: EC2 API Reference, GetManagedPrefixListAssociations.
func (s *Service) GetManagedPrefixListAssociations(ctx context.Context, c *guard.Call, in *ec2api.GetManagedPrefixListAssociationsRequest) (*ec2api.GetManagedPrefixListAssociationsResult, error) {
	out := new(ec2api.GetManagedPrefixListAssociationsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		l, err := s.the(tx, c, in.DryRun, *in.PrefixListId)
		if err != nil {
			return err
		}
		used, err := s.uses(tx, c, l.ID)
		if err != nil {
			return err
		}
		items := []ec2api.PrefixListAssociation{}
		for _, id := range used {
			items = append(items, ec2api.PrefixListAssociation{ResourceId: &id, ResourceOwner: new(c.Account())})
		}
		out.PrefixListAssociations, out.NextToken, err = idiom.Page(c.Operation, items, func(a ec2api.PrefixListAssociation) string { return *a.ResourceId }, idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}
