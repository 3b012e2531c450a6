package autoscaling

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same everywhere

	"github.com/robfig/cron/v3"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/store"
)

// scheduleRecord is a scheduled action as stored.
type scheduleRecord struct {
	Region, Account, Group, Name, UUID string
	Params                             autoscalingapi.ScheduledUpdateGroupActionRequest
	Next                               time.Time // when it is executed
}

var scheduleTable = store.Table[scheduleRecord]{Bucket: "autoscaling/schedule", Version: 1} // region, account, group, name

func (r *scheduleRecord) key() []string { return []string{r.Region, r.Account, r.Group, r.Name} }

func (r *scheduleRecord) arn() string {
	return arn.Make("autoscaling", r.Region, r.Account, "scheduledUpdateGroupAction:"+r.UUID+":autoScalingGroupName/"+r.Group+":scheduledActionName/"+r.Name)
}

// describe is the action as it is shown. The start is the next time of execution, but what the
// caller gave as long as it lies ahead.
func (r *scheduleRecord) describe(now time.Time) autoscalingapi.ScheduledUpdateGroupAction {
	p, start := &r.Params, r.Next
	if p.StartTime != nil && p.StartTime.After(now) {
		start = *p.StartTime
	}
	return autoscalingapi.ScheduledUpdateGroupAction{
		AutoScalingGroupName: &r.Group, ScheduledActionName: &r.Name, ScheduledActionARN: new(r.arn()), Time: &start, StartTime: &start,
		EndTime: p.EndTime, Recurrence: p.Recurrence, MinSize: p.MinSize, MaxSize: p.MaxSize, DesiredCapacity: p.DesiredCapacity, TimeZone: p.TimeZone,
	}
}

// parseRecurrence reads the five fields of cron: minute, hour, day of month, month, day of week.
// Source: API Reference, PutScheduledUpdateGroupAction, Recurrence.
func parseRecurrence(text string) (cron.Schedule, bool) {
	if strings.Contains(text, "TZ=") || len(strings.Fields(text)) != 5 {
		return nil, false
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	s, err := parser.Parse(text)
	return s, err == nil
}

// zone is where the fields of a recurrence are read: UTC unless another is named.
func zone(name *string) (*time.Location, bool) {
	if name == nil {
		return time.UTC, true
	}
	if *name == "" || *name == "Local" {
		return nil, false
	}
	at, err := time.LoadLocation(*name)
	return at, err == nil
}

// after is the first time of execution that is not before t; zero if there is none. A time that a
// change to summer time leaves out is passed over; one that the change back brings twice counts
// once.
func (r *scheduleRecord) after(t time.Time) time.Time {
	p := &r.Params
	if p.StartTime != nil && p.StartTime.After(t) {
		t = *p.StartTime
	}
	if p.Recurrence == nil {
		return *p.StartTime
	}
	every, _ := parseRecurrence(*p.Recurrence)
	in, _ := zone(p.TimeZone)
	next := every.Next(t.In(in).Add(-time.Nanosecond))
	if next.IsZero() || p.EndTime != nil && next.After(*p.EndTime) {
		return time.Time{}
	}
	return next.UTC()
}

// again is the time of execution after the one at t.
func (r *scheduleRecord) again(now time.Time) time.Time {
	if r.Params.Recurrence == nil {
		return time.Time{}
	}
	in, _ := zone(r.Params.TimeZone)
	wall := func(t time.Time) string { return t.In(in).Format(time.DateTime) }
	next := r.after(later(now, r.Next).Add(time.Second))
	if !next.IsZero() && wall(next) == wall(r.Next) {
		next = r.after(next.Add(time.Second))
	}
	return next
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// newSchedule checks an action and finds when it is executed first.
// Source: API Reference, PutScheduledUpdateGroupAction.
func newSchedule(g *groupRecord, p autoscalingapi.ScheduledUpdateGroupActionRequest, now time.Time) (scheduleRecord, error) {
	r := scheduleRecord{Region: g.Region, Account: g.Account, Group: g.Name, Name: api.Val(p.ScheduledActionName), Params: p}
	switch {
	case p.MinSize == nil && p.MaxSize == nil && p.DesiredCapacity == nil:
		return r, validation("At least one of MinSize, MaxSize and DesiredCapacity must be specified.")
	case api.Val(p.MinSize) < 0 || api.Val(p.MaxSize) < 0 || api.Val(p.DesiredCapacity) < 0:
		return r, validation("Sizes must not be negative.")
	case p.MinSize != nil && p.MaxSize != nil && *p.MinSize > *p.MaxSize:
		return r, validation("Max bound, %d, must be greater than or equal to min bound, %d", *p.MaxSize, *p.MinSize)
	case p.DesiredCapacity != nil && (p.MinSize != nil && *p.DesiredCapacity < *p.MinSize || p.MaxSize != nil && *p.DesiredCapacity > *p.MaxSize):
		return r, validation("Desired capacity must be between the specified min size and max size")
	case p.StartTime == nil && p.Recurrence == nil:
		return r, validation("Either StartTime or Recurrence must be specified.")
	case p.StartTime != nil && p.StartTime.Before(now.Truncate(time.Second)):
		return r, validation("Given start time is in the past")
	case p.EndTime != nil && p.EndTime.Before(now):
		return r, validation("Given end time is in the past")
	case p.StartTime != nil && p.EndTime != nil && !p.EndTime.After(*p.StartTime):
		return r, validation("End time must be after start time")
	case strings.Contains(r.Name, ":"):
		return r, validation("Invalid scheduled action name: a name may not contain a colon.")
	}
	if p.Recurrence != nil {
		if _, ok := parseRecurrence(*p.Recurrence); !ok {
			return r, validation("Given recurrence string:%s is invalid", *p.Recurrence)
		}
	}
	if _, ok := zone(p.TimeZone); !ok {
		return r, validation("Given time zone:%s is invalid", *p.TimeZone)
	}
	if r.Next = r.after(now); r.Next.IsZero() {
		return r, validation("The recurrence %s has no execution before the end time.", *p.Recurrence)
	}
	return r, nil
}

// execute gives a group the sizes of a scheduled action. A desired capacity that the sizes leave
// outside moves to the nearer of the two.
func (r *scheduleRecord) execute(g *groupRecord, now time.Time) {
	p, before := &r.Params, *g
	set(&g.Min, p.MinSize)
	set(&g.Max, p.MaxSize)
	if p.MinSize == nil {
		g.Min = min(g.Min, g.Max)
	} else {
		g.Max = max(g.Min, g.Max)
	}
	set(&g.Desired, p.DesiredCapacity)
	g.Desired = min(max(g.Desired, g.Min), g.Max)
	var changes []string
	for _, c := range []struct {
		what     string
		from, to int32
	}{{"min size", before.Min, g.Min}, {"max size", before.Max, g.Max}, {"desired capacity", before.Desired, g.Desired}} {
		if c.from != c.to {
			changes = append(changes, "Setting "+c.what+" from "+itoa(c.from)+" to "+itoa(c.to)+".")
		}
	}
	if g.Desired != before.Desired {
		g.Causes = []string{sentence(now, "the scheduled action "+r.Name+" executed. "+strings.Join(changes, " "))}
		g.Retry, g.Scaled = retry{}, false
	}
}

// runSchedule executes what is due of a group, in the order of the times, and has the group woken
// for what comes next.
func (s *Service) runSchedule(ctx context.Context, p place) error {
	var next time.Time
	find := func(tx store.Tx) ([]scheduleRecord, error) {
		var due []scheduleRecord
		next = time.Time{}
		for r, err := range scheduleTable.Scan(tx, p.key()...) {
			if err != nil {
				return nil, err
			}
			if !r.Value.Next.After(s.g.Now()) {
				due = append(due, r.Value)
			} else if next.IsZero() || r.Value.Next.Before(next) {
				next = r.Value.Next
			}
		}
		slices.SortFunc(due, func(a, b scheduleRecord) int { return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.Name, b.Name)) })
		return due, nil
	}
	for {
		var due []scheduleRecord
		err := s.g.Read(ctx, func(tx store.Tx) (err error) {
			due, err = find(tx)
			return err
		})
		if err != nil {
			return err
		}
		if len(due) == 0 {
			break
		}
		if err := s.g.Change(ctx, func(tx store.Tx) error {
			now := s.g.Now()
			g, ok, err := groupTable.Get(tx, p.key()...)
			if err != nil || !ok {
				return err
			}
			due, err := find(tx)
			if err != nil {
				return err
			}
			for _, r := range due[:min(len(due), 50)] {
				if !g.Deleting && !g.suspended(processScheduled) {
					r.execute(&g, now)
				}
				if r.Next = r.again(now); r.Next.IsZero() {
					err = scheduleTable.Delete(tx, r.key()...)
				} else {
					err = scheduleTable.Put(tx, r, r.key()...)
				}
				if err != nil {
					return err
				}
			}
			return s.put(tx, g)
		}); err != nil {
			return err
		}
	}
	if !next.IsZero() {
		s.wake(p, max(0, next.Sub(s.g.Now())))
	}
	return nil
}
