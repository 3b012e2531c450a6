package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
)

// ErrSelection says that a [Selection] does not make a scenario.
var ErrSelection = errors.New("scenario: there is no one launch to write")

// A Selection says what of a server's world is written, and whose launch it is about.
type Selection struct {
	ID       string   // of the scenario
	Accounts []string // the first is that of the launch
	Region   string
	Group    string // an Auto Scaling group; if "" and there is no template, the account's only one
	Template string // a launch template that Caller runs, in the place of a group
	Caller   string // ARN of a role or user
}

// Export writes the world of a development server as a scenario, as its administrators see it.
// Notes tell what the format cannot say and was left out. What is expected is known only of a
// group that is full; else it is null.
func Export(ctx context.Context, cfg Config, sel Selection) (_ *Scenario, notes []string, _ error) {
	if len(sel.Accounts) == 0 {
		return nil, nil, fmt.Errorf("%w: no account is named", ErrSelection)
	}
	if (sel.Template == "") != (sel.Caller == "") {
		return nil, nil, fmt.Errorf("%w: a template needs a caller who runs it, and a caller a template", ErrSelection)
	}
	x := &exporter{s: newSession(cfg), sel: sel, sc: &Scenario{
		Schema: Schema, ID: sel.ID, Title: "The world of " + cfg.Endpoint, Story: "Written by kagimori scenario export.",
		Source: Source{URL: cfg.Endpoint, Basis: "derived"}, Tags: []string{"exported"}, Region: sel.Region,
		Accounts: []Account{}, Keys: []Key{}, Principals: []Principal{}, Snapshots: []Snapshot{}, Images: []Image{},
	}}
	for _, a := range sel.Accounts {
		for _, part := range []func(context.Context, string) error{x.account, x.keys, x.roles, x.users, x.snapshots, x.images} {
			if err := part(ctx, a); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := x.launch(ctx); err != nil {
		return nil, nil, err
	}
	data, err := x.sc.Encode()
	if err != nil {
		return nil, nil, err
	}
	if _, err := Parse(data); err != nil {
		return nil, x.notes, fmt.Errorf("%w: what these accounts hold names something that is not theirs; name its account too:\n%w", ErrSelection, err)
	}
	return x.sc, x.notes, nil
}

type exporter struct {
	s       *session
	sel     Selection
	sc      *Scenario
	notes   []string
	standIn string // image of templates that name none
}

func (x *exporter) note(format string, args ...any) {
	x.notes = append(x.notes, fmt.Sprintf(format, args...))
}

func (x *exporter) at(account string) place { return admin(account).in(x.sel.Region) }

// pages calls an operation until there is no next page.
func pages(page func(marker *string) (next *string, err error)) error {
	for marker := (*string)(nil); ; {
		next, err := page(marker)
		if err != nil || api.Val(next) == "" {
			return err
		}
		marker = next
	}
}

func (x *exporter) account(ctx context.Context, id string) error {
	a := Account{ID: id, EBS: map[string]EBS{}}
	var on ec2api.GetEbsEncryptionByDefaultResult
	if err := x.s.ask(ctx, x.at(id), "ec2", "GetEbsEncryptionByDefault", &ec2api.GetEbsEncryptionByDefaultRequest{}, &on); err != nil {
		return err
	}
	var key ec2api.GetEbsDefaultKmsKeyIdResult
	if err := x.s.ask(ctx, x.at(id), "ec2", "GetEbsDefaultKmsKeyId", &ec2api.GetEbsDefaultKmsKeyIdRequest{}, &key); err != nil {
		return err
	}
	a.EBS[x.sel.Region] = EBS{EncryptionByDefault: api.Val(on.EbsEncryptionByDefault), DefaultKmsKeyID: api.Val(key.KmsKeyId)}
	who := admin(managementAccount).in(globalRegion)
	var out organizationsapi.DescribeAccountResponse
	if err := x.s.ask(ctx, who, "organizations", "DescribeAccount", &organizationsapi.DescribeAccountRequest{AccountId: &id}, &out); err != nil {
		return err
	}
	if n := out.Account.Name; n != nil {
		a.Name = n.Reveal()
	}
	var err error
	if a.SCPs, err = x.orgPolicies(ctx, who, id, typeSCP, fullSCP); err != nil {
		return err
	}
	if a.RCPs, err = x.orgPolicies(ctx, who, id, typeRCP, fullRCP); err != nil {
		return err
	}
	x.sc.Accounts = append(x.sc.Accounts, a)
	return x.above(ctx, who, id)
}

// orgPolicies are the policies of a type on an account.
func (x *exporter) orgPolicies(ctx context.Context, who place, account, kind, full string) ([]OrgPolicy, error) {
	out, replaced := []OrgPolicy{}, true
	err := pages(func(next *string) (*string, error) {
		var list organizationsapi.ListPoliciesForTargetResponse
		err := x.s.ask(ctx, who, "organizations", "ListPoliciesForTarget", &organizationsapi.ListPoliciesForTargetRequest{
			TargetId: &account, Filter: &kind, NextToken: next,
		}, &list)
		if err != nil {
			return nil, err
		}
		for _, p := range list.Policies {
			if api.Val(p.Id) == full {
				replaced = false
				continue
			}
			var doc organizationsapi.DescribePolicyResponse
			err := x.s.ask(ctx, who, "organizations", "DescribePolicy", &organizationsapi.DescribePolicyRequest{PolicyId: p.Id}, &doc)
			if err != nil {
				return nil, err
			}
			out = append(out, OrgPolicy{Name: api.Val(p.Name), Policy: Document(api.Val(doc.Policy.Content))})
		}
		return list.NextToken, nil
	})
	for i := range out {
		out[i].AllowList = replaced
	}
	return out, err
}

// above notes policies on what is above an account, which the format cannot say.
func (x *exporter) above(ctx context.Context, who place, account string) error {
	for child := account; ; {
		var list organizationsapi.ListParentsResponse
		err := x.s.ask(ctx, who, "organizations", "ListParents", &organizationsapi.ListParentsRequest{ChildId: &child}, &list)
		if err != nil || len(list.Parents) == 0 {
			return err
		}
		child = api.Val(list.Parents[0].Id)
		for kind, full := range map[string]string{typeSCP: fullSCP, typeRCP: fullRCP} {
			policies, err := x.orgPolicies(ctx, who, child, kind, full)
			if err != nil {
				return err
			}
			for _, p := range policies {
				if note := fmt.Sprintf("the policy %s of %s limits account %s too", p.Name, child, account); !slices.Contains(x.notes, note) {
					x.note("%s", note)
				}
			}
		}
		if strings.HasPrefix(child, "r-") {
			return nil
		}
	}
}
