package iam_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/iam"
)

func TestOutboundWebIdentityFederation(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.refused(&iamapi.GetOutboundWebIdentityFederationInfoRequest{}, 404, "FeatureDisabled", "not enabled")
	a.refused(&iamapi.DisableOutboundWebIdentityFederationRequest{}, 404, "FeatureDisabled", "already disabled")
	issuer := *get[iamapi.EnableOutboundWebIdentityFederationResponse](a, &iamapi.EnableOutboundWebIdentityFederationRequest{}).IssuerIdentifier
	a.refused(&iamapi.EnableOutboundWebIdentityFederationRequest{}, 409, "FeatureEnabled", "already enabled")
	if info := get[iamapi.GetOutboundWebIdentityFederationInfoResponse](a, &iamapi.GetOutboundWebIdentityFederationInfoRequest{}); *info.IssuerIdentifier != issuer || !*info.JwtVendingEnabled {
		t.Errorf("info %+v", info)
	}
	if other := *get[iamapi.EnableOutboundWebIdentityFederationResponse](w.login("444455556666ADMIN"), &iamapi.EnableOutboundWebIdentityFederationRequest{}).IssuerIdentifier; other == issuer {
		t.Error("two accounts have one issuer")
	}
	a.must(&iamapi.DisableOutboundWebIdentityFederationRequest{})
	a.refused(&iamapi.GetOutboundWebIdentityFederationInfoRequest{}, 404, "FeatureDisabled", "not enabled")
	for host, id := range map[string]string{"a-b.tokens.sts.global.api.aws": "a-b", "A.tokens.sts.global.api.aws": "a", "a.b.tokens.sts.global.api.aws": "", "sts.amazonaws.com": ""} {
		if got := iam.IssuerID(host); got != id {
			t.Errorf("%s is %q, want %q", host, got, id)
		}
	}
}

func TestThereAreNoDelegationRequests(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	const id = "0123456789abcdef"
	for _, in := range []any{
		&iamapi.AssociateDelegationRequestRequest{DelegationRequestId: new(id)}, &iamapi.GetDelegationRequestRequest{DelegationRequestId: new(id)},
		&iamapi.AcceptDelegationRequestRequest{DelegationRequestId: new(id)}, &iamapi.RejectDelegationRequestRequest{DelegationRequestId: new(id)},
		&iamapi.UpdateDelegationRequestRequest{DelegationRequestId: new(id)}, &iamapi.SendDelegationTokenRequest{DelegationRequestId: new(id)},
		&iamapi.GetHumanReadableSummaryRequest{EntityArn: new("arn:aws:iam::" + account + ":delegation-request/" + id)},
	} {
		a.refused(in, 404, "NoSuchEntity", id)
	}
	a.refused(&iamapi.GetHumanReadableSummaryRequest{EntityArn: new("arn:aws:iam::" + account + ":role/x")}, 400, "InvalidInput", "not the ARN of a delegation request")
	a.refused(&iamapi.GetDelegationRequestRequest{DelegationRequestId: new("short")}, 400, "ValidationError", "delegationRequestId")
	if l := get[iamapi.ListDelegationRequestsResponse](a, &iamapi.ListDelegationRequestsRequest{}); len(l.DelegationRequests) != 0 || *l.IsTruncated {
		t.Errorf("requests %+v", l)
	}
	create := &iamapi.CreateDelegationRequestRequest{
		Description: new("d"), Permissions: &iamapi.DelegationPermission{PolicyTemplateArn: new("arn:aws:iam:::delegation-template/acme/x")}, RequestorWorkflowId: new("workflow"),
		NotificationChannel: new("arn:aws:sns:us-east-1:111122223333:t"), SessionDuration: new(int32(3600)),
	}
	a.refused(create, 400, "InvalidInput", "not registered")
	w.user("nobody").refused(create, 403, "AccessDenied", "iam:CreateDelegationRequest")
}
