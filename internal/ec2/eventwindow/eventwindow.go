// Package eventwindow is event windows: the hours of the week in which scheduled events may stop, reboot or terminate the
// instances that a window is associated with. No event is ever scheduled here: windows are kept and shown.
package eventwindow

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const kind = "instance-event-window"

// Limits. Source: EC2 User Guide, "Create custom event windows for scheduled events that affect your Amazon EC2 instances".
const (
	maxWindows   = 200
	maxInstances = 100
	maxHosts     = 50
	maxTags      = 50
)

// A Service is this part of EC2. Safe for concurrent use.
type Service struct {
	g    *guard.Guard
	desk idiom.Desk
}

// New makes a Service. describe is package ec2's [idiom.Desk.Describe].
func New(g *guard.Guard, describe func(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error) *Service {
	return &Service{g, idiom.Desk{Guard: g, Describe: describe, Kinds: map[string]string{kind: ""}}}
}

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateInstanceEventWindow":       guard.Handle(s.CreateInstanceEventWindow),
		"ModifyInstanceEventWindow":       guard.Handle(s.ModifyInstanceEventWindow),
		"DeleteInstanceEventWindow":       guard.Handle(s.DeleteInstanceEventWindow),
		"DescribeInstanceEventWindows":    guard.Handle(s.DescribeInstanceEventWindows),
		"AssociateInstanceEventWindow":    guard.Handle(s.AssociateInstanceEventWindow),
		"DisassociateInstanceEventWindow": guard.Handle(s.DisassociateInstanceEventWindow),
	}
}

// A window has either ranges or a cron expression, and targets of one kind.
type window struct {
	ID        string      `json:"id"`
	Name      string      `json:"name,omitempty"`
	Ranges    []hours     `json:"ranges,omitempty"`
	Cron      string      `json:"cron,omitempty"`
	Instances []string    `json:"instances,omitempty"`
	Hosts     []string    `json:"hosts,omitempty"`
	Tags      []idiom.Tag `json:"tags,omitempty"`
	Targeted  bool        `json:"targeted,omitempty"` // targets were associated, and may all be gone again
}

// windows are keyed by (region, account, id).
var windows = store.Table[window]{Bucket: "ec2/event-window", Version: 1}

func errMissing(id string) error {
	return apierr.Newf("InvalidInstanceEventWindowID.NotFound", "The instance event window ID '%s' does not exist", id)
}

func find(tx store.Tx, c *guard.Call, id string) (window, error) {
	w, ok, err := windows.Get(tx, c.Region, c.Account(), id)
	if err == nil && !ok {
		err = errMissing(id)
	}
	return w, err
}

// Describe finds a window for a decision; ok is false for other kinds.
func Describe(tx store.Tx, c *guard.Call, of, id string) (ok bool, err error) {
	if of != kind {
		return false, nil
	}
	_, err = find(tx, c, id)
	return true, err
}

func all(tx store.Tx, c *guard.Call) (out []window, err error) {
	for rec, err := range windows.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		out = append(out, rec.Value)
	}
	return out, nil
}

// targets is how many are associated with the window.
func (w *window) targets() int { return len(w.Instances) + len(w.Hosts) + len(w.Tags) }

// wire is a window as answers carry it: with each kind of targets once it had any.
// Source: AWS CLI Command Reference, examples of disassociate-instance-event-window.
func (w *window) wire(state string) ec2api.InstanceEventWindow {
	out := ec2api.InstanceEventWindow{InstanceEventWindowId: &w.ID, Name: api.Opt(w.Name), CronExpression: api.Opt(w.Cron), State: &state}
	for _, h := range w.Ranges {
		out.TimeRanges = append(out.TimeRanges, ec2api.InstanceEventWindowTimeRange{
			StartWeekDay: new(weekDays[h.From/24]), StartHour: new(int32(h.From % 24)), EndWeekDay: new(weekDays[h.To/24]), EndHour: new(int32(h.To % 24)),
		})
	}
	if w.Targeted || w.targets() > 0 {
		out.AssociationTarget = &ec2api.InstanceEventWindowAssociationTarget{
			InstanceIds: append([]string{}, w.Instances...), DedicatedHostIds: append([]string{}, w.Hosts...), Tags: idiom.MadeWith(w.Tags),
		}
	}
	return out
}

// told is a window in an answer, with its tags.
func (w *window) told(tx store.Tx, c *guard.Call, state string) (*ec2api.InstanceEventWindow, error) {
	tags, err := idiom.TagsOf(tx, c.Region, c.Account(), w.ID)
	out := w.wire(state)
	out.Tags = idiom.Listed(tags)
	return &out, err
}

// targets are what a request names to associate, of which one kind has to be.
type targets struct {
	instances, hosts []string
	tags             []idiom.Tag
}

func newTargets(instances, hosts []string, tags []ec2api.Tag) (t targets, err error) {
	t.instances, t.hosts = instances, hosts
	for _, g := range tags {
		t.tags = append(t.tags, idiom.Tag{Key: api.Val(g.Key), Value: api.Val(g.Value)})
	}
	kinds := 0
	for _, n := range []int{len(instances), len(hosts), len(tags)} {
		if n > 0 {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return t, apierr.New("MissingParameter", "The request must contain the parameter AssociationTarget")
	case kinds > 1:
		return t, errKinds()
	}
	return t, nil
}

func errKinds() error {
	return apierr.New("InvalidParameterCombination", "Only one type of target (instance IDs, Dedicated Host IDs, or tags) can be associated with an event window.")
}

// add associates targets with the window.
func (w *window) add(t targets) error {
	w.Instances, w.Hosts, w.Tags, w.Targeted = with(w.Instances, t.instances), with(w.Hosts, t.hosts), with(w.Tags, t.tags), true
	kinds := 0
	for _, k := range []struct {
		have, most int
		what       string
	}{{len(w.Instances), maxInstances, "instances"}, {len(w.Hosts), maxHosts, "Dedicated Hosts"}, {len(w.Tags), maxTags, "tags"}} {
		if k.have > k.most {
			return apierr.Newf("InstanceEventWindowTargetLimitExceeded", "An event window has at most %d %s.", k.most, k.what)
		}
		if k.have > 0 {
			kinds++
		}
	}
	if kinds > 1 {
		return errKinds()
	}
	return nil
}

// remove takes targets away; those that the window has not got are errors.
func (w *window) remove(t targets) error {
	has := func(ok bool, what string) error {
		if ok {
			return nil
		}
		return idiom.InvalidValue("The target '%s' is not associated with the event window '%s'.", what, w.ID)
	}
	for _, id := range t.instances {
		if err := has(slices.Contains(w.Instances, id), id); err != nil {
			return err
		}
	}
	for _, id := range t.hosts {
		if err := has(slices.Contains(w.Hosts, id), id); err != nil {
			return err
		}
	}
	for _, g := range t.tags {
		if err := has(slices.Contains(w.Tags, g), g.Key); err != nil {
			return err
		}
	}
	w.Instances, w.Hosts, w.Tags = without(w.Instances, t.instances), without(w.Hosts, t.hosts), without(w.Tags, t.tags)
	return nil
}

func with[T comparable](have, more []T) []T {
	out := slices.Clone(have)
	for _, m := range more {
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

func without[T comparable](have, less []T) []T {
	return slices.DeleteFunc(slices.Clone(have), func(h T) bool { return slices.Contains(less, h) })
}
