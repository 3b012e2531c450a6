package autoscaling

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// event is what EventBridge would be told of an activity.
// Source: User Guide, "Amazon EC2 Auto Scaling event reference".
type event struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

type eventDetail struct {
	StatusCode           string
	Description          string
	AutoScalingGroupName string
	ActivityID           string `json:"ActivityId"`
	Details              json.RawMessage
	RequestID            string `json:"RequestId"`
	StatusMessage        string
	EndTime              string
	EC2InstanceID        string `json:"EC2InstanceId"`
	StartTime            string
	Cause                string
	Origin, Destination  string
}

// Tables of events. An event is stored in the transaction that ends its activity and removed when it
// was delivered, so that none is lost; one may be delivered twice. Whether events are wanted is
// stored too, because the transaction has to know.
var (
	eventTable  = store.Table[[]event]{Bucket: "autoscaling/events", Version: 1} // time, activity or token: what one thing has to tell
	wantedTable = store.Table[bool]{Bucket: "autoscaling/wanted", Version: 1}    // "events"
)

// How often the delivery of an event is tried, and for how long. Source: EventBridge User Guide, "How
// EventBridge retries delivering events".
const (
	deliverAgain = 10 * time.Second
	deliverMost  = 5 * time.Minute
	deliverAge   = 24 * time.Hour
)

// ends are where an instance comes from and goes to, as events tell it.
func (a *activityRecord) ends() (launch bool, from, to string) {
	const ec2, group, pool = "EC2", "AutoScalingGroup", "WarmPool"
	switch d := a.Description; {
	case strings.HasPrefix(d, "Launching a new EC2 instance into warm pool"):
		return true, ec2, pool
	case strings.HasPrefix(d, "Launching a new EC2 instance from warm pool"):
		return true, pool, group
	case strings.HasPrefix(d, "Launching a new EC2 instance"):
		return true, ec2, group
	case strings.HasPrefix(d, "Terminating EC2 instance from warm pool"):
		return false, pool, ec2
	case strings.HasPrefix(d, "Terminating EC2 instance"):
		return false, group, ec2
	}
	return false, "", ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// newEvent is an event about a group of what happened at a time.
func newEvent(p place, kind, group string, at time.Time, detail any) (event, error) {
	data, err := json.Marshal(detail)
	return event{
		Version: "0", ID: guard.NewRequestID(), DetailType: kind, Source: "aws.autoscaling", Account: p.Account,
		Time: at.UTC().Format(time.RFC3339), Region: p.Region, Resources: []string{group}, Detail: data,
	}, err
}

// activityEvent is the event of an activity that ended; ok is false if there is none for it.
func activityEvent(p place, a *activityRecord) (e event, ok bool, err error) {
	launch, from, to := a.ends()
	if from == "" {
		return e, false, nil
	}
	kind := "Terminate"
	if launch {
		kind = "Launch"
	}
	outcome, status := "Successful", autoscalingapi.ScalingActivityStatusCodeInProgress
	if a.Status != autoscalingapi.ScalingActivityStatusCodeSuccessful {
		outcome, status = "Unsuccessful", autoscalingapi.ScalingActivityStatusCodeFailed
	}
	e, err = newEvent(p, "EC2 Instance "+kind+" "+outcome, a.GroupARN, a.End, eventDetail{
		StatusCode: status, Description: a.Description, AutoScalingGroupName: a.Group, ActivityID: a.ID, Details: json.RawMessage(cmp.Or(a.Details, "{}")),
		RequestID: a.ID, StatusMessage: a.Message, EndTime: stamp(a.End), EC2InstanceID: a.Instance, StartTime: stamp(a.Start), Cause: a.Cause,
		Origin: from, Destination: to,
	})
	if a.Instance != "" {
		e.Resources = append(e.Resources, arn.Make("ec2", p.Region, p.Account, "instance/"+a.Instance))
	}
	return e, true, err
}

// announce stores what there is to tell of an activity that ended, if anybody wants to know.
func announce(tx store.Tx, p place, a *activityRecord) error {
	if wanted, _, err := wantedTable.Get(tx, "events"); err != nil || !wanted {
		return err
	}
	e, ok, err := activityEvent(p, a)
	if err != nil || !ok {
		return err
	}
	all, err := topicMessages(tx, p, a)
	if err != nil {
		return err
	}
	return tell(tx, a.End, a.ID, append([]event{e}, all...))
}

// tell stores events that are to be delivered together.
func tell(tx store.Tx, at time.Time, id string, all []event) error {
	if len(all) == 0 {
		return nil
	}
	return eventTable.Put(tx, all, fmt.Sprintf("%016x", at.UnixNano()), id)
}

// startEvents notes whether events are wanted, and delivers what a server before left.
func (s *Service) startEvents(ctx context.Context) error {
	changed := false
	err := s.g.Read(ctx, func(tx store.Tx) error {
		have, _, err := wantedTable.Get(tx, "events")
		changed = have != (s.events != nil)
		return err
	})
	if err == nil && changed {
		err = s.g.Change(ctx, func(tx store.Tx) error { return wantedTable.Put(tx, s.events != nil, "events") })
	}
	s.deliver()
	return err
}

// deliver hands out events in their order, one at a time, and tries again later what is not taken.
func (s *Service) deliver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events == nil || s.closed || s.delivering {
		s.undelivered = true
		return
	}
	s.delivering = s.clock.Go(s.deliverAll)
}

func (s *Service) deliverAll() {
	for {
		s.mu.Lock()
		s.undelivered = false
		s.mu.Unlock()
		err := s.deliverNow(context.Background())
		s.mu.Lock()
		switch {
		case s.closed:
			s.mu.Unlock()
			return
		case err != nil:
			s.log.Warn("an Auto Scaling event was not delivered; it will be again", "error", err)
			s.deliverWait = min(max(2*s.deliverWait, deliverAgain), deliverMost)
			s.clock.AfterFunc(s.deliverWait, func() {
				s.mu.Lock()
				s.delivering = false
				s.mu.Unlock()
				s.deliver()
			})
			s.mu.Unlock()
			return
		}
		s.deliverWait = 0
		if !s.undelivered {
			s.delivering = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// deliverNow delivers all events that are there. Those too old are given up.
func (s *Service) deliverNow(ctx context.Context) error {
	for {
		var batch []store.Record[[]event]
		err := s.g.Read(ctx, func(tx store.Tx) (err error) {
			batch, _, err = eventTable.Page(tx, nil, "", 50)
			return err
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		done := 0
		var failure error
		for i := range batch {
			if failure = s.deliverAs(ctx, batch[i].Value); failure != nil {
				break
			}
			done++
		}
		err = s.g.Change(ctx, func(tx store.Tx) error {
			for _, r := range batch[:done] {
				if err := eventTable.Delete(tx, r.Key...); err != nil {
					return err
				}
			}
			return nil
		})
		if failure != nil || err != nil {
			return cmp.Or(failure, err)
		}
	}
}

// deliverAs delivers events in their order, except those that are too old.
func (s *Service) deliverAs(ctx context.Context, all []event) error {
	for i := range all {
		at, err := time.Parse(time.RFC3339, all[i].Time)
		if err != nil || s.g.Now().Sub(at) >= deliverAge {
			continue
		}
		data, err := json.Marshal(&all[i])
		if err == nil {
			err = s.events(ctx, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
