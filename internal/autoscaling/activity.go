package autoscaling

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// sentence is one sentence of an activity's Cause.
func sentence(at time.Time, text string) string {
	return "At " + at.UTC().Format("2006-01-02T15:04:05Z") + " " + text
}

// joinCauses makes a Cause of its sentences: they are two blanks apart.
func joinCauses(s []string) string { return strings.Join(s, "  ") }

func startedFor(from, to int) string {
	return "an instance was started in response to a difference between desired and actual capacity, increasing the capacity from " +
		strconv.Itoa(from) + " to " + strconv.Itoa(to) + "."
}

func takenFor(from, to int) string {
	return "an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from " +
		strconv.Itoa(from) + " to " + strconv.Itoa(to) + "."
}

const (
	causeHealth      = "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."
	causeUser        = "an instance was taken out of service in response to a user request."
	causeReplacement = "an instance was launched in response to an unhealthy instance needing to be replaced."
	causeAbandoned   = "an instance was taken out of service in response to a lifecycle action that was abandoned."
	causeSetHealth   = "an instance was taken out of service in response to a user health-check."
)

// newActivity starts an activity of a group.
func newActivity(g *groupRecord, now time.Time, description string, causes []string, subnet, zone string) activityRecord {
	details, err := json.Marshal(struct {
		Subnet string `json:"Subnet ID,omitempty"`
		Zone   string `json:"Availability Zone"`
	}{subnet, zone})
	if err != nil {
		panic(err) // strings always encode
	}
	return activityRecord{
		ID: guard.NewRequestID(), Group: g.Name, GroupARN: g.arn(), Description: description, Cause: joinCauses(causes),
		Status: autoscalingapi.ScalingActivityStatusCodeInProgress, Start: now, Details: string(details),
	}
}

// key is the place of an activity in its table.
func (a *activityRecord) key(p place) []string {
	return []string{p.Region, p.Account, order(a.Start), a.ID}
}

func putActivity(tx store.Tx, p place, a activityRecord) error {
	if err := activityIDs.Put(tx, order(a.Start), p.Region, p.Account, a.ID); err != nil {
		return err
	}
	if !a.open() {
		if err := announce(tx, p, &a); err != nil {
			return err
		}
	}
	return activityTable.Put(tx, a, a.key(p)...)
}

func getActivity(tx store.Tx, p place, id string) (activityRecord, bool, error) {
	at, ok, err := activityIDs.Get(tx, p.Region, p.Account, id)
	if err != nil || !ok {
		return activityRecord{}, false, err
	}
	return activityTable.Get(tx, p.Region, p.Account, at, id)
}

// finish ends an activity.
func (a *activityRecord) finish(now time.Time, as launch.Activity) {
	a.Status, a.Message, a.Progress, a.End, a.Launch = as.StatusCode, as.StatusMessage, 100, now, nil
	if as.Description != "" {
		a.Description = as.Description
	}
}

// end finishes the activity of that id, if there is one.
func end(tx store.Tx, p place, id string, now time.Time, as launch.Activity) error {
	a, ok, err := getActivity(tx, p, id)
	if err != nil || !ok || !a.open() {
		return err
	}
	a.finish(now, as)
	return putActivity(tx, p, a)
}
