package sts_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/sts"
)

func TestGetSessionToken(t *testing.T) {
	w := newWorld(t)
	u := w.user(account, "u", allow(`"iam:ListRoles"`))
	t.Run("the session is the user, who needs no permission for it", func(t *testing.T) {
		c := get[stsapi.GetSessionTokenResponse](u, &stsapi.GetSessionTokenRequest{}).Credentials
		if want := w.wall.Truncate(time.Second).Add(12 * time.Hour); !c.Expiration.Equal(want) || !strings.HasPrefix(*c.AccessKeyId, "ASIA") {
			t.Errorf("%s until %s, want %s", *c.AccessKeyId, c.Expiration, want)
		}
		s := w.login(*c.AccessKeyId, *c.SessionToken)
		if out := get[stsapi.GetCallerIdentityResponse](s, &stsapi.GetCallerIdentityRequest{}); *out.Arn != "arn:aws:iam::111122223333:user/u" {
			t.Errorf("caller %s", *out.Arn)
		}
		s.must(&iamapi.ListRolesRequest{}) // here without the edge, which refuses IAM: see below
		s.refused(&stsapi.GetSessionTokenRequest{}, 403, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	})
	t.Run("a policy can deny it", func(t *testing.T) {
		w.user(account, "v", `{"Effect":"Deny","Action":"sts:GetSessionToken","Resource":"*"}`).refused(&stsapi.GetSessionTokenRequest{}, 403, "AccessDenied",
			"with an explicit deny in an identity-based policy")
	})
	t.Run("one of the root user lasts an hour", func(t *testing.T) {
		c := get[stsapi.GetSessionTokenResponse](w.login(account, ""), &stsapi.GetSessionTokenRequest{DurationSeconds: new(int32(7200))}).Credentials
		if want := w.wall.Truncate(time.Second).Add(time.Hour); !c.Expiration.Equal(want) {
			t.Errorf("until %s, want %s", c.Expiration, want)
		}
		if out := get[stsapi.GetCallerIdentityResponse](w.login(*c.AccessKeyId, *c.SessionToken), &stsapi.GetCallerIdentityRequest{}); *out.Arn != "arn:aws:iam::111122223333:root" {
			t.Errorf("caller %s", *out.Arn)
		}
	})
	t.Run("there is no MFA", func(t *testing.T) {
		u.refused(&stsapi.GetSessionTokenRequest{SerialNumber: new("arn:aws:iam::111122223333:mfa/u"), TokenCode: new("123456")}, 403, "AccessDenied", "MultiFactorAuthentication failed")
	})
	t.Run("it ends with the user", func(t *testing.T) {
		x := w.user(account, "x")
		c := get[stsapi.GetSessionTokenResponse](x, &stsapi.GetSessionTokenRequest{}).Credentials
		a := w.admin(account)
		a.must(&iamapi.DeleteAccessKeyRequest{UserName: new("x"), AccessKeyId: &x.caller.AccessKeyID})
		a.must(&iamapi.DeleteUserRequest{UserName: new("x")})
		a.must(&iamapi.CreateUserRequest{UserName: new("x")})
		if _, _, err := w.dir.Lookup(t.Context(), *c.AccessKeyId, *c.SessionToken); !errors.Is(err, directory.ErrInvalidToken) {
			t.Errorf("after the user was made anew: %v", err)
		}
	})
	t.Run("the trail does not show it", func(t *testing.T) {
		c := get[stsapi.GetSessionTokenResponse](u, &stsapi.GetSessionTokenRequest{}).Credentials
		for _, r := range w.records() {
			if text := string(r.ResponseElements); strings.Contains(text, *c.SessionToken) || strings.Contains(text, c.SecretAccessKey.Reveal()) {
				t.Errorf("%s shows the credentials", r.EventName)
			}
		}
	})
}

func TestGetFederationToken(t *testing.T) {
	w := newWorld(t)
	u := w.user(account, "broker", allow(`["sts:GetFederationToken","iam:ListRoles","iam:ListUsers"]`))
	federate := func(c *who, change ...func(*stsapi.GetFederationTokenRequest)) *who {
		in := &stsapi.GetFederationTokenRequest{Name: new("bob")}
		for _, f := range change {
			f(in)
		}
		cr := get[stsapi.GetFederationTokenResponse](c, in).Credentials
		return w.login(*cr.AccessKeyId, *cr.SessionToken)
	}
	policyOf := func(statements ...string) func(*stsapi.GetFederationTokenRequest) {
		return func(in *stsapi.GetFederationTokenRequest) { in.Policy = new(document(statements...)) }
	}
	t.Run("what the user may do, as far as the session policy allows it", func(t *testing.T) {
		s := federate(u, policyOf(allow(`["iam:ListRoles","iam:ListPolicies"]`)))
		out := get[stsapi.GetCallerIdentityResponse](s, &stsapi.GetCallerIdentityRequest{})
		if *out.Arn != "arn:aws:sts::111122223333:federated-user/bob" || *out.UserId != "111122223333:bob" {
			t.Errorf("caller %s %s", *out.Arn, *out.UserId)
		}
		s.must(&iamapi.ListRolesRequest{})
		s.refused(&iamapi.ListUsersRequest{}, 403, "AccessDenied", "federated-user/bob is not authorized to perform: iam:ListUsers")
		s.refused(&iamapi.ListPoliciesRequest{}, 403, "AccessDenied", "iam:ListPolicies")
	})
	t.Run("without a session policy nothing", func(t *testing.T) {
		federate(u).refused(&iamapi.ListRolesRequest{}, 403, "AccessDenied", "iam:ListRoles")
	})
	t.Run("a root user hands on everything", func(t *testing.T) {
		federate(w.login(account, ""), policyOf(allow(`"iam:ListUsers"`))).must(&iamapi.ListUsersRequest{})
	})
	t.Run("it needs a permission, and one for tags", func(t *testing.T) {
		w.user(account, "v").refused(&stsapi.GetFederationTokenRequest{Name: new("bob")}, 403, "AccessDenied",
			"sts:GetFederationToken on resource: arn:aws:sts::111122223333:federated-user/bob")
		tagged := &stsapi.GetFederationTokenRequest{Name: new("bob"), Tags: []stsapi.Tag{{Key: new("team"), Value: new("a")}}}
		u.refused(tagged, 403, "AccessDenied", "sts:TagSession")
	})
	t.Run("sessions cannot", func(t *testing.T) {
		federate(u).refused(&stsapi.GetFederationTokenRequest{Name: new("eve")}, 403, "AccessDenied", "Cannot call GetFederationToken with session credentials")
	})
	t.Run("the trail tells who vouches", func(t *testing.T) {
		found := false
		for _, r := range w.records() {
			if r.UserIdentity.Type != "FederatedUser" || r.UserIdentity.SessionContext == nil {
				continue
			}
			i := r.UserIdentity.SessionContext.SessionIssuer
			found = found || i.Type == "IAMUser" && i.UserName == "broker" && i.ARN == "arn:aws:iam::111122223333:user/broker" && r.UserIdentity.SessionContext.Attributes != nil
		}
		if !found {
			t.Error("no record does")
		}
	})
}

// What temporary credentials of users are not good for.
func TestLimited(t *testing.T) {
	session := func(kind directory.SessionKind) guard.Caller {
		return guard.Caller{Identity: directory.Identity{Session: &directory.Session{Kind: kind}}}
	}
	for _, tt := range []struct {
		caller             guard.Caller
		service, operation string
		good               bool
	}{
		{guard.Caller{}, "iam", "ListUsers", true},
		{session(directory.OfRole), "iam", "ListUsers", true},
		{session(directory.OfUser), "iam", "ListUsers", false},
		{session(directory.OfFederated), "iam", "ListUsers", false},
		{session(directory.OfUser).Via("autoscaling.amazonaws.com"), "iam", "CreateServiceLinkedRole", true},
		{session(directory.OfUser), "sts", "AssumeRole", true},
		{session(directory.OfFederated), "sts", "AssumeRole", false},
		{session(directory.OfFederated), "sts", "GetCallerIdentity", true},
		{session(directory.OfUser), "sts", "DecodeAuthorizationMessage", false},
		{session(directory.OfFederated), "kms", "Encrypt", true},
	} {
		called := false
		c := &guard.Call{Caller: tt.caller, Service: tt.service, Operation: tt.operation}
		h := sts.Limited(c, func(_ context.Context, _ *guard.Call, _ any) (any, error) { called = true; return nil, nil })
		_, err := h(t.Context(), c, nil)
		if called != tt.good || (err == nil) != tt.good {
			t.Errorf("%+v: called %v, %v", tt, called, err)
		}
	}
}
