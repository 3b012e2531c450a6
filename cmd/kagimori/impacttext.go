package main

import (
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/speech"
)

// tell writes an answer.
func (f *impactFlags) tell(io stdio, a *titled, many bool, lang speech.Language) error {
	var text string
	var err error
	if f.format == "json" {
		text, err = plainJSON(a.PredictImpactResponse)
	} else {
		text = impactText(a.PredictImpactResponse, lang)
		if many {
			text = a.title + "\n" + text
		}
	}
	if err == nil {
		_, err = fmt.Fprint(io.out, text)
	}
	return err
}

// moment is the heading of what stops then.
func moment(m string) speech.Text {
	switch impact.Moment(m) {
	case impact.Now:
		return speech.Say("At once:")
	case impact.HostRestart:
		return speech.Say("When the host restarts and opens the volumes of running instances again:")
	case impact.Restart:
		return speech.Say("When an instance is started after a stop:")
	}
	return speech.Say("When something new is launched:")
}

// impactText is an answer for people.
func impactText(a *kagimoriapi.PredictImpactResponse, lang speech.Language) string {
	var b strings.Builder
	line := func(indent string, t speech.Text) { fmt.Fprintf(&b, "%s%s\n", indent, t.In(lang)) }
	if len(a.Effects) == 0 {
		line("", speech.Say("Nothing that can be seen from here stops working."))
	}
	at := ""
	for i := range a.Effects {
		e := &a.Effects[i]
		if api.Val(e.When) != at {
			at = *e.When
			line("", moment(at))
		}
		line("  ", effectLine(e))
		if r := e.Refusal; r != nil {
			for _, why := range r.Reasons {
				line("    ", speech.Raw(why))
			}
			for _, m := range r.AllowedBy {
				line("    ", speech.Say("until then allowed by %s", cite(m.PolicyType, m.Policy, m.Sid, m.GrantId)))
			}
			if n := api.Val(r.MoreGrants); n > 0 {
				line("    ", speech.Say("and by %d grants that are like some of these", n))
			}
		}
		for _, d := range e.DependsOn {
			line("    ", speech.Say("it depends on %s", speech.Written(d)))
		}
	}
	if len(a.Starts) > 0 {
		line("", speech.Say("Refused today, and works afterwards:"))
	}
	for i := range a.Starts {
		e := &a.Starts[i]
		line("  ", speech.Say("%s: %s works", thing(e), api.Val(e.Operation)))
		if e.Refusal == nil {
			continue
		}
		for _, m := range e.Refusal.AllowedBy {
			line("    ", speech.Say("allowed by %s", cite(m.PolicyType, m.Policy, m.Sid, m.GrantId)))
		}
	}
	if api.Val(a.Truncated) {
		line("", speech.Say("There are more; all in all:"))
		for _, t := range a.Totals {
			line("  ", speech.Say("%s: %d of type %s", *t.When, api.Val(t.Count), *t.ResourceType))
		}
	}
	if n := int(api.Val(a.AlreadyFailing)) - len(a.Starts); n > 0 {
		line("", speech.Say("Fails today already, and is not told here: %d.", n))
	}
	return b.String()
}

// thing names what stops or starts.
func thing(e *kagimoriapi.ImpactEffect) speech.Text {
	what := speech.Raw(api.Val(e.ResourceType) + " " + api.Val(e.ResourceId))
	if name := api.Val(e.Name); name != "" {
		what = speech.Join(what, speech.Raw(" ("+name+")"))
	}
	if of := api.Val(e.PartOf); of != "" {
		what = speech.Say("%s of %s", what, of)
	}
	if d := api.Val(e.Device); d != "" {
		what = speech.Join(what, speech.Raw(", "+d))
	}
	return what
}

// effectLine is what stops, and which call is refused to whom.
func effectLine(e *kagimoriapi.ImpactEffect) speech.Text {
	what, r := thing(e), e.Refusal
	switch {
	case r == nil:
		return speech.Say("%s: cannot be told", what)
	case len(e.Actions) > 0 && api.Val(e.Outcome) == string(impact.Narrows):
		return speech.Say("%s: %s on %s only on conditions that did not apply before", what, strings.Join(e.Actions, ", "), api.Val(r.KeyArn))
	case len(e.Actions) > 0:
		return speech.Say("%s: %s on %s is refused (%s)", what, strings.Join(e.Actions, ", "), api.Val(r.KeyArn), api.Val(r.ErrorCode))
	case api.Val(r.Action) == "":
		return speech.Say("%s: %s fails (%s)", what, api.Val(e.Operation), api.Val(r.ErrorCode))
	}
	return speech.Say("%s: %s fails, for %s by %s on %s is refused (%s)", what, api.Val(e.Operation), api.Val(r.Action), api.Val(r.Principal), api.Val(r.KeyArn), api.Val(r.ErrorCode))
}
