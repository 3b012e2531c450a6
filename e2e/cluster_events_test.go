package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// TestEventsOfAllNodes: any node tells of what all of them did, in pages, and says when one cannot be asked.
func TestEventsOfAllNodes(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 3)
	ctx := t.Context()
	one := adminOf(c.all[0].URL, seed.NewAccount())
	key := must(one.kms.CreateKey(ctx, &kms.CreateKeyInput{}))(t).KeyMetadata
	eventually(t, "all nodes know the key", func() (bool, string) {
		for i := range 3 {
			if _, err := c.at(i, one).kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key.Arn}); err != nil {
				return false, err.Error()
			}
		}
		return true, ""
	})
	for range 4 { // on each node in turn
		for i := range 3 {
			must(c.at(i, one).kms.ListGrants(ctx, &kms.ListGrantsInput{KeyId: key.Arn}))(t)
		}
	}
	lookup := func(i int) (names []string) {
		var token *string
		var last time.Time
		seen := map[string]bool{}
		for {
			out := must(c.at(i, one).events.LookupEvents(ctx, &cloudtrail.LookupEventsInput{MaxResults: new(int32(5)), NextToken: token}))(t)
			for _, e := range out.Events {
				if seen[*e.EventId] || len(out.Events) > 5 {
					t.Errorf("%s is there twice, or the page has %d events", *e.EventId, len(out.Events))
				}
				if !last.IsZero() && e.EventTime.After(last) {
					t.Errorf("%s after %s", e.EventTime, last)
				}
				if seen[*e.EventId] = true; *e.EventName != "NodeUnavailable" {
					last = *e.EventTime
				}
				names = append(names, *e.EventName)
			}
			if token = out.NextToken; token == nil {
				return names
			}
		}
	}
	count := func(names []string, name string) (n int) {
		for _, x := range names {
			if x == name {
				n++
			}
		}
		return n
	}
	for i := range 3 {
		if names := lookup(i); count(names, "ListGrants") != 12 || count(names, "CreateKey") != 1 || slices.Contains(names, "NodeUnavailable") {
			t.Errorf("node %d tells of %v", i, names)
		}
	}
	c.all[2].Kill()
	if names := lookup(0); count(names, "ListGrants") != 8 || count(names, "NodeUnavailable") != 1 {
		t.Errorf("with a node down, node 0 tells of %v", names)
	}
	c.start(t, 2)
	eventually(t, "the node that is back tells too", func() (bool, string) {
		names := lookup(1)
		return count(names, "ListGrants") == 12 && !slices.Contains(names, "NodeUnavailable"), fmt.Sprint(names)
	})
}
