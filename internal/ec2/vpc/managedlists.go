package vpc

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DescribeManagedPrefixLists lists AWS's lists: the addresses of the services that gateway endpoints lead to. There are
// no lists of customers. Sources: EC2 API Reference, DescribeManagedPrefixLists; VPC User Guide, "AWS-managed prefix lists".
func (s *Service) DescribeManagedPrefixLists(ctx context.Context, c *guard.Call, in *ec2api.DescribeManagedPrefixListsRequest) (*ec2api.DescribeManagedPrefixListsResult, error) {
	out := new(ec2api.DescribeManagedPrefixListsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		var items []ec2api.ManagedPrefixList
		for _, label := range gatewayServices {
			name := serviceName(c.Region, label)
			id := prefixList(c.Region, name)
			items = append(items, ec2api.ManagedPrefixList{
				PrefixListId: &id, PrefixListName: &name, PrefixListArn: new("arn:aws:ec2:" + c.Region + ":aws:prefix-list/" + id),
				OwnerId: new("AWS"), AddressFamily: new("IPv4"), State: new("create-complete"),
			})
		}
		var err error
		out.PrefixLists, out.NextToken, err = idiom.Query[ec2api.ManagedPrefixList]{
			IDs: in.PrefixListIds, Missing: errPrefixList, Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
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
