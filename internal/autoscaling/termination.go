package autoscaling

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Termination policies. Source: User Guide, "Configure termination policies for Amazon EC2 Auto
// Scaling".
const (
	policyDefault    = "Default"
	policyAllocation = "AllocationStrategy"
	policyHour       = "ClosestToNextInstanceHour"
	policyNewest     = "NewestInstance"
	policyOldest     = "OldestInstance"
	policyConfig     = "OldestLaunchConfiguration"
	policyTemplate   = "OldestLaunchTemplate"
)

// terminationPolicies are all of them, in the order in which they are listed.
var terminationPolicies = []string{
	policyAllocation, policyHour, policyDefault, policyNewest, policyOldest, policyConfig, policyTemplate,
}

func checkTermination(policies []string) error {
	for i, p := range policies {
		switch {
		case isARN(p):
			return validation("This server does not call functions: %s cannot be a termination policy.", p)
		case !slices.Contains(terminationPolicies, p):
			return validation("Termination policy %s is not valid. Valid policies are %v.", p, terminationPolicies)
		case slices.Contains(policies[:i], p):
			return validation("The termination policy %s is named twice.", p)
		case p == policyDefault && i < len(policies)-1:
			return validation("Termination policy Default must be the last of the list.")
		}
	}
	return nil
}

// selection picks the instances that a group gives up.
type selection struct {
	g        *groupRecord
	now      time.Time
	zones    map[string]int // instances in each zone
	onDemand int32          // capacity that is not Spot
	capacity int32
}

// choose picks the instances to take out until the capacity is down to target: each from a zone that
// the group has left, else from the one that has most, then by the group's termination policies. Protected instances stay, and so do
// those whose weight would take the group below target, unless the group is deleted.
func choose(g *groupRecord, now time.Time, active []memberRecord, target int32) []memberRecord {
	c := selection{g: g, now: now, zones: map[string]int{}}
	for _, m := range active {
		c.count(&m, 1)
	}
	pool := slices.Clone(active)
	if !g.Deleting {
		pool = slices.DeleteFunc(pool, func(m memberRecord) bool { return m.Protected })
	}
	var out []memberRecord
	for {
		if !g.Deleting {
			pool = slices.DeleteFunc(pool, func(m memberRecord) bool { return c.capacity-m.weight() < target })
		}
		if len(pool) == 0 {
			return out
		}
		best := c.first(pool)
		c.count(&best, -1)
		pool = slices.DeleteFunc(pool, func(m memberRecord) bool { return m.ID == best.ID })
		out = append(out, best)
	}
}

func (c *selection) count(m *memberRecord, n int32) {
	c.zones[m.Zone] += int(n)
	c.capacity += n * m.weight()
	if !m.Spot {
		c.onDemand += n * m.weight()
	}
}

// first is the instance to take out next. Where AWS chooses at random, the oldest and then the
// lowest id is taken.
func (c *selection) first(pool []memberRecord) memberRecord {
	pool = least(pool, func(m *memberRecord) int64 { return int64(boolInt(slices.Contains(c.g.Zones, m.Zone))) })
	pool = least(pool, func(m *memberRecord) int64 { return -int64(c.zones[m.Zone]) })
	for _, p := range c.g.TerminationPolicies {
		pool = c.apply(p, pool)
	}
	return slices.MinFunc(pool, func(a, b memberRecord) int { return cmp.Or(a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID)) })
}

// apply leaves the instances that a policy gives up first.
func (c *selection) apply(policy string, pool []memberRecord) []memberRecord {
	switch policy {
	case policyDefault:
		for _, p := range []string{policyAllocation, policyConfig, policyTemplate, policyHour} {
			pool = c.apply(p, pool)
		}
	case policyAllocation:
		if m := c.g.Mixed; m != nil {
			tooMuch := c.onDemand > m.onDemand(max(c.g.Desired, c.capacity-1))
			pool = least(pool, func(m *memberRecord) int64 {
				if m.Spot != tooMuch {
					return 0
				}
				return 1
			})
		}
	case policyConfig: // those of a launch configuration go before those of a template
		pool = least(pool, func(m *memberRecord) int64 {
			if m.Config == "" {
				return 1<<63 - 1
			}
			return m.ConfigMade.UnixNano()
		})
	case policyTemplate: // those of another template than the group's go first
		pool = least(pool, func(m *memberRecord) int64 {
			if m.Config != "" {
				return 1<<63 - 1
			}
			if !c.g.current(m.Template.ID) {
				return -1
			}
			v, _ := strconv.ParseInt(m.Template.Version, 10, 64) // EC2 tags instances with a number
			return v
		})
	case policyHour:
		pool = least(pool, func(m *memberRecord) int64 { return int64(time.Hour - c.now.Sub(m.Launched)%time.Hour) })
	case policyNewest:
		pool = least(pool, func(m *memberRecord) int64 { return -m.Launched.UnixNano() })
	case policyOldest:
		pool = least(pool, func(m *memberRecord) int64 { return m.Launched.UnixNano() })
	}
	return pool
}

// current reports whether a template is one that the group launches from.
func (g *groupRecord) current(template string) bool {
	if g.Mixed == nil {
		return g.Template.ID == template
	}
	return g.Mixed.Template.ID == template ||
		slices.ContainsFunc(g.Mixed.Overrides, func(o overrideRecord) bool { return o.Template.ID == template })
}

// least leaves those with the smallest value.
func least(pool []memberRecord, value func(*memberRecord) int64) []memberRecord {
	var out []memberRecord
	var best int64
	for _, m := range pool {
		switch v := value(&m); {
		case len(out) == 0 || v < best:
			out, best = []memberRecord{m}, v
		case v == best:
			out = append(out, m)
		}
	}
	return out
}
