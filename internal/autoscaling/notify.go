package autoscaling

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxTopics is the most topics of a group. Source: User Guide, "Quotas for Auto Scaling resources
// and groups".
const maxTopics = 10

// notificationTypes are the events of which groups can tell.
// Source: API Reference, NotificationConfiguration.
var notificationTypes = []string{
	"autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_LAUNCH_ERROR", "autoscaling:EC2_INSTANCE_TERMINATE",
	"autoscaling:EC2_INSTANCE_TERMINATE_ERROR", "autoscaling:TEST_NOTIFICATION",
}

// topicTable is what a group tells a topic. Key: region, account, group, topic.
var topicTable = store.Table[[]string]{Bucket: "autoscaling/topic", Version: 1}

// PutNotificationConfiguration has a group tell a topic of events, in place of what it told it before.
func (s *Service) PutNotificationConfiguration(ctx context.Context, c *guard.Call, in *autoscalingapi.PutNotificationConfigurationType) error {
	topic := api.Val(in.TopicARN)
	if parts := strings.Split(topic, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" {
		return validation("Invalid Topic ARN: %s", topic)
	}
	if len(in.NotificationTypes) == 0 {
		return validation("At least one notification type must be specified.")
	}
	var types []string
	for _, t := range in.NotificationTypes {
		if !slices.Contains(notificationTypes, t) {
			return validation("\"%s\" is not a valid Notification Type. Valid types are %s.", t, strings.Join(notificationTypes, ", "))
		}
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:PutNotificationConfiguration", nil)
		if err != nil {
			return err
		}
		n := 0
		for r, err := range topicTable.Scan(tx, g.place().key()...) {
			if err != nil {
				return err
			}
			if r.Key[3] != topic {
				n++
			}
		}
		if n >= maxTopics {
			return apierr.Newf("LimitExceeded", "You have reached your limit of %d SNS topics for the Auto Scaling group %s.", maxTopics, g.Name)
		}
		if err := s.announceTest(tx, &g, topic); err != nil {
			return err
		}
		return topicTable.Put(tx, types, g.Region, g.Account, g.Name, topic)
	})
	s.deliver()
	return err
}

// DeleteNotificationConfiguration ends what a group tells a topic.
func (s *Service) DeleteNotificationConfiguration(ctx context.Context, c *guard.Call, in *autoscalingapi.DeleteNotificationConfigurationType) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:DeleteNotificationConfiguration", nil)
		if err != nil {
			return err
		}
		key := []string{g.Region, g.Account, g.Name, api.Val(in.TopicARN)}
		if _, ok, err := topicTable.Get(tx, key...); err != nil {
			return err
		} else if !ok {
			return validation("Notification configuration not found for topic %s", api.Val(in.TopicARN))
		}
		return topicTable.Delete(tx, key...)
	})
}

// DescribeNotificationConfigurations lists what groups tell, an entry for each topic and event.
func (s *Service) DescribeNotificationConfigurations(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeNotificationConfigurationsType) (*autoscalingapi.DescribeNotificationConfigurationsAnswer, error) {
	var err error
	out := &autoscalingapi.DescribeNotificationConfigurationsAnswer{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 100)
	out.NotificationConfigurations, out.NextToken, err = paged(ctx, at, func(tx store.Tx, rng store.Range, yield func(string, autoscalingapi.NotificationConfiguration) bool) error {
		return scan(tx, topicTable, store.Range{Prefix: rng.Prefix}, func(key []string, types *[]string) bool {
			if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, key[2]) {
				return true
			}
			for _, t := range slices.Sorted(slices.Values(*types)) {
				if !yield(store.Key(append(slices.Clone(key), t)...), autoscalingapi.NotificationConfiguration{
					AutoScalingGroupName: &key[2], TopicARN: &key[3], NotificationType: &t,
				}) {
					return false
				}
			}
			return true
		})
	})
	return out, err
}
