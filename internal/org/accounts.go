package org

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// statusRecord is a request to create an account.
type statusRecord struct {
	ID        string    `json:"id"` // car-...
	Name      string    `json:"name"`
	State     string    `json:"state"`
	Account   string    `json:"account,omitempty"`
	Failure   string    `json:"failure,omitempty"`
	Requested time.Time `json:"requested"`
	Completed time.Time `json:"completed"`
}

// statusTable has keys (organization, request).
var statusTable = store.Table[statusRecord]{Bucket: "org/createaccount", Version: 1}

func (r *statusRecord) show() *organizationsapi.CreateAccountStatus {
	return &organizationsapi.CreateAccountStatus{
		Id: &r.ID, AccountName: new(secret.String(r.Name)), State: &r.State, RequestedTimestamp: &r.Requested, CompletedTimestamp: &r.Completed,
		AccountId: api.Opt(r.Account), FailureReason: api.Opt(r.Failure),
	}
}

// CreateAccount makes an account under the root, with a role in it that the management account may
// assume. As in AWS the answer only says that it began.
func (s *Service) CreateAccount(ctx context.Context, c *guard.Call, in *organizationsapi.CreateAccountRequest) (*organizationsapi.CreateAccountResponse, error) {
	out := &organizationsapi.CreateAccountResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, question{tags: in.Tags, makes: true, tagged: newAccount})
		if err != nil {
			return err
		}
		if strings.HasPrefix(api.Val(in.RoleName), "AWSServiceRoleFor") {
			return errRoleName
		}
		tags, err := merge(nil, in.Tags)
		if err != nil {
			return err
		}
		rec := statusRecord{
			ID: directory.NewOrgID("car-", 32), Name: in.AccountName.Reveal(), State: organizationsapi.CreateAccountStateSUCCEEDED,
			Requested: s.now(), Completed: s.now(),
		}
		m := directory.Member{Parent: o.Root, Name: rec.Name, Email: in.Email.Reveal(), Joined: rec.Completed, Created: true, Tags: tags}
		members, err := s.dir.Members(tx, o)
		if err != nil {
			return err
		}
		switch {
		case !validEmail(m.Email):
			rec.State, rec.Failure = organizationsapi.CreateAccountStateFAILED, organizationsapi.CreateAccountFailureReasonINVALID_EMAIL
		case slices.ContainsFunc(members, func(x directory.Member) bool { return strings.EqualFold(x.Email, m.Email) }):
			rec.State, rec.Failure = organizationsapi.CreateAccountStateFAILED, organizationsapi.CreateAccountFailureReasonEMAIL_ALREADY_EXISTS
		default:
			if m.Account, err = s.freshAccount(tx, members); err != nil {
				return err
			}
			rec.Account = m.Account
			if err := s.makeAccount(tx, o, m, api.Val(in.RoleName)); err != nil {
				return err
			}
		}
		out.CreateAccountStatus = rec.show()
		out.CreateAccountStatus.State = new(organizationsapi.CreateAccountStateIN_PROGRESS)
		out.CreateAccountStatus.AccountId, out.CreateAccountStatus.CompletedTimestamp, out.CreateAccountStatus.FailureReason = nil, nil, nil
		c.Respond(out)
		return statusTable.Put(tx, rec, o.ID, rec.ID)
	})
	return out, err
}

var (
	localParts = regexp.MustCompile(`^[!-~]+$`)
	domains    = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)
)

// validEmail reports whether an address, whose length the model bounds, is one that an account can have.
// Source: AWS Organizations API Reference, CreateAccount, Email.
func validEmail(address string) bool {
	local, domain, _ := strings.Cut(address, "@")
	return localParts.MatchString(local) && !strings.ContainsAny(local, `"'()<>[]:;,\|%&`) && local[0] != '.' &&
		domains.MatchString(domain) && strings.Contains(domain, ".")
}

// freshAccount is an account id that nobody has; it does not begin with 0.
func (s *Service) freshAccount(tx store.Tx, members []directory.Member) (string, error) {
	for range 10 {
		n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
		if err != nil {
			return "", err
		}
		id := n.Add(n, big.NewInt(100_000_000_000)).String()
		_, taken, err := directory.Accounts.Get(tx, id)
		if err != nil {
			return "", err
		}
		if !taken && !slices.ContainsFunc(members, func(m directory.Member) bool { return m.Account == id }) {
			return id, nil
		}
	}
	return "", errors.New("org: no free account id found")
}

// makeAccount writes the account, its place and its first role.
// Source: AWS Organizations User Guide, "Creating a member account", OrganizationAccountAccessRole.
func (s *Service) makeAccount(tx store.Tx, o directory.Organization, m directory.Member, role string) error {
	if role == "" {
		role = "OrganizationAccountAccessRole"
	}
	if err := directory.Accounts.Put(tx, directory.Account{ID: m.Account, Name: m.Name, Created: m.Joined}, m.Account); err != nil {
		return err
	}
	err := s.dir.PutRole(tx, directory.Role{
		Account: m.Account, Name: role, Path: "/", ID: directory.NewID("AROA"), Created: m.Joined, MaxSession: 3600,
		Trust:    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + arn.Root(o.Management) + `"},"Action":"sts:AssumeRole"}]}`,
		Attached: []string{"arn:aws:iam::aws:policy/AdministratorAccess"},
	})
	if err != nil {
		return err
	}
	return s.dir.PutMember(tx, o, m)
}

// DescribeCreateAccountStatus tells what became of a request to create an account.
func (s *Service) DescribeCreateAccountStatus(ctx context.Context, c *guard.Call, in *organizationsapi.DescribeCreateAccountStatusRequest) (*organizationsapi.DescribeCreateAccountStatusResponse, error) {
	out := &organizationsapi.DescribeCreateAccountStatusResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on())
		if err != nil {
			return err
		}
		rec, ok, err := statusTable.Get(tx, o.ID, *in.CreateAccountRequestId)
		if err == nil && !ok {
			err = errNoStatus
		}
		out.CreateAccountStatus = rec.show()
		return err
	})
	return out, err
}

// ListCreateAccountStatus lists the requests to create accounts.
func (s *Service) ListCreateAccountStatus(ctx context.Context, c *guard.Call, in *organizationsapi.ListCreateAccountStatusRequest) (*organizationsapi.ListCreateAccountStatusResponse, error) {
	out := &organizationsapi.ListCreateAccountStatusResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on())
		if err != nil {
			return err
		}
		var all []statusRecord
		for r, err := range statusTable.Scan(tx, o.ID) {
			if err != nil {
				return err
			}
			if len(in.States) == 0 || slices.Contains(in.States, r.Value.State) {
				all = append(all, r.Value)
			}
		}
		var some []statusRecord
		some, out.NextToken, err = page(s, c, in.NextToken, in.MaxResults, all, func(r *statusRecord) string { return r.ID }, in.States...)
		out.CreateAccountStatuses = shown(some, func(r statusRecord) organizationsapi.CreateAccountStatus { return *r.show() })
		return err
	})
	return out, err
}

// accountsUnder are the accounts directly under a parent.
func (s *Service) accountsUnder(tx store.Tx, o directory.Organization, parent string) ([]directory.Member, error) {
	all, err := s.dir.Members(tx, o)
	return slices.DeleteFunc(all, func(m directory.Member) bool { return m.Parent != parent }), err
}

func showAccount(o directory.Organization, units []directory.Unit, m directory.Member) (organizationsapi.Account, error) {
	chain, _, err := climb(o, units, m.Parent)
	how := organizationsapi.AccountJoinedMethodINVITED
	if m.Created {
		how = organizationsapi.AccountJoinedMethodCREATED
	}
	status, state := state(&m)
	return organizationsapi.Account{
		Id: &m.Account, Arn: new(o.TargetARN(m.Account)), Email: new(secret.String(m.Email)), Name: new(secret.String(m.Name)),
		Status: &status, State: &state,
		JoinedMethod: &how, JoinedTimestamp: &m.Joined, Paths: []string{path(o, chain) + m.Account + "/"},
	}, err
}

// member is an account of the organization, or of a development server one that nobody used yet.
func (s *Service) member(tx store.Tx, o directory.Organization, account string) (directory.Member, error) {
	m, ok, err := s.dir.Member(tx, o, account)
	if err == nil && !ok {
		err = errNoAccount
	}
	return m, err
}

// DescribeAccount describes an account of the organization.
func (s *Service) DescribeAccount(ctx context.Context, c *guard.Call, in *organizationsapi.DescribeAccountRequest) (*organizationsapi.DescribeAccountResponse, error) {
	out := &organizationsapi.DescribeAccountResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on(*in.AccountId))
		if err != nil {
			return err
		}
		m, ok, err := s.dir.KnownMember(tx, o, *in.AccountId)
		if err != nil {
			return err
		}
		if !ok {
			return errNoAccount
		}
		units, err := s.dir.Units(tx, o)
		if err != nil {
			return err
		}
		a, err := showAccount(o, units, m)
		out.Account = &a
		return err
	})
	return out, err
}

// ListAccounts lists the accounts of the organization.
func (s *Service) ListAccounts(ctx context.Context, c *guard.Call, in *organizationsapi.ListAccountsRequest) (*organizationsapi.ListAccountsResponse, error) {
	out := &organizationsapi.ListAccountsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on())
		if err != nil {
			return err
		}
		all, err := s.dir.Members(tx, o)
		if err != nil {
			return err
		}
		out.Accounts, out.NextToken, err = s.pageOfAccounts(tx, c, o, in.NextToken, in.MaxResults, all)
		return err
	})
	return out, err
}

// ListAccountsForParent lists the accounts directly under a parent.
func (s *Service) ListAccountsForParent(ctx context.Context, c *guard.Call, in *organizationsapi.ListAccountsForParentRequest) (*organizationsapi.ListAccountsForParentResponse, error) {
	out := &organizationsapi.ListAccountsForParentResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, _, err := s.openParent(tx, c, on(*in.ParentId))
		if err != nil {
			return err
		}
		all, err := s.accountsUnder(tx, o, *in.ParentId)
		if err != nil {
			return err
		}
		out.Accounts, out.NextToken, err = s.pageOfAccounts(tx, c, o, in.NextToken, in.MaxResults, all, *in.ParentId)
		return err
	})
	return out, err
}

func (s *Service) pageOfAccounts(tx store.Tx, c *guard.Call, o directory.Organization, token *string, limit *int32, all []directory.Member, selects ...string) ([]organizationsapi.Account, *string, error) {
	some, next, err := page(s, c, token, limit, all, func(m *directory.Member) string { return m.Account }, selects...)
	if err != nil {
		return nil, nil, err
	}
	units, err := s.dir.Units(tx, o)
	if err != nil {
		return nil, nil, err
	}
	out := make([]organizationsapi.Account, len(some))
	for i, m := range some {
		if out[i], err = showAccount(o, units, m); err != nil {
			return nil, nil, err
		}
	}
	return out, next, nil
}

// MoveAccount puts an account under another parent.
func (s *Service) MoveAccount(ctx context.Context, c *guard.Call, in *organizationsapi.MoveAccountRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		from, to := *in.SourceParentId, *in.DestinationParentId
		o, err := s.open(tx, c, on(*in.AccountId, from, to))
		if err != nil {
			return err
		}
		m, err := s.member(tx, o, *in.AccountId)
		if err != nil {
			return err
		}
		if m.Parent != from {
			if _, ok, err := s.above(tx, o, from); err != nil {
				return err
			} else if !ok {
				return errNoSource
			}
			return errNoAccount // there; as reported by users
		}
		if _, ok, err := s.above(tx, o, to); err != nil {
			return err
		} else if !ok {
			return errNoDestination
		}
		if from == to {
			return errSameParent
		}
		m.Parent = to
		return s.dir.PutMember(tx, o, m)
	})
}
