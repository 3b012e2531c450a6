package autoscaling_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

type scheduled = autoscalingapi.PutScheduledUpdateGroupActionType

func (w *world) schedules(in *autoscalingapi.DescribeScheduledActionsType) []autoscalingapi.ScheduledUpdateGroupAction {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribeScheduledActions", in)
	w.Must(err)
	return out.(*autoscalingapi.ScheduledActionsType).ScheduledUpdateGroupActions
}

// until moves the clock to a time.
func (w *world) until(at time.Time) {
	w.T.Helper()
	if d := at.Sub(w.Clock.Now()); d > 0 {
		w.Advance(d)
	}
}

func TestScheduleRefusals(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	now := w.Clock.Now()
	for name, c := range map[string]struct {
		change  func(*scheduled)
		message string
	}{
		"no group":      {func(p *scheduled) { p.AutoScalingGroupName = new("x") }, "AutoScalingGroup name not found - AutoScalingGroup 'x' not found"},
		"no size":       {func(p *scheduled) { p.DesiredCapacity = nil }, "*"},
		"no time":       {func(p *scheduled) { p.Recurrence = nil }, "*"},
		"past":          {func(p *scheduled) { p.StartTime = new(now.Add(-time.Hour)) }, "Given start time is in the past"},
		"past end":      {func(p *scheduled) { p.EndTime = new(now.Add(-time.Hour)) }, "Given end time is in the past"},
		"end and start": {func(p *scheduled) { p.StartTime, p.EndTime = new(now.Add(time.Hour)), new(now.Add(time.Minute)) }, "*"},
		"four fields":   {func(p *scheduled) { p.Recurrence = new("0 8 * *") }, "Given recurrence string:0 8 * * is invalid"},
		"hour 24":       {func(p *scheduled) { p.Recurrence = new("0 24 * * *") }, "Given recurrence string:0 24 * * * is invalid"},
		"a nickname":    {func(p *scheduled) { p.Recurrence = new("@daily") }, "Given recurrence string:@daily is invalid"},
		"a zone inside": {func(p *scheduled) { p.Recurrence = new("TZ=UTC 0 8 * * *") }, "*"},
		"zone":          {func(p *scheduled) { p.TimeZone = new("Mars/Base") }, "Given time zone:Mars/Base is invalid"},
		"min above max": {func(p *scheduled) { p.MinSize, p.MaxSize = new(int32(3)), new(int32(2)) }, "Max bound, 2, must be greater than or equal to min bound, 3"},
		"above max":     {func(p *scheduled) { p.MaxSize = new(int32(0)) }, "*"},
		"negative":      {func(p *scheduled) { p.DesiredCapacity = new(int32(-1)) }, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &scheduled{AutoScalingGroupName: new("g"), ScheduledActionName: new("s"), Recurrence: new("0 8 * * *"), DesiredCapacity: new(int32(1))}
			c.change(in)
			guardtest.WantError(t, w.try("PutScheduledUpdateGroupAction", in), "ValidationError", c.message)
		})
	}
	if n := len(w.schedules(&autoscalingapi.DescribeScheduledActionsType{})); n != 0 {
		t.Errorf("%d actions were made", n)
	}
}

func TestSchedulesAreKept(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 0))
	at := w.Clock.Now().Add(time.Hour).Truncate(time.Second)
	once := func(name string, at time.Time) autoscalingapi.ScheduledUpdateGroupActionRequest {
		return autoscalingapi.ScheduledUpdateGroupActionRequest{ScheduledActionName: &name, StartTime: &at, DesiredCapacity: new(int32(2)), MinSize: new(int32(1))}
	}
	out, err := w.do(w.admin, "BatchPutScheduledUpdateGroupAction", &autoscalingapi.BatchPutScheduledUpdateGroupActionType{
		AutoScalingGroupName: new("g"), ScheduledUpdateGroupActions: []autoscalingapi.ScheduledUpdateGroupActionRequest{
			once("a", at), once("b", at), once("c", at.Add(time.Hour)), {ScheduledActionName: new("d"), Recurrence: new("x"), MinSize: new(int32(0))},
		},
	})
	w.Must(err)
	failed := out.(*autoscalingapi.BatchPutScheduledUpdateGroupActionAnswer).FailedScheduledUpdateGroupActions
	if len(failed) != 2 || *failed[0].ScheduledActionName != "b" || *failed[0].ErrorCode != "AlreadyExists" || *failed[1].ErrorCode != "ValidationError" {
		t.Errorf("failed = %s", jsonOf(t, failed))
	}
	all := w.schedules(&autoscalingapi.DescribeScheduledActionsType{AutoScalingGroupName: new("g")})
	if len(all) != 2 || !all[0].StartTime.Equal(at) || !all[0].Time.Equal(at) || !strings.Contains(*all[0].ScheduledActionARN, ":scheduledActionName/a") {
		t.Fatalf("actions = %s", jsonOf(t, all))
	}
	if got := w.schedules(&autoscalingapi.DescribeScheduledActionsType{StartTime: new(at.Add(time.Minute))}); len(got) != 1 || *got[0].ScheduledActionName != "c" {
		t.Errorf("later than the first: %s", jsonOf(t, got))
	}
	if got := w.schedules(&autoscalingapi.DescribeScheduledActionsType{ScheduledActionNames: []string{"c", "x"}}); len(got) != 1 {
		t.Errorf("by name: %s", jsonOf(t, got))
	}
	w.until(at.Add(time.Minute))
	if g := w.group("g"); *g.DesiredCapacity != 2 || *g.MinSize != 1 {
		t.Errorf("the action was not executed: %s", jsonOf(t, g))
	}
	history := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})
	if first := *history[len(history)-1].Cause; !strings.Contains(first, " the scheduled action a executed. Setting min size from 0 to 1. Setting desired capacity from 0 to 2.  At ") {
		t.Errorf("cause = %s", first)
	}
	if left := w.schedules(&autoscalingapi.DescribeScheduledActionsType{}); len(left) != 1 {
		t.Errorf("an action that is over is left: %s", jsonOf(t, left))
	}
	out, err = w.do(w.admin, "BatchDeleteScheduledAction", &autoscalingapi.BatchDeleteScheduledActionType{AutoScalingGroupName: new("g"), ScheduledActionNames: []string{"a", "c"}})
	w.Must(err)
	if failed := out.(*autoscalingapi.BatchDeleteScheduledActionAnswer).FailedScheduledActions; len(failed) != 1 || *failed[0].ErrorMessage != "Scheduled action name not found" {
		t.Errorf("failed = %s", jsonOf(t, failed))
	}
	guardtest.WantError(t, w.try("DeleteScheduledAction", &autoscalingapi.DeleteScheduledActionType{AutoScalingGroupName: new("g"), ScheduledActionName: new("c")}),
		"ValidationError", "Scheduled action name not found")
}

// Days around both changes of the clocks in New York: mornings and evenings stay where people there
// see them, and what lies in the hour that comes twice happens once.
func TestScheduleOverTimeChanges(t *testing.T) {
	in, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		month time.Month
		day   int // of the change, in 2027
		want  string
	}{
		"to summer": {time.March, 14, "13T01:30 13T08:00 13T20:00 14T01:30 14T08:00 14T20:00 15T01:30 15T08:00 15T20:00"},
		"to winter": {time.November, 7, "06T01:30 06T08:00 06T20:00 07T01:30 07T08:00 07T20:00 08T01:30 08T08:00 08T20:00"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			w.must("CreateAutoScalingGroup", request("g", 0))
			w.until(time.Date(2027, c.month, c.day-1, 0, 0, 0, 0, in))
			for at, size := range map[string]int32{"30 1 * * *": 3, "0 8 * * *": 2, "0 20 * * *": 1} {
				w.must("PutScheduledUpdateGroupAction", &scheduled{
					AutoScalingGroupName: new("g"), ScheduledActionName: new(strings.Fields(at)[1]), Recurrence: &at, TimeZone: new("America/New_York"), DesiredCapacity: &size,
					EndTime: new(time.Date(2027, c.month, c.day+2, 0, 0, 0, 0, in)),
				})
			}
			var seen []string
			for range 4 * 24 {
				before := *w.group("g").DesiredCapacity
				at := w.Clock.Now()
				w.Advance(30 * time.Minute)
				if after := *w.group("g").DesiredCapacity; after != before {
					seen = append(seen, at.Add(30*time.Minute).In(in).Format("02T15:04"))
				}
				at = w.Clock.Now()
				before = *w.group("g").DesiredCapacity
				w.Advance(30 * time.Minute)
				if after := *w.group("g").DesiredCapacity; after != before {
					seen = append(seen, at.Add(30*time.Minute).In(in).Format("02T15:04"))
				}
			}
			if got := strings.Join(seen, " "); got != c.want {
				t.Errorf("changes at\n%s, not\n%s", got, c.want)
			}
			if left := w.schedules(&autoscalingapi.DescribeScheduledActionsType{}); len(left) != 0 {
				t.Errorf("actions that are over are left: %s", jsonOf(t, left))
			}
		})
	}
}

// A server that was down executes what it missed once; a suspended schedule misses it.
func TestScheduleAfterDowntimeAndSuspension(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 0))
	w.must("PutScheduledUpdateGroupAction", &scheduled{AutoScalingGroupName: new("g"), ScheduledActionName: new("hourly"), Recurrence: new("0 * * * *"), DesiredCapacity: new(int32(2))})
	w.service.Stop()
	w.Advance(5 * time.Hour)
	if n := *w.group("g").DesiredCapacity; n != 0 {
		t.Fatalf("a stopped server scaled to %d", n)
	}
	w.start()
	w.Advance(time.Second)
	if n := *w.group("g").DesiredCapacity; n != 2 {
		t.Errorf("what was missed was not made up: %d", n)
	}
	next := *w.schedules(&autoscalingapi.DescribeScheduledActionsType{})[0].StartTime
	if d := next.Sub(w.Clock.Now()); d <= 0 || d > time.Hour {
		t.Errorf("the next execution is in %v", d)
	}
	w.must("SuspendProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"ScheduledActions"}})
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
	w.Advance(3 * time.Hour)
	w.must("ResumeProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"ScheduledActions"}})
	if n := *w.group("g").DesiredCapacity; n != 1 {
		t.Errorf("a suspended schedule scaled to %d", n)
	}
	w.Advance(time.Hour)
	if n := *w.group("g").DesiredCapacity; n != 2 {
		t.Errorf("a resumed schedule did not scale: %d", n)
	}
}

// What belongs to a group goes with it, however much it is.
func TestDeletedGroupTakesItsSchedule(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	for i := range 125 {
		w.must("PutScheduledUpdateGroupAction", &scheduled{
			AutoScalingGroupName: new("g"), ScheduledActionName: new(fmt.Sprint(i)), Recurrence: new("0 8 * * *"), MinSize: new(int32(0)),
		})
	}
	one := &scheduled{AutoScalingGroupName: new("g"), ScheduledActionName: new("x"), Recurrence: new("0 8 * * *"), MinSize: new(int32(0))}
	guardtest.WantError(t, w.try("PutScheduledUpdateGroupAction", one), "LimitExceeded", "*")
	w.must("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g")})
	w.Advance(time.Minute)
	if out, err := w.do(w.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{}); err != nil || len(out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups) != 0 {
		t.Fatalf("the group is left: %v, %v", out, err)
	}
	w.must("CreateAutoScalingGroup", request("g", 0))
	if n := len(w.schedules(&autoscalingapi.DescribeScheduledActionsType{})); n != 0 {
		t.Errorf("%d actions outlived their group", n)
	}
}

// parser of recurrences: whatever it takes has a next time, or none, and does not hang.
func FuzzRecurrence(f *testing.F) {
	for _, s := range []string{"0 8 * * *", "*/5 1-3,7 1 JAN MON-FRI", "0 0 30 2 *", "@every 1s", "TZ=x 0 0 * * *", "0 0 * * 7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := newWorld(t)
		w.must("CreateAutoScalingGroup", request("g", 0))
		in := &scheduled{AutoScalingGroupName: new("g"), ScheduledActionName: new("s"), Recurrence: &text, MinSize: new(int32(0))}
		if err := w.try("PutScheduledUpdateGroupAction", in); err != nil {
			return
		}
		if got := w.schedules(&autoscalingapi.DescribeScheduledActionsType{}); len(got) != 1 || !got[0].StartTime.After(w.Clock.Now().Add(-time.Minute)) {
			t.Errorf("%q: %v", text, got)
		}
	})
}
