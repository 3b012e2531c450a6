package autoscaling

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// census counts what a group has: the base of every choice of the next instance.
type census struct {
	capacity int32          // in units: by weight
	onDemand int32          // the part of it that is not Spot
	zones    map[string]int // instances in each zone that the group may use
	pools    map[string]int // instances of each pool
	market
}

func (m *memberRecord) weight() int32 { return max(1, m.Weight) }

func (n *census) add(zone string, l *launchRecord) {
	n.capacity += max(1, l.Weight)
	if !l.Spot {
		n.onDemand += max(1, l.Weight)
	}
	n.pools[l.pool(zone)]++
	if _, ours := n.zones[zone]; ours {
		n.zones[zone]++
	}
}

func newCensus(zones []string, active []memberRecord, k market) *census {
	n := &census{zones: map[string]int{}, pools: map[string]int{}, market: k}
	for _, z := range zones {
		n.zones[z] = 0
	}
	for _, m := range active {
		n.add(m.Zone, &launchRecord{Type: m.Type, Spot: m.Spot, Weight: m.Weight})
	}
	return n
}

// next chooses the zone and kind of the next instance: the zone with the fewest instances that has
// a pool which did not fail lately. When all have failed, all are tried anew.
// Source: User Guide, "Auto Scaling benefits: Instance distribution".
func (n *census) next(g *groupRecord, config *configRecord) (zone string, l launchRecord) {
	byCount := slices.SortedFunc(maps.Keys(n.zones), func(a, b string) int {
		return cmp.Or(cmp.Compare(n.zones[a], n.zones[b]), cmp.Compare(a, b))
	})
	for _, avoid := range [][]string{g.Retry.Avoid, nil} {
		for _, zone = range byCount {
			kinds := n.kinds(g, config, zone)
			for _, l = range kinds {
				l.Among = len(kinds)
				if !slices.Contains(avoid, l.pool(zone)) {
					return zone, l
				}
			}
		}
	}
	return zone, l
}

// kinds are the kinds of instance for a zone, in the order in which the group prefers them.
func (n *census) kinds(g *groupRecord, config *configRecord, zone string) []launchRecord {
	if g.Mixed == nil {
		return []launchRecord{g.plainLaunch(config)}
	}
	m := g.Mixed
	spot := n.onDemand >= m.onDemand(max(g.Desired, n.capacity+1))
	var out []launchRecord
	for _, o := range n.choices(m, g.DesiredType) {
		l := m.launch(&o)
		plain := g.plainLaunch(nil)
		l.Tags, l.Protect, l.Placement, l.Spot = plain.Tags, plain.Protect, plain.Placement, spot
		if spot {
			l.MaxPrice = m.MaxPrice
		}
		out = append(out, l)
	}
	price := func(l launchRecord) int64 { return n.prices[l.Type] * 1000 / int64(max(1, l.Weight)) }
	byPrice := func(a, b launchRecord) int { return cmp.Compare(price(a), price(b)) }
	switch {
	case !spot && m.OnDemand == lowestPrice, spot && m.Spot == optimizedCost:
		slices.SortStableFunc(out, byPrice)
	case spot && m.Spot == lowestPrice: // evenly over the cheapest pools, then the others
		slices.SortStableFunc(out, byPrice)
		cheapest := out[:min(len(out), int(m.Pools))]
		slices.SortStableFunc(cheapest, func(a, b launchRecord) int { return cmp.Compare(n.pools[a.pool(zone)], n.pools[b.pool(zone)]) })
	}
	// Capacity is unlimited here: where AWS goes by free capacity, the order of the policy counts.
	return out
}

// zonal tells the refusals that another zone or type may not meet.
// Source: EC2 API Reference, "Error codes for the Amazon EC2 API".
func zonal(code string) bool {
	return slices.Contains([]string{
		"InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientFreeAddressesInSubnet", "InsufficientCapacity",
		"Unsupported", "InvalidSubnetID.NotFound",
	}, code)
}

// exhausted notes that the pool of a launch had nothing, and reports whether all pools of its
// market have failed.
func (g *groupRecord) exhausted(l *launchRecord, zone string) bool {
	if pool := l.pool(zone); !slices.Contains(g.Retry.Avoid, pool) {
		g.Retry.Avoid = append(g.Retry.Avoid, pool)
	}
	tried := 0
	for _, pool := range g.Retry.Avoid {
		if strings.Contains(pool, "/"+l.market()+"/") {
			tried++
		}
	}
	if tried < l.Among*len(g.Zones) {
		return false
	}
	g.Retry.Avoid = nil
	return true
}
