package impact

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/speech"
)

// Afterwards is what KMS says to a request of a launch that is allowed: the rules of the key's kind
// and state.
func Afterwards(r launch.Request, action string, k *keyrule.Key) error {
	switch r.Call {
	case launch.CreateGrant:
		g := keyrule.Grant{Operations: r.Grant.Operations, Subset: r.Grant.ContextSubset}
		if err := g.CheckOn(k); err != nil {
			return err
		}
		return keyrule.CreateGrant.Check(k)
	case launch.RetireGrant, launch.DescribeKey:
		return keyrule.Read.Check(k)
	}
	return k.CheckEncrypts(strings.TrimPrefix(action, "kms:"))
}

// A course is how a plan goes in a world.
type course struct {
	refused bool
	depends []string
	device  string
	volume  string
	request launch.Request // that is refused
	ruling  Ruling
	err     error // of a plan or key identifier that makes no sense
	asked   []asked
}

// asked is a request with its answer.
type asked struct {
	request launch.Request
	ruling  Ruling
}

// drive drives a plan up to the first refusal.
func drive(w World, u *Use, explain bool) (course, error) {
	var c course
	st, err := launch.New(u.Spec)
	if err != nil {
		c.refused, c.err = true, err
		return c, nil
	}
	made := map[string][]authz.Grant{}
	for step := st.Step(); !step.Terminal(); {
		var result launch.Result
		if step.Kind == launch.StepResolveKey {
			keyARN, depends, err := w.Resolve(u.Spec.Account, step.KeyID)
			if len(depends) > 0 {
				c.depends = append(c.depends, depends...)
				return c, nil
			}
			if err != nil {
				c.refused, c.err, c.device = true, err, step.Device
				return c, nil
			}
			result.KeyARN = keyARN
		}
		for _, q := range step.Requests {
			r, err := w.Ask(u.Caller, q, made, explain)
			if err != nil {
				return c, err
			}
			if explain {
				c.asked = append(c.asked, asked{q, r})
			}
			c.depends = append(c.depends, r.Depends...)
			if !r.OK() && q.Call != launch.RetireGrant { // a grant that stays fails nothing
				c.refused, c.request, c.ruling, c.device, c.volume = true, q, r, step.Device, step.VolumeID
				return c, nil
			}
			if q.Call == launch.CreateGrant {
				g := q.Grant.Authz()
				g.ID = "made by the launch"
				made[q.KeyARN] = append(made[q.KeyARN], g)
				result.Grant = launch.GrantRef{ID: g.ID}
			}
		}
		st, step = st.Next(result)
	}
	return c, nil
}

// use compares how a plan goes before and after the change.
func (g *gathering) use(u *Use) error {
	before, err := drive(g.c.Before, u, false)
	if err != nil {
		return err
	}
	after, err := drive(g.c.After, u, false)
	if err == nil && before.refused {
		g.out.Failing++
		if after.refused || len(after.depends) > 0 {
			return nil
		}
		return g.tell(&g.out.Starts, func() (Effect, error) {
			e, err := g.effect(u, g.c.After, g.c.Before, nil)
			e.Outcome = Starts
			return e, err
		})
	}
	if err != nil || !after.refused && len(after.depends) <= len(before.depends) {
		return err
	}
	return g.add(u.Kind, u.ID, u.Spec.Account, u.When, func() (Effect, error) { return g.effect(u, g.c.Before, g.c.After, before.depends) })
}

// effect describes what stops between two worlds, with the evidence of both.
func (g *gathering) effect(u *Use, from, to World, depends []string) (Effect, error) {
	e := Effect{
		Kind: u.Kind, ID: u.ID, Name: u.Name, PartOf: u.PartOf, Account: u.Spec.Account, When: u.When, Operation: string(u.Spec.Operation),
		Outcome: Stops, Depends: distinct(depends),
	}
	if len(depends) > 0 {
		e.Outcome = CannotTell
	}
	before, err := drive(from, u, true)
	if err != nil {
		return e, err
	}
	after, err := drive(to, u, true)
	if err != nil {
		return e, err
	}
	e.Device = after.device
	if i := slices.IndexFunc(u.Spec.Devices, func(d launch.Device) bool { return d.Name == after.device }); i >= 0 && u.Spec.Devices[i].Source.Kind == launch.Existing {
		e.VolumeID = u.Spec.Devices[i].VolumeID
	}
	switch {
	case !after.refused:
		e.Outcome, e.Depends = CannotTell, distinct(after.depends)
	case after.err != nil:
		e.Refusal = &Refusal{Code: apierr.Code(after.err), Why: []speech.Text{speech.Raw(after.err.Error())}}
	default:
		e.Refusal = g.refusal(&after.request, &after.ruling)
		for i := range before.asked {
			if b := &before.asked[i]; same(&b.request, &after.request) {
				e.Refusal.AllowedBy, e.Refusal.More = g.allowedBy(&b.ruling, after.ruling.Part)
			}
		}
	}
	return e, nil
}

func same(a, b *launch.Request) bool {
	return a.Call == b.Call && a.As == b.As && a.Purpose == b.Purpose && a.KeyARN == b.KeyARN && a.TargetARN == b.TargetARN
}

func distinct(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// refusal describes a refused request as the viewer may see it.
func (g *gathering) refusal(q *launch.Request, r *Ruling) *Refusal {
	out := &Refusal{Principal: r.Who, Call: string(q.Call), KeyARN: q.KeyARN, Code: "AccessDeniedException"}
	if r.Part >= len(r.Decision.Parts) {
		return out
	}
	p := r.Decision.Parts[r.Part]
	out.Action, out.KeyARN = p.Action, p.Resource
	if r.Err != nil {
		out.Code, out.Why = apierr.Code(r.Err), []speech.Text{speech.Raw(r.Err.Error())}
		return out
	}
	out.Why = g.lines(p, r.Who)
	return out
}

// lines put a decision into words, as far as the viewer may see it.
func (g *gathering) lines(p authz.PartDecision, who string) []speech.Text {
	seen, ok := g.visible(p, who)
	if !ok {
		return nil
	}
	return explain.Lines(seen, who)
}

// visible is what the reader may see of a decision.
func (g *gathering) visible(p authz.PartDecision, who string) (seen authz.PartDecision, ok bool) {
	if g.c.Viewer == "" {
		return p, true
	}
	return explain.Visible(p, accountOf(who, p.Resource), g.c.Viewer)
}

// maxCited bounds the grants that are cited of what allowed a request.
const maxCited = 100

// allowedBy are the statements and grants that allowed a request before, as far as the viewer may
// see them; more counts the grants that are not cited.
func (g *gathering) allowedBy(r *Ruling, part int) (cited []authz.Match, more int) {
	if part >= len(r.Decision.Parts) {
		return nil, 0
	}
	p := r.Decision.Parts[part]
	seen, ok := g.visible(p, r.Who)
	if !ok {
		return nil, 0
	}
	grants := 0
	for _, m := range explain.Deciding(seen) {
		switch {
		case m.GrantID == "made by the launch":
			continue
		case m.GrantID != "" && grants == maxCited:
			more++
			continue
		case m.GrantID != "":
			grants++
		}
		cited = append(cited, m)
	}
	return cited, more
}

// accountOf is the account of a principal; a service, which the key lets in, counts as of the key's.
func accountOf(who, keyARN string) string {
	a, err := arn.Parse(who)
	if err != nil || a.Account == "" {
		a, _ = arn.Parse(keyARN)
	}
	return a.Account
}

// Held is the volume of a running instance that an attach grant is for; ok is false if it is no such grant.
func Held(g *authz.Grant, region, keyARN string) (_ Use, ok bool) {
	a, err := arn.Parse(g.Grantee)
	instance := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	volume := cmp.Or(g.ContextSubset[launch.ContextKey], g.ContextEquals[launch.ContextKey])
	if err != nil || volume == "" || g.Grantee != arn.InfrastructureSession(a.Account, instance) {
		return Use{}, false
	}
	return Use{
		Kind: Volume, ID: volume, PartOf: instance, When: HostRestart,
		Spec: launch.Spec{
			Operation: launch.ReopenVolumes, Region: region, Account: a.Account, InstanceID: instance,
			Devices: []launch.Device{{
				VolumeID: volume, Grant: launch.GrantRef{ID: g.ID},
				Source: launch.Source{Kind: launch.Existing, Encrypted: true, KeyARN: keyARN, ContextID: volume},
			}},
		},
	}, true
}
