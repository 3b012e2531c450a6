package remedy

import (
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/speech"
)

// A Form is how a fix is written down.
type Form uint8

// Forms.
const (
	AWS Form = iota // commands of the aws CLI
	Terraform
	CloudFormation
	Patch // the JSON Patch of the scenario
)

var forms = [...]string{"aws", "terraform", "cloudformation", "patch"}

// ParseForm reads the name of a form.
func ParseForm(name string) (Form, bool) {
	for i, n := range forms {
		if n == name {
			return Form(i), true
		}
	}
	return 0, false
}

// String is the form's name on the command line.
func (f Form) String() string { return forms[f] }

// Name is what people call the form.
func (f Form) Name() speech.Text {
	switch f {
	case Terraform:
		return speech.Say("Terraform")
	case CloudFormation:
		return speech.Say("CloudFormation")
	case Patch:
		return speech.Say("JSON Patch of the scenario")
	}
	return speech.Say("commands of the aws CLI")
}

// A Target is what steps are written for.
type Target struct {
	Language speech.Language
	// At is the resource of a configuration that says what is at a place of the scenario, or nil.
	At func(pointer string) string
	// Names are what ARNs and ids that only stand for something are called there.
	Names map[string]string
}

// Write writes steps down, each with who makes it, and where.
func (f Form) Write(steps []Step, t Target) string {
	var parts []string
	if f == AWS && accounts(steps) > 1 {
		parts = append(parts, "# "+speech.Say("The commands are for different accounts: set AWS_PROFILE, or add --profile, for each.").In(t.Language)+"\n")
	}
	for i := range steps {
		s := &steps[i]
		text := ""
		switch f {
		case AWS:
			text = s.aws()
		case Terraform:
			text = s.terraform(&t)
		case CloudFormation:
			text = s.cloudFormation(&t)
		case Patch:
			for _, e := range s.Edits {
				text += string(compact(e)) + "\n"
			}
			parts = append(parts, text)
			continue
		}
		var head strings.Builder
		for line := range strings.SplitSeq(s.head(i+1, len(steps), f, &t).In(t.Language), "\n") {
			head.WriteString("# " + line + "\n")
		}
		if text == "" {
			text = "# " + s.byHand().In(t.Language) + "\n"
		}
		parts = append(parts, head.String()+text)
	}
	return strings.Join(parts, "")
}

// accounts is the number of accounts in which steps are made.
func accounts(steps []Step) int {
	seen := map[string]bool{}
	for i := range steps {
		seen[steps[i].Account] = true
	}
	return len(seen)
}

// head says who makes a step where.
func (s *Step) head(i, n int, f Form, t *Target) speech.Text {
	var who speech.Text
	switch {
	case s.Kind == OrgPolicy:
		who = speech.Say("In the organization's management account, with %s:", s.Permission)
	case s.Region == "":
		who = speech.Say("In account %s, with %s:", s.Account, s.Permission)
	default:
		who = speech.Say("In account %s, Region %s, with %s:", s.Account, s.Region, s.Permission)
	}
	if f != AWS && t.At != nil {
		who = speech.Say("In %s:", t.At(s.Path))
	}
	if n > 1 {
		return speech.Join(speech.Raw(fmt.Sprintf("%d/%d ", i, n)), who)
	}
	return who
}

// byHand says what a form has no words for.
func (s *Step) byHand() speech.Text {
	switch s.Kind {
	case SetupCall:
		return speech.Say("Call %s with %s = %s.", s.Name, s.Member, s.Value)
	case Group:
		return speech.Say("Give the group %s the service-linked role %s.", s.Target, s.role())
	case Template:
		if s.Member == "kind" {
			return speech.Say("Make a launch template of %s.", s.Target)
		}
		return speech.Say("In %s, set %s of device %s.", s.Target, s.Member, strings.Join(s.Devices, ", "))
	case KeyState:
		return speech.Say("Make key %s usable: it is %s.", s.Target, s.Name)
	case Grant:
		return speech.Say("There is no such resource; make the grant with the aws CLI.")
	case AccountDefault:
		return speech.Say("There is no such resource; reset the default key with the aws CLI.")
	case ShareImage:
		return speech.Say("Share image %s with account %s.", s.Target, s.Value)
	}
	if s.Name == "" {
		return speech.Say("Change the permissions boundary of %s.", s.Target)
	}
	return speech.Say("Change %s of %s.", s.Name, s.Target)
}

func (s *Step) role() string {
	if s.Value == "" {
		return "AWSServiceRoleForAutoScaling"
	}
	return s.Value
}
