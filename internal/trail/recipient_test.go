package trail_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/trail"
)

const caller, keyOwner, stranger = "111122223333", "444455556666", "999999999999"

// shared is a call by a role session of the caller's account on a key of another.
func shared() *trail.Record {
	r := record(1)
	r.UserIdentity = trail.UserIdentity{
		Type: "AssumedRole", PrincipalID: "AROAEXAMPLE:AutoScaling", ARN: "arn:aws:sts::111122223333:assumed-role/r/AutoScaling",
		AccountID: caller, AccessKeyID: "ASIAEXAMPLE", InvokedBy: "ec2.amazonaws.com",
		SessionContext: &trail.SessionContext{SessionIssuer: trail.SessionIssuer{Type: "Role", UserName: "r"}},
	}
	r.RecipientAccountID, r.SharedEventID = caller, "shared-1"
	r.Resources = []trail.Resource{{AccountID: keyOwner, Type: "AWS::KMS::Key", ARN: "arn:key"}}
	return r
}

func TestFor(t *testing.T) {
	r := shared()
	before := *r
	got, ok := r.For(caller)
	if d := cmp.Diff(*r, got); !ok || d != "" {
		t.Errorf("the caller's: %s", d)
	}
	copied, ok := r.For(keyOwner)
	if !ok || copied.EventID == r.EventID || copied.SharedEventID != r.SharedEventID || copied.RecipientAccountID != keyOwner {
		t.Errorf("the owner's: %+v", copied)
	}
	want := trail.UserIdentity{Type: "AWSAccount", PrincipalID: "AROAEXAMPLE:AutoScaling", AccountID: caller, InvokedBy: "ec2.amazonaws.com"}
	if d := cmp.Diff(want, copied.UserIdentity); d != "" {
		t.Errorf("the owner's identity of the caller: %s", d)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(copied.EventID) {
		t.Errorf("event id %s", copied.EventID)
	}
	if again, _ := r.For(keyOwner); again.EventID != copied.EventID {
		t.Error("another event id each time")
	}
	for _, account := range []string{stranger, ""} {
		if _, ok := r.For(account); ok {
			t.Errorf("%q sees it", account)
		}
	}
	if d := cmp.Diff(before, *r); d != "" {
		t.Errorf("the record changed: %s", d)
	}
	// What was refused is not shared: the owner does not see it.
	r.SharedEventID = ""
	if _, ok := r.For(keyOwner); ok {
		t.Error("an event that is not shared")
	}
	// A service in its own name has no account to hide.
	r = shared()
	r.UserIdentity = trail.UserIdentity{Type: "AWSService", InvokedBy: "ebs.amazonaws.com"}
	if got, ok := r.For(keyOwner); !ok || got.UserIdentity != r.UserIdentity {
		t.Errorf("a service: %+v", got)
	}
	// Nor has a caller of the account itself, as when a service's account comes first.
	r = shared()
	r.UserIdentity.AccountID = keyOwner
	if got, ok := r.For(keyOwner); !ok || got.UserIdentity.Type != "AssumedRole" {
		t.Errorf("its own principal: %+v", got)
	}
	r = shared()
	r.RecipientAccountID = ""
	r.SharedEventID = ""
	if _, ok := r.For(""); ok {
		t.Error("an event of nobody")
	}
}

func TestCloudTrail(t *testing.T) {
	r := shared()
	r.UserAgent = "<a&b>"
	r.Kagimori.Decisions = []json.RawMessage{json.RawMessage(`{"principal":"secret"}`)}
	got, err := r.CloudTrail()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got); strings.Contains(text, "kagimori") || strings.Contains(text, "secret") || !strings.Contains(text, `"userAgent":"<a&b>"`) ||
		!strings.HasPrefix(text, `{"eventVersion":`) || strings.HasSuffix(text, "\n") {
		t.Errorf("got %s", text)
	}
	var back trail.Record
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if back.EventID != r.EventID || back.SharedEventID != r.SharedEventID || back.EventTime.Nanosecond() != 0 || back.RecipientAccountID != caller {
		t.Errorf("got %+v", back)
	}
	if r.Kagimori.Decisions == nil {
		t.Error("the record changed")
	}
	r.RequestParameters = json.RawMessage("{")
	if _, err := r.CloudTrail(); err == nil {
		t.Error("a record that is no JSON")
	}
}
