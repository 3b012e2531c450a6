package guard

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/trail"
)

// evidence is what a Call gathers for its record.
type evidence struct {
	decisions []json.RawMessage
	resources []trail.Resource
	response  json.RawMessage
	extra     trail.Extra
	renamed   map[string]string // resources that a refused caller named otherwise
	recorded  bool              // a transaction of this call carries its record
	kept      int               // decisions in that record
	eventID   string            // of that record, whichever run of its closure wrote it
	reserved  string            // the event id of the next record, if it was told already
	shapes    *trail.Shapes     // the guard's, once it has the call
	decided   bool              // policies were asked, in a call that is over
	scratch   *room             // while the call runs; nil: there is none
}

// A room is memory for what a call needs until its record is written. The next call has it then.
type room struct {
	decision [usualDecision]byte // the first
	taken    bool                // decision is
	context  [usualContext]authz.Entry
	keys     [usualContext]authz.Entry // of the part that is decided next
	lent     bool                      // keys are
	parts    [1]authz.Part             // what is decided
	grants   [1]GrantSource
	verdict  authz.Room
	request  authz.Request
	record   trail.Record
	// What nearly all calls have one of.
	resources [1]trail.Resource
	decisions [1]json.RawMessage
	extra     [1]trail.Datum
	// parameters are those of the record.
	parameters []byte
}

// keepParameters is the largest room for parameters that is used again, in bytes.
const keepParameters = 4 << 10

// clear leaves nothing of a call in the room but its memory.
func (r *room) clear() {
	r.taken = false
	clear(r.context[:])
	clear(r.keys[:])
	r.lent = false
	r.verdict.Clear()
	r.request = authz.Request{}
	r.record = trail.Record{}
	r.resources, r.decisions, r.extra = [1]trail.Resource{}, [1]json.RawMessage{}, [1]trail.Datum{}
	if cap(r.parameters) > keepParameters {
		r.parameters = nil
	}
}

// usualContext is the room for the condition keys that nearly all requests have at most.
const usualContext = 12

// enter gives the call a room.
func (g *Guard) enter(c *Call) {
	r, ok := g.rooms.Get().(*room)
	if !ok {
		r = new(room)
	}
	c.evidence.scratch = r
}

// leave takes the room from a call whose record is written, with what is in it.
func (g *Guard) leave(c *Call) {
	e := &c.evidence
	r := e.scratch
	e.scratch, e.decided = nil, e.decided || len(e.decisions) > 0
	e.decisions, e.resources, e.extra, e.kept = nil, nil, nil, 0
	r.clear()
	g.rooms.Put(r)
}

// forDecision is room for a decision.
func (e *evidence) forDecision() []byte {
	if r := e.scratch; r != nil && !r.taken {
		r.taken = true
		return r.decision[:0]
	}
	return make([]byte, 0, usualDecision)
}

// Conditions is room for the condition keys of the part that is decided next, with none in it. It is good until then,
// and may have no capacity.
func (c *Call) Conditions() authz.Context {
	r := c.evidence.scratch
	if r == nil || r.lent {
		return nil
	}
	r.lent = true
	return r.keys[:0:usualContext]
}

// A mark is what reset goes back to, so that a closure that runs again leaves no evidence of the
// runs before.
type mark struct {
	decisions []json.RawMessage
	resources []trail.Resource
	response  json.RawMessage
	extra     trail.Extra
	renamed   map[string]string
}

// none reports whether the mark would be the zero one.
func (e *evidence) none() bool {
	return e.decisions == nil && e.resources == nil && e.response == nil && e.extra == nil && e.renamed == nil
}

func (e *evidence) mark() mark {
	return mark{e.decisions, e.resources, e.response, e.extra, maps.Clone(e.renamed)}
}

func (e *evidence) reset(m mark) {
	e.decisions, e.resources = slices.Clip(m.decisions), slices.Clip(m.resources)
	e.response, e.extra, e.renamed = m.response, slices.Clip(m.extra), maps.Clone(m.renamed)
}

// rename notes what a refused request is to call resources of other accounts.
func (e *evidence) rename(req *authz.Request) {
	for i := range req.Parts {
		if p := &req.Parts[i]; p.ShownAs != "" && p.Resource.Account != req.Principal.Account {
			if e.renamed == nil {
				e.renamed = map[string]string{}
			}
			e.renamed[p.Resource.ARN] = p.ShownAs
		}
	}
}

// Touch names a resource that the call is about, for the record.
func (c *Call) Touch(resourceARN, account, kind string) {
	for _, r := range c.evidence.resources {
		if r.ARN == resourceARN {
			return
		}
	}
	if r := c.evidence.scratch; r != nil && c.evidence.resources == nil {
		c.evidence.resources = r.resources[:0]
	}
	c.evidence.resources = append(c.evidence.resources, trail.Resource{ARN: resourceARN, AccountID: account, Type: kind})
}

// Respond sets the record's response elements. Call it inside the closure of Update.
func (c *Call) Respond(out any) {
	if c.evidence.shapes == nil {
		c.evidence.response = trail.Parameters(out)
		return
	}
	c.evidence.response = c.evidence.shapes.Parameters(out)
}

// Note adds an entry to the record's additional event data.
func (c *Call) Note(key string, value any) {
	if r := c.evidence.scratch; r != nil && c.evidence.extra == nil {
		c.evidence.extra = r.extra[:0]
	}
	c.evidence.extra = c.evidence.extra.Set(key, value)
}
