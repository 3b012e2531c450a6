package doctor

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A RecordedCall is a call to KMS that somebody made, as far as a record of it tells.
type RecordedCall struct {
	Principal string // ARN of the role, user or root
	Via       string // value of kms:ViaService; "" if the call came directly
	Parts     []RecordedPart
	// Grant is what CreateGrant asked for; nil otherwise.
	Grant *keyrule.Grant
}

// A RecordedPart is an action on a key: ReEncrypt has two.
type RecordedPart struct {
	Action  string // "kms:Decrypt"
	Key     string // ARN
	Context map[string]string
}

// A Ruling is what would become of a call, on the documents of a scenario.
type Ruling struct {
	Result      string // allowed, refused or unknown
	Action, Key string // that are refused
	Rule, Where string
	Explanation []speech.Text
	Depends     []string // facts that would settle what is unknown
	Fixes       []explain.Fix
	Notes       []speech.Text // why there are no fixes
}

// Replay decides a recorded call on the documents of a scenario.
func (d *Doctor) Replay(sc *format.Scenario, c RecordedCall) Ruling {
	w := newWorld(sc, d.docs)
	who := w.subject(c.Principal)
	var parts []authz.Part
	for _, p := range c.Parts {
		a, err := arn.Parse(p.Key)
		if err != nil {
			continue
		}
		part := authz.Part{
			Action: p.Action, Resource: authz.Resource{ARN: p.Key, Account: a.Account}, Authoritative: true, EncryptionContext: maps.Clone(p.Context),
			Context: c.circumstances(&p, a.Region, who.principal.Account),
		}
		if c.Grant != nil {
			c.Grant.Describe(&part, c.Via != "")
			part.NewGrant = new(c.Grant.Authz())
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return Ruling{Result: "unknown", Depends: []string{"the key of the call"}}
	}
	a := w.decide(who, parts, c.Via == "", nil)
	if a.decision.Outcome == authz.Allowed {
		w.usable(&a)
	}
	r := Ruling{Result: "allowed", Depends: slices.Compact(slices.Sorted(slices.Values(a.depends)))}
	switch {
	case len(a.depends) > 0:
		r.Result = "unknown"
		return r
	case a.ok():
		return r
	}
	r.Result, r.Action, r.Key = "refused", a.refused().Action, a.refused().Resource
	r.Rule, r.Where = w.rule(&a)
	if a.err != nil {
		r.Explanation = []speech.Text{speech.Raw(a.err.Error())}
		return r
	}
	r.Explanation = explain.Lines(*a.refused(), c.Principal)
	fixes, notes := explain.Advise(&a.request, a.decision)
	r.Fixes = fixes
	for _, n := range notes {
		r.Notes = append(r.Notes, n.Text)
	}
	return r
}

// usable sets what KMS says to a call that is allowed, if the state of a key forbids it.
func (w *world) usable(a *answer) {
	for i, p := range a.request.Parts {
		k := w.keys[p.Resource.ARN]
		if k == nil {
			continue
		}
		var err error
		switch op := strings.TrimPrefix(p.Action, "kms:"); op {
		case "CreateGrant":
			err = keyrule.CreateGrant.Check(&k.Key)
		case "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext":
			err = k.CheckEncrypts(op)
		}
		switch {
		case err == nil:
		case k.unknownState != "":
			a.depends = append(a.depends, k.unknownState)
		default:
			a.err, a.part, a.key = err, i, k
			return
		}
	}
}

// circumstances are the condition keys that follow from a record.
func (c *RecordedCall) circumstances(p *RecordedPart, region, caller string) authz.Context {
	var out authz.Context
	out.Set("aws:requestedregion", region)
	out.SetBool("aws:securetransport", true)
	out.SetBool("aws:viaawsservice", c.Via != "" && c.Principal != arn.InfrastructureRole(caller))
	if caller != "" {
		out.Set("kms:calleraccount", caller)
	}
	if c.Via != "" {
		out.Set("kms:viaservice", c.Via)
	}
	if c.Grant == nil {
		names := slices.Sorted(maps.Keys(p.Context))
		for _, name := range names {
			out.Set("kms:encryptioncontext:"+name, p.Context[name])
		}
		if len(names) > 0 {
			out.SetList("kms:encryptioncontextkeys", names)
		}
	}
	return out
}

// Recorded is the report of something that is no launch of a scenario, and failed: what was recorded
// elsewhere.
func Recorded(id string, failures ...Failure) *Report {
	return &Report{
		ID: id, Verdict: Fails.String(), Launches: new(false), Setup: []format.ExpectedStep{}, Volumes: []format.ExpectedVolume{}, Failures: failures,
		Warnings: []speech.Text{}, outcome: run(&format.Scenario{ID: id}, authz.NewCache(1)),
	}
}
