package autoscaling

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Messages go to targets that are no part of this server, topics and queues. They are delivered where
// events go, as the detail of an event whose one resource is the target.
const (
	messageSource = "kagimori.autoscaling"
	messageKind   = "Auto Scaling Notification"
)

// hookMessage is what a lifecycle action tells its target, and the detail of its event.
// Source: User Guide, "Prepare to add a lifecycle hook to your Auto Scaling group" and "Amazon EC2
// Auto Scaling event reference".
type hookMessage struct {
	Origin               string
	Destination          string
	AccountID            string `json:"AccountId,omitempty"`
	RequestID            string `json:"RequestId,omitempty"`
	Service              string `json:",omitempty"`
	Time                 string `json:",omitempty"`
	AutoScalingGroupName string
	LifecycleHookName    string
	LifecycleTransition  string
	LifecycleActionToken string
	EC2InstanceID        string `json:"EC2InstanceId"`
	NotificationMetadata string `json:",omitempty"`
}

// testMessage is what a target is told when a hook or a group begins to tell it something.
type testMessage struct {
	AccountID            string `json:"AccountId"`
	RequestID            string `json:"RequestId"`
	AutoScalingGroupARN  string
	AutoScalingGroupName string
	Service              string
	Event                string
	Time                 string
}

// topicMessage is what a topic is told of an activity. Source: User Guide, "Amazon SNS notification
// options for Amazon EC2 Auto Scaling".
type topicMessage struct {
	Service              string
	Time                 string
	RequestID            string `json:"RequestId"`
	Event                string
	AccountID            string `json:"AccountId"`
	AutoScalingGroupName string
	AutoScalingGroupARN  string
	ActivityID           string `json:"ActivityId"`
	Description          string
	Cause                string
	StartTime            string
	EndTime              string
	StatusCode           string
	StatusMessage        string
	Progress             int32
	EC2InstanceID        string `json:"EC2InstanceId"`
	Details              json.RawMessage
	Origin, Destination  string
}

const messageService = "AWS Auto Scaling"

// message is an event that carries a message to a target.
func message(p place, target string, at time.Time, body any) (event, error) {
	e, err := newEvent(p, messageKind, target, at, body)
	e.Source = messageSource
	return e, err
}

// announceWaits stores what there is to tell of a member that begins to wait at hooks: an event for
// each action, and a message for those with a target.
func (s *Service) announceWaits(tx store.Tx, p place, g *groupRecord, m *memberRecord, a *activityRecord, transition string) error {
	if wanted, _, err := wantedTable.Get(tx, "events"); err != nil || !wanted || len(m.Waits) == 0 {
		return err
	}
	now := s.g.Now()
	_, from, to := a.ends()
	if m.Reuse {
		to = "WarmPool"
	}
	kind := "EC2 Instance-launch Lifecycle Action"
	if transition == onTerminate {
		kind = "EC2 Instance-terminate Lifecycle Action"
	}
	var all []event
	for i := range m.Waits {
		w := &m.Waits[i]
		h := hookRecord{}
		if at := slices.IndexFunc(g.Hooks, func(h hookRecord) bool { return h.Name == w.Hook }); at >= 0 {
			h = g.Hooks[at]
		}
		body := hookMessage{
			Origin: from, Destination: to, AutoScalingGroupName: g.Name, LifecycleHookName: h.Name, LifecycleTransition: transition,
			LifecycleActionToken: w.Token, EC2InstanceID: m.ID, NotificationMetadata: h.Metadata,
		}
		e, err := newEvent(p, kind, g.arn(), now, body)
		if err != nil {
			return err
		}
		all = append(all, e)
		if h.Target == "" {
			continue
		}
		body.AccountID, body.RequestID, body.Service, body.Time = g.Account, guard.NewRequestID(), messageService, stamp(now)
		if e, err = message(p, h.Target, now, body); err != nil {
			return err
		}
		all = append(all, e)
	}
	return tell(tx, now, m.Waits[0].Token, all)
}

// announceTest tells a target that it will be told something.
func (s *Service) announceTest(tx store.Tx, g *groupRecord, target string) error {
	if wanted, _, err := wantedTable.Get(tx, "events"); err != nil || !wanted || target == "" {
		return err
	}
	now, id := s.g.Now(), guard.NewRequestID()
	e, err := message(g.place(), target, now, testMessage{
		AccountID: g.Account, RequestID: id, AutoScalingGroupARN: g.arn(), AutoScalingGroupName: g.Name, Service: messageService,
		Event: "autoscaling:TEST_NOTIFICATION", Time: stamp(now),
	})
	if err != nil {
		return err
	}
	return tell(tx, now, id, []event{e})
}

// topicMessages are what the topics of a group are told of an activity that ended.
func topicMessages(tx store.Tx, p place, a *activityRecord) (all []event, err error) {
	launch, from, to := a.ends()
	kind := "autoscaling:EC2_INSTANCE_TERMINATE"
	if launch {
		kind = "autoscaling:EC2_INSTANCE_LAUNCH"
	}
	status := "InProgress"
	if a.Status != "Successful" {
		kind, status = kind+"_ERROR", "Failed"
	}
	for r, err := range topicTable.Scan(tx, p.Region, p.Account, a.Group) {
		if err != nil {
			return nil, err
		}
		if !slices.Contains(r.Value, kind) {
			continue
		}
		e, err := message(p, r.Key[3], a.End, topicMessage{
			Service: messageService, Time: stamp(a.End), RequestID: a.ID, Event: kind, AccountID: p.Account, AutoScalingGroupName: a.Group,
			AutoScalingGroupARN: a.GroupARN, ActivityID: a.ID, Description: a.Description, Cause: a.Cause, StartTime: stamp(a.Start), EndTime: stamp(a.End),
			StatusCode: status, StatusMessage: a.Message, Progress: 50, EC2InstanceID: a.Instance, Details: json.RawMessage(a.Details), Origin: from, Destination: to,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
