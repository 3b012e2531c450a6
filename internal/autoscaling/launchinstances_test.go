package autoscaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

func launchNow(n int32, token, retry string) *autoscalingapi.LaunchInstancesRequest {
	in := &autoscalingapi.LaunchInstancesRequest{AutoScalingGroupName: new("g"), RequestedCapacity: &n, ClientToken: &token}
	if retry != "" {
		in.RetryStrategy = &retry
	}
	return in
}

func (w *world) launch(in *autoscalingapi.LaunchInstancesRequest) *autoscalingapi.LaunchInstancesResult {
	w.T.Helper()
	out, err := w.do(w.admin, "LaunchInstances", in)
	w.Must(err)
	return out.(*autoscalingapi.LaunchInstancesResult)
}

// LaunchInstances answers with the instances, once for each token, and the group is larger then.
func TestLaunchInstances(t *testing.T) {
	w := running(t, 1)
	out := w.launch(launchNow(2, "t", ""))
	ids := 0
	for _, c := range out.Instances {
		ids += len(c.InstanceIds)
	}
	if ids != 2 || len(out.Errors) != 0 {
		t.Errorf("answer: %s", jsonOf(t, out))
	}
	if again := w.launch(launchNow(2, "t", "")); jsonOf(t, again) != jsonOf(t, out) {
		t.Errorf("asked again: %s", jsonOf(t, again))
	}
	guardtest.WantError(t, w.try("LaunchInstances", launchNow(1, "t", "")), "IdempotentParameterMismatch", "The client token was used for a request with other parameters.")
	guardtest.WantError(t, w.try("LaunchInstances", launchNow(3, "u", "")), "ValidationError", "The requested capacity 3 would take the Auto Scaling group g above its max size 5.")
	w.Advance(3 * time.Second)
	w.wantStates("launched", "InService InService InService")
	if g := w.group("g"); *g.DesiredCapacity != 3 {
		t.Errorf("desired: %d", *g.DesiredCapacity)
	}
}

// What EC2 refuses is told, and launched later only if the caller wants that.
func TestLaunchInstancesRefused(t *testing.T) {
	for retry, want := range map[string]int32{"": 1, "none": 1, "retry-with-group-configuration": 2} {
		w := running(t, 1)
		w.ec2.refuse = apierr.New("InvalidAMIID.NotFound", "The image is gone.")
		out := w.launch(launchNow(1, "t", retry))
		if len(out.Instances) != 0 || len(out.Errors) != 1 || *out.Errors[0].ErrorCode != "InvalidAMIID.NotFound" || *out.Errors[0].ErrorMessage != "The image is gone." {
			t.Errorf("%q: %s", retry, jsonOf(t, out))
		}
		w.ec2.refuse = nil
		w.Advance(2 * time.Minute)
		if g := w.group("g"); *g.DesiredCapacity != want || len(w.ec2.ids("running")) != int(want) {
			t.Errorf("%q: desired %d, %d run; want %d", retry, *g.DesiredCapacity, len(w.ec2.ids("running")), want)
		}
		if h := w.history("g"); !strings.Contains(strings.Join(h, "\n"), "Failed | The image is gone. Launching EC2 instance failed. | ") {
			t.Errorf("%q: %q", retry, h)
		}
	}
}
