package iam

import (
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// awsAccount stands for an account in the ARNs of AWS managed policies.
const awsAccount = "aws"

// A managedPolicy is a policy of the account or one of AWS; neither if it does not exist.
type managedPolicy struct {
	arn      string
	account  string // whose resource it is for a decision
	customer *directory.ManagedPolicy
	aws      *managed.Policy
}

func (p *managedPolicy) exists() bool { return p.customer != nil || p.aws != nil }

// ofService reports whether a policy is for the service-linked role of a service, and for no other.
func (p *managedPolicy) ofService() bool {
	return p.aws != nil && strings.HasPrefix(p.aws.Path, "/aws-service-role/")
}

func notAttachable() error {
	return apierr.New(codeNotAttachable, "Cannot attach a Service Role Policy to a Customer Role.")
}

func (p *managedPolicy) path() string {
	if p.aws != nil {
		return p.aws.Path
	}
	return p.customer.Path
}

// id sorts policies: AWS's first, then the account's, by name.
func (p *managedPolicy) id() string {
	if p.aws != nil {
		return "0/" + strings.ToLower(p.aws.Name)
	}
	return "1/" + strings.ToLower(p.customer.Name)
}

// findPolicy looks a policy up by its exact ARN, for a caller of the account. The policies of
// AWS count as the caller's own; those of other accounts are not looked at.
func (s *Service) findPolicy(tx store.Tx, account, policyARN string) (*managedPolicy, error) {
	a, err := arn.Parse(policyARN)
	if err != nil || a.Partition != arn.Partition || a.Service != "iam" || a.Type() != "policy" || a.ID() == "" {
		return nil, apierr.Newf(codeInvalid, "ARN %s is not valid.", policyARN)
	}
	p := &managedPolicy{arn: policyARN, account: a.Account}
	switch a.Account {
	case awsAccount:
		p.account = account
		p.aws = managed.Find(policyARN)
	case account:
		stored, ok, err := s.dir.Policy(tx, account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:])
		if err != nil {
			return nil, err
		}
		if ok && stored.ARN() == policyARN {
			p.customer = &stored
		}
	}
	return p, nil
}

func (s *Service) policyPart(p *managedPolicy, action string) authz.Part {
	var tags []directory.Tag
	if p.customer != nil {
		tags = p.customer.Tags
	}
	return authz.Part{Action: "iam:" + action, Resource: s.resource(p.arn, p.account, tags)}
}

// authorizedPolicy finds a policy, decides the action on it and says if it is not there.
func (s *Service) authorizedPolicy(tx store.Tx, c *guard.Call, policyARN *string, action string, extra func(*authz.Context)) (*managedPolicy, error) {
	p, err := s.findPolicy(tx, c.Account(), api.Val(policyARN))
	if err != nil {
		return nil, err
	}
	part := s.policyPart(p, action)
	if extra != nil {
		extra(&part.Context)
	}
	c.Touch(p.arn, p.account, "AWS::IAM::Policy")
	if _, err := s.g.Allow(tx, c, part); err != nil {
		return nil, err
	}
	if !p.exists() {
		return nil, noSuchEntity("Policy %s was not found.", p.arn)
	}
	return p, nil
}

// ownPolicy is authorizedPolicy for changes: the policies of AWS stay as they are.
func (s *Service) ownPolicy(tx store.Tx, c *guard.Call, policyARN *string, action string, extra func(*authz.Context)) (*directory.ManagedPolicy, error) {
	p, err := s.authorizedPolicy(tx, c, policyARN, action, extra)
	if err != nil {
		return nil, err
	}
	if p.aws != nil {
		return nil, apierr.Newf("AccessDenied", "The policy %s belongs to AWS and cannot be changed.", p.arn).WithStatus(403)
	}
	return p.customer, nil
}

// bound counts a permissions boundary that is set (1) or goes away with its principal (-1).
func (s *Service) bound(tx store.Tx, c *guard.Call, policyARN string, by int) error {
	if policyARN == "" {
		return nil
	}
	p, err := s.findPolicy(tx, c.Account(), policyARN)
	if err != nil {
		return err
	}
	switch {
	case by > 0 && !p.exists():
		return noSuchEntity("Scope ARN: %s does not exist or is not attachable.", policyARN)
	case by > 0 && p.ofService():
		return notAttachable()
	}
	if p.customer == nil {
		return nil
	}
	p.customer.Boundaries += by
	return s.dir.PutPolicy(tx, *p.customer)
}

// usage is how many users and roles of an account a policy is attached to and bounds.
type usage struct{ attached, bounds int }

// usageOf counts the use of every policy in an account. Customer managed policies carry their own
// counts; those of AWS have none in the account.
func (s *Service) usageOf(tx store.Tx, account string) (map[string]usage, error) {
	all := map[string]usage{}
	add := func(attached []string, boundary string) {
		for _, a := range attached {
			u := all[a]
			u.attached++
			all[a] = u
		}
		if boundary != "" {
			u := all[boundary]
			u.bounds++
			all[boundary] = u
		}
	}
	for r, err := range s.dir.Users(tx, account, "") {
		if err != nil {
			return nil, err
		}
		add(r.Value.Attached, r.Value.Boundary)
	}
	for r, err := range s.dir.Groups(tx, account, "") {
		if err != nil {
			return nil, err
		}
		add(r.Value.Attached, "")
	}
	for r, err := range s.dir.Roles(tx, account, "") {
		if err != nil {
			return nil, err
		}
		add(r.Value.Attached, r.Value.Boundary)
	}
	return all, nil
}

// show is a policy as GetPolicy shows it; u counts for a policy of AWS.
func (p *managedPolicy) show(u usage) *iamapi.Policy {
	if a := p.aws; a != nil {
		return &iamapi.Policy{
			PolicyName: &a.Name, PolicyId: api.Opt(a.ID), Arn: &a.ARN, Path: &a.Path, DefaultVersionId: &a.Version,
			AttachmentCount: new(int32(u.attached)), PermissionsBoundaryUsageCount: new(int32(u.bounds)), IsAttachable: new(true),
			Description: api.Opt(a.Description), CreateDate: &a.Created, UpdateDate: &a.Updated,
		}
	}
	m := p.customer
	return &iamapi.Policy{
		PolicyName: &m.Name, PolicyId: &m.ID, Arn: &p.arn, Path: &m.Path, DefaultVersionId: &m.Default,
		AttachmentCount: new(int32(m.Attachments)), PermissionsBoundaryUsageCount: new(int32(m.Boundaries)), IsAttachable: new(true),
		Description: api.Opt(m.Description), CreateDate: new(m.Created.Truncate(time.Second)), UpdateDate: new(m.Updated.Truncate(time.Second)),
		Tags: apiTags(m.Tags),
	}
}
