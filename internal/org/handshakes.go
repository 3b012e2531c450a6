package org

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// Invitations are open for 15 days, and handshakes are there for 30 days after they ended.
// Source: AWS Organizations API Reference, Handshake and DescribeHandshake.
const (
	invitationTime = 15 * 24 * time.Hour
	keptTime       = 30 * 24 * time.Hour
)

// A handshake is an invitation of an account, or says that an organization was given all features.
type handshake struct {
	ID           string          `json:"id"` // h-...
	Organization string          `json:"organization"`
	Management   string          `json:"management"`
	Email        string          `json:"email"` // of the managing account
	Name         string          `json:"name"`
	Target       string          `json:"target"` // as the invitation names it
	Type         string          `json:"type"`   // ACCOUNT or EMAIL
	Account      string          `json:"account,omitempty"`
	Notes        string          `json:"notes,omitempty"`
	Features     bool            `json:"features,omitempty"` // not an invitation: see EnableAllFeatures
	Billing      bool            `json:"billing,omitempty"`  // the organization has consolidated billing only
	State        string          `json:"state"`
	Requested    time.Time       `json:"requested"`
	Ended        time.Time       `json:"ended,omitzero"`
	Tags         []directory.Tag `json:"tags,omitempty"`
}

// handshakeTable has keys (handshake).
var handshakeTable = store.Table[handshake]{Bucket: "org/handshake", Version: 1}

// state is that of now: an invitation that nobody answered ends by itself.
func (h *handshake) state(now time.Time) string {
	if h.State == organizationsapi.HandshakeStateOPEN && !now.Before(h.Requested.Add(invitationTime)) {
		return organizationsapi.HandshakeStateEXPIRED
	}
	return h.State
}

// gone reports whether a handshake ended so long ago that nobody sees it any more.
func (h *handshake) gone(now time.Time) bool {
	ended := h.Ended
	if h.state(now) == organizationsapi.HandshakeStateEXPIRED {
		ended = h.Requested.Add(invitationTime)
	}
	return !ended.IsZero() && !now.Before(ended.Add(keptTime))
}

func (h *handshake) action() string {
	if h.Features {
		return organizationsapi.ActionTypeENABLE_ALL_FEATURES
	}
	return organizationsapi.ActionTypeINVITE
}

func (h *handshake) arn() string {
	return arn.Make("organizations", "", h.Management, "handshake/"+h.Organization+"/"+strings.ToLower(h.action())+"/"+h.ID)
}

func (h *handshake) show(now time.Time) *organizationsapi.Handshake {
	text := func(s string) *secret.String { return new(secret.String(s)) }
	resource := func(kind, value string) organizationsapi.HandshakeResource {
		return organizationsapi.HandshakeResource{Type: &kind, Value: text(value)}
	}
	o := resource(organizationsapi.HandshakeResourceTypeORGANIZATION, h.Organization)
	out := &organizationsapi.Handshake{
		Id: &h.ID, Arn: new(h.arn()), State: new(h.state(now)), Action: new(h.action()),
		RequestedTimestamp: &h.Requested, ExpirationTimestamp: new(h.Requested.Add(invitationTime)),
		Parties: []organizationsapi.HandshakeParty{{Id: text(h.Organization), Type: new(organizationsapi.HandshakePartyTypeORGANIZATION)}},
	}
	if h.Features {
		out.Resources = []organizationsapi.HandshakeResource{o}
		return out
	}
	o.Resources = []organizationsapi.HandshakeResource{
		resource(organizationsapi.HandshakeResourceTypeMASTER_EMAIL, h.Email), resource(organizationsapi.HandshakeResourceTypeMASTER_NAME, h.Name),
		resource(organizationsapi.HandshakeResourceTypeORGANIZATION_FEATURE_SET, featureSet(h.Billing)),
	}
	out.Parties = append(out.Parties, organizationsapi.HandshakeParty{Id: text(h.Target), Type: &h.Type})
	out.Resources = []organizationsapi.HandshakeResource{o, resource(h.Type, h.Target)}
	if h.Notes != "" {
		out.Resources = append(out.Resources, resource(organizationsapi.HandshakeResourceTypeNOTES, h.Notes))
	}
	return out
}

// accountOf is the account that an invitation names; "" if it is an address that no account has.
func accountOf(kind, target string) (string, error) {
	if kind == organizationsapi.HandshakePartyTypeEMAIL {
		id := strings.TrimSuffix(strings.TrimPrefix(target, "account-"), "@example.com")
		if arn.IsAccount(id) {
			return id, nil
		}
		if name, domain, ok := strings.Cut(target, "@"); !ok || name == "" || domain == "" {
			return "", because(codeInput, "INVALID_EMAIL_ADDRESS_TARGET", "You specified an invalid email address for the invited account owner.")
		}
		return "", nil
	}
	if kind != organizationsapi.HandshakePartyTypeACCOUNT || !arn.IsAccount(target) {
		return "", because(codeInput, "INVALID_PARTY_TYPE_TARGET", "You specified an invalid target: an account is invited by its id or its email address.")
	}
	return target, nil
}

// InviteAccountToOrganization asks another account to join.
func (s *Service) InviteAccountToOrganization(ctx context.Context, c *guard.Call, in *organizationsapi.InviteAccountToOrganizationRequest) (*organizationsapi.InviteAccountToOrganizationResponse, error) {
	out := &organizationsapi.InviteAccountToOrganizationResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		target, kind := in.Target.Id.Reveal(), api.Val(in.Target.Type)
		account, err := accountOf(kind, target)
		if err != nil {
			return err
		}
		q := question{tags: in.Tags, makes: true, tagged: newAccount}
		if account != "" {
			q.ids, q.tagged = []string{account}, account
		}
		o, err := s.open(tx, c, q)
		if err != nil {
			return err
		}
		tags, err := merge(nil, in.Tags)
		if err != nil {
			return err
		}
		if account != "" {
			if their, in, err := s.dir.OrganizationOf(tx, account); err != nil {
				return err
			} else if in && their.ID == o.ID {
				return errJoined
			}
		}
		open, err := s.handshakes(tx, func(h *handshake) bool {
			return h.Organization == o.ID && h.Target == target && h.state(s.now()) == organizationsapi.HandshakeStateOPEN
		})
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return errInvited
		}
		m, _, err := s.dir.Member(tx, o, o.Management)
		if err != nil {
			return err
		}
		h := handshake{
			ID: directory.NewOrgID("h-", 32), Organization: o.ID, Management: o.Management, Email: m.Email, Name: m.Name, Target: target, Type: kind,
			Account: account, State: organizationsapi.HandshakeStateOPEN, Requested: s.now(), Tags: tags, Billing: o.Billing,
		}
		if in.Notes != nil {
			h.Notes = in.Notes.Reveal()
		}
		out.Handshake = h.show(s.now())
		c.Respond(out)
		return handshakeTable.Put(tx, h, h.ID)
	})
	return out, err
}

// handshakes are those that want says yes to, by id.
func (s *Service) handshakes(tx store.Tx, want func(*handshake) bool) ([]handshake, error) {
	var out []handshake
	for r, err := range handshakeTable.Scan(tx) {
		if err != nil {
			return nil, err
		}
		if want(&r.Value) {
			out = append(out, r.Value)
		}
	}
	return out, nil
}

// handshake decides the operation on a handshake and reads it. It is there for the account that it invites and for every
// account of the organization. Source: AWS Organizations API Reference, DescribeHandshake.
func (s *Service) handshake(tx store.Tx, c *guard.Call, id string, party func(*handshake) bool) (handshake, error) {
	h, ok, err := handshakeTable.Get(tx, id)
	if err != nil {
		return h, err
	}
	theirs, in, err := s.dir.OrganizationOf(tx, c.Account())
	if err != nil {
		return h, err
	}
	ok = ok && !h.gone(s.now()) && (h.Account == c.Account() || in && theirs.ID == h.Organization)
	if !ok {
		h = handshake{ID: id, Organization: "o-unknown000", Management: c.Account()}
	}
	part := authz.Part{Action: "organizations:" + c.Operation, Resource: authz.Resource{ARN: h.arn(), Account: c.Account()}}
	if _, err := s.g.Allow(tx, c, part); err != nil {
		return h, err
	}
	switch {
	case !ok:
		return h, errNoHandshake
	case !party(&h):
		return h, errNotManagement
	}
	return h, nil
}

// pending decides an answer to a handshake, which has to be open.
func (s *Service) pending(tx store.Tx, c *guard.Call, id, state string, party func(*handshake) bool) (handshake, error) {
	h, err := s.handshake(tx, c, id, party)
	if err != nil {
		return h, err
	}
	switch now := h.state(s.now()); now {
	case organizationsapi.HandshakeStateOPEN:
		return h, nil
	case state:
		return h, errInState
	}
	return h, errTransition
}

// answer ends an open handshake.
func (s *Service) answer(tx store.Tx, c *guard.Call, id, state string, party func(*handshake) bool) (handshake, error) {
	h, err := s.pending(tx, c, id, state, party)
	if err != nil {
		return h, err
	}
	h.State, h.Ended = state, s.now()
	return h, handshakeTable.Put(tx, h, h.ID)
}

func invited(c *guard.Call) func(*handshake) bool {
	return func(h *handshake) bool { return h.Account == c.Account() }
}

func inviting(c *guard.Call) func(*handshake) bool {
	return func(h *handshake) bool { return h.Management == c.Account() }
}

// depart takes the caller's account out of the organization that it is a member of, for another one.
// Errors: those of removeMember, and that it is in the other one already.
// Source: AWS Organizations User Guide, "Accepting or declining account invitations".
func (s *Service) depart(tx store.Tx, c *guard.Call, to directory.Organization) error {
	old, in, err := s.dir.OrganizationOf(tx, c.Account())
	switch {
	case err != nil || !in:
		return err
	case old.ID == to.ID:
		return errJoined
	}
	return s.removeMember(tx, old, c.Account())
}

// AcceptHandshake makes the invited account, which calls, a member; it leaves the organization that it was in.
func (s *Service) AcceptHandshake(ctx context.Context, c *guard.Call, in *organizationsapi.AcceptHandshakeRequest) (*organizationsapi.AcceptHandshakeResponse, error) {
	out := &organizationsapi.AcceptHandshakeResponse{}
	var asked handshake
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		asked, err = s.pending(tx, c, *in.HandshakeId, organizationsapi.HandshakeStateACCEPTED, invited(c))
		return err
	})
	if err != nil {
		return nil, err
	}
	if !asked.Billing {
		if err := s.needRole(ctx, c); err != nil {
			return nil, err
		}
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		h, err := s.answer(tx, c, *in.HandshakeId, organizationsapi.HandshakeStateACCEPTED, invited(c))
		if err != nil {
			return err
		}
		o, in, err := s.dir.OrganizationOf(tx, h.Management)
		if err != nil {
			return err
		}
		if !in || o.ID != h.Organization {
			return errNoHandshake
		}
		if err := s.depart(tx, c, o); err != nil {
			return err
		}
		a, _, err := directory.Accounts.Get(tx, c.Account())
		if err != nil {
			return err
		}
		err = s.dir.PutMember(tx, o, directory.Member{
			Account: c.Account(), Parent: o.Root, Name: cmp.Or(a.Name, c.Account()), Email: "account-" + c.Account() + "@example.com", Joined: s.now(), Tags: h.Tags,
		})
		out.Handshake = h.show(s.now())
		c.Respond(out)
		return err
	})
	return out, err
}

// DeclineHandshake refuses an invitation.
func (s *Service) DeclineHandshake(ctx context.Context, c *guard.Call, in *organizationsapi.DeclineHandshakeRequest) (*organizationsapi.DeclineHandshakeResponse, error) {
	out := &organizationsapi.DeclineHandshakeResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		h, err := s.answer(tx, c, *in.HandshakeId, organizationsapi.HandshakeStateDECLINED, invited(c))
		out.Handshake = h.show(s.now())
		c.Respond(out)
		return err
	})
	return out, err
}

// CancelHandshake takes an invitation back.
func (s *Service) CancelHandshake(ctx context.Context, c *guard.Call, in *organizationsapi.CancelHandshakeRequest) (*organizationsapi.CancelHandshakeResponse, error) {
	out := &organizationsapi.CancelHandshakeResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		h, err := s.answer(tx, c, *in.HandshakeId, organizationsapi.HandshakeStateCANCELED, inviting(c))
		out.Handshake = h.show(s.now())
		c.Respond(out)
		return err
	})
	return out, err
}

// DescribeHandshake describes an invitation to the account and to those of the organization.
func (s *Service) DescribeHandshake(ctx context.Context, c *guard.Call, in *organizationsapi.DescribeHandshakeRequest) (*organizationsapi.DescribeHandshakeResponse, error) {
	out := &organizationsapi.DescribeHandshakeResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		h, err := s.handshake(tx, c, *in.HandshakeId, func(*handshake) bool { return true })
		out.Handshake = h.show(s.now())
		return err
	})
	return out, err
}

// ListHandshakesForAccount lists the invitations of the caller's account.
func (s *Service) ListHandshakesForAccount(ctx context.Context, c *guard.Call, in *organizationsapi.ListHandshakesForAccountRequest) (*organizationsapi.ListHandshakesForAccountResponse, error) {
	out := &organizationsapi.ListHandshakesForAccountResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if _, _, err := s.ask(tx, c, on()); err != nil {
			return err
		}
		out.Handshakes, out.NextToken, err = s.listHandshakes(tx, c, in.Filter, in.NextToken, in.MaxResults, invited(c))
		return err
	})
	return out, err
}

// ListHandshakesForOrganization lists the invitations that the caller's organization made.
func (s *Service) ListHandshakesForOrganization(ctx context.Context, c *guard.Call, in *organizationsapi.ListHandshakesForOrganizationRequest) (*organizationsapi.ListHandshakesForOrganizationResponse, error) {
	out := &organizationsapi.ListHandshakesForOrganizationResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on())
		if err != nil {
			return err
		}
		out.Handshakes, out.NextToken, err = s.listHandshakes(tx, c, in.Filter, in.NextToken, in.MaxResults, func(h *handshake) bool { return h.Organization == o.ID })
		return err
	})
	return out, err
}

func (s *Service) listHandshakes(tx store.Tx, c *guard.Call, filter *organizationsapi.HandshakeFilter, token *string, limit *int32, of func(*handshake) bool) ([]organizationsapi.Handshake, *string, error) {
	action, parent := "", ""
	if filter != nil {
		action, parent = api.Val(filter.ActionType), api.Val(filter.ParentHandshakeId)
	}
	if action != "" && parent != "" {
		return nil, nil, errFilters
	}
	now := s.now()
	all, err := s.handshakes(tx, func(h *handshake) bool {
		return of(h) && (action == "" || action == h.action()) && parent == "" && !h.gone(now)
	})
	if err != nil {
		return nil, nil, err
	}
	some, next, err := page(s, c, token, limit, all, func(h *handshake) string { return h.ID }, action, parent)
	return shown(some, func(h handshake) organizationsapi.Handshake { return *h.show(now) }), next, err
}

// RemoveAccountFromOrganization makes a member stand alone.
func (s *Service) RemoveAccountFromOrganization(ctx context.Context, c *guard.Call, in *organizationsapi.RemoveAccountFromOrganizationRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on(*in.AccountId))
		if err != nil {
			return err
		}
		return s.removeMember(tx, o, *in.AccountId)
	})
}

// LeaveOrganization makes the caller's account stand alone.
func (s *Service) LeaveOrganization(ctx context.Context, c *guard.Call, _ *organizationsapi.LeaveOrganizationRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, in, err := s.ask(tx, c, on())
		switch {
		case err != nil:
			return err
		case !in:
			return errNotInUse
		}
		return s.removeMember(tx, o, c.Account())
	})
}

func (s *Service) removeMember(tx store.Tx, o directory.Organization, account string) error {
	if _, err := s.member(tx, o, account); err != nil {
		return err
	}
	if account == o.Management {
		return errManagerStays
	}
	if d, ok, err := delegateTable.Get(tx, o.ID, account); err != nil {
		return err
	} else if ok && len(d.Services) > 0 {
		return errDelegated
	}
	return s.dir.RemoveMember(tx, o, account)
}
