package ec2

import "github.com/kagimori/kagimori/internal/store"

// A fleetCensus is what a fleet has.
type fleetCensus struct {
	members        []memberRecord // with an instance that is not ending
	onDemand, spot float64        // in units of capacity
	ending         int            // instances that shut down
	perPool        map[int]int
}

// A roster is the instances of fleets of an account in a Region, read with few reads of the store.
type roster struct {
	tx              store.Tx
	region, account string
	every           map[string][]memberRecord // by fleet; nil: fleets are read one by one
	instance        instanceReader
}

// rosterOf is for a few fleets, rosterOfAll for all of the account.
func rosterOf(tx store.Tx, region, account string) *roster {
	return &roster{tx: tx, region: region, account: account, instance: readInstances(tx, region, account)}
}

func rosterOfAll(tx store.Tx, region, account string) (*roster, error) {
	r := rosterOf(tx, region, account)
	r.every = map[string][]memberRecord{}
	for m, err := range memberTable.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		r.every[m.Value.Fleet] = append(r.every[m.Value.Fleet], m.Value)
	}
	return r, nil
}

// all are the instances that a fleet ever had.
func (r *roster) all(fleet string) (out []memberRecord, err error) {
	if r.every != nil {
		return r.every[fleet], nil
	}
	for m, err := range memberTable.Scan(r.tx, r.region, r.account, fleet) {
		if err != nil {
			return nil, err
		}
		out = append(out, m.Value)
	}
	return out, nil
}

// census counts what a fleet has.
func (r *roster) census(fleet string) (*fleetCensus, error) {
	n := &fleetCensus{perPool: map[int]int{}}
	all, err := r.all(fleet)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.Gone {
			continue
		}
		i, ok, err := r.instance(m.Instance)
		switch {
		case err != nil:
			return nil, err
		case !ok || i.gone():
			continue
		case i.State == shuttingDown:
			n.ending++
			continue
		}
		n.members = append(n.members, m)
		n.perPool[m.Pool]++
		if m.Spot {
			n.spot += m.Weight
		} else {
			n.onDemand += m.Weight
		}
	}
	return n, nil
}

// An instanceReader reads an instance of an account by its id; ok is false if there is none.
type instanceReader func(id string) (i instanceRecord, ok bool, err error)

// readSingly is how many instances are read one by one before all of the account are read at once: a
// transaction has at most store.MaxOps reads.
const readSingly = store.MaxOps / 3

// readInstances reads instances one by one while they are few.
func readInstances(tx store.Tx, region, account string) instanceReader {
	read := 0
	var all map[string]instanceRecord
	return func(id string) (instanceRecord, bool, error) {
		if all == nil && read < readSingly {
			read++
			return instanceTable.Get(tx, region, account, id)
		}
		if all == nil {
			all = map[string]instanceRecord{}
			for r, err := range instanceTable.Scan(tx, region, account) {
				if err != nil {
					all = nil
					return instanceRecord{}, false, err
				}
				all[r.Value.ID] = r.Value
			}
		}
		i, ok := all[id]
		return i, ok, nil
	}
}
