package eventwindow

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// windowFields are the filters. Source: EC2 API Reference, DescribeInstanceEventWindows, Filter.
var windowFields = idiom.Fields[ec2api.InstanceEventWindow]{
	"event-window-name": func(w ec2api.InstanceEventWindow) []string { return idiom.One(api.Val(w.Name)) },
	"instance-id":       func(w ec2api.InstanceEventWindow) []string { return target(w).InstanceIds },
	"dedicated-host-id": func(w ec2api.InstanceEventWindow) []string { return target(w).DedicatedHostIds },
	"instance-tag": func(w ec2api.InstanceEventWindow) []string {
		return tagged(w, func(k, v string) string { return k + "=" + v })
	},
	"instance-tag-key":   func(w ec2api.InstanceEventWindow) []string { return tagged(w, func(k, _ string) string { return k }) },
	"instance-tag-value": func(w ec2api.InstanceEventWindow) []string { return tagged(w, func(_, v string) string { return v }) },
}

func target(w ec2api.InstanceEventWindow) (t ec2api.InstanceEventWindowAssociationTarget) {
	if w.AssociationTarget != nil {
		t = *w.AssociationTarget
	}
	return t
}

func tagged(w ec2api.InstanceEventWindow, text func(key, value string) string) (out []string) {
	for _, t := range target(w).Tags {
		out = append(out, text(api.Val(t.Key), api.Val(t.Value)))
	}
	return out
}

// DescribeInstanceEventWindows lists windows. Source: EC2 API Reference, DescribeInstanceEventWindows.
func (s *Service) DescribeInstanceEventWindows(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceEventWindowsRequest) (*ec2api.DescribeInstanceEventWindowsResult, error) {
	out := new(ec2api.DescribeInstanceEventWindowsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := all(tx, c)
		if err != nil {
			return err
		}
		items := []ec2api.InstanceEventWindow{}
		for i := range have {
			items = append(items, have[i].wire(ec2api.InstanceEventWindowStateActive))
		}
		out.InstanceEventWindows, out.NextToken, err = idiom.Query[ec2api.InstanceEventWindow]{
			IDs: in.InstanceEventWindowIds, Missing: errMissing, Fields: windowFields, Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Described: func(w *ec2api.InstanceEventWindow) (string, *[]ec2api.Tag) { return *w.InstanceEventWindowId, &w.Tags },
		}.Answer(tx, c, items)
		return err
	})
}
