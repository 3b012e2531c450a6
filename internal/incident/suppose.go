package incident

import (
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// Documents of which worlds are supposed.
const (
	delegating = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"ROOT"},"Action":"kms:*","Resource":"*"}]}`
	silent     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"ROOT"},"Action":"kms:GetKeyPolicy","Resource":"*"}]}`
	everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
)

// supposed is a world in which a call is refused for the reason that its record gives: what it takes
// there is what it takes at the least. It is nil, with why, if the record does not tell enough.
func supposed(n *Incident) (_ *format.Scenario, note speech.Text) {
	key, err := arn.Parse(n.Key)
	who, err2 := arn.Parse(n.Principal)
	if err != nil || err2 != nil || who.Service != "iam" || !arn.IsAccount(who.Account) {
		return nil, speech.Say("The caller is no role or user whose policies could be changed.")
	}
	var policy, identityPolicy string
	switch reasonOf(n.Message) {
	case resource:
		policy, identityPolicy = silent, everything
	case identity:
		policy = delegating
	case hidden, unsaid:
		policy = silent
		note = speech.Say("The record does not tell which side refused: what both need is told.")
		if who.Account == key.Account {
			note = speech.Say("The record does not tell which policy refused; it is taken for the key policy.")
			identityPolicy = everything
		}
	case boundary:
		return nil, speech.Say("Add the action to the policy that is the permissions boundary of %s.", n.Principal)
	case session:
		return nil, speech.Say("Whoever assumes the role passes a policy that does not allow it.")
	case scp, rcp, endpoint:
		return nil, speech.Say("Who administers that policy has to allow %s.", strings.Join(n.actions, ", "))
	default:
		return nil, speech.Say("Nothing that is added helps against a deny: its statement has to leave this call out, by a condition on %s or %s, say.", "aws:ViaAWSService", "aws:PrincipalArn")
	}
	linked := arn.IsServiceLinkedRole(n.Principal)
	p := format.Principal{ARN: n.Principal, Kind: format.KindRole}
	switch {
	case linked:
		p.Kind = format.KindLinked
	case who.Type() == "user":
		p.Kind = format.KindUser
	}
	if identityPolicy != "" && !linked {
		p.Policies = []format.InlinePolicy{{Name: "supposed", Policy: format.Document(identityPolicy)}}
	}
	sc := &format.Scenario{
		Schema: format.Schema, ID: "supposed", Region: key.Region,
		Accounts: []format.Account{{ID: who.Account, Name: who.Account}},
		Keys: []format.Key{{
			ARN: n.Key, Account: key.Account, Region: key.Region, Manager: format.ManagerCustomer, Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT", State: "Enabled",
			Policy: format.Document(strings.Replace(policy, "ROOT", arn.Root(key.Account), 1)),
		}},
		Principals: []format.Principal{p},
	}
	if key.Account != who.Account {
		sc.Accounts = append(sc.Accounts, format.Account{ID: key.Account, Name: key.Account})
	}
	return sc, note
}
