package autoscaling

import (
	"iter"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/store"
)

// A NextLaunch is what a group asks EC2 for when it launches an instance the next time: one of the
// kinds that it may choose.
type NextLaunch struct {
	Group   string
	Role    string // ARN of the service-linked role that launches
	Session string // name of its session
	Request *ec2api.RunInstancesRequest
}

// NextLaunches yields what the groups of an account in a Region launch the next time: of a mixed
// instances policy each kind.
func (s *Service) NextLaunches(tx store.Tx, region, account string) iter.Seq2[NextLaunch, error] {
	return func(yield func(NextLaunch, error) bool) {
		for r, err := range groupTable.Scan(tx, region, account) {
			if err != nil {
				yield(NextLaunch{}, err)
				return
			}
			g := r.Value.source()
			config, err := g.config(tx)
			if err != nil {
				yield(NextLaunch{}, err)
				return
			}
			subnet := ""
			if g.Subnets != "" {
				subnet = splitList(g.Subnets)[0]
			}
			for _, l := range g.nextKinds(config) {
				next := NextLaunch{Group: g.Name, Role: g.Role, Session: sessionName, Request: l.request(g.Name, "", subnet)}
				if l.bid() != "" {
					next.Role, next.Session = spotRole(account), spotSession
				}
				next.Request.ClientToken = nil
				if !yield(next, nil) {
					return
				}
			}
		}
	}
}

// nextKinds are the kinds of instance that a group launches.
func (g *groupRecord) nextKinds(config *configRecord) []launchRecord {
	m := g.Mixed
	if m == nil {
		return []launchRecord{g.plainLaunch(config)}
	}
	if len(m.Overrides) == 0 {
		return []launchRecord{m.launch(&overrideRecord{})}
	}
	var out []launchRecord
	for i := range m.Overrides {
		out = append(out, m.launch(&m.Overrides[i]))
	}
	return out
}
