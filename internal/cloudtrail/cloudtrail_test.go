package cloudtrail_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/trail"
)

// An account finds what it did through the real KMS, in CloudTrail's form.
func TestEvents(t *testing.T) {
	k := newKit(t)
	svc := kms.New(kms.Config{Guard: k.Guard, Module: k.Module, Clock: k.Clock, Logger: k.Logger})
	admin := k.Lookup(owner + "ADMIN")
	out, err := k.Invoke(t.Context(), admin, kmsapi.Service(), svc.Operations(), "CreateKey", &kmsapi.CreateKeyRequest{})
	k.Must(err)
	arn := *out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
	k.Must(k.Trail.Flush(t.Context())) // the records of changes come into the log a moment later
	_, err = k.Invoke(t.Context(), admin, kmsapi.Service(), svc.Operations(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &arn})
	k.Must(err)

	events := k.lookup(owner, &cloudtrailapi.LookupEventsRequest{}).Events
	if len(events) != 2 || *events[0].EventName != "DescribeKey" || *events[1].EventName != "CreateKey" {
		t.Fatalf("%d events, newest first: %+v", len(events), events)
	}
	e := events[1]
	r, members := detail(t, e)
	want := cloudtrailapi.Event{
		EventId: &r.EventID, EventName: new("CreateKey"), ReadOnly: new("false"), AccessKeyId: new(owner + "ADMIN"), EventTime: &r.EventTime,
		EventSource: new("kms.amazonaws.com"), Username: new("admin"), CloudTrailEvent: e.CloudTrailEvent,
		Resources: []cloudtrailapi.Resource{{ResourceType: new("AWS::KMS::Key"), ResourceName: &arn}},
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Error(d)
	}
	if *events[0].ReadOnly != "true" {
		t.Error("DescribeKey is a read")
	}
	if _, private := members["kagimori"]; private || r.RecipientAccountID != owner || string(members["eventCategory"]) != `"Management"` {
		t.Errorf("record %s", *e.CloudTrailEvent)
	}
	// The look-up is an event too.
	if names := k.by(owner, "EventName", "LookupEvents"); len(names) != 0 {
		t.Fatal(names)
	}
	found := k.lookup(owner, attributes("EventSource", "cloudtrail.amazonaws.com")).Events
	if len(found) != 2 || *found[0].ReadOnly != "true" {
		t.Errorf("%d look-ups are recorded", len(found))
	}
}

// use is a call by the service-linked role of account on the key of owner.
func use(errorCode string) trail.Record {
	r := trail.Record{
		EventName: "Decrypt", EventSource: "kms.amazonaws.com", EventID: "event-" + errorCode, ErrorCode: errorCode, ReadOnly: true,
		UserIdentity: trail.UserIdentity{
			Type: "AssumedRole", PrincipalID: "AROAEXAMPLE:AutoScaling", AccountID: account, AccessKeyID: "ASIAEXAMPLE",
			ARN: "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling",
		},
		Resources: []trail.Resource{{AccountID: owner, Type: "AWS::KMS::Key", ARN: key}}, RecipientAccountID: account,
	}
	if errorCode == "" {
		r.SharedEventID = "shared"
	}
	return r
}

// A cross-account use of a key is in both accounts' history, under a shared id; a refused one is in
// the caller's.
func TestSharedEvents(t *testing.T) {
	k := newKit(t)
	k.put(use(""))
	k.put(use("AccessDeniedException"))
	theirs := k.lookup(account, attributes("EventName", "Decrypt")).Events
	if len(theirs) != 2 || *theirs[0].EventId != "event-AccessDeniedException" || *theirs[1].EventId != "event-" {
		t.Fatalf("the caller sees %+v", theirs)
	}
	if *theirs[1].Username != "AutoScaling" || *theirs[1].AccessKeyId != "ASIAEXAMPLE" {
		t.Errorf("the caller sees %+v", theirs[1])
	}
	ours := k.lookup(owner, attributes("EventName", "Decrypt")).Events
	if len(ours) != 1 {
		t.Fatalf("the owner sees %d events", len(ours))
	}
	a, _ := detail(t, theirs[1])
	b, _ := detail(t, ours[0])
	if a.SharedEventID != "shared" || b.SharedEventID != "shared" || a.EventID == b.EventID || *ours[0].EventId != b.EventID {
		t.Errorf("ids: %s of %s, %s of %s", a.EventID, a.SharedEventID, b.EventID, b.SharedEventID)
	}
	if a.RecipientAccountID != account || b.RecipientAccountID != owner || b.UserIdentity.Type != "AWSAccount" || b.UserIdentity.AccountID != account ||
		b.UserIdentity.ARN != "" || ours[0].Username != nil || ours[0].AccessKeyId != nil {
		t.Errorf("the owner sees %+v", b)
	}
	for _, tt := range []struct {
		account, attribute, value string
		want                      int
	}{
		{owner, "EventId", *ours[0].EventId, 1},
		{owner, "EventId", *theirs[1].EventId, 0},
		{owner, "AccessKeyId", "ASIAEXAMPLE", 0},
		{owner, "ResourceName", key, 1},
		{account, "AccessKeyId", "ASIAEXAMPLE", 2},
		{stranger, "EventName", "Decrypt", 0},
	} {
		if got := k.by(tt.account, tt.attribute, tt.value); len(got) != tt.want {
			t.Errorf("%s by %s %s: %v", tt.account, tt.attribute, tt.value, got)
		}
	}
}

func TestAttributes(t *testing.T) {
	k := newKit(t)
	user := trail.UserIdentity{Type: "IAMUser", UserName: "ana", AccountID: account, AccessKeyID: "AKIAANA"}
	root := trail.UserIdentity{Type: "Root", ARN: "arn:aws:iam::111122223333:root", AccountID: account, AccessKeyID: account}
	for _, r := range []trail.Record{
		{EventName: "RunInstances", EventID: "e1", EventSource: "ec2.amazonaws.com", UserIdentity: user, Resources: []trail.Resource{
			{AccountID: account, Type: "AWS::EC2::Instance", ARN: "arn:aws:ec2:us-west-2:111122223333:instance/i-1"},
			{AccountID: account, Type: "AWS::EC2::Volume", ARN: "arn:aws:ec2:us-west-2:111122223333:volume/vol-1"},
		}},
		{EventName: "DescribeInstances", EventID: "e2", EventSource: "ec2.amazonaws.com", UserIdentity: root, ReadOnly: true},
		{EventName: "AssumeRole", EventID: "e3", EventSource: "sts.amazonaws.com",
			UserIdentity: trail.UserIdentity{Type: "AWSService", InvokedBy: "autoscaling.amazonaws.com"}, Resources: []trail.Resource{
				{AccountID: account, Type: "AWS::IAM::Role", ARN: "arn:aws:iam::111122223333:role/path/worker"},
			}},
	} {
		r.RecipientAccountID = account
		k.put(r)
	}
	for _, tt := range []struct {
		attribute, value string
		want             []string
	}{
		{"EventId", "e2", []string{"DescribeInstances"}},
		{"EventId", "E2", nil},
		{"EventName", "RunInstances", []string{"RunInstances"}},
		{"EventName", "runinstances", nil},
		{"ReadOnly", "false", []string{"AssumeRole", "RunInstances"}},
		{"ReadOnly", "no", nil},
		{"Username", "ana", []string{"RunInstances"}},
		{"Username", "root", []string{"DescribeInstances"}},
		{"ResourceType", "AWS::EC2::Volume", []string{"RunInstances"}},
		{"ResourceName", "vol-1", []string{"RunInstances"}},
		{"ResourceName", "arn:aws:ec2:us-west-2:111122223333:volume/vol-1", []string{"RunInstances"}},
		{"ResourceName", "vol", nil},
		{"ResourceName", "worker", []string{"AssumeRole"}},
		{"EventSource", "ec2.amazonaws.com", []string{"DescribeInstances", "RunInstances"}},
		{"AccessKeyId", "AKIAANA", []string{"RunInstances"}},
	} {
		if d := cmp.Diff(tt.want, k.by(account, tt.attribute, tt.value)); d != "" {
			t.Errorf("%s %s: %s", tt.attribute, tt.value, d)
		}
	}
	service := k.lookup(account, attributes("EventId", "e3")).Events[0]
	if service.Username != nil || service.AccessKeyId != nil {
		t.Errorf("a service in its own name: %+v", service)
	}
	_, err := k.try(k.Lookup(account+"ADMIN"), attributes("EventId", "e1", "EventName", "x"))
	guardtest.WantError(t, err, "InvalidLookupAttributesException", "A look-up takes one attribute.")
	for _, in := range []*cloudtrailapi.LookupEventsRequest{
		attributes("Colour", "blue"), attributes("EventId", ""), {MaxResults: new(int32(0))}, {MaxResults: new(int32(51))}, {EventCategory: new("x")},
	} {
		_, err := k.try(k.Lookup(account+"ADMIN"), in)
		guardtest.WantError(t, err, "ValidationException", "*")
	}
	if out := k.lookup(account, &cloudtrailapi.LookupEventsRequest{EventCategory: new("insight")}); len(out.Events) != 0 || out.NextToken != nil {
		t.Errorf("insights: %+v", out)
	}
}

// Events belong to a region, and end after 90 days.
func TestRegionsAndTimes(t *testing.T) {
	k := newKit(t)
	put := func(name, region string, age time.Duration) {
		k.put(trail.Record{EventName: name, AWSRegion: region, RecipientAccountID: account, EventTime: k.Guard.Now().Add(-age)})
	}
	day := 24 * time.Hour
	put("ancient", "", 91*day)
	put("old", "", 89*day)
	put("global", "us-east-1", day)
	put("yesterday", "", day)
	put("hour", "", time.Hour)
	for _, tt := range []struct {
		name       string
		start, end *time.Time
		want       []string
	}{
		{"all", nil, nil, []string{"hour", "yesterday", "old"}},
		{"longer ago than is kept", ago(k, 100*day), nil, []string{"hour", "yesterday", "old"}},
		{"since", ago(k, day+time.Second), nil, []string{"hour", "yesterday"}},
		{"until", nil, ago(k, day-time.Second), []string{"yesterday", "old"}},
		{"between", ago(k, 2*day), ago(k, 2*time.Hour), []string{"yesterday"}},
		{"before all", ago(k, 100*day), ago(k, 95*day), nil},
	} {
		var got []string
		for _, e := range k.lookup(account, &cloudtrailapi.LookupEventsRequest{StartTime: tt.start, EndTime: tt.end}).Events {
			if *e.EventName != "LookupEvents" {
				got = append(got, *e.EventName)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	_, err := k.try(k.Lookup(account+"ADMIN"), &cloudtrailapi.LookupEventsRequest{StartTime: ago(k, time.Hour), EndTime: ago(k, 2*time.Hour)})
	guardtest.WantError(t, err, "InvalidTimeRangeException", "The start time of the look-up is after its end time.")
}

// Records that were written in another order than that of their times are shown in that of the times.
func TestNewestFirst(t *testing.T) {
	k := newKit(t)
	for _, age := range []time.Duration{5, 3, 4} {
		k.put(trail.Record{EventName: fmt.Sprint(int(age)), RecipientAccountID: account, EventTime: k.Guard.Now().Add(-age * time.Minute)})
	}
	var got []string
	for _, e := range k.lookup(account, &cloudtrailapi.LookupEventsRequest{}).Events {
		got = append(got, *e.EventName)
	}
	if !slices.Equal(got, []string{"3", "4", "5"}) {
		t.Error(got)
	}
}

func TestPages(t *testing.T) {
	k := newKit(t)
	const total = 120
	for i := range total {
		k.put(trail.Record{EventName: "Op", EventID: fmt.Sprint(i), RecipientAccountID: account})
		k.put(trail.Record{EventName: "Op", RecipientAccountID: stranger})
	}
	in := attributes("EventName", "Op")
	var got []string
	for page := 0; ; page++ {
		out := k.lookup(account, in)
		if n := len(out.Events); n > 50 || page == 0 && n != 50 {
			t.Fatalf("page %d has %d events", page, n)
		}
		for _, e := range out.Events {
			got = append(got, *e.EventId)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
		in.MaxResults = new(int32(7 + page)) // may change
		k.put(trail.Record{EventName: "Op", EventID: "new", RecipientAccountID: account})
	}
	if len(got) != total || got[0] != "119" || got[total-1] != "0" || len(slices.Compact(got)) != total {
		t.Errorf("%d events: %v", len(got), got)
	}

	in = attributes("EventName", "Op")
	in.MaxResults = new(int32(1))
	token := k.lookup(account, in).NextToken
	if token == nil || strings.Contains(*token, "Op") {
		t.Fatalf("token %v", token)
	}
	for name, change := range map[string]func(*cloudtrailapi.LookupEventsRequest) (as string){
		"another account":   func(*cloudtrailapi.LookupEventsRequest) string { return stranger },
		"another attribute": func(in *cloudtrailapi.LookupEventsRequest) string { in.LookupAttributes = nil; return account },
		"another time":      func(in *cloudtrailapi.LookupEventsRequest) string { in.StartTime = ago(k, time.Hour); return account },
		"no token":          func(in *cloudtrailapi.LookupEventsRequest) string { in.NextToken = new("x y"); return account },
		"a made-up token":   func(in *cloudtrailapi.LookupEventsRequest) string { in.NextToken = new("AAAA"); return account },
	} {
		in := attributes("EventName", "Op")
		in.NextToken = token
		as := change(in)
		if _, err := k.try(k.Lookup(as+"ADMIN"), in); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			guardtest.WantError(t, err, "InvalidNextTokenException", "*")
		}
	}
	in.NextToken = token
	if out := k.lookup(account, in); len(out.Events) != 1 {
		t.Errorf("the right token: %+v", out)
	}
}

// A request reads a bounded part of the log; its token goes on behind it.
func TestRareEvents(t *testing.T) {
	k := newKit(t)
	k.put(trail.Record{EventName: "Rare", EventSource: "rare", RecipientAccountID: account})
	for range 10_050 {
		k.put(trail.Record{EventName: "Op", RecipientAccountID: account})
	}
	in := attributes("EventSource", "rare")
	out := k.lookup(account, in)
	if len(out.Events) != 0 || out.NextToken == nil {
		t.Fatalf("%d events, token %v", len(out.Events), out.NextToken)
	}
	in.NextToken = out.NextToken
	if out = k.lookup(account, in); len(out.Events) != 1 || out.NextToken != nil {
		t.Errorf("%d events, token %v", len(out.Events), out.NextToken)
	}
}

func TestAuthorization(t *testing.T) {
	k := newKit(t)
	k.put(trail.Record{EventName: "Op", RecipientAccountID: account})
	allow := func(action string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`
	}
	reader, other := k.User(account, "reader", allow("cloudtrail:LookupEvents")), k.User(account, "other", allow("cloudtrail:DescribeTrails"))
	if out, err := k.try(reader, &cloudtrailapi.LookupEventsRequest{}); err != nil || len(out.Events) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	_, err := k.try(other, &cloudtrailapi.LookupEventsRequest{})
	guardtest.WantError(t, err, "AccessDeniedException", "*")
	if err == nil || !strings.Contains(err.Error(), "arn:aws:iam::111122223333:user/other is not authorized to perform: cloudtrail:LookupEvents") {
		t.Errorf("got %v", err)
	}
	for op, in := range map[string]any{
		"ListTrails": &cloudtrailapi.ListTrailsRequest{}, "GetTrailStatus": &cloudtrailapi.GetTrailStatusRequest{Name: new("main")},
		"DescribeTrails": &cloudtrailapi.DescribeTrailsRequest{},
	} {
		_, err := k.do(reader, op, in)
		guardtest.WantError(t, err, "AccessDeniedException", "*")
	}
}

func TestNoTrails(t *testing.T) {
	k := newKit(t)
	admin := k.Lookup(account + "ADMIN")
	for name, code := range map[string]string{"x": "InvalidTrailNameException", "arn:aws:s3:::b": "CloudTrailARNInvalidException"} {
		_, err := k.do(admin, "DescribeTrails", &cloudtrailapi.DescribeTrailsRequest{TrailNameList: []string{name}})
		guardtest.WantError(t, err, code, "*")
	}
	out, err := k.do(admin, "DescribeTrails", &cloudtrailapi.DescribeTrailsRequest{TrailNameList: []string{"main"}})
	if err != nil || out.(*cloudtrailapi.DescribeTrailsResponse).TrailList == nil || len(out.(*cloudtrailapi.DescribeTrailsResponse).TrailList) != 0 {
		t.Errorf("DescribeTrails: %+v, %v", out, err)
	}
	out, err = k.do(admin, "ListTrails", &cloudtrailapi.ListTrailsRequest{})
	if err != nil || out.(*cloudtrailapi.ListTrailsResponse).Trails == nil || len(out.(*cloudtrailapi.ListTrailsResponse).Trails) != 0 {
		t.Errorf("ListTrails: %+v, %v", out, err)
	}
	_, err = k.do(admin, "ListTrails", &cloudtrailapi.ListTrailsRequest{NextToken: new("x")})
	guardtest.WantError(t, err, "InvalidNextTokenException", "*")
	arn := "arn:aws:cloudtrail:us-west-2:111122223333:trail/main"
	for _, tt := range []struct{ name, code, message string }{
		{"main", "TrailNotFoundException", "Unknown trail: " + arn + " for the user: 111122223333"},
		{arn, "TrailNotFoundException", "Unknown trail: " + arn + " for the user: 111122223333"},
		{"arn:aws:s3:::bucket", "CloudTrailARNInvalidException", "The ARN is not valid: arn:aws:s3:::bucket"},
		{"a b", "InvalidTrailNameException", "*"},
		{"ab", "InvalidTrailNameException", "*"},
	} {
		_, err := k.do(admin, "GetTrailStatus", &cloudtrailapi.GetTrailStatusRequest{Name: &tt.name})
		guardtest.WantError(t, err, tt.code, tt.message)
	}
}

func TestLookupEndsWithItsContext(t *testing.T) {
	k := newKit(t)
	k.put(trail.Record{EventName: "Op", RecipientAccountID: account})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := k.Invoke(ctx, k.Lookup(account+"ADMIN"), cloudtrailapi.Service(), k.events.Operations(), "LookupEvents", &cloudtrailapi.LookupEventsRequest{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
