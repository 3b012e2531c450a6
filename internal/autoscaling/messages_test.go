package autoscaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
)

// Hooks tell of actions as EventBridge does, and their targets in messages; topics are told of activities.
func TestMessagesToTargets(t *testing.T) {
	const queue, topic = "arn:aws:sqs:us-west-2:123456789012:hooks", "arn:aws:sns:us-west-2:123456789012:topic"
	w := newWorld(t)
	sink := &received{}
	w.events = sink.take
	w.service.Stop()
	w.start()
	w.ec2.run = true
	in := request("g", 0)
	in.LifecycleHookSpecificationList = []autoscalingapi.LifecycleHookSpecification{{
		LifecycleHookName: new("up"), LifecycleTransition: new(launching), NotificationTargetARN: new(queue), RoleARN: new("arn:aws:iam::123456789012:role/r"),
		NotificationMetadata: new("for the queue"),
	}}
	w.must("CreateAutoScalingGroup", in)
	w.must("PutLifecycleHook", hook("down", leaving, "CONTINUE"))
	w.must("PutNotificationConfiguration", &autoscalingapi.PutNotificationConfigurationType{AutoScalingGroupName: new("g"), TopicARN: new(topic),
		NotificationTypes: []string{"autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"}})
	w.must("SetDesiredCapacity", resize(1))
	w.Advance(5 * time.Second)
	id := w.ec2.ids("running")[0]
	w.must("CompleteLifecycleAction", &autoscalingapi.CompleteLifecycleActionType{AutoScalingGroupName: new("g"), LifecycleHookName: new("up"), InstanceId: &id, LifecycleActionResult: new("CONTINUE")})
	w.Advance(5 * time.Second)
	w.must("SetDesiredCapacity", resize(0))
	w.Advance(5 * time.Second)
	for i, want := range [][]string{
		{`"detail-type":"Auto Scaling Notification"`, `"resources":["` + queue + `"]`, `"Event":"autoscaling:TEST_NOTIFICATION"`, `"Service":"AWS Auto Scaling"`},
		{`"resources":["` + topic + `"]`, `"Event":"autoscaling:TEST_NOTIFICATION"`},
		{`"detail-type":"EC2 Instance-launch Lifecycle Action"`, `"source":"aws.autoscaling"`, `"LifecycleHookName":"up"`, `"EC2InstanceId":"` + id, `"LifecycleActionToken":"`,
			`"Origin":"EC2"`, `"Destination":"AutoScalingGroup"`, `"NotificationMetadata":"for the queue"`, `"LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING"`},
		{`"resources":["` + queue + `"]`, `"LifecycleHookName":"up"`, `"Service":"AWS Auto Scaling"`, `"AccountId":"123456789012"`},
		{`"detail-type":"EC2 Instance Launch Successful"`},
		{`"resources":["` + topic + `"]`, `"Event":"autoscaling:EC2_INSTANCE_LAUNCH"`, `"Description":"Launching a new EC2 instance: ` + id},
		{`"detail-type":"EC2 Instance-terminate Lifecycle Action"`, `"LifecycleHookName":"down"`, `"Origin":"AutoScalingGroup"`, `"Destination":"EC2"`},
	} {
		if i >= len(sink.events) {
			t.Fatalf("only %d events", len(sink.events))
		}
		got := jsonOf(t, sink.events[i])
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("event %d lacks %s: %s", i, text, got)
			}
		}
	}
	if len(sink.events) != 7 {
		t.Errorf("%d events, want 7: %s", len(sink.events), sink.kinds())
	}
}
