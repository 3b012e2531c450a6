package impact

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Moment is when something stops working.
type Moment string

// Moments, in the order in which they come.
const (
	Now         Moment = "NOW"          // the next request to KMS by a principal
	HostRestart Moment = "HOST_RESTART" // the host lost its memory and opens volumes of running instances again
	Restart     Moment = "RESTART"      // an instance is started after a stop
	Launch      Moment = "LAUNCH"       // something new is launched, made or attached
)

// Moments are all of them.
func Moments() []Moment { return []Moment{Now, HostRestart, Restart, Launch} }

// Kinds of what stops working.
const (
	Principal = "principal"
	Volume    = "volume"
	Instance  = "instance"
	Group     = "auto-scaling-group"
	Template  = "launch-template"
	Image     = "image"
	Snapshot  = "snapshot"
	Fleet     = "fleet"
	Spot      = "spot-instances-request"
)

// A Caller is a principal in a form that the worlds of a case know.
type Caller interface{ ARN() string }

// An Outcome is what becomes of something.
type Outcome string

// Outcomes.
const (
	Stops      Outcome = "STOPS"
	Narrows    Outcome = "NARROWS"     // of a principal: it depends on the request, and did not before
	CannotTell Outcome = "CANNOT_TELL" // it depends on what is not known
	Starts     Outcome = "STARTS"      // it is refused before the change, and is not after
)

// A Use is something that needs keys at a moment: a plan, and who asks for it.
type Use struct {
	Kind, ID string
	Name     string // of a template, the type of a fleet's choice; "" if it has none beside the id
	PartOf   string // the instance of a volume, the group of an instance; "" if there is none
	When     Moment
	Spec     launch.Spec
	Caller   Caller // nil where nobody calls
}

// A Ruling is what KMS would say to a request.
type Ruling struct {
	Who      string // the principal
	Decision authz.Decision
	Part     int   // the part that is refused
	Err      error // what KMS says to a request that is allowed, or nil
	// Depends are the facts that would settle it; nil if it is settled.
	Depends []string
}

// OK reports whether the request is not refused, as far as is known.
func (r *Ruling) OK() bool {
	return len(r.Depends) > 0 || r.Decision.Outcome == authz.Allowed && r.Err == nil
}

// An Access is what a principal can do with a key.
type Access struct {
	Can      bool
	Always   bool                // whatever the request
	Decision *authz.PartDecision // the evidence
	More     int                 // grants that are like some of the evidence
	Err      error               // what KMS says although it is allowed, or nil
}

// A World answers requests to KMS.
type World interface {
	// Resolve finds the key that an identifier of an account names.
	Resolve(account, id string) (keyARN string, depends []string, err error)
	// Ask answers a request of a plan. made are the grants that the plan made before, by key. An error
	// ends everything: refusals are rulings. With explain the ruling has its evidence.
	Ask(caller Caller, r launch.Request, made map[string][]authz.Grant, explain bool) (Ruling, error)
	// Access answers what a principal can do with a key, whatever the request.
	Access(caller Caller, keyARN, action string) (Access, error)
}

// A Case is a change between two worlds.
type Case struct {
	Before, After World
	// Key is the only key that the change is about, "" if it may be about any.
	Key string
	// Uses are what may stop working.
	Uses iter.Seq2[Use, error]
	// Principals are asked what they can do with the Keys, of the Actions.
	Principals iter.Seq2[Caller, error]
	Keys       []Questioned
	// Viewer is the account that reads the report: it sees its own evidence. "" sees everything.
	Viewer string
	// MaxEffects bounds the effects that are told; 0 means no bound.
	MaxEffects int
}

// A Questioned key, with the actions that principals are asked about.
type Questioned struct {
	KeyARN  string
	Actions []string
}

// An Effect is something that stops working, or starts.
type Effect struct {
	Kind, ID, Name, PartOf string
	Account                string
	When                   Moment
	Outcome                Outcome
	// Depends are the facts that would settle an effect that cannot be told.
	Depends []string
	// Operation is what is refused, of EC2 or, of a principal, the actions of KMS.
	Operation string
	Actions   []string
	Device    string
	VolumeID  string // of an existing volume
	Refusal   *Refusal
}

// A Refusal is the request to KMS that is refused after the change, and what allowed it before. Of what
// starts to work it is the one that is refused before, and what allows it afterwards.
type Refusal struct {
	Principal, Call, Action, KeyARN string
	Code                            string // of the error
	Why                             []speech.Text
	AllowedBy                       []authz.Match
	More                            int // grants that are like some of AllowedBy
}

// A Total counts things of a kind that stop working at a moment.
type Total struct {
	Kind  string
	When  Moment
	Count int
}

// A Report is what a change takes away, and gives.
type Report struct {
	Effects []Effect
	// Starts are the uses that are refused before the change and are not after it. What principals win is
	// not among them.
	Starts []Effect
	Totals []Total
	// Accounts are those of the effects.
	Accounts []string
	// Failing counts the uses that are refused before the change already.
	Failing   int
	Truncated bool // there are more effects than are told; the totals count all that stops
}

// Stops reports whether anything surely stops working, or works with fewer requests.
func (r *Report) Stops() bool {
	return slices.ContainsFunc(r.Effects, func(e Effect) bool { return e.Outcome != CannotTell })
}

// Unsure reports whether it depends on what is not known whether something stops working.
func (r *Report) Unsure() bool {
	return slices.ContainsFunc(r.Effects, func(e Effect) bool { return e.Outcome == CannotTell })
}

// Of works out a case.
func Of(ctx context.Context, c *Case) (*Report, error) {
	g := gathering{c: c, seen: map[Total]map[string]bool{}, accounts: map[string]bool{}}
	for who, err := range c.Principals {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = g.principal(who)
		}
		if err != nil {
			return nil, err
		}
	}
	for u, err := range c.Uses {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && c.concerns(&u.Spec) {
			err = g.use(&u)
		}
		if err != nil {
			return nil, err
		}
	}
	return g.report(), nil
}

// concerns tells cheaply that a plan has nothing to do with the key: all of its volumes exist, under
// other keys.
func (c *Case) concerns(spec *launch.Spec) bool {
	return c.Key == "" || slices.ContainsFunc(spec.Devices, func(d launch.Device) bool {
		return d.Source.Kind != launch.Existing || d.Source.KeyARN == c.Key
	})
}

// A gathering collects the effects of a case.
type gathering struct {
	c        *Case
	out      Report
	seen     map[Total]map[string]bool // ids by kind and moment
	accounts map[string]bool
}

// add takes an effect, made only if there is room to tell it.
func (g *gathering) add(kind, id, account string, when Moment, make func() (Effect, error)) error {
	t := Total{Kind: kind, When: when}
	if g.seen[t] == nil {
		g.seen[t] = map[string]bool{}
	}
	g.seen[t][account+" "+id] = true
	g.accounts[account] = true
	return g.tell(&g.out.Effects, make)
}

// tell adds to a list of effects, unless it has as many as are told.
func (g *gathering) tell(list *[]Effect, make func() (Effect, error)) error {
	if g.c.MaxEffects > 0 && len(*list) >= g.c.MaxEffects {
		g.out.Truncated = true
		return nil
	}
	e, err := make()
	if err != nil {
		return err
	}
	*list = append(*list, e)
	return nil
}

func (g *gathering) report() *Report {
	for t, ids := range g.seen {
		t.Count = len(ids)
		g.out.Totals = append(g.out.Totals, t)
	}
	order := Moments()
	at := func(m Moment) int { return slices.Index(order, m) }
	slices.SortFunc(g.out.Totals, func(a, b Total) int { return cmp.Or(at(a.When)-at(b.When), cmp.Compare(a.Kind, b.Kind)) })
	for _, list := range [][]Effect{g.out.Effects, g.out.Starts} {
		slices.SortStableFunc(list, func(a, b Effect) int {
			return cmp.Or(at(a.When)-at(b.When), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
		})
	}
	for a := range g.accounts {
		if a != "" {
			g.out.Accounts = append(g.out.Accounts, a)
		}
	}
	slices.Sort(g.out.Accounts)
	return &g.out
}
