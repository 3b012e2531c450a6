package capacity

import (
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Seat is where an instance of the tenancy host is to run.
type Seat struct {
	Type, Zone string
	Host       string // the only one, or with Auto the one that it was on; "" for any that takes instances by itself
	Auto       bool   // another one does too
}

// Place finds the Dedicated Hosts that n instances run on, one after the other: the one that they name, else those with
// auto-placement, the oldest first. It fails if there is no room for all.
// Source: EC2 User Guide, "Amazon EC2 Dedicated Host auto-placement and host affinity"; EC2 API Reference, "Error codes"
// (InsufficientCapacityOnHost).
func (s *Service) Place(tx store.Tx, c *guard.Call, seat Seat, n int) ([]string, error) {
	all, err := s.hosts(tx, c)
	if err != nil {
		return nil, err
	}
	if seat.Host != "" && !seat.Auto {
		h, err := s.dedicated(tx, c, seat.Host)
		if err != nil {
			return nil, err
		}
		if err := h.fits(seat); err != nil {
			return nil, err
		}
		all = []hostRecord{h}
	}
	uses, err := s.instances.Uses(tx, c)
	if err != nil {
		return nil, err
	}
	// The last one is tried first.
	slices.SortStableFunc(all, func(a, b hostRecord) int {
		return map[bool]int{true: 1}[b.ID == seat.Host] - map[bool]int{true: 1}[a.ID == seat.Host]
	})
	var out []string
	for i := range all {
		h := &all[i]
		if h.ID != seat.Host && !h.Auto || h.fits(seat) != nil {
			continue
		}
		for range min(n-len(out), int(h.left(seat.Type, uses))) {
			out = append(out, h.ID)
		}
	}
	if len(out) < n {
		return nil, apierr.New("InsufficientCapacityOnHost", "There is not enough capacity on the Dedicated Host to launch or start the instance.")
	}
	return out, nil
}

// fits fails for instances that a host does not run, whatever room it has.
func (h *hostRecord) fits(seat Seat) error {
	switch {
	case !h.Released.IsZero():
		return errHostState(h)
	case h.Zone != seat.Zone:
		return apierr.Newf("InvalidParameterCombination", "The host '%s' is in the availability zone %s.", h.ID, h.Zone)
	case !h.runs(seat.Type):
		return apierr.Newf("InvalidParameterCombination", "The host '%s' does not run instances of the type %s.", h.ID, seat.Type)
	}
	return nil
}

// Suits fails unless an instance can be moved to a host, when that has room.
func (s *Service) Suits(tx store.Tx, c *guard.Call, seat Seat) error {
	h, err := s.dedicated(tx, c, seat.Host)
	if err == nil {
		err = h.fits(seat)
	}
	return err
}
