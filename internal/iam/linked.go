package iam

import (
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/linkedrole"
	"github.com/kagimori/kagimori/internal/store"
)

// linkedRoleOf is the role of a service. For one that is not known the name is made of the
// principal's first label: kagimori cannot know which policies AWS would give it.
func (s *Service) linkedRoleOf(service string) (linkedrole.Role, error) {
	if r, ok := s.linked[service]; ok {
		return r, nil
	}
	if !servicePrincipal.MatchString(service) {
		return linkedrole.Role{}, apierr.Newf(codeInvalid, "%s is not the name of a service that can have a service-linked role.", service)
	}
	label, _, _ := strings.Cut(service, ".")
	var name strings.Builder
	name.WriteString("AWSServiceRoleFor")
	for word := range strings.SplitSeq(label, "-") {
		if word != "" {
			name.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return linkedrole.Role{Name: name.String()}, nil
}

// maxRoleName is the longest name of a role.
const maxRoleName = 64

// CreateServiceLinkedRole makes the role of a service in the account, with the policies and the
// trust that the service wants.
// Source: IAM User Guide, "Creating a service-linked role"; IAM API Reference, CreateServiceLinkedRole.
func (s *Service) CreateServiceLinkedRole(ctx context.Context, c *guard.Call, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error) {
	service := api.Val(in.AWSServiceName)
	known, err := s.linkedRoleOf(service)
	if err != nil {
		return nil, err
	}
	name := known.Name
	if in.CustomSuffix != nil {
		name += "_" + *in.CustomSuffix
	}
	var out *iamapi.CreateServiceLinkedRoleResponse
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		r := directory.Role{
			Account: c.Account(), Name: name, Path: arn.ServiceLinkedPath(service), ID: directory.NewID("AROA"), Created: s.now(),
			Description: api.Val(in.Description), MaxSession: defaultSession, Trust: linkedTrust(service), Service: service,
		}
		for _, p := range known.Policies {
			r.Attached = append(r.Attached, policyARN(awsAccount, "/aws-service-role/", p))
		}
		part := s.part(ofRole(&r), "CreateServiceLinkedRole")
		part.Context.Set("iam:awsservicename", service)
		c.Touch(r.ARN(), r.Account, roleKind.trail)
		if _, err := s.g.Allow(tx, c, part); err != nil {
			return err
		}
		switch {
		case in.CustomSuffix != nil && !known.Suffix:
			return apierr.Newf(codeInvalid, "Custom suffix is not allowed for %s", service)
		case len(name) > maxRoleName:
			return apierr.Newf(codeInvalid, "The role name %s is longer than %d characters.", name, maxRoleName)
		}
		if _, exists, err := s.dir.Role(tx, r.Account, r.Name); err != nil {
			return err
		} else if exists {
			return apierr.Newf(codeInvalid, "Service role name %s has been taken in this account, please try a different suffix.", name)
		}
		out = &iamapi.CreateServiceLinkedRoleResponse{Role: apiRole(&r, r.Trust)}
		c.Respond(out)
		return s.dir.PutRole(tx, r)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// linkedTrust is the trust policy of a service-linked role: the service and nobody else.
func linkedTrust(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole"],"Principal":{"Service":["` + service + `"]}}]}`
}
