package app

import (
	"iter"

	"github.com/kagimori/kagimori/internal/autoscaling"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/kagimori"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// keyUses are the things of EC2 and Auto Scaling that need keys.
type keyUses struct {
	ec2    *ec2.Service
	groups *autoscaling.Service
}

// when things of EC2 need their keys.
func when(u *ec2.KeyUse) impact.Moment {
	switch u.Spec.Operation {
	case launch.ReopenVolumes:
		return impact.HostRestart
	case launch.StartInstances:
		return impact.Restart
	}
	return impact.Launch
}

// Uses yields what an account has in a Region.
func (k keyUses) Uses(tx store.Tx, region, account string) iter.Seq2[kagimori.KeyUse, error] {
	return func(yield func(kagimori.KeyUse, error) bool) {
		for u, err := range k.ec2.KeyUses(tx, region, account) {
			use := kagimori.KeyUse{
				Use:  impact.Use{Kind: u.Kind, ID: u.ID, Name: u.Name, PartOf: u.PartOf, When: when(&u), Spec: u.Spec},
				Role: u.Role, Session: u.Session,
			}
			if !yield(use, err) || err != nil {
				return
			}
		}
		for l, err := range k.groups.NextLaunches(tx, region, account) {
			if err != nil {
				yield(kagimori.KeyUse{}, err)
				return
			}
			spec, ok, err := k.ec2.LaunchSpec(tx, region, account, l.Request)
			use := kagimori.KeyUse{
				Use: impact.Use{Kind: impact.Group, ID: l.Group, When: impact.Launch, Spec: spec}, Role: l.Role, Session: l.Session,
			}
			if (ok || err != nil) && !yield(use, err) || err != nil {
				return
			}
		}
	}
}
