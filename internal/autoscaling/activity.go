package autoscaling

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
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
		ID: newActivityID(now), Group: g.Name, GroupARN: g.arn(), Description: description, Cause: joinCauses(causes),
		Status: autoscalingapi.ScalingActivityStatusCodeInProgress, Start: now, Details: string(details),
	}
}

// Tables of activities. Keys start with region and account. The order of an activity follows from its
// id and counts down, so that the newest come first.
var (
	activityTable = store.Table[activityRecord]{Bucket: "autoscaling/activities", Version: 1} // ..., order, id
	// activityOf tells the ARN of the group: groups that are gone may have had the same name.
	activityOf = store.Table[string]{Bucket: "autoscaling/activityof", Version: 1} // ..., group, order, id
)

// activityAge is how long activities are kept: six weeks.
const activityAge = 6 * 7 * 24 * time.Hour

// newActivityID makes the id of an activity that starts at a time, a UUID of version 7 with a
// fraction of a millisecond. Source: RFC 9562, sections 5.7 and 6.2 (method 3).
func newActivityID(start time.Time) string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	ns := uint64(start.UnixNano())
	ms, frac := ns/1e6, ns%1e6*4096/1e6
	binary.BigEndian.PutUint64(b[:8], ms<<16|7<<12|frac)
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// activityOrder is the order of the activity with an id; of other texts it is some order.
func activityOrder(id string) string {
	head, _ := hex.DecodeString(strings.ReplaceAll(id[:min(len(id), 18)], "-", ""))
	var b [8]byte
	copy(b[:], head)
	return fmt.Sprintf("%016x", ^binary.BigEndian.Uint64(b[:]))
}

// key is the place of an activity in its table.
func (a *activityRecord) key(p place) []string {
	return []string{p.Region, p.Account, activityOrder(a.ID), a.ID}
}

// addActivity stores an activity that begins.
func addActivity(tx store.Tx, p place, a activityRecord) error {
	if err := activityOf.Put(tx, a.GroupARN, p.Region, p.Account, a.Group, activityOrder(a.ID), a.ID); err != nil {
		return err
	}
	return putActivity(tx, p, a)
}

// putActivity stores what became of an activity.
func putActivity(tx store.Tx, p place, a activityRecord) error {
	if !a.open() {
		if err := announce(tx, p, &a); err != nil {
			return err
		}
	}
	return activityTable.Put(tx, a, a.key(p)...)
}

func getActivity(tx store.Tx, p place, id string) (activityRecord, bool, error) {
	return activityTable.Get(tx, p.Region, p.Account, activityOrder(id), id)
}

// dropActivity forgets an activity.
func dropActivity(tx store.Tx, p place, a *activityRecord) error {
	if err := activityOf.Delete(tx, p.Region, p.Account, a.Group, activityOrder(a.ID), a.ID); err != nil {
		return err
	}
	return activityTable.Delete(tx, a.key(p)...)
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
