package autoscaling_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/store"
)

// stored counts what is kept of activities of the account: records, and ids that lead to them.
func (w *world) stored() (activities, ids int) {
	w.T.Helper()
	w.Must(w.Guard.Read(w.T.Context(), func(tx store.Tx) error {
		activities, ids = 0, 0
		for bucket, n := range map[string]*int{"autoscaling/activities": &activities, "autoscaling/activityof": &ids} {
			for _, err := range (store.Table[json.RawMessage]{Bucket: bucket, Version: 1}).Scan(tx, guardtest.Region, account) {
				if err != nil {
					return err
				}
				*n++
			}
		}
		return nil
	}))
	return activities, ids
}

// explained reports whether the trail has a request that explains an activity.
func (w *world) explained(activity string) (ok bool) {
	w.T.Helper()
	w.Must(w.Guard.Read(w.T.Context(), func(tx store.Tx) (err error) {
		_, ok, err = w.Trail.Cause(tx, account, guardtest.Region, activity)
		return err
	}))
	return ok
}

// Activities are told for six weeks; what is older is removed when something happens, a few at a
// time, and nothing else is.
func TestActivitiesAreKeptSixWeeks(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	size := func(n int32) {
		w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: &n})
		w.Advance(time.Minute)
		for _, id := range w.ec2.ids("shutting-down") {
			w.ec2.become(id, "terminated", "")
		}
		w.Advance(time.Minute)
	}
	w.must("CreateAutoScalingGroup", request("g", 0))
	w.ec2.refuse = apierr.New("InvalidAMIID.NotFound", "none")
	size(1)
	w.ec2.refuse = nil
	size(0)
	first := *w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})[0].ActivityId
	if !w.explained(first) {
		t.Fatal("the failed launch is not explained")
	}
	for range 5 {
		size(5)
		size(0)
	}
	const before = 52 // the failure and the attempt a minute later, and five launches and five terminations, five times
	if activities, ids := w.stored(); activities != before || ids != before {
		t.Fatalf("%d activities and %d ids, want %d", activities, ids, before)
	}
	w.Advance(6*7*24*time.Hour - time.Hour)
	size(1)
	if n := len(w.history("g")); n != before+1 {
		t.Errorf("%d activities are told within six weeks, want %d", n, before+1)
	}
	w.Advance(2 * time.Hour)
	if n := len(w.history("g")); n != 1 {
		t.Errorf("%d activities are told after six weeks, want 1", n)
	}
	size(2)
	size(3)
	size(4)
	if activities, ids := w.stored(); activities != 4 || ids != 4 {
		t.Errorf("%d activities and %d ids are kept, want 4", activities, ids)
	}
	if w.explained(first) {
		t.Error("the explanation of an activity is kept longer than the activity")
	}
	if n := len(w.history("g")); n != 4 {
		t.Errorf("%d activities are told, want 4", n)
	}
}
