package ec2

import (
	"cmp"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// Types of fleets.
const (
	fleetInstant  = "instant"
	fleetRequest  = "request"
	fleetMaintain = "maintain"
)

// States of fleets; those of Spot Fleet requests are called cancelled where others are deleted.
// Source: EC2 User Guide, "EC2 Fleet and Spot Fleet request states".
const (
	fleetSubmitted   = "submitted"
	fleetActive      = "active"
	fleetDeleted     = "deleted"
	fleetRunning     = "deleted_running"
	fleetTerminating = "deleted_terminating"
)

// maxFleet is how many instances a fleet of this server has at most.
const maxFleet = 1000

// A fleetRecord is an EC2 Fleet or a Spot Fleet request.
type fleetRecord struct {
	Region   string         `json:"region"`
	Account  string         `json:"account"`
	ID       string         `json:"id"` // fleet-... or sfr-...
	Type     string         `json:"type"`
	State    string         `json:"state"`
	Created  time.Time      `json:"created"`
	Config   jsontext.Value `json:"config"` // the request, for answers
	OnDemand int32          `json:"onDemand"`
	Spot     int32          `json:"spot"`
	Pools    []fleetPool    `json:"pools"`
	// How pools are chosen for each kind of capacity.
	OnDemandBy string     `json:"onDemandBy"`
	SpotBy     string     `json:"spotBy"`
	Excess     string     `json:"excess"` // termination, no-termination
	From       time.Time  `json:"from,omitzero"`
	Until      time.Time  `json:"until,omitzero"`
	EndToo     bool       `json:"endToo,omitempty"` // instances end with Until
	Failures   int        `json:"failures,omitempty"`
	Made       int        `json:"made,omitempty"`   // instances, ever
	Done       bool       `json:"done,omitempty"`   // the target was reached once
	Ended      time.Time  `json:"ended,omitzero"`   // since when deleted
	Errors     []fleetBug `json:"errors,omitempty"` // the last of each pool
	History    []event    `json:"history,omitempty"`
	Tags       []tag      `json:"tags,omitempty"` // for instances
	VolumeTags []tag      `json:"volumeTags,omitempty"`
}

// A fleetPool is one choice that a fleet has: how to launch, and what that counts for.
type fleetPool struct {
	Launch storedLaunch `json:"launch"`
	// What answers tell of the choice: template and overrides.
	Template  jsontext.Value `json:"template,omitempty"`
	Overrides jsontext.Value `json:"overrides,omitempty"`
	Type      string         `json:"type"` // "": the template's
	Zone      string         `json:"zone,omitempty"`
	Weight    float64        `json:"weight"`
	Priority  float64        `json:"priority"`
	MaxPrice  string         `json:"maxPrice,omitempty"`
	// Barred is the kind of capacity that costs more than the requirements let it: spot, on-demand.
	Barred []string `json:"barred,omitempty"`
}

// barred reports whether a pool is too dear for a kind of capacity.
func (p *fleetPool) barred(spot bool) bool { return slices.Contains(p.Barred, *lifecycleOf(spot)) }

// A fleetBug is why a pool gave nothing.
type fleetBug struct {
	Pool    int    `json:"pool"`
	Spot    bool   `json:"spot"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// An event of a Spot Fleet request's history.
type event struct {
	At       time.Time `json:"at"`
	Type     string    `json:"type"` // error, fleetRequestChange, instanceChange, information
	Sub      string    `json:"sub"`
	Said     string    `json:"said,omitempty"`
	Instance string    `json:"instance,omitempty"`
}

// maxHistory is how many events of a fleet are kept.
const maxHistory = 200

func (f *fleetRecord) note(now time.Time, e event) {
	e.At = now
	f.History = append(f.History, e)
	if n := len(f.History) - maxHistory; n > 0 {
		f.History = slices.Clone(f.History[n:])
	}
}

// A memberRecord is an instance of a fleet.
type memberRecord struct {
	Fleet    string    `json:"fleet"`
	Instance string    `json:"instance"`
	Pool     int       `json:"pool"`
	Spot     bool      `json:"spot"`
	Weight   float64   `json:"weight"`
	Made     time.Time `json:"made"`
	Type     string    `json:"type"`
	Subnet   string    `json:"subnet"`
	Zone     string    `json:"zone"`
	ZoneID   string    `json:"zoneId"`
	Gone     bool      `json:"gone,omitempty"` // its instance is terminated
}

// Tables of fleets: keyed by (region, account, fleet id), with the instance id after it for members,
// and by (region, account, instance id) for the fleet of an instance.
var (
	fleetTable  = store.Table[fleetRecord]{Bucket: "ec2/fleet", Version: 1}
	memberTable = store.Table[memberRecord]{Bucket: "ec2/fleet-member", Version: 1}
	fleetOf     = store.Table[string]{Bucket: "ec2/fleet-of", Version: 1}
)

func putFleet(tx store.Tx, f fleetRecord) error {
	return fleetTable.Put(tx, f, f.Region, f.Account, f.ID)
}

// spotFleet reports whether it is a Spot Fleet request.
func (f *fleetRecord) spotFleet() bool { return f.ID[0] == 's' }

// service is who launches for the fleet.
func (f *fleetRecord) service() linkedService {
	if f.spotFleet() {
		return spotFleetService
	}
	return fleetService
}

// live reports whether a fleet launches still.
func (f *fleetRecord) live() bool { return f.State == fleetSubmitted || f.State == fleetActive }

// price of an hour of a unit of capacity, in millionths of a dollar.
func (p *fleetPool) price(spot bool) float64 {
	t, ok := instancetype.Lookup(p.Type)
	if !ok {
		return 0
	}
	micro := t.OnDemandMicro()
	if spot {
		micro = launch.SpotPrice(micro)
	}
	return float64(micro) / p.Weight
}

// order lists the pools in the order in which a fleet prefers them for its next instance.
// With several pools of the lowest price it takes them in turns.
// Source: EC2 User Guide, "Use allocation strategies".
func (f *fleetRecord) order(n *fleetCensus, spot bool, pools int) []int {
	by := f.OnDemandBy
	if spot {
		by = f.SpotBy
	}
	out := make([]int, len(f.Pools))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int {
		p, q := &f.Pools[a], &f.Pools[b]
		switch by {
		case ec2api.SpotAllocationStrategyDiversified:
			return cmp.Compare(n.perPool[a], n.perPool[b])
		case "prioritized", ec2api.SpotAllocationStrategyCapacityOptimizedPrioritized:
			return cmp.Compare(p.Priority, q.Priority)
		case ec2api.SpotAllocationStrategyCapacityOptimized: // capacity never ends here
			return 0
		}
		return cmp.Compare(p.price(spot), q.price(spot))
	})
	if pools > 1 && by == ec2api.SpotAllocationStrategyLowestPrice {
		slices.SortStableFunc(out[:min(pools, len(out))], func(a, b int) int { return cmp.Compare(n.perPool[a], n.perPool[b]) })
	}
	return out
}
