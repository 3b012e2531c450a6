package cloudtrail_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/cloudtrail"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/trail"
)

const (
	account  = "111122223333"
	owner    = "444455556666" // of the key that account uses
	stranger = "999999999999"
	key      = "arn:aws:kms:us-west-2:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
)

type kit struct {
	*guardtest.World
	t      *testing.T
	events *cloudtrail.Service
}

func newKit(t *testing.T) *kit {
	w := guardtest.New(t)
	return &kit{w, t, cloudtrail.New(cloudtrail.Config{Guard: w.Guard, Trail: w.Trail, Tokens: w.Module.Box("token")})}
}

func (k *kit) do(as guard.Caller, op string, in any) (any, error) {
	return k.Invoke(k.t.Context(), as, cloudtrailapi.Service(), k.events.Operations(), op, in)
}

func (k *kit) try(as guard.Caller, in *cloudtrailapi.LookupEventsRequest) (*cloudtrailapi.LookupEventsResponse, error) {
	out, err := k.do(as, "LookupEvents", in)
	if err != nil {
		return nil, err
	}
	return out.(*cloudtrailapi.LookupEventsResponse), nil
}

// lookup looks up as the administrator of an account.
func (k *kit) lookup(account string, in *cloudtrailapi.LookupEventsRequest) *cloudtrailapi.LookupEventsResponse {
	k.t.Helper()
	out, err := k.try(k.Lookup(account+"ADMIN"), in)
	k.Must(err)
	return out
}

// by looks up one attribute and returns the names of the events that are not look-ups themselves.
func (k *kit) by(account, attribute, value string) []string {
	k.t.Helper()
	var out []string
	for _, e := range k.lookup(account, attributes(attribute, value)).Events {
		if *e.EventName != "LookupEvents" {
			out = append(out, *e.EventName)
		}
	}
	return out
}

func attributes(keysAndValues ...string) *cloudtrailapi.LookupEventsRequest {
	in := &cloudtrailapi.LookupEventsRequest{}
	for i := 0; i < len(keysAndValues); i += 2 {
		in.LookupAttributes = append(in.LookupAttributes,
			cloudtrailapi.LookupAttribute{AttributeKey: &keysAndValues[i], AttributeValue: &keysAndValues[i+1]})
	}
	return in
}

// put writes a record into the log.
func (k *kit) put(r trail.Record) {
	k.t.Helper()
	if r.EventTime.IsZero() {
		r.EventTime = k.Guard.Now()
	}
	if r.AWSRegion == "" {
		r.AWSRegion = guardtest.Region
	}
	if r.EventID == "" {
		r.EventID = guard.NewRequestID()
	}
	k.Must(k.Trail.Append(&r))
}

// detail is the record in an event.
func detail(t *testing.T, e cloudtrailapi.Event) (r trail.Record, members map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &members); err != nil {
		t.Fatal(err)
	}
	return r, members
}

func ago(k *kit, d time.Duration) *time.Time { return new(k.Guard.Now().Add(-d)) }
