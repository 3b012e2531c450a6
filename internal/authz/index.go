package authz

import (
	"math/bits"

	"github.com/kagimori/kagimori/internal/policy"
)

// indexed is the number of statements from which on a document has an index.
const indexed = 2

// An index finds, among the statements of a document, those that may apply to an action and a
// caller. What it finds is evaluated like any other statement, and may not apply; what it leaves
// out does not match the action or the caller.
type index struct {
	words               int // of a set of statements
	actions, principals postings
}

// postings are sets of statements, as bits: one for all keys that fall into a bucket, and one of
// the statements that no key tells apart.
type postings struct {
	every []uint64
	rows  []uint64
	mask  uint64 // number of buckets - 1
}

// hash is a number for the length and the last 16 bytes of a key, which tell most names apart.
// Keys that share one cost time, nothing else.
func hash[T string | []byte](key T) uint64 {
	n := len(key)
	h := uint64(n)
	if n >= 16 {
		h ^= word64(key[n-16:])
		key = key[n-8:]
	}
	if len(key) >= 8 {
		h = h*0x9e3779b97f4a7c15 ^ word64(key[len(key)-8:])
	} else {
		for i := range len(key) {
			h = h<<8 | uint64(key[i])
		}
	}
	h *= 0xff51afd7ed558ccd
	return h ^ h>>32
}

// word64 is the first eight bytes of a string.
func word64[T string | []byte](s T) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func newIndex(statements []statement) *index {
	if len(statements) < indexed {
		return nil
	}
	x := &index{words: (len(statements) + 63) / 64}
	buckets := 1 << bits.Len(uint(4*len(statements))) // few statements share one by chance
	for _, p := range [...]*postings{&x.actions, &x.principals} {
		p.every, p.rows, p.mask = make([]uint64, x.words), make([]uint64, buckets*x.words), uint64(buckets-1)
	}
	for i := range statements {
		x.addActions(i, &statements[i])
		x.addPrincipals(i, &statements[i])
	}
	return x
}

func (p *postings) all(i int) { p.every[i/64] |= 1 << (i % 64) }

func (p *postings) add(i int, key string) { p.row(hash(key))[i/64] |= 1 << (i % 64) }

// row is the set of the bucket of a key.
func (p *postings) row(hash uint64) []uint64 {
	at := int(hash&p.mask) * len(p.every)
	return p.rows[at : at+len(p.every)]
}

// addActions posts a statement under its literal actions and under the services of its patterns.
func (x *index) addActions(i int, s *statement) {
	if s.notActions {
		x.actions.all(i)
		return
	}
	for j := range s.actions {
		switch a := &s.actions[j]; {
		case a.all:
			x.actions.all(i)
		case a.plain:
			x.actions.add(i, a.service+a.name)
		default:
			x.actions.add(i, a.service)
		}
	}
}

// addPrincipals posts a statement under the names in its Principal element. One without such an
// element cannot apply where the index is asked for principals.
func (x *index) addPrincipals(i int, s *statement) {
	ps := s.principal
	switch {
	case ps == nil && (s.notPrincipal == nil || s.effect == policy.Allow):
		return
	case ps == nil, ps.any, len(ps.federated) > 0:
		x.principals.all(i)
		return
	}
	for _, a := range ps.accounts {
		x.principals.add(i, a)
	}
	for _, n := range ps.named {
		x.principals.add(i, n.arn)
	}
	for _, s := range ps.services {
		x.principals.add(i, s)
	}
}

// names are the hashes of the names that a statement can have for a caller.
type names struct {
	hashes [4]uint64
	n      int
}

func (n *names) add(name string) {
	if name != "" {
		n.hashes[n.n] = hash(name)
		n.n++
	}
}

func (n *names) set(p *Principal) {
	if p.Type == Anonymous {
		return
	}
	n.add(p.Account)
	switch p.Type {
	case Root:
		return
	case RoleSession:
		n.add(p.RoleARN)
	case FederatedUser:
		n.add(p.ParentARN)
	}
	n.add(p.ARN)
	n.add(p.UniqueID)
}

// A selection is what one evaluation asks of an index.
type selection struct {
	named   bool // the statements name principals; else all mean the caller
	renamed []string
}

// selects prepares a selection. ok is false if all statements have to be looked at.
func (x *index) selects(e *evaluation, layer Layer, d *Document, sel *selection) (ok bool) {
	if x == nil || e.action.n == 0 || e.ev.complete() {
		return false
	}
	p := &e.req.Principal
	if ownSide(layer) || p.Type == UnknownPrincipal {
		return true
	}
	sel.named = true
	if p.Type == User && d.bearers != nil {
		sel.renamed = d.bearers[p.UniqueID]
	}
	return true
}

// word is the statements of one word of the sets for the action and, in layers whose statements
// name principals, the caller.
func (x *index) word(w int, e *evaluation, sel *selection) uint64 {
	a := &e.action
	found := x.actions.every[w] | x.actions.row(a.hash)[w] | x.actions.row(a.serviceHash)[w]
	if !sel.named || found == 0 {
		return found
	}
	p := &x.principals
	who := p.every[w]
	for i := range e.names.n {
		who |= p.row(e.names.hashes[i])[w]
	}
	for _, name := range sel.renamed {
		who |= p.row(hash(name))[w]
	}
	return found & who
}

// lowest takes the lowest statement out of a word.
func lowest(word uint64) (i int, rest uint64) { return bits.TrailingZeros64(word), word & (word - 1) }

// An action is that of a part, made ready for comparisons.
type action struct {
	name              string
	kms               bool
	operation         string // of KMS
	retire, create    bool   // kms:RetireGrant, kms:CreateGrant
	lower             [80]byte
	n, service        int // lengths of the lower-case action and of its service with colon; n is 0 if there is none
	hash, serviceHash uint64
}

func (a *action) set(name string) {
	a.name = name
	if a.operation, a.kms = kmsOperation(name); a.kms {
		a.retire = equalFold(a.operation, "RetireGrant")
		a.create = equalFold(a.operation, "CreateGrant")
	}
	if len(name) > len(a.lower) {
		return
	}
	service := 0
	for i := range len(name) {
		b := name[i]
		if b >= 0x80 {
			return
		}
		if b == ':' && service == 0 {
			service = i + 1
		}
		a.lower[i] = lower(b)
	}
	a.n, a.service = len(name), service
	a.hash, a.serviceHash = hash(a.lower[:a.n]), hash(a.lower[:service])
}
