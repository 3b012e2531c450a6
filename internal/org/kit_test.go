package org_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/org"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	management = "000000000000"
	member     = "111122223333"
	other      = "444455556666"
	rootID     = "r-kgmr"

	scp = "SERVICE_CONTROL_POLICY"
	rcp = "RESOURCE_CONTROL_POLICY"
)

// A world is Organizations with everything real around it, over the strict store.
type world struct {
	*guardtest.World
	api *api.Service
	ops map[string]guard.Handler
}

func newWorld(t testing.TB) *world {
	g := guardtest.New(t)
	return &world{g, organizationsapi.Service(), org.New(org.Config{Guard: g.Guard, Tokens: g.Module.Box("organizations token")}).Operations()}
}

// newProduction is a world whose directory knows no development accounts.
func newProduction(t testing.TB) *world {
	w := newWorld(t)
	d, err := directory.New(directory.Config{
		Store: w.Store, Keys: w.Module.Box("keys"), Sessions: directory.SessionBoxes(w.Module.Box), Wall: time.Now,
	})
	w.Must(err)
	w.Directory = d
	w.Guard = guard.New(guard.Config{Store: w.Store, Directory: d, Trail: w.Trail, Now: w.Clock.Now, Logger: w.Logger})
	w.ops = org.New(org.Config{Guard: w.Guard, Tokens: w.Module.Box("organizations token")}).Operations()
	return w
}

// productionRoot makes an account and is its root user.
func (w *world) productionRoot(account string) *who {
	w.T.Helper()
	var key directory.AccessKey
	w.Update(func(tx store.Tx) (err error) {
		if err = directory.Accounts.Put(tx, directory.Account{ID: account, Name: "management"}, account); err != nil {
			return err
		}
		key, _, err = w.Directory.NewAccessKey(tx, account, "", "")
		return err
	})
	return w.as(key.ID)
}

// A who makes calls.
type who struct {
	w      *world
	caller guard.Caller
}

func (w *world) as(key string) *who { return &who{w, w.Lookup(key)} }

// manager is the administrator of the management account.
func (w *world) manager() *who { return w.as(management + "ADMIN") }

// do validates and serves a request as the gateway does.
func (c *who) do(in any) (any, error) {
	c.w.T.Helper()
	op := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Request")
	return c.w.Invoke(c.w.T.Context(), c.caller, c.w.api, c.w.ops, op, in)
}

func (c *who) must(in any) {
	c.w.T.Helper()
	if _, err := c.do(in); err != nil {
		c.w.T.Fatalf("%T: %v", in, err)
	}
}

// get is must with the answer.
func get[Out any](c *who, in any) *Out {
	c.w.T.Helper()
	out, err := c.do(in)
	if err != nil {
		c.w.T.Fatalf("%T: %v", in, err)
	}
	return out.(*Out)
}

// refused wants an error with the code and, unless it is "*", the message.
func (c *who) refused(in any, code, message string) {
	c.w.T.Helper()
	_, err := c.do(in)
	guardtest.WantError(c.w.T, err, code, message)
}

// unit makes an organizational unit.
func (c *who) unit(parent, name string) string {
	c.w.T.Helper()
	in := &organizationsapi.CreateOrganizationalUnitRequest{ParentId: &parent, Name: &name}
	return *get[organizationsapi.CreateOrganizationalUnitResponse](c, in).OrganizationalUnit.Id
}

// policy makes a policy of statements.
func (c *who) policy(kind, name string, statements ...string) string {
	c.w.T.Helper()
	return *get[organizationsapi.CreatePolicyResponse](c, newPolicy(kind, name, statements...)).Policy.PolicySummary.Id
}

func newPolicy(kind, name string, statements ...string) *organizationsapi.CreatePolicyRequest {
	return &organizationsapi.CreatePolicyRequest{Type: &kind, Name: &name, Description: new(""), Content: new(document(statements...))}
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func statement(effect, action string) string {
	return `{"Sid":"S","Effect":"` + effect + `","Action":"` + action + `","Resource":"*"}`
}

// denyAll is a statement of a resource control policy.
func denyAll(action string) string {
	return `{"Sid":"R","Effect":"Deny","Principal":"*","Action":"` + action + `","Resource":"*"}`
}

func (c *who) attach(policy, target string) {
	c.w.T.Helper()
	c.must(&organizationsapi.AttachPolicyRequest{PolicyId: &policy, TargetId: &target})
}

func (c *who) detach(policy, target string) {
	c.w.T.Helper()
	c.must(&organizationsapi.DetachPolicyRequest{PolicyId: &policy, TargetId: &target})
}

func (c *who) move(account, from, to string) {
	c.w.T.Helper()
	c.must(&organizationsapi.MoveAccountRequest{AccountId: &account, SourceParentId: &from, DestinationParentId: &to})
}

func (c *who) enable(kind string) {
	c.w.T.Helper()
	c.must(&organizationsapi.EnablePolicyTypeRequest{RootId: new(rootID), PolicyType: &kind})
}

// policiesOn are the names of the policies of a type that hang on a target.
func (c *who) policiesOn(target, kind string) []string {
	c.w.T.Helper()
	var out []string
	in := &organizationsapi.ListPoliciesForTargetRequest{TargetId: &target, Filter: &kind}
	for _, p := range get[organizationsapi.ListPoliciesForTargetResponse](c, in).Policies {
		out = append(out, *p.Name)
	}
	return out
}

// targetsOf are the ids of what a policy hangs on.
func (c *who) targetsOf(policy string) []string {
	c.w.T.Helper()
	var out []string
	for _, t := range get[organizationsapi.ListTargetsForPolicyResponse](c, &organizationsapi.ListTargetsForPolicyRequest{PolicyId: &policy}).Targets {
		out = append(out, *t.TargetId)
	}
	return out
}

func sensitive(s string) *secret.String { return new(secret.String(s)) }
