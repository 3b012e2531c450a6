package cloudtrail

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/trail"
)

// event is a record as LookupEvents shows it.
func event(r *trail.Record) (cloudtrailapi.Event, error) {
	text, err := r.CloudTrail()
	if err != nil {
		return cloudtrailapi.Event{}, err
	}
	e := cloudtrailapi.Event{
		EventId: &r.EventID, EventName: &r.EventName, ReadOnly: new(strconv.FormatBool(r.ReadOnly)),
		AccessKeyId: api.Opt(r.UserIdentity.AccessKeyID), EventTime: &r.EventTime, EventSource: &r.EventSource,
		Username: api.Opt(username(&r.UserIdentity)), Resources: []cloudtrailapi.Resource{}, CloudTrailEvent: new(string(text)),
	}
	for _, x := range r.Resources {
		e.Resources = append(e.Resources, cloudtrailapi.Resource{ResourceType: api.Opt(x.Type), ResourceName: new(resourceName(x))})
	}
	return e, nil
}

// unavailable says in the place of an event that the log of a node could not be asked: what it has is missing
// in the answer. docs/divergences.md.
func unavailable(node string, now time.Time) cloudtrailapi.Event {
	text, _ := json.Marshal(map[string]any{ // texts always encode
		"eventSource": ownSource, "eventName": "NodeUnavailable", "eventTime": now.UTC().Truncate(time.Second), "eventType": "AwsServiceEvent", "eventCategory": "Management",
		"eventID": "unavailable-" + node, "readOnly": true, "serviceEventDetails": map[string]string{"node": node, "missing": "the events that this node recorded"},
	})
	return cloudtrailapi.Event{
		EventId: new("unavailable-" + node), EventName: new("NodeUnavailable"), EventSource: new(ownSource), ReadOnly: new("true"), EventTime: new(now.UTC().Truncate(time.Second)),
		Resources: []cloudtrailapi.Resource{{ResourceType: new("Kagimori::Node"), ResourceName: &node}}, CloudTrailEvent: new(string(text)),
	}
}

// ownSource is the source of events of the server's own.
const ownSource = "kagimori.amazonaws.com"

// username is the name by which CloudTrail lists who called: of a user, of a session, or "root".
func username(id *trail.UserIdentity) string {
	switch id.Type {
	case "Root":
		return "root"
	case "AssumedRole", "FederatedUser":
		return id.ARN[strings.LastIndexByte(id.ARN, '/')+1:]
	}
	return id.UserName
}

// resourceName is the ARN of a key and the name or id of anything else.
func resourceName(x trail.Resource) string {
	if x.Type == "AWS::KMS::Key" {
		return x.ARN
	}
	return x.ARN[strings.LastIndexAny(x.ARN, "/:")+1:]
}

// matcher is the test for a look-up attribute. Values are compared exactly, case included.
func matcher(attributes []cloudtrailapi.LookupAttribute) func(*trail.Record) bool {
	if len(attributes) == 0 {
		return func(*trail.Record) bool { return true }
	}
	want := api.Val(attributes[0].AttributeValue)
	resource := func(same func(trail.Resource) bool) func(*trail.Record) bool {
		return func(r *trail.Record) bool { return slices.ContainsFunc(r.Resources, same) }
	}
	switch api.Val(attributes[0].AttributeKey) {
	case cloudtrailapi.LookupAttributeKeyEventId:
		return func(r *trail.Record) bool { return r.EventID == want }
	case cloudtrailapi.LookupAttributeKeyEventName:
		return func(r *trail.Record) bool { return r.EventName == want }
	case cloudtrailapi.LookupAttributeKeyReadOnly:
		return func(r *trail.Record) bool { return strconv.FormatBool(r.ReadOnly) == want }
	case cloudtrailapi.LookupAttributeKeyUsername:
		return func(r *trail.Record) bool { return username(&r.UserIdentity) == want }
	case cloudtrailapi.LookupAttributeKeyResourceType:
		return resource(func(x trail.Resource) bool { return x.Type == want })
	case cloudtrailapi.LookupAttributeKeyResourceName:
		return resource(func(x trail.Resource) bool { return x.ARN == want || resourceName(x) == want })
	case cloudtrailapi.LookupAttributeKeyEventSource:
		return func(r *trail.Record) bool { return r.EventSource == want }
	case cloudtrailapi.LookupAttributeKeyAccessKeyId:
		return func(r *trail.Record) bool { return r.UserIdentity.AccessKeyID == want }
	}
	return func(*trail.Record) bool { return false } // the model admits no other
}
