package ec2

import (
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// faceAddresses are the private addresses that a network interface is asked for with.
type faceAddresses struct {
	primary string // "": any
	more    []string
	count   int // how many others, any
	// prefixes besides
	prefixes facePrefixes
}

// askedAddresses reads the private addresses of a request. Source: EC2 API Reference, CreateNetworkInterface,
// PrivateIpAddresses and SecondaryPrivateIpAddressCount.
func askedAddresses(primary *string, list []ec2api.PrivateIpAddressSpecification, count *int32) (faceAddresses, error) {
	a := faceAddresses{primary: api.Val(primary), count: int(api.Val(count))}
	for _, p := range list {
		ip := api.Val(p.PrivateIpAddress)
		switch {
		case ip == "":
			return a, apierr.New("MissingParameter", "The request must contain the parameter privateIpAddress")
		case !api.Val(p.Primary):
			a.more = append(a.more, ip)
		case a.primary != "" && a.primary != ip:
			return a, apierr.New("InvalidParameterCombination", "Only one primary private IP address can be specified.")
		default:
			a.primary = ip
		}
	}
	if len(a.more) > 0 && a.count > 0 {
		return a, apierr.New("InvalidParameterCombination", "Secondary private IP addresses and their count cannot be specified together.")
	}
	if a.count < 0 || a.count > 50 {
		return a, invalidValue("Value (%d) for parameter secondaryPrivateIpAddressCount is invalid.", a.count)
	}
	return a, nil
}

// A taker gives out several private addresses in one transaction; flush stores which are.
type taker struct {
	tx      store.Tx
	c       *guard.Call
	records map[string]*addressRecord // by subnet
	mine    map[string][]int          // hosts that were taken, which no record has yet
	moved   []string                  // addresses that were taken from another interface, and are not free
	six     map[string]bool           // IPv6 addresses in use; nil: not looked at yet
	// sixPrefixes are in use, known when six is.
	sixPrefixes []netip.Prefix
}

func newTaker(tx store.Tx, c *guard.Call) *taker {
	return &taker{tx: tx, c: c, records: map[string]*addressRecord{}, mine: map[string][]int{}}
}

// room is which addresses of a subnet are given out, looked at anew if there are not need.
func (t *taker) room(n subnet, need int) (*addressRecord, error) {
	if r := t.records[n.ID]; r != nil && n.vacant(r) >= need {
		return r, nil
	}
	r, err := addressesOf(t.tx, t.c, n, need)
	if err != nil {
		return nil, err
	}
	if have := t.records[n.ID]; have != nil {
		r.Next = have.Next
	}
	for _, host := range t.mine[n.ID] {
		r.take(host)
	}
	t.records[n.ID] = &r
	return &r, nil
}

// take takes the address that is given, or a free one.
func (t *taker) take(n subnet, given string) (string, error) {
	if err := n.check(given); err != nil {
		return "", err
	}
	r, err := t.room(n, 1)
	if err != nil {
		return "", err
	}
	host := 0
	if given != "" {
		host, _ = n.hostOf(given)
		if r.used(host) { // it may have come back
			if r, err = t.room(n, n.hosts()+1); err != nil {
				return "", err
			}
		}
		if r.used(host) && !slices.Contains(t.moved, given) {
			return "", apierr.Newf("InvalidIPAddress.InUse", "Address %s is in use.", given)
		}
	} else {
		open := n.open(r)
		if open.free(n.hosts()) < 1 {
			return "", errFullSubnet(n)
		}
		for r.Next %= n.hosts(); open.used(r.Next); r.Next = (r.Next + 1) % n.hosts() {
		}
		host, given = r.Next, n.address(r.Next)
		r.Next++
	}
	r.take(host)
	t.mine[n.ID] = append(t.mine[n.ID], host)
	return given, nil
}

// takeMore takes the addresses besides the primary one.
func (t *taker) takeMore(n subnet, a faceAddresses) (out []string, err error) {
	for _, given := range slices.Concat(a.more, make([]string, a.count)) {
		ip, err := t.take(n, given)
		if err != nil {
			return nil, err
		}
		out = append(out, ip)
	}
	return out, nil
}

// takeAll takes all addresses of a network interface.
func (t *taker) takeAll(n subnet, a faceAddresses) (primary string, secondary []string, err error) {
	if primary, err = t.take(n, a.primary); err != nil {
		return "", nil, err
	}
	secondary, err = t.takeMore(n, a)
	return primary, secondary, err
}

func (t *taker) flush() error {
	for id, r := range t.records {
		if err := addressTable.Put(t.tx, *r, t.c.Region, t.c.Account(), id); err != nil {
			return err
		}
	}
	return nil
}
