package sts_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/directory"
)

func TestGetCallerIdentityNeedsNoPermission(t *testing.T) {
	w := newWorld(t)
	role := w.role(account, "r", trust(ownAccount, assumeOnly))
	u := w.user(account, "u", `{"Effect":"Deny","Action":"sts:GetCallerIdentity","Resource":"*"}`, allow(assumeOnly))
	for _, tt := range []struct {
		rule string
		who  *who
		arn  string
		id   string
	}{
		{"root", w.login(account, ""), "arn:aws:iam::111122223333:root", account},
		{"a user, even with a deny", u, "arn:aws:iam::111122223333:user/u", "AIDA"},
		{"a session", u.assume(assuming(role)), "arn:aws:sts::111122223333:assumed-role/r/session", ":session"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			out := get[stsapi.GetCallerIdentityResponse](tt.who, &stsapi.GetCallerIdentityRequest{})
			if *out.Arn != tt.arn || *out.Account != account || !strings.Contains(*out.UserId, tt.id) {
				t.Errorf("%s %s %s", *out.Arn, *out.Account, *out.UserId)
			}
		})
	}
	recorded := 0
	for _, r := range w.records() {
		if r.EventName == "GetCallerIdentity" && r.ErrorCode == "" && r.EventSource == "sts.amazonaws.com" {
			recorded++
		}
	}
	if recorded != 3 {
		t.Errorf("%d calls recorded, want 3", recorded)
	}
}

func TestAssumedRoleHasTheRolesPermissions(t *testing.T) {
	w := newWorld(t)
	role := w.role(account, "Reader", trust(ownAccount, assumeOnly))
	w.admin(account).must(&iamapi.PutRolePolicyRequest{RoleName: new("Reader"), PolicyName: new("p"), PolicyDocument: new(document(allow(`"iam:ListRoles"`)))})
	u := w.user(account, "u", allow(assumeOnly))
	out := get[stsapi.AssumeRoleResponse](u, assuming(role))
	id, _, _ := strings.Cut(*out.AssumedRoleUser.AssumedRoleId, ":")
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::111122223333:assumed-role/Reader/session" || !strings.HasPrefix(id, "AROA") {
		t.Errorf("user %+v", out.AssumedRoleUser)
	}
	c := out.Credentials
	if want := w.wall.Truncate(time.Second).Add(time.Hour); !c.Expiration.Equal(want) || !strings.HasPrefix(*c.AccessKeyId, "ASIA") || out.PackedPolicySize != nil {
		t.Errorf("credentials %s until %s, want %s", *c.AccessKeyId, c.Expiration, want)
	}
	s := w.login(*c.AccessKeyId, *c.SessionToken)
	s.must(&iamapi.ListRolesRequest{})
	s.refused(&iamapi.ListUsersRequest{}, 403, "AccessDenied", "User: arn:aws:sts::111122223333:assumed-role/Reader/session is not authorized to perform: iam:ListUsers")
	w.wall = w.wall.Add(time.Hour)
	if _, _, err := w.dir.Lookup(t.Context(), *c.AccessKeyId, *c.SessionToken); !errors.Is(err, directory.ErrExpiredToken) {
		t.Errorf("after an hour: %v", err)
	}
}

func TestSessionEndsWithItsRole(t *testing.T) {
	w := newWorld(t)
	role := w.role(account, "r", trust(ownAccount, assumeOnly))
	c := get[stsapi.AssumeRoleResponse](w.admin(account), assuming(role)).Credentials
	w.admin(account).must(&iamapi.DeleteRoleRequest{RoleName: new("r")})
	w.role(account, "r", trust(ownAccount, assumeOnly))
	if _, _, err := w.dir.Lookup(t.Context(), *c.AccessKeyId, *c.SessionToken); !errors.Is(err, directory.ErrInvalidToken) {
		t.Errorf("after the role was made anew: %v", err)
	}
}

func TestSessionTokenIsNotInTheTrail(t *testing.T) {
	w := newWorld(t)
	role := w.role(account, "r", trust(ownAccount, assumeOnly))
	c := get[stsapi.AssumeRoleResponse](w.admin(account), assuming(role)).Credentials
	shown := false
	for _, r := range w.records() {
		text := string(r.ResponseElements)
		shown = shown || strings.Contains(text, *c.AccessKeyId)
		if strings.Contains(text, *c.SessionToken) || strings.Contains(text, c.SecretAccessKey.Reveal()) {
			t.Errorf("%s shows the credentials", r.EventName)
		}
	}
	if !shown {
		t.Error("no record shows the access key id")
	}
}

func TestLastUseOfARoleIsRemembered(t *testing.T) {
	w := newWorld(t)
	role := w.role(account, "r", trust(ownAccount, assumeOnly))
	a := w.admin(account)
	a.assume(assuming(role))
	used := get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("r")}).Role.RoleLastUsed
	if used.LastUsedDate == nil || *used.Region != "eu-west-1" {
		t.Fatalf("last used: %+v", used)
	}
	a.assume(assuming(role))
	again := get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("r")}).Role.RoleLastUsed
	if !again.LastUsedDate.Equal(*used.LastUsedDate) {
		t.Error("every session is noted")
	}
}

func TestServiceAssumesTheRoleThatTrustsIt(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	role := *get[iamapi.CreateServiceLinkedRoleResponse](a, &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")}).Role.Arn
	parent := a.call()
	id, err := w.sts.AssumeServiceRole(t.Context(), parent, "autoscaling.amazonaws.com", role, "AutoScaling")
	if err != nil {
		t.Fatal(err)
	}
	p := id.Principal
	if p.ARN != "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling" || p.RoleARN != role || !p.IsServiceLinked() || id.Session.ExpiresAt.IsZero() {
		t.Errorf("identity %+v", p)
	}
	if used := get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("AWSServiceRoleForAutoScaling")}).Role.RoleLastUsed; used.LastUsedDate == nil {
		t.Error("the role's last use was not noted")
	}
	if _, err := w.sts.AssumeServiceRole(t.Context(), parent, "spot.amazonaws.com", role, "x"); err == nil {
		t.Error("another service assumed the role")
	}
	if _, err := w.sts.AssumeServiceRole(t.Context(), parent, "autoscaling.amazonaws.com", role+"x", "x"); err == nil {
		t.Error("a role that does not exist was assumed")
	}
	a.refused(assuming(role), 403, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: "+role)
	outcomes := map[string]int{}
	for _, r := range w.records() {
		if r.EventName == "AssumeRole" && r.UserIdentity.Type == "AWSService" {
			outcomes[r.UserIdentity.InvokedBy+" "+r.ErrorCode]++
			if len(r.Kagimori.Decisions) != 1 || r.RequestID != parent.ID {
				t.Errorf("record %s has %d decisions", r.RequestID, len(r.Kagimori.Decisions))
			}
		}
	}
	if outcomes["autoscaling.amazonaws.com "] != 1 || outcomes["spot.amazonaws.com AccessDenied"] != 1 || outcomes["autoscaling.amazonaws.com AccessDenied"] != 1 {
		t.Errorf("recorded: %v", outcomes)
	}
	if _, err := w.sts.AssumeServiceRole(t.Context(), w.admin("444455556666").call(), "autoscaling.amazonaws.com", role, "x"); err == nil {
		t.Error("the role was assumed for another account")
	}
}
