package hosts

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev/nbd"
)

// MaxExports is the most exports of one volume at a time.
const MaxExports = 16

// An export lets clients of NBD use a volume that the host holds, until the host lets go of it. It is
// in memory only: who wants to go on after a restart asks again.
type export struct {
	volume, region, account string
	principal               string // who asked for it
	made                    time.Time
	served                  nbd.Export
	name                    [sha256.Size]byte // hash of the name, which is a secret
	done                    chan struct{}     // closed when the export ends
}

// exports are those of a host. The zero value has none. Safe for concurrent use.
type exports struct {
	mu     sync.Mutex
	byName map[[sha256.Size]byte]*export
	of     map[string][]*export // by volume
}

// add makes an export known and gives its name; ok is false if the volume has too many.
func (x *exports) add(e *export) (name string, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.of[e.volume]) >= MaxExports {
		return "", false
	}
	var token [16]byte
	_, _ = rand.Read(token[:]) // never fails
	name = e.volume + "." + hex.EncodeToString(token[:])
	e.name, e.done = sha256.Sum256([]byte(name)), make(chan struct{})
	e.served.Done = e.done
	if x.byName == nil {
		x.byName, x.of = map[[sha256.Size]byte]*export{}, map[string][]*export{}
	}
	x.byName[e.name] = e
	x.of[e.volume] = append(x.of[e.volume], e)
	return name, true
}

// find is the export with a name. What is compared is a hash, so time tells nothing of names.
func (x *exports) find(name string) (nbd.Export, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.byName[sha256.Sum256([]byte(name))]
	if e == nil {
		return nbd.Export{}, false
	}
	return e.served, true
}

// end ends the exports of a volume.
func (x *exports) end(volume string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.of[volume] {
		delete(x.byName, e.name)
		close(e.done)
	}
	delete(x.of, volume)
}

// list are the exports of an account in a Region, oldest first.
func (x *exports) list(region, account string) []*export {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []*export
	for _, e := range x.byName {
		if e.region == region && e.account == account {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *export) int { return a.made.Compare(b.made) })
	return all
}

// export lets clients use a volume that the host holds. held is false if it does not, ok if there are
// too many exports.
func (h *Host) export(e *export, readOnly bool) (name string, held, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.held[e.volume]
	if v == nil {
		return "", false, false
	}
	e.served = nbd.Export{Device: &heldDisk{h, v.id, v.size}, Description: e.volume, ReadOnly: readOnly}
	name, ok = h.exports.add(e)
	return name, true, ok
}
