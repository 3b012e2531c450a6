package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
)

// history is what LookupEvents tells of an account's events of a service, newest first.
func history(t *testing.T, c testkit.Clients, source string) []trail.Record {
	t.Helper()
	in := &cloudtrailapi.LookupEventsRequest{LookupAttributes: []cloudtrailapi.LookupAttribute{{AttributeKey: new("EventSource"), AttributeValue: &source}}}
	var out []trail.Record
	for {
		page := testkit.Call[cloudtrailapi.LookupEventsResponse](c.CloudTrail, "LookupEvents", in)
		for _, e := range page.Events {
			var r trail.Record
			if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &r); err != nil {
				t.Fatal(err)
			}
			if *e.EventId != r.EventID || *e.EventName != r.EventName || r.EventSource != source || r.Kagimori.Sequence != 0 {
				t.Errorf("event %s is of %+v", *e.EventId, r)
			}
			out = append(out, r)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return out
		}
	}
}

// After a launch across accounts the key's use is in both accounts' history under shared ids; what
// was refused, and what services did in their own names, is in that of the account they did it for.
func TestHistoryOfALaunchAcrossAccounts(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	keys, c := s.As(testkit.Admin(other)), s.As(testkit.Admin(account))
	createServiceRole(c)
	root := arn.Root(account)
	key := newKey(keys, keyPolicy(owner(other), fmt.Sprintf(useStatement, root), fmt.Sprintf(handOnStatement, root)))
	createGroup(c, key)
	settle(s)
	refused(t, c)
	testkit.Call[kmsapi.CreateGrantResponse](c.KMS, "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &key, GranteePrincipal: new(serviceRole(account)),
		Operations: []string{"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant"},
	})
	retry(s)
	launched(t, c, 1, key)

	shared := map[string]trail.Record{}
	denied := 0
	for _, r := range history(t, c, "kms.amazonaws.com") {
		switch {
		case r.RecipientAccountID != account:
			t.Errorf("%s is of %s", r.EventName, r.RecipientAccountID)
		case r.SharedEventID != "":
			shared[r.SharedEventID] = r
		case r.ErrorCode == "AccessDeniedException":
			denied++
		}
	}
	if denied == 0 {
		t.Error("the refused launch left nothing in the caller's history")
	}
	var names []string
	for _, r := range history(t, keys, "kms.amazonaws.com") {
		if r.RecipientAccountID != other || r.ErrorCode == "AccessDeniedException" {
			t.Errorf("the key's account sees %s of %s, %s", r.EventName, r.RecipientAccountID, r.ErrorCode)
		}
		if r.SharedEventID == "" { // its own
			continue
		}
		theirs, ok := shared[r.SharedEventID]
		if !ok || theirs.EventName != r.EventName || theirs.EventID == r.EventID || theirs.RequestID != r.RequestID {
			t.Errorf("%s of %s is not in both histories", r.EventName, r.SharedEventID)
		}
		if kind := r.UserIdentity.Type; kind != "AWSAccount" && kind != "AWSService" {
			t.Errorf("%s: the caller is shown as %s", r.EventName, kind)
		}
		delete(shared, r.SharedEventID)
		names = append(names, r.EventName)
	}
	if len(shared) != 0 {
		t.Errorf("the key's account does not see %+v", shared)
	}
	for _, want := range []string{"CreateGrant", "GenerateDataKeyWithoutPlaintext", "Decrypt"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s is shared, only %v", want, names)
		}
	}

	assumed := history(t, c, "sts.amazonaws.com")
	if !slices.ContainsFunc(assumed, func(r trail.Record) bool {
		return r.EventName == "AssumeRole" && r.UserIdentity.Type == "AWSService" && r.UserIdentity.InvokedBy == "autoscaling.amazonaws.com" && r.SharedEventID == ""
	}) {
		t.Errorf("Auto Scaling's session is not in the account's history: %+v", assumed)
	}
	if foreign := history(t, keys, "sts.amazonaws.com"); len(foreign) != 0 {
		t.Errorf("nor is it the key's account's: %+v", foreign)
	}
	// IAM is global: whatever region a call was signed for, it is of us-east-1.
	elsewhere := s.In("eu-west-1", testkit.Admin(account))
	testkit.Call[iamapi.GetUserResponse](elsewhere.IAM, "GetUser", &iamapi.GetUserRequest{})
	if made := history(t, c, "iam.amazonaws.com"); len(made) != 2 || made[0].EventName != "GetUser" || made[1].EventName != "CreateServiceLinkedRole" {
		t.Errorf("%d events of IAM in %s", len(made), testkit.Region)
	}
	if there := history(t, elsewhere, "iam.amazonaws.com"); len(there) != 0 {
		t.Errorf("%d events of IAM in eu-west-1", len(there))
	}
}

// Every event of a group's life is somebody's: services that act in their own names do so for an
// account.
func TestEveryEventHasARecipient(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	role := serviceRole(account)
	key := newKey(c, keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)))
	createGroup(c, key)
	settle(s)
	launched(t, c, 1, key)
	testkit.Must(c.AutoScaling, "DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new(group), ForceDelete: new(true)})
	retry(s)
	testkit.Call[kmsapi.ScheduleKeyDeletionResponse](c.KMS, "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(7))})
	s.Advance(8 * 24 * time.Hour)
	recs, err := s.App.Records(t.Context(), trail.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]bool{}
	for _, r := range recs {
		want := account
		if r.EventName == "RotateSeal" { // the server's own, after the key went
			want = "000000000000"
		}
		if r.RecipientAccountID != want {
			t.Errorf("%s by %+v is of %q", r.EventName, r.UserIdentity, r.RecipientAccountID)
		}
		services[r.EventName] = services[r.EventName] || r.UserIdentity.Type == "AWSService"
	}
	for _, want := range []string{"AssumeRole", "RetireGrant", "DeleteKey"} {
		if _, ok := services[want]; !ok {
			t.Errorf("no %s among %v", want, services)
		}
	}
	if !services["AssumeRole"] {
		t.Error("Auto Scaling does not assume its role in its own name")
	}
}

// GetTrailStatus is answered over the wire like any other operation of the JSON protocol.
func TestNoTrails(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	if e := testkit.Refused(c.CloudTrail, "GetTrailStatus", &cloudtrailapi.GetTrailStatusRequest{Name: new("main")}); e.Code != "TrailNotFoundException" || e.Status != 400 {
		t.Errorf("got %v", e)
	}
	if out := testkit.Call[cloudtrailapi.DescribeTrailsResponse](c.CloudTrail, "DescribeTrails", &cloudtrailapi.DescribeTrailsRequest{}); out.TrailList == nil || len(out.TrailList) != 0 {
		t.Errorf("got %+v", out)
	}
}
