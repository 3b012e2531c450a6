package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// The simulator decides with authz, as requests are decided, but as AWS documents it: it knows the
// policies of the principal, those of the request and, for a principal, its organization's service
// control policies. It fetches no resource policy and knows no resource control policies, endpoint
// policies and grants; without a resource policy in the request a resource of the same account has
// none, KMS keys too.
//
// Source: IAM API Reference, SimulatePrincipalPolicy and SimulateCustomPolicy; IAM User Guide, "IAM
// policy testing with the IAM policy simulator".

// SimulatePrincipalPolicy tells what a user or role of the account may do.
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, c *guard.Call, in *iamapi.SimulatePrincipalPolicyRequest) (*iamapi.SimulatePolicyResponse, error) {
	ask := simulateRequest{
		documents: in.PolicyInputList, boundaries: in.PermissionsBoundaryPolicyInputList, actions: in.ActionNames, resources: in.ResourceArns,
		resourcePolicy: api.Val(in.ResourcePolicy), owner: api.Val(in.ResourceOwner), caller: api.Val(in.CallerArn),
		entries: in.ContextEntries, handling: in.ResourceHandlingOption,
	}
	sim, err := newSimulation(c.Account(), &ask)
	if err != nil {
		return nil, err
	}
	source := api.Val(in.PolicySourceArn)
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		sim := sim
		docs, id, err := s.sourceOf(tx, c, source)
		if err != nil {
			return err
		}
		if sim.resourcePolicy != nil && ask.caller == "" && id.Principal.Type != authz.User {
			return apierr.New(codeInvalid, "Invalid caller - Caller must be an IAM user in this context.")
		}
		sim.addPrincipal(id, docs, ask.caller != "" || isGroup(source))
		sim.exclude(in.PolicyExclusionList)
		ask.sim = sim
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.simulate(c, &ask, source, in.Marker, in.MaxItems)
}

// SimulateCustomPolicy tells what policies of the request allow.
func (s *Service) SimulateCustomPolicy(ctx context.Context, c *guard.Call, in *iamapi.SimulateCustomPolicyRequest) (*iamapi.SimulatePolicyResponse, error) {
	ask := simulateRequest{
		documents: in.PolicyInputList, boundaries: in.PermissionsBoundaryPolicyInputList, actions: in.ActionNames, resources: in.ResourceArns,
		resourcePolicy: api.Val(in.ResourcePolicy), owner: api.Val(in.ResourceOwner), caller: api.Val(in.CallerArn),
		entries: in.ContextEntries, handling: in.ResourceHandlingOption,
	}
	if err := s.g.View(ctx, c, func(tx store.Tx) error { return s.allowAll(tx, c, c.Operation) }); err != nil {
		return nil, err
	}
	sim, err := newSimulation(c.Account(), &ask)
	if err != nil {
		return nil, err
	}
	if sim.resourcePolicy != nil && ask.caller == "" {
		return nil, apierr.New(codeInvalid, "A CallerArn is required with a resource policy.")
	}
	for _, level := range in.OrderedOrganizationPolicyInputList {
		docs, err := parseAll(level.ServiceControlPolicyInputList, "ServiceControlPolicyInputList", policy.SCP)
		if err != nil {
			return nil, err
		}
		sim.scps = append(sim.scps, docs)
		sim.caller.AccountRole = authz.Member
	}
	ask.sim = sim
	return s.simulate(c, &ask, "", in.Marker, in.MaxItems)
}

// GetContextKeysForCustomPolicy lists the condition keys that policies ask for.
func (s *Service) GetContextKeysForCustomPolicy(ctx context.Context, c *guard.Call, in *iamapi.GetContextKeysForCustomPolicyRequest) (*iamapi.GetContextKeysForPolicyResponse, error) {
	if err := s.g.View(ctx, c, func(tx store.Tx) error { return s.allowAll(tx, c, c.Operation) }); err != nil {
		return nil, err
	}
	docs, err := parseAll(in.PolicyInputList, inputList, policy.Identity)
	if err != nil {
		return nil, err
	}
	return &iamapi.GetContextKeysForPolicyResponse{ContextKeyNames: contextKeys(docs)}, nil
}

// GetContextKeysForPrincipalPolicy lists the condition keys that the policies of a user or role and
// those of the request ask for.
func (s *Service) GetContextKeysForPrincipalPolicy(ctx context.Context, c *guard.Call, in *iamapi.GetContextKeysForPrincipalPolicyRequest) (*iamapi.GetContextKeysForPolicyResponse, error) {
	extra, err := parseAll(in.PolicyInputList, inputList, policy.Identity)
	if err != nil {
		return nil, err
	}
	var keys []string
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		docs, _, err := s.sourceOf(tx, c, api.Val(in.PolicySourceArn))
		if err == nil {
			keys = contextKeys(slices.Concat(docs.Identity, extra))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.GetContextKeysForPolicyResponse{ContextKeyNames: keys}, nil
}

// sourceOf reads the policies of a user or role after deciding the action on it.
func (s *Service) sourceOf(tx store.Tx, c *guard.Call, source string) (directory.Documents, directory.Identity, error) {
	a, err := arn.Parse(source)
	if err != nil || a.Service != "iam" || a.Account != c.Account() || !slices.Contains([]string{"user", "role", "group"}, a.Type()) {
		return directory.Documents{}, directory.Identity{}, apierr.Newf(codeInvalid, "Invalid Entity Arn: %s does not clearly define entity type and name.", source)
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	part := authz.Part{Action: "iam:" + c.Operation, Resource: authz.Resource{ARN: source, Account: a.Account}}
	switch a.Type() {
	case "user", "role", "group":
		k := map[string]kind{"user": userKind, "role": roleKind, "group": groupKind}[a.Type()]
		p, err := s.load(tx, k, a.Account, name)
		if err != nil {
			return directory.Documents{}, directory.Identity{}, err
		}
		if p.exists && p.arn == source {
			part = s.part(p, c.Operation)
		}
	}
	if _, err := s.g.Allow(tx, c, part); err != nil {
		return directory.Documents{}, directory.Identity{}, err
	}
	if a.Type() == "group" {
		return s.groupSource(tx, a.Account, name, source)
	}
	id, ok, err := s.dir.Principal(tx, source, "simulated")
	if err == nil && !ok {
		err = noSuchEntity("The %s with name %s cannot be found.", a.Type(), name)
	}
	if err != nil {
		return directory.Documents{}, id, err
	}
	docs, err := s.dir.Documents(tx, &id)
	return docs, id, err
}

// isGroup: the ARN of an IAM resource is that of a group.
func isGroup(source string) bool { return strings.Contains(source, ":group/") }

// groupSource reads the policies that a group gives whoever is in it.
func (s *Service) groupSource(tx store.Tx, account, name, source string) (docs directory.Documents, id directory.Identity, err error) {
	g, ok, err := s.dir.Group(tx, account, name)
	if err != nil {
		return docs, id, err
	}
	if !ok || g.ARN() != source {
		return docs, id, missing(groupKind, name)
	}
	id.Principal.Account, id.Principal.ARN = account, source
	if docs, err = s.dir.GroupDocuments(tx, account, name); err != nil {
		return docs, id, err
	}
	docs.Place, err = s.dir.Place(tx, account)
	docs.SCPs = docs.Place.SCPs
	return docs, id, err
}

// maxSimulated is how many decisions a page has at most, unless a single action has more resources.
const maxSimulated = 1000

// simulate answers one page.
func (s *Service) simulate(c *guard.Call, ask *simulateRequest, source string, marker *string, items *int32) (*iamapi.SimulatePolicyResponse, error) {
	p, err := s.page(c, strings.Join([]string{source, strings.Join(ask.actions, ","), strings.Join(ask.resources, ",")}, "\x00"), marker, items)
	if err != nil {
		return nil, err
	}
	next, _ := strconv.Atoi(p.after) // sealed; "" is the beginning
	out := &iamapi.SimulatePolicyResponse{EvaluationResults: []iamapi.EvaluationResult{}}
	resources := ask.resources
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	end := min(len(ask.actions), next+min(p.limit, max(1, maxSimulated/len(resources))))
	for ; next < end; next++ {
		out.EvaluationResults = append(out.EvaluationResults, ask.sim.results(ask.actions[next], resources, ask.handling != nil))
	}
	last := ""
	if end < len(ask.actions) {
		last = strconv.Itoa(end)
	}
	out.IsTruncated, out.Marker = s.end(p, last)
	return out, nil
}
