package org_test

import (
	"context"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/org"
	"github.com/kagimori/kagimori/internal/store"
)

// people is IAM as Organizations asks it: it makes roles, or refuses to.
type people struct {
	w     *world
	err   error
	asked []string // accounts
}

func (p *people) LinkRole(_ context.Context, parent *guard.Call, as guard.Caller, service, _ string) error {
	p.asked = append(p.asked, parent.Account()+" for "+service+" by "+as.InvokedBy)
	if p.err != nil {
		return p.err
	}
	p.w.Update(func(tx store.Tx) error {
		return p.w.Directory.PutRole(tx, directory.Role{
			Account: parent.Account(), Name: "AWSServiceRoleForOrganizations", Path: "/aws-service-role/organizations.amazonaws.com/", ID: directory.NewID("AROA"), Created: time.Now(),
			Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"organizations.amazonaws.com"}}}`,
		})
	})
	return nil
}

// Organizations has a role in accounts whose organization has all features, which who creates or joins one makes.
func TestServiceLinkedRole(t *testing.T) {
	w := newWorld(t)
	p := &people{w: w, err: apierr.New("AccessDenied", "no")}
	w.ops = org.New(org.Config{Guard: w.Guard, Tokens: w.Module.Box("organizations token"), Roles: p}).Operations()
	boss, them, poor := w.as("555566667777ADMIN"), w.as(member+"ADMIN"), w.as("888899990000ADMIN")
	const dependency, reason = "AccessDeniedForDependencyException", "ACCESS_DENIED_DURING_CREATE_SERVICE_LINKED_ROLE"
	create := &organizationsapi.CreateOrganizationRequest{}

	poor.must(&organizationsapi.CreateOrganizationRequest{FeatureSet: new("CONSOLIDATED_BILLING")})
	poor.refused(create, "AlreadyInOrganizationException", "*")
	if len(p.asked) != 0 {
		t.Fatalf("asked %v", p.asked)
	}
	boss.because(create, dependency, reason)
	boss.refused(&organizationsapi.ListAccountsRequest{}, "AccessDeniedException", "*") // it is a member as before
	p.err = nil
	boss.must(create)
	if last := p.asked[len(p.asked)-1]; last != "555566667777 for organizations.amazonaws.com by organizations.amazonaws.com" {
		t.Errorf("asked %s", last)
	}

	invitation := get[organizationsapi.InviteAccountToOrganizationResponse](boss, invite(member)).Handshake.Id
	accept := &organizationsapi.AcceptHandshakeRequest{HandshakeId: invitation}
	p.err = apierr.New("AccessDenied", "no")
	them.because(accept, dependency, reason)
	p.err, p.asked = nil, nil
	them.must(accept)
	them.refused(accept, "HandshakeAlreadyInStateException", "*")
	them.must(&organizationsapi.LeaveOrganizationRequest{})
	them.must(&organizationsapi.AcceptHandshakeRequest{HandshakeId: get[organizationsapi.InviteAccountToOrganizationResponse](boss, invite(member)).Handshake.Id})
	if len(p.asked) != 1 {
		t.Errorf("asked %v", p.asked)
	}
}
