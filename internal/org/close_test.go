package org_test

import (
	"errors"
	"testing"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
)

func TestClosedAccountsLetNobodyIn(t *testing.T) {
	w := newWorld(t)
	m := w.manager()
	w.Lookup(member + "ADMIN")
	m.refused(&organizationsapi.CloseAccountRequest{AccountId: new(management)}, "ConstraintViolationException", "*")
	_, err := m.do(&organizationsapi.CloseAccountRequest{AccountId: new(management)})
	if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Details["Reason"] != "CANNOT_CLOSE_MANAGEMENT_ACCOUNT" {
		t.Errorf("closing the management account: %#v", err)
	}
	m.must(&organizationsapi.CloseAccountRequest{AccountId: new(member)})
	m.refused(&organizationsapi.CloseAccountRequest{AccountId: new(member)}, "AccountAlreadyClosedException", "*")
	a := get[organizationsapi.DescribeAccountResponse](m, &organizationsapi.DescribeAccountRequest{AccountId: new(member)}).Account
	if *a.Status != "SUSPENDED" || *a.State != "CLOSED" {
		t.Errorf("the account is %s, %s", *a.Status, *a.State)
	}
	for _, key := range []string{member, member + "ADMIN"} {
		if _, _, err := w.Guard.Directory().Lookup(t.Context(), key, ""); !errors.Is(err, directory.ErrUnknownAccessKey) {
			t.Errorf("%s is let in: %v", key, err)
		}
	}
}
