package app

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/iam"
	"github.com/kagimori/kagimori/internal/trail"
)

// uses reads from the trail who used what in an account: users, root users and roles by their
// sessions, not what services do in their own name.
func uses(t *trail.Trail) iam.Uses {
	return func(ctx context.Context, account string, since time.Time) iter.Seq2[iam.Use, error] {
		return func(yield func(iam.Use, error) bool) {
			for r, err := range t.Each(ctx, trail.Filter{Account: account, Since: since}) {
				if err != nil {
					yield(iam.Use{}, err)
					return
				}
				id := &r.UserIdentity
				if id.AccountID != account {
					continue
				}
				u := iam.Use{Principal: id.ARN, Service: strings.TrimSuffix(r.EventSource, ".amazonaws.com"), Action: r.EventName, Region: r.AWSRegion, At: r.EventTime}
				if c := id.SessionContext; c != nil && c.SessionIssuer.ARN != "" {
					u.Principal = c.SessionIssuer.ARN
				}
				if !yield(u, nil) {
					return
				}
			}
		}
	}
}
