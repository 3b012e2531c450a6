package autoscaling

import (
	"context"

	"github.com/kagimori/kagimori/internal/store"
)

// forgetOld removes activities of the group's account and region that no call tells of any more, the
// oldest first and a few at a time. Every pass does it, so more go than a pass can bring; an account
// where nothing happens keeps its last ones.
// Source: API Reference, DescribeScalingActivities: activities of the past six weeks are told.
func (s *Service) forgetOld(ctx context.Context, p place) error {
	var old []activityRecord
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		old, err = s.outdated(tx, p)
		return err
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return s.g.Change(ctx, func(tx store.Tx) error {
		old, err := s.outdated(tx, p)
		if err != nil {
			return err
		}
		for _, a := range old {
			if err := dropActivity(tx, p, &a); err != nil {
				return err
			}
			if err := s.g.UnlinkCause(tx, p.Account, p.Region, a.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// outdated are the oldest activities that ended and are older than six weeks, a few of them.
func (s *Service) outdated(tx store.Tx, p place) (old []activityRecord, err error) {
	oldest := store.Range{Prefix: store.Key(p.Region, p.Account), Reverse: true, Limit: 2 * batch}
	for r, err := range activityTable.ScanRange(tx, oldest) {
		if err != nil {
			return nil, err
		}
		if s.g.Now().Sub(r.Value.Start) < activityAge {
			break
		}
		if !r.Value.open() {
			old = append(old, r.Value)
		}
	}
	return old, nil
}
