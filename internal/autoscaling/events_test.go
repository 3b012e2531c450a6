package autoscaling_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// received is what a sink got.
type received struct {
	mu     sync.Mutex
	refuse int // so many deliveries
	events []map[string]any
}

func (r *received) take(_ context.Context, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse > 0 {
		r.refuse--
		return errors.New("not now")
	}
	var e map[string]any
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	r.events = append(r.events, e)
	return nil
}

// kinds are the kinds of the events, with the instances.
func (r *received) kinds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		id, _ := e["detail"].(map[string]any)["EC2InstanceId"].(string)
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(e["detail-type"].(string), "EC2 Instance ")+" "+strings.TrimLeft(id, "i-0"), " "))
	}
	return strings.Join(out, ", ")
}

func TestEventsTellOfInstances(t *testing.T) {
	w := newWorld(t)
	sink := &received{refuse: 3}
	w.events = sink.take
	w.service.Stop()
	w.start()
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(2 * time.Second)
	w.ec2.become(w.ec2.ids(ec2api.InstanceStateNamePending)[0], ec2api.InstanceStateNameRunning, "")
	w.Advance(5 * time.Second)
	if got := sink.kinds(); got != "" {
		t.Errorf("a sink that refuses got %s", got)
	}
	w.Advance(2 * time.Minute)
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(2))})
	w.Advance(2 * time.Second)
	w.ec2.become(w.ec2.ids(ec2api.InstanceStateNamePending)[0], ec2api.InstanceStateNameTerminated, "Client.InternalError: Client error on launch")
	w.Advance(2 * time.Second)
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(0))})
	w.Advance(5 * time.Second)
	if got := sink.kinds(); got != "Launch Successful 1, Launch Unsuccessful 2, Terminate Successful 1" {
		t.Errorf("events: %s", got)
	}
	failed := jsonOf(t, sink.events[1])
	for _, want := range []string{
		`"source":"aws.autoscaling"`, `"version":"0"`, `"account":"` + account, `"region":"us-west-2"`, `"StatusCode":"Failed"`, `"AutoScalingGroupName":"g"`, `"Availability Zone":"us-west-2`,
		"Termination Reason: Client.InternalError: Client error on launch", ":autoScalingGroupName/g", "arn:aws:ec2:us-west-2:" + account + ":instance/i-", `"Origin":"EC2"`,
	} {
		if !strings.Contains(failed, want) {
			t.Errorf("the event lacks %s: %s", want, failed)
		}
	}
}

// Events that a server could not deliver are delivered by the next, once.
func TestEventsOutliveTheServer(t *testing.T) {
	w := newWorld(t)
	sink := &received{refuse: 1 << 30}
	w.events = sink.take
	w.service.Stop()
	w.start()
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(10 * time.Second)
	w.service.Stop()
	sink.refuse = 0
	w.start()
	w.Advance(time.Second)
	w.service.Stop()
	w.start()
	w.Advance(time.Minute)
	if got := sink.kinds(); got != "Launch Successful 1" {
		t.Errorf("events: %s", got)
	}
}
