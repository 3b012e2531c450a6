package incident

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Symptom is what EC2 or Auto Scaling tell of something that failed: an instance that died, or an
// activity. Its text does not tell why.
type Symptom struct {
	Instance string // id
	Group    string // name of the Auto Scaling group
	Text     string
	Time     string // RFC 3339, of an activity; "" if it is not told
	Count    int
}

// texts are parts of the messages of launches that could not use a key.
//
// Source: EC2 User Guide, "Instance terminates immediately"; EC2 Auto Scaling User Guide, "Troubleshoot
// issues in Amazon EC2 Auto Scaling: EC2 instance launch failures".
func texts() []string {
	return []string{"Client.InternalError", "Client error on launch", "InvalidKMSKey", "KMS key provided is in an incorrect state", "CustomerKeyHasBeenRevoked"}
}

// described is the output of DescribeInstances or DescribeScalingActivities.
type described struct {
	Reservations []struct {
		Instances []struct {
			InstanceID string `json:"InstanceId"`
			Tags       []struct{ Key, Value string }
			State      struct{ Name string }
			Reason     struct{ Code, Message string } `json:"StateReason"`
		}
	}
	Activities []struct {
		Group   string `json:"AutoScalingGroupName"`
		Code    string `json:"StatusCode"`
		Message string `json:"StatusMessage"`
		Start   string `json:"StartTime"`
	}
}

// IsDescription reports whether a file is the output of DescribeInstances or DescribeScalingActivities.
func IsDescription(data []byte) bool {
	names := []string{"Reservations", "Activities"}
	var members map[string]json.RawMessage
	if !mentions(data, names) || json.Unmarshal(data, &members) != nil {
		return false
	}
	for _, name := range names {
		var list []json.RawMessage
		if v, ok := members[name]; ok && json.Unmarshal(v, &list) == nil {
			return true
		}
	}
	return false
}

// Symptoms finds what failed in such output for want of a key, the same of a group once.
func Symptoms(data []byte) ([]Symptom, error) {
	var d described
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("incident: this is no output of DescribeInstances or DescribeScalingActivities: %w", err)
	}
	var out []Symptom
	add := func(s Symptom) {
		if !slices.ContainsFunc(texts(), func(t string) bool { return strings.Contains(s.Text, t) }) {
			return
		}
		same := func(o Symptom) bool { return s.Group != "" && o.Group == s.Group }
		if i := slices.IndexFunc(out, same); i >= 0 {
			out[i].Count++
			return
		}
		s.Count = 1
		out = append(out, s)
	}
	for _, r := range d.Reservations {
		for _, i := range r.Instances {
			s := Symptom{Instance: i.InstanceID, Text: strings.TrimSpace(i.Reason.Code + " " + i.Reason.Message)}
			for _, tag := range i.Tags {
				if tag.Key == "aws:autoscaling:groupName" {
					s.Group = tag.Value
				}
			}
			add(s)
		}
	}
	for _, a := range d.Activities {
		add(Symptom{Group: a.Group, Text: a.Message, Time: a.Start})
	}
	return out, nil
}

// lookAround is how much earlier and later than an activity its records are looked for.
const lookAround = 10 * time.Minute

// ExplainSymptom says what such a text means, and with a scenario of the group why it is there.
func (x *Explainer) ExplainSymptom(id string, s *Symptom) *Finding {
	f := &Finding{ID: id, Verdict: "fails", Fixes: []Remedy{}, Incident: Incident{
		Count: s.Count, First: s.Time, Last: s.Time, Operation: "Launch", Code: "Client.InternalError", Message: s.Text, Instance: s.Instance,
	}}
	if strings.Contains(s.Text, "KMSKey") || strings.Contains(s.Text, "KMS key") {
		f.Incident.Code = "Client.InvalidKMSKey.InvalidState"
	}
	f.Code = f.Incident.Code
	f.Reason = speech.Say("A volume could not use its key. AWS says the same whether the key is disabled or pending deletion, or a permission is missing, which is far more common.")
	for _, sc := range x.Scenarios {
		if g := sc.Launch.Group; g != nil && g.Name == s.Group && s.Group != "" {
			x.foretold(f, sc)
			return f
		}
	}
	if s.Group != "" {
		f.Notes = append(f.Notes, speech.Say("To see which request is refused: %s", "kagimori check --live --group "+s.Group))
	}
	lookup := "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventSource,AttributeValue=kms.amazonaws.com"
	if at, err := time.Parse(time.RFC3339, s.Time); err == nil {
		lookup += fmt.Sprintf(" --start-time %s --end-time %s", at.Add(-lookAround).UTC().Format(time.RFC3339), at.Add(lookAround).UTC().Format(time.RFC3339))
	}
	f.Notes = append(f.Notes, speech.Say("To look for the refusal itself: %s", lookup+" | kagimori check -"))
	return f
}

// foretold tells what the doctor says of the launch.
func (x *Explainer) foretold(f *Finding, sc *format.Scenario) {
	r := x.Doctor.Check(sc)
	f.Scenario = sc.ID
	f.Now = map[doctor.Verdict]string{doctor.Launches: "allowed", doctor.Fails: "refused", doctor.CannotTell: "unknown"}[r.Told()]
	f.Depends = r.Depends
	if r.Told() == doctor.Launches {
		f.Notes = append(f.Notes, speech.Say("It would launch now: something was changed since."))
		return
	}
	if len(r.Failures) > 0 {
		w := r.Failures[0]
		f.Rule, f.Explanation = w.Rule, w.Explanation
		if w.Action != "" {
			f.Actions = []string{w.Action}
		}
		if w.Principal != nil {
			f.Incident.Principal = *w.Principal
		}
		if w.Key != nil {
			f.Incident.Key = *w.Key
		}
		if w.Where != nil {
			f.Where = *w.Where
		}
	}
	if r.Fix != nil {
		f.Fixes = []Remedy{{Kind: r.Fix.Kind, Summary: r.Fix.Summary, Command: strings.Join(r.Fix.Commands, "\n"), Name: r.Fix.Name, Set: 1, Run: speech.Sentences(r.Fix.Run...), Opens: r.Fix.Opens}}
	}
}
