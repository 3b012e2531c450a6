package autoscaling

import (
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
)

// An activityPick tells whether filters leave an activity in; nil leaves all.
type activityPick func(*activityRecord) bool

// activityFilter reads the filters of a request for activities. Source: API Reference, DescribeScalingActivities, Filters.
func activityFilter(in *autoscalingapi.DescribeScalingActivitiesType) (activityPick, error) {
	var picks []activityPick
	for _, f := range in.Filters {
		pick, err := oneActivityFilter(&f, in.AutoScalingGroupName != nil)
		if err != nil {
			return nil, err
		}
		picks = append(picks, pick)
	}
	if len(picks) == 0 {
		return nil, nil
	}
	return func(a *activityRecord) bool {
		return !slices.ContainsFunc(picks, func(pick activityPick) bool { return !pick(a) })
	}, nil
}

func oneActivityFilter(f *autoscalingapi.Filter, ofGroup bool) (activityPick, error) {
	name := api.Val(f.Name)
	switch name {
	case "Status":
		known := autoscalingapi.Service().Constraints["ScalingActivityStatusCode"].Enum
		strange := slices.IndexFunc(f.Values, func(v string) bool { return !slices.Contains(known, v) })
		switch {
		case !ofGroup:
			return nil, validation("The Status filter can only be used in combination with the AutoScalingGroupName parameter.")
		case strange >= 0:
			return nil, validation("The value %s of the filter Status is not valid.", f.Values[strange])
		}
		return func(a *activityRecord) bool { return slices.Contains(f.Values, a.Status) }, nil
	case "StartTimeLowerBound", "StartTimeUpperBound":
		if len(f.Values) != 1 {
			return nil, validation("The filter %s takes one value.", name)
		}
		at, ok := isoTime(f.Values[0])
		if !ok {
			return nil, validation("The value %s of the filter %s is not a timestamp in the ISO 8601 format.", f.Values[0], name)
		}
		if name == "StartTimeLowerBound" {
			return func(a *activityRecord) bool { return !a.Start.Before(at) }, nil
		}
		return func(a *activityRecord) bool { return !a.Start.After(at) }, nil
	}
	return nil, validation("Filter type %s is not correct. Allowed Filter types are: StartTimeLowerBound, StartTimeUpperBound, Status.", name)
}

// isoTime reads a time of ISO 8601, which is one of UTC if it has no offset.
func isoTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
