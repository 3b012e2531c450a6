package eventwindow

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
)

// What a window has to have, in hours. Source: EC2 API Reference, CreateInstanceEventWindow, CronExpression.
const (
	leastRange = 2
	leastTotal = 4
	week       = 7 * 24
)

var weekDays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// hours are a part of the week, which begins on Sunday, in UTC. To may come before From: it goes on in the next week.
type hours struct {
	From int `json:"from"`
	To   int `json:"to"`
}

func (h hours) length() int { return (h.To - h.From + week) % week }

// rangesOf are the ranges of a request.
func rangesOf(in []ec2api.InstanceEventWindowTimeRangeRequest) (out []hours, err error) {
	var covered [week]bool
	for _, r := range in {
		if r.StartWeekDay == nil || r.StartHour == nil || r.EndWeekDay == nil || r.EndHour == nil {
			return nil, idiom.InvalidValue("A time range needs StartWeekDay, StartHour, EndWeekDay and EndHour.")
		}
		at := func(day *string, hour *int32) int { return slices.Index(weekDays, *day)*24 + int(*hour) }
		h := hours{at(r.StartWeekDay, r.StartHour), at(r.EndWeekDay, r.EndHour)}
		if h.length() < leastRange {
			return nil, idiom.InvalidValue("A time range of an event window must be at least %d hours.", leastRange)
		}
		cover(covered[:], h.From, h.length())
		out = append(out, h)
	}
	if count(covered[:]) < leastTotal {
		return nil, idiom.InvalidValue("The combined time ranges of an event window must be at least %d hours.", leastTotal)
	}
	return out, nil
}

// cover marks n of a circle of hours or days, from one on.
func cover(all []bool, from, n int) {
	for k := range n {
		all[(from+k)%len(all)] = true
	}
}

func count(all []bool) (n int) {
	for _, marked := range all {
		if marked {
			n++
		}
	}
	return n
}

// CheckCron reports what is wrong with a cron expression: ranges of hours and days of the week are all that it can name.
// Source: EC2 API Reference, CreateInstanceEventWindow, CronExpression.
func CheckCron(text string) error {
	wrong := func(why string) error {
		return idiom.InvalidValue("Value (%s) for parameter cronExpression is invalid. %s", text, why)
	}
	f := strings.Fields(text)
	if len(f) != 5 || f[0] != "*" || f[2] != "*" || f[3] != "*" {
		return wrong("It has five fields, of which minute, day of the month and month are *.")
	}
	var ofDay [24]bool
	for part := range strings.SplitSeq(f[1], ",") {
		from, to, ok := strings.Cut(part, "-")
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if !ok || errA != nil || errB != nil || a < 0 || a > 23 || b < 0 || b > 23 {
			return wrong("Hours are ranges, such as 0-4,20-23.")
		}
		n := (b - a + 24) % 24
		if n < leastRange {
			return wrong("Each range of hours must be at least 2 hours.")
		}
		cover(ofDay[:], a, n)
	}
	var ofWeek [7]bool
	for part := range strings.SplitSeq(f[4], ",") {
		from, n, ok := daysOf(part)
		if !ok {
			return wrong("Days of the week are 0 through 6, or SUN through SAT.")
		}
		cover(ofWeek[:], from, n)
	}
	if count(ofDay[:])*count(ofWeek[:]) < leastTotal {
		return wrong("The event window must be at least 4 hours.")
	}
	return nil
}

// daysOf are the days of the week that a part of a cron expression names, the first and how many: *, 1-5, 3 or MON.
func daysOf(part string) (from, n int, ok bool) {
	if part == "*" {
		return 0, 7, true
	}
	if at := slices.Index([]string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, strings.ToUpper(part)); at >= 0 {
		return at, 1, true
	}
	first, last, ranged := strings.Cut(part, "-")
	from, err := strconv.Atoi(first)
	to := from
	if err == nil && ranged {
		to, err = strconv.Atoi(last)
	}
	return from, to - from + 1, err == nil && 0 <= from && from <= to && to <= 6
}

// schedule reads when a window is, which is told in one of two ways. A request that tells neither changes nothing; a new window
// without hours is one that AWS's model allows.
func (w *window) schedule(ranges []ec2api.InstanceEventWindowTimeRangeRequest, cron *string) error {
	text := api.Val(cron)
	switch {
	case len(ranges) > 0 && text != "":
		return errBoth()
	case text != "":
		w.Cron, w.Ranges = text, nil
		return CheckCron(text)
	case len(ranges) > 0:
		got, err := rangesOf(ranges)
		w.Cron, w.Ranges = "", got
		return err
	}
	return nil
}
