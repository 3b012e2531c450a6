package doctor

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// later tells what goes well now and does not afterwards: a start after a stop, a new volume in the
// place of one that is there, all that only one grant allows.
func (o *outcome) later() []speech.Text {
	var out []speech.Text
	add := func(t speech.Text) {
		if !speech.Has(out, t) {
			out = append(out, t)
		}
	}
	for i := range o.courses {
		c := &o.courses[i]
		if c.fail != nil || len(c.depends) > 0 || c.volume == nil || !c.volume.Encrypted {
			continue
		}
		for _, s := range c.steps {
			for j := range s.answers {
				if len(s.step.Requests) > 0 && s.step.Requests[0].Call == launch.RetireGrant {
					continue
				}
				for _, t := range s.answers[j].hangsByGrant() {
					add(t)
				}
			}
		}
		who := o.world.caller(o.world.template(c.template))
		existing := launch.Device{Name: c.device, VolumeID: newVolume, Source: launch.Source{Kind: launch.Existing, Encrypted: true, KeyARN: c.volume.KeyARN}}
		fresh := launch.Device{Name: c.device, VolumeID: newVolume, Source: launch.Source{Kind: launch.Empty}, Encrypted: new(true), KmsKeyID: c.volume.KeyARN}
		switch o.world.sc.Launch.Operation {
		case format.AutoScalingLaunch, format.RunInstances:
			if f := o.world.refusedThen(launch.StartInstances, existing, who); f != nil {
				add(speech.Say("later-start: %s can launch %s but not start it after a stop: %s on %s is refused (%s)", who.name, c.device, f.action, f.key, f.rule))
			}
		case format.StartInstances:
			if f := o.world.refusedThen(launch.RunInstances, fresh, who); f != nil {
				add(speech.Say("later-replace: %s can start %s but not launch a new volume in its place: %s on %s is refused (%s)", who.name, c.device, f.action, f.key, f.rule))
			}
		}
	}
	return out
}

// refusedThen is what refuses another operation on a device to the same caller, or nil.
func (w *world) refusedThen(op launch.Operation, d launch.Device, who *subject) *failing {
	spec := w.spec()
	spec.Operation, spec.Devices = op, []launch.Device{d}
	next := course{device: d.Name}
	w.drive(&next, spec, who)
	return next.fail
}

// hangsByGrant tells of each part that only one grant of the world allows.
func (a *answer) hangsByGrant() []speech.Text {
	var out []speech.Text
	for i, p := range a.decision.Parts {
		if p.Outcome != authz.Allowed || p.By != authz.LayerGrant {
			continue
		}
		at := slices.IndexFunc(p.Matched, func(m authz.Match) bool { return m.GrantID != "" })
		if at < 0 || strings.HasPrefix(p.Matched[at].GrantID, "made by the launch") {
			continue
		}
		id := p.Matched[at].GrantID
		r := a.request
		part := r.Parts[i]
		part.Grants = slices.DeleteFunc(slices.Clone(part.Grants), func(g authz.Grant) bool { return g.ID == id })
		r.Parts = []authz.Part{part}
		if authz.Decide(&r).Outcome != authz.Allowed {
			out = append(out, speech.Say("later-grant: only grant %s on %s lets %s in: without it the next launch or start fails", id, p.Resource, a.who.name))
		}
	}
	return out
}

// recreated tells of roles and users that a key policy lets in by their ARN: of one that is deleted and
// made again KMS knows only the first.
//
// Source: IAM User Guide, "AWS JSON policy elements: Principal", role principals.
func (o *outcome) recreated() []speech.Text {
	var out []speech.Text
	for i := range o.courses {
		for _, s := range o.courses[i].steps {
			for j := range s.answers {
				a := &s.answers[j]
				if _, listed := o.world.principals[a.who.name]; !listed {
					continue
				}
				for _, p := range a.decision.Parts {
					k := o.world.keys[p.Resource]
					named := p.By == authz.LayerResource && k != nil && k.policy.Source != nil && slices.Contains(k.policy.Source.PrincipalARNs(), a.who.name)
					if t := speech.Say("later-recreate: if %s is deleted and made again, the key policy of %s means the deleted one until it is saved again", a.who.name, p.Resource); p.Outcome == authz.Allowed && named && !speech.Has(out, t) {
						out = append(out, t)
					}
				}
			}
		}
	}
	return out
}
