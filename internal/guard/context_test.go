package guard_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/store"
)

// contextOf is the context of a request of a caller, as it is recorded with the refusal.
func contextOf(t *testing.T, w *guardtest.World, as guard.Caller, service string) map[string]string {
	t.Helper()
	c := newCall(as, service, "DoNothing")
	_, err := w.Guard.Invoke(t.Context(), c, &in{}, read(w, authz.Part{Action: service + ":DoNothing", Resource: authz.Resource{ARN: "*", Account: "999999999999"}}))
	if _, denied := guard.Denied(err); !denied {
		t.Fatalf("err = %v", err)
	}
	_, ds := only(t, w, c)
	return ds[0].Context
}

// Source: IAM User Guide, "AWS global condition context keys" and "Forward access sessions".
func TestContext(t *testing.T) {
	w := guardtest.New(t)
	ana := w.User(account, "ana", nothing)
	issued := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	session := ana
	session.Session = &directory.Session{IssuedAt: issued, MFA: true, SourceIdentity: "ana"}
	plain := ana
	plain.Secure, plain.UserAgent = false, ""
	service := guard.Caller{
		Identity: directory.ServiceIdentity("ebs.amazonaws.com"), SourceARN: "arn:aws:ec2:us-west-2:111122223333:volume/vol-1", SourceAccount: account,
	}
	infra := guard.Caller{Identity: w.Directory.InfrastructureIdentity(account, guardtest.Region, "i-1")}
	tests := []struct {
		name    string
		as      guard.Caller
		service string
		has     map[string]string
		lacks   []string
	}{
		{"a direct call", ana, "kms", map[string]string{
			"aws:sourceip": "203.0.113.7", "aws:securetransport": "true", "aws:useragent": "test", "aws:requestedregion": "us-west-2",
			"aws:viaawsservice": "false", "kms:calleraccount": account,
		}, []string{"aws:calledvia", "kms:viaservice", "aws:tokenissuetime", "aws:multifactorauthpresent", "aws:sourcearn", "ec2:sourceinstancearn"}},
		{"without TLS and agent", plain, "kms", map[string]string{"aws:securetransport": "false"}, []string{"aws:useragent"}},
		{"forwarded by EC2", ana.Via("ec2.amazonaws.com"), "kms", map[string]string{
			"aws:viaawsservice": "true", "aws:calledvia": "ec2.amazonaws.com", "aws:calledviafirst": "ec2.amazonaws.com",
			"aws:calledvialast": "ec2.amazonaws.com", "kms:viaservice": "ec2.us-west-2.amazonaws.com", "kms:calleraccount": account,
		}, []string{"aws:sourceip"}},
		{"forwarded twice", ana.Via("cloudformation.amazonaws.com").Via("ec2.amazonaws.com"), "kms", map[string]string{
			"aws:calledvia": "cloudformation.amazonaws.com, ec2.amazonaws.com", "aws:calledviafirst": "cloudformation.amazonaws.com",
			"aws:calledvialast": "ec2.amazonaws.com", "kms:viaservice": "ec2.us-west-2.amazonaws.com",
		}, []string{"aws:sourceip"}},
		{"KMS keys stay with KMS", ana.Via("ec2.amazonaws.com"), "ec2", map[string]string{"aws:viaawsservice": "true"}, []string{"kms:viaservice", "kms:calleraccount"}},
		{"temporary credentials", session, "kms", map[string]string{
			"aws:tokenissuetime": "2026-11-24T08:00:00Z", "aws:multifactorauthpresent": "true", "aws:sourceidentity": "ana",
		}, nil},
		{"a service in its own name", service, "kms", map[string]string{"aws:sourcearn": service.SourceARN, "aws:sourceaccount": account, "aws:viaawsservice": "false"},
			[]string{"kms:calleraccount", "kms:viaservice", "aws:sourceip"}},
		{"the infrastructure role", infra, "kms", map[string]string{
			"kms:viaservice": "ec2.us-west-2.amazonaws.com", "kms:calleraccount": account, "ec2:sourceinstancearn": "arn:aws:ec2:us-west-2:111122223333:instance/i-1",
		}, []string{"aws:tokenissuetime", "aws:calledvia", "aws:sourceip"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := contextOf(t, w, tt.as, tt.service)
			for k, v := range tt.has {
				if got[k] != v {
					t.Errorf("%s = %q, want %q", k, got[k], v)
				}
			}
			for _, k := range tt.lacks {
				if v, ok := got[k]; ok {
					t.Errorf("%s = %q, want none", k, v)
				}
			}
			if got["aws:currenttime"] == "" || got["aws:epochtime"] == "" {
				t.Errorf("keys = %v", slices.Sorted(maps.Keys(got)))
			}
		})
	}
}

func TestViaLeavesTheCallerAsItIs(t *testing.T) {
	w := guardtest.New(t)
	ana := w.User(account, "ana", nothing)
	first := ana.Via("cloudformation.amazonaws.com")
	a, b := first.Via("ec2.amazonaws.com"), first.Via("rds.amazonaws.com")
	if ana.Forwarded() || len(first.Chain) != 1 || a.Chain[1] != "ec2.amazonaws.com" || b.Chain[1] != "rds.amazonaws.com" {
		t.Errorf("chains %v, %v, %v, %v", ana.Chain, first.Chain, a.Chain, b.Chain)
	}
}

func TestAForwardedCallIsOfTheSameRequest(t *testing.T) {
	w := guardtest.New(t)
	c := newCall(w.Lookup(admin), "ec2", "CreateVolume")
	child := c.Child(c.Caller.Via("ec2.amazonaws.com"), "kms", "GenerateDataKey", &in{"x"}, false)
	if _, err := w.Guard.Invoke(t.Context(), child, &in{"x"}, read(w, onKey(t, "kms:GenerateDataKey"))); err != nil {
		t.Fatal(err)
	}
	r, _ := only(t, w, c) // found by the parent's id
	if r.EventSource != "kms.amazonaws.com" || r.UserIdentity.InvokedBy != "ec2.amazonaws.com" || r.SourceIPAddress != "ec2.amazonaws.com" ||
		r.UserAgent != "ec2.amazonaws.com" || r.UserIdentity.UserName != "admin" || r.AWSRegion != c.Region {
		t.Errorf("record = %+v", r)
	}
}

// Codes and statuses: common errors of each service's API reference.
func TestDenialsByService(t *testing.T) {
	w := guardtest.New(t)
	ana := w.User(account, "ana", nothing)
	who := "User: arn:aws:iam::111122223333:user/ana is not authorized to perform: "
	encoding := guard.New(guard.Config{
		Store: w.Store, Directory: w.Directory, Trail: w.Trail, Now: w.Clock.Now, Logger: w.Logger,
		Encode: func([]byte) string { return "ENCODED" },
	})
	tests := []struct {
		service, action, code, message string
		readOnly                       bool
		status                         int
	}{
		{"kms", "kms:CreateKey", "AccessDeniedException",
			who + "kms:CreateKey on resource: * because no identity-based policy allows the kms:CreateKey action", false, 0},
		{"kagimori", "kagimori:ExplainResource", "AccessDeniedException",
			who + "kagimori:ExplainResource on resource: * because no identity-based policy allows the kagimori:ExplainResource action", false, 0},
		{"iam", "iam:ListUsers", "AccessDenied", who + "iam:ListUsers on resource: * because no identity-based policy allows the iam:ListUsers action", true, 403},
		{"sts", "sts:AssumeRole", "AccessDenied", who + "sts:AssumeRole on resource: * because no identity-based policy allows the sts:AssumeRole action", false, 403},
		{"autoscaling", "autoscaling:DescribeAutoScalingGroups", "AccessDenied",
			who + "autoscaling:DescribeAutoScalingGroups because no identity-based policy allows the autoscaling:DescribeAutoScalingGroups action", true, 403},
		{"ec2", "ec2:RunInstances", "UnauthorizedOperation", "You are not authorized to perform this operation. " + who +
			"ec2:RunInstances because no identity-based policy allows the ec2:RunInstances action. Encoded authorization failure message: ENCODED", false, 403},
		{"ec2", "ec2:DescribeVolumes", "UnauthorizedOperation", "You are not authorized to perform this operation. " + who +
			"ec2:DescribeVolumes because no identity-based policy allows the ec2:DescribeVolumes action", true, 403},
	}
	for _, tt := range tests {
		t.Run(tt.action, func(t *testing.T) {
			_, op, _ := strings.Cut(tt.action, ":")
			c := newCall(ana, tt.service, op)
			c.ReadOnly = tt.readOnly
			err := encoding.View(t.Context(), c, func(tx store.Tx) error {
				_, err := encoding.Allow(tx, c, part(tt.action))
				return err
			})
			e, ok := errors.AsType[*apierr.Error](err)
			if !ok || e.Code != tt.code || e.Message != tt.message || e.Status != tt.status || e.Server {
				t.Errorf("got %+v\nwant %s (%d): %s", e, tt.code, tt.status, tt.message)
			}
		})
	}
}

// Shape: AWS CLI reference, decode-authorization-message.
func TestEncodedMessageTellsWhoWhatAndWhich(t *testing.T) {
	w := guardtest.New(t)
	ana := w.User(account, "ana", `{"Version":"2012-10-17","Statement":[{"Sid":"NoLaunch","Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`)
	var plain []byte
	g := guard.New(guard.Config{
		Store: w.Store, Directory: w.Directory, Trail: w.Trail, Now: w.Clock.Now, Logger: w.Logger,
		Encode: func(b []byte) string { plain = b; return "" },
	})
	c := newCall(ana, "ec2", "RunInstances")
	p := part("ec2:RunInstances")
	p.Context.Set("ec2:instancetype", "t3.micro")
	p.Context.Set("aws:requesttag/Team", "red")
	p.Resource.ARN = "arn:aws:ec2:us-west-2:" + account + ":instance/*"
	err := g.View(t.Context(), c, func(tx store.Tx) error {
		_, err := g.Allow(tx, c, p)
		return err
	})
	if _, denied := guard.Denied(err); !denied {
		t.Fatal(err)
	}
	var m struct {
		Allowed, ExplicitDeny bool
		MatchedStatements     struct {
			Items []struct{ StatementID, Effect string }
		}
		Context struct {
			Principal        struct{ ID, ARN string }
			Action, Resource string
			Conditions       struct {
				Items []struct {
					Key    string
					Values struct{ Items []struct{ Value string } }
				}
			}
		}
	}
	if err := json.Unmarshal(plain, &m); err != nil {
		t.Fatal(err)
	}
	if m.Allowed || !m.ExplicitDeny || len(m.MatchedStatements.Items) != 1 || m.MatchedStatements.Items[0].StatementID != "NoLaunch" ||
		m.Context.Action != "RunInstances" || m.Context.Principal.ARN != ana.Principal.ARN || m.Context.Principal.ID != ana.Principal.UserID {
		t.Errorf("message = %s", plain)
	}
	found := map[string]string{}
	for _, c := range m.Context.Conditions.Items {
		if len(c.Values.Items) == 1 {
			found[c.Key] = c.Values.Items[0].Value
		}
	}
	if found["ec2:InstanceType"] != "t3.micro" || found["aws:RequestedRegion"] != "us-west-2" || found["aws:RequestTag/Team"] != "red" || found["aws:ARN"] != m.Context.Resource {
		t.Errorf("conditions = %v", found)
	}
}
