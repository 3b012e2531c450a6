package autoscaling

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// resume finds out what became of launches whose answer was lost: the server may have stopped
// between EC2's answer and the record of it. An instance that EC2 started is taken in, however the
// group has changed since; a launch that never reached EC2 is made now, or given up if it is not
// wanted any more.
func (s *Service) resume(ctx context.Context, v *sight, as guard.Caller) error {
	for _, id := range slices.Clone(v.group.Launching) {
		a, err := s.activity(ctx, v.place, id)
		if err != nil {
			return err
		}
		in := &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{{Name: new("client-token"), Values: []string{id}}}}
		out, err := s.compute.DescribeInstances(ctx, s.newCall(v.place), as, in)
		if err != nil {
			return err
		}
		var found []ec2api.Instance
		for _, r := range out.Reservations {
			found = append(found, r.Instances...)
		}
		switch {
		case len(found) > 0:
			err = s.started(ctx, v, a, found[0])
		case a.Launch != nil && (a.Launch.Extra || a.Launch.Warm): // made anew if it is still wanted
			err = s.giveUp(ctx, v, a)
		case v.group.Deleting, v.group.suspended(processLaunch), capacityOf(v.active()) >= v.group.Desired:
			err = s.giveUp(ctx, v, a)
		default:
			err = s.runLaunch(ctx, v, as, id)
		}
		if err != nil {
			return err
		}
		if _, err := s.look(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// giveUp ends the activity of a launch that never reached EC2.
func (s *Service) giveUp(ctx context.Context, v *sight, a activityRecord) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok {
			return err
		}
		g.launched(a.ID)
		a.finish(s.g.Now(), launch.Activity{StatusCode: autoscalingapi.ScalingActivityStatusCodeCancelled})
		if err := putActivity(tx, v.place, a); err != nil {
			return err
		}
		return s.put(tx, g)
	})
}

// launched takes an activity off the list of those that EC2 has not answered.
func (g *groupRecord) launched(id string) {
	g.Launching = slices.DeleteFunc(g.Launching, func(x string) bool { return x == id })
}
