package impact

import (
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// principal compares what a principal can do with the keys before and after the change.
func (g *gathering) principal(who Caller) error {
	for _, k := range g.c.Keys {
		var lost, less []string
		var before, after Access
		for _, action := range k.Actions {
			b, err := g.c.Before.Access(who, k.KeyARN, action)
			if err != nil {
				return err
			}
			if !b.Can || b.Err != nil {
				continue
			}
			a, err := g.c.After.Access(who, k.KeyARN, action)
			if err != nil {
				return err
			}
			switch {
			case !a.Can || a.Err != nil:
				if lost == nil {
					before, after = b, a
				}
				lost = append(lost, action)
			case b.Always && !a.Always:
				less = append(less, action)
			}
		}
		account := accountOf(who.ARN(), k.KeyARN)
		id := who.ARN()
		if lost != nil {
			err := g.add(Principal, id, account, Now, func() (Effect, error) {
				return Effect{
					Kind: Principal, ID: id, Account: account, When: Now, Outcome: Stops, Actions: lost, Refusal: g.lostAccess(who, k.KeyARN, lost[0], &before, &after),
				}, nil
			})
			if err != nil {
				return err
			}
		}
		if less != nil {
			err := g.add(Principal, id, account, Now, func() (Effect, error) {
				return Effect{
					Kind: Principal, ID: id, Account: account, When: Now, Outcome: Narrows, Actions: less, Refusal: &Refusal{Principal: id, KeyARN: k.KeyARN},
				}, nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// lostAccess is the evidence of the first action that a principal loses.
func (g *gathering) lostAccess(who Caller, keyARN, action string, before, after *Access) *Refusal {
	out := &Refusal{Principal: who.ARN(), Action: action, KeyARN: keyARN, Code: "AccessDeniedException"}
	if after.Err != nil {
		out.Code, out.Why = apierr.Code(after.Err), []speech.Text{speech.Raw(after.Err.Error())}
	} else if after.Decision != nil {
		out.Why = g.lines(*after.Decision, who.ARN())
	}
	if d := before.Decision; d != nil {
		if seen, ok := g.visible(*d, who.ARN()); ok {
			out.AllowedBy = grounds(&seen)
			if a, err := arn.Parse(keyARN); err == nil && (g.c.Viewer == "" || g.c.Viewer == a.Account) {
				out.More = before.More // how many there are is the key's account's
			}
		}
	}
	return out
}

// grounds are the statements and grants that allow something, or do on conditions. One that only
// leaves the decision to identity policies is named if nothing else is.
func grounds(p *authz.PartDecision) []authz.Match {
	all := explain.Deciding(*p)
	for _, m := range p.Missed {
		if m.GrantID != "" || m.Effect == policy.Allow && m.Reason == authz.MissCondition {
			all = append(all, m.Match)
		}
	}
	if rest := slices.DeleteFunc(slices.Clone(all), func(m authz.Match) bool { return m.Account }); len(rest) > 0 {
		return rest
	}
	return all
}

// AfterAccess is what KMS says of a key's state to an operation that is allowed.
func AfterAccess(action string, k *keyrule.Key) error {
	switch action {
	case "kms:CreateGrant":
		return keyrule.CreateGrant.Check(k)
	case "kms:DescribeKey", "kms:RetireGrant":
		return keyrule.Read.Check(k)
	}
	return keyrule.Use.Check(k)
}
