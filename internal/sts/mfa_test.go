package sts_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
)

// A code of the caller's device makes a session with MFA, and fulfils a trust policy that asks for it.
func TestMultiFactorAuthentication(t *testing.T) {
	w := newWorld(t)
	a := w.admin("111122223333")
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole",
		"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}}`
	a.must(&iamapi.CreateRoleRequest{RoleName: new("careful"), AssumeRolePolicyDocument: &trust})
	assume := func() *stsapi.AssumeRoleRequest {
		return &stsapi.AssumeRoleRequest{RoleArn: new("arn:aws:iam::111122223333:role/careful"), RoleSessionName: new("session")}
	}
	a.refused(assume(), 403, "AccessDenied", "sts:AssumeRole")
	in := assume()
	in.SerialNumber, in.TokenCode = new("arn:aws:iam::111122223333:mfa/phone"), new("000000")
	a.refused(in, 403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
	in.TokenCode = new(goodCode)
	a.must(in)
	const unable = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
	in.SerialNumber = new("arn:aws:iam::111122223333:mfa/other")
	a.refused(in, 403, "AccessDenied", unable)
	in.SerialNumber = nil
	a.refused(in, 403, "AccessDenied", unable)

	creds := get[stsapi.GetSessionTokenResponse](a, &stsapi.GetSessionTokenRequest{SerialNumber: new("arn:aws:iam::111122223333:mfa/phone"), TokenCode: new(goodCode)}).Credentials
	session := w.login(*creds.AccessKeyId, *creds.SessionToken)
	if s := session.caller.Session; s == nil || !s.MFA {
		t.Errorf("session %+v", s)
	}
	session.must(assume())
}
