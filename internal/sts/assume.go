package sts

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// defaultDuration is how long a session lasts if the request does not say, and the longest that
// one role's session may get for another role. Source: IAM User Guide, "Role chaining".
const defaultDuration = time.Hour

// A role as AssumeRole needs it. One that does not exist has no trust policy, so nobody may
// assume it: the refusal does not tell the two apart.
type role struct {
	directory.Role
	exists bool
	arn    string
	trust  *authz.Document
}

func roleName(roleARN string) (account, name string, err error) {
	a, err := arn.Parse(roleARN)
	if err != nil || a.Partition != arn.Partition || a.Service != "iam" || a.Region != "" || a.Type() != "role" || !arn.IsAccount(a.Account) || a.ID() == "" {
		return "", "", apierr.Newf("ValidationError", "%s is invalid", roleARN)
	}
	return a.Account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:], nil
}

func (s *Service) role(tx store.Tx, roleARN string) (role, error) {
	account, name, err := roleName(roleARN)
	if err != nil {
		return role{}, err
	}
	r := role{arn: roleARN}
	if r.Role, r.exists, err = s.dir.Role(tx, account, name); err != nil {
		return r, err
	}
	if r.exists = r.exists && r.ARN() == roleARN; !r.exists {
		r.Role = directory.Role{Account: account, Name: name}
		return r, nil
	}
	r.trust, err = s.dir.TrustPolicy(tx, account, name)
	return r, err
}

// part is the evaluation of an STS action on a role. The trust policy is authoritative: without
// it not even the role's account may. Source: IAM User Guide, "Roles terms and concepts".
func (s *Service) part(r *role, action string, ctx authz.Context) authz.Part {
	p := authz.Part{
		Action: action, Policy: r.trust, Authoritative: true,
		Resource: authz.Resource{ARN: r.arn, Account: r.Account}, Context: slices.Clone(ctx),
	}
	p.Resource.Tags = r.Tags
	for _, t := range r.Tags {
		p.Context.Set("iam:resourcetag/"+t.Key, t.Value)
	}
	return p
}

// AssumeRole gives temporary credentials of a role that trusts the caller.
// Source: STS API Reference, AssumeRole.
func (s *Service) AssumeRole(ctx context.Context, c *guard.Call, in *stsapi.AssumeRoleRequest) (*stsapi.AssumeRoleResponse, error) {
	if c.Caller.Principal.Type == authz.Root {
		return nil, denied("Roles may not be assumed by root accounts.")
	}
	w, err := wishes(c, in)
	if err != nil {
		return nil, err
	}
	// The sessions of a role say nothing of MFA: it bears on the trust policy alone.
	// Source: IAM User Guide, "AWS global condition context keys", aws:MultiFactorAuthPresent.
	mfa, err := s.proved(ctx, c, in.SerialNumber, in.TokenCode)
	if err != nil {
		return nil, err
	}
	if mfa {
		w.context.SetBool("aws:multifactorauthpresent", true)
		w.context.Set("aws:multifactorauthage", "0")
	}
	var r role
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		r, err = s.assume(tx, c, in, w)
		return err
	})
	if err != nil {
		return nil, err
	}
	got, err := s.issue(ctx, c, r, w, api.Val(in.RoleSessionName))
	if err != nil {
		return nil, err
	}
	out := &stsapi.AssumeRoleResponse{
		Credentials: got.credentials, AssumedRoleUser: got.user, PackedPolicySize: got.packed, SourceIdentity: api.Opt(w.source),
	}
	c.Respond(out)
	return out, nil
}

// assume decides everything that a request asks of a role and checks it against the role.
func (s *Service) assume(tx store.Tx, c *guard.Call, in *stsapi.AssumeRoleRequest, w *wish) (role, error) {
	r, err := s.role(tx, api.Val(in.RoleArn))
	if err != nil {
		return r, err
	}
	c.Touch(r.arn, r.Account, "AWS::IAM::Role")
	parts := []authz.Part{s.part(&r, w.action, w.context)}
	if len(w.tags) > 0 {
		parts = append(parts, s.part(&r, "sts:TagSession", w.context))
	}
	if w.source != "" {
		parts = append(parts, s.part(&r, "sts:SetSourceIdentity", w.context))
	}
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return r, err
	}
	if !r.exists {
		return r, errors.New("sts: a role that does not exist was allowed to be assumed")
	}
	if in.DurationSeconds != nil && w.duration > max(time.Duration(r.MaxSession)*time.Second, defaultDuration) {
		return r, apierr.New("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return r, s.checkPolicies(tx, &r, w)
}

// AssumeServiceRole is sts:AssumeRole by a service in its own name on a role that trusts it: one
// that is linked to it, or one that was passed to it. It is decided and recorded like any other
// call. No credentials are made: the service holds the session itself.
//
// A service works for one customer, whose parent call it is or for whom that says to be (SourceAccount). It
// assumes roles of that account alone: what a role of another account lets the service do is not for this customer.
// Source: IAM User Guide, "The confused deputy problem".
func (s *Service) AssumeServiceRole(ctx context.Context, parent *guard.Call, service, roleARN, session string) (directory.Identity, error) {
	customer := cmp.Or(parent.Caller.SourceAccount, parent.Account())
	as := guard.Caller{Identity: directory.ServiceIdentity(service), UserAgent: service, Secure: true, InvokedBy: service, SourceAccount: customer}
	in := &stsapi.AssumeRoleRequest{RoleArn: &roleARN, RoleSessionName: &session}
	c := parent.Child(as, "sts", "AssumeRole", in, false)
	var (
		id directory.Identity
		r  role
	)
	err := guard.InvokeVoid(ctx, s.g, c, in, func(ctx context.Context, c *guard.Call, in *stsapi.AssumeRoleRequest) error {
		w, err := wishes(c, in)
		if err != nil {
			return err
		}
		if account, _, err := roleName(roleARN); err != nil || account != customer {
			return apierr.Newf("AccessDenied", "The service %s may not assume the role %s for the account %s.", service, roleARN, customer).WithStatus(403)
		}
		c.Touch(roleARN, customer, "AWS::IAM::Role") // its account may know why
		return s.g.View(ctx, c, func(tx store.Tx) error {
			if r, err = s.assume(tx, c, in, w); err != nil {
				return err
			}
			now := s.wall().UTC().Truncate(time.Second)
			id, err = s.dir.SessionIdentity(tx, directory.SessionGrant{
				Account: r.Account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: session,
				IssuedAt: now, ExpiresAt: now.Add(w.duration),
			})
			return err
		})
	})
	if err != nil {
		return directory.Identity{}, err
	}
	s.used(ctx, c, r.Role)
	return id, nil
}

// lastUsedStep is how exactly it is remembered when a role was used: noting every session would
// write the role's record each time.
const lastUsedStep = 15 * time.Minute

// used remembers that a role is in use. It is not worth failing a request for.
func (s *Service) used(ctx context.Context, c *guard.Call, r directory.Role) {
	now := s.g.Now().UTC().Truncate(time.Second)
	if now.Sub(r.LastUsed) < lastUsedStep {
		return
	}
	err := s.g.Change(ctx, func(tx store.Tx) error {
		stored, ok, err := s.dir.Role(tx, r.Account, r.Name)
		if err != nil || !ok || stored.ID != r.ID {
			return err
		}
		stored.LastUsed, stored.LastUsedRegion = now, c.Region
		return s.dir.PutRole(tx, stored)
	})
	if err != nil {
		s.log.Warn("the last use of a role was not noted", "role", r.ARN(), "error", err)
	}
}

func denied(text string) error { return apierr.New("AccessDenied", text).WithStatus(403) }
