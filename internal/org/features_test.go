package org_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
)

// An organization for billing only has no policies until it gets all features.
func TestConsolidatedBilling(t *testing.T) {
	w := newWorld(t)
	boss := w.as("555566667777ADMIN")
	made := get[organizationsapi.CreateOrganizationResponse](boss, &organizationsapi.CreateOrganizationRequest{FeatureSet: new("CONSOLIDATED_BILLING")}).Organization
	describe := func() *organizationsapi.Organization {
		return get[organizationsapi.DescribeOrganizationResponse](boss, &organizationsapi.DescribeOrganizationRequest{}).Organization
	}
	for _, o := range []*organizationsapi.Organization{made, describe()} {
		if *o.FeatureSet != "CONSOLIDATED_BILLING" || o.AvailablePolicyTypes == nil || len(o.AvailablePolicyTypes) != 0 {
			t.Errorf("%+v", o)
		}
	}
	root := *get[organizationsapi.ListRootsResponse](boss, &organizationsapi.ListRootsRequest{}).Roots[0].Id
	enable := &organizationsapi.EnablePolicyTypeRequest{RootId: &root, PolicyType: new(scp)}
	policy := &organizationsapi.CreatePolicyRequest{Name: new("p"), Description: new(""), Type: new(scp), Content: new(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)}
	boss.refused(enable, "PolicyTypeNotAvailableForOrganizationException", "*")
	boss.refused(policy, "PolicyTypeNotAvailableForOrganizationException", "*")

	h := get[organizationsapi.EnableAllFeaturesResponse](boss, &organizationsapi.EnableAllFeaturesRequest{}).Handshake
	if *h.Action != "ENABLE_ALL_FEATURES" || *h.State != "ACCEPTED" || !strings.Contains(*h.Arn, "/enable_all_features/h-") || len(h.Parties) != 1 || len(h.Resources) != 1 {
		t.Errorf("%+v", h)
	}
	if o := describe(); *o.Id != *made.Id || *o.FeatureSet != "ALL" || len(o.AvailablePolicyTypes) != 1 {
		t.Errorf("%+v", o)
	}
	list := func(action string) int {
		return len(get[organizationsapi.ListHandshakesForOrganizationResponse](boss, &organizationsapi.ListHandshakesForOrganizationRequest{Filter: &organizationsapi.HandshakeFilter{ActionType: &action}}).Handshakes)
	}
	if all, invited := list("ENABLE_ALL_FEATURES"), list("INVITE"); all != 1 || invited != 0 {
		t.Errorf("%d and %d handshakes", all, invited)
	}
	get[organizationsapi.DescribeHandshakeResponse](boss, &organizationsapi.DescribeHandshakeRequest{HandshakeId: h.Id})
	boss.must(enable)
	boss.must(policy)
	boss.refused(&organizationsapi.EnableAllFeaturesRequest{}, "HandshakeConstraintViolationException", "*")
}
