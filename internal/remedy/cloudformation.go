package remedy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// cloudFormation is the step as a part of a template, in YAML; "" if CloudFormation has no words for
// it: it has no grants, and no default key of an account.
func (s *Step) cloudFormation(t *Target) string {
	at := ""
	if t.At != nil {
		at = t.At(s.Path)
	}
	return substituted(s.part(t), t.Names, at)
}

// part is the step with names and ARNs as the scenario has them.
func (s *Step) part(t *Target) string {
	var b strings.Builder
	line := func(depth int, format string, args ...any) {
		b.WriteString(strings.Repeat("  ", depth) + fmt.Sprintf(format, args...) + "\n")
	}
	switch s.Kind {
	case KeyPolicy:
		if s.Added != nil {
			line(0, "# %s", speech.Say("Add to the list KeyPolicy.Statement:").In(t.Language))
			b.WriteString(yaml(0, s.Added))
			return b.String()
		}
		line(0, "KeyPolicy:")
		b.WriteString(yamlText(1, s.After))
	case IdentityPolicy, ChangePolicy:
		if s.Name == "" {
			return ""
		}
		a, _ := arn.Parse(s.Target)
		kind, member := "AWS::IAM::RolePolicy", "RoleName"
		if a.Type() == "user" {
			kind, member = "AWS::IAM::UserPolicy", "UserName"
		}
		line(0, "%s:", logical(s.Name))
		line(1, "Type: %s", kind)
		line(1, "Properties:")
		line(2, "PolicyName: %s", scalar(s.Name))
		line(2, "%s: %s", member, scalar(short(s.Target)))
		line(2, "PolicyDocument:")
		b.WriteString(yamlText(3, s.After))
	case CreatePrincipal:
		if s.Principal.Kind != format.KindLinked {
			return ""
		}
		service, suffix := linkedRole(s.Target)
		line(0, "%s:", logical(short(s.Target)))
		line(1, "Type: AWS::IAM::ServiceLinkedRole")
		line(1, "Properties:")
		line(2, "AWSServiceName: %s", scalar(service))
		if suffix != "" {
			line(2, "CustomSuffix: %s", scalar(suffix))
		}
	case KeyState:
		if s.Name != "Disabled" {
			return ""
		}
		line(0, "Enabled: true")
	case Alias:
		line(0, "%s:", logical(s.Name))
		line(1, "Type: AWS::KMS::Alias")
		line(1, "Properties:")
		line(2, "AliasName: %s", scalar(s.Name))
		line(2, "TargetKeyId: %s", scalar(s.Target))
	case Template:
		if len(s.Devices) == 0 {
			return ""
		}
		line(0, "BlockDeviceMappings:")
		for _, d := range s.Template.BlockDevices {
			if !slices.Contains(s.Devices, d.Device) {
				continue
			}
			line(1, "- DeviceName: %s", scalar(d.Device))
			line(2, "Ebs:")
			if d.EBS.Encrypted != nil {
				line(3, "Encrypted: %t", *d.EBS.Encrypted)
			}
			if d.EBS.KmsKeyID != "" {
				line(3, "KmsKeyId: %s", scalar(d.EBS.KmsKeyID))
			}
		}
	case Group:
		if s.Value == "" {
			return ""
		}
		line(0, "ServiceLinkedRoleARN: %s", scalar(s.Value))
	}
	return b.String()
}

// logical is a name for a resource of a template: letters and digits.
func logical(s string) string {
	var b strings.Builder
	up := true
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' && up:
			b.WriteRune(r - 'a' + 'A')
			up = false
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			b.WriteRune(r)
			up = false
		default:
			up = true
		}
	}
	return b.String()
}

// scalar is a string in YAML: JSON's form is YAML's too.
//
// Source: YAML 1.2, 1.3 "Relation to JSON".
func scalar(s string) string { return string(compact(s)) }

func yamlText(depth int, src []byte) string {
	var v any
	_ = json.Unmarshal(src, &v) // it is a policy
	return yaml(depth, v)
}

// yaml is a value in block style.
func yaml(depth int, v any) string {
	var b strings.Builder
	pad := strings.Repeat("  ", depth)
	switch v := v.(type) {
	case map[string]any:
		for _, name := range membersOf(v) {
			key := name
			if strings.ContainsAny(name, ":/") {
				key = scalar(name)
			}
			b.WriteString(pad + key + ":" + inner(depth, v[name]))
		}
	case []any:
		for _, x := range v {
			if m, ok := x.(map[string]any); ok && len(m) > 0 {
				text := yaml(depth+1, m)
				b.WriteString(pad + "- " + text[len(pad)+2:])
				continue
			}
			b.WriteString(pad + "-" + inner(depth, x))
		}
	}
	return b.String()
}

// inner is a value after a name: on its line if it is short.
func inner(depth int, v any) string {
	switch x := v.(type) {
	case map[string]any:
		if len(x) > 0 {
			return "\n" + yaml(depth+1, x)
		}
	case []any:
		if len(x) > 0 {
			return "\n" + yaml(depth+1, x)
		}
	}
	return " " + string(compact(v)) + "\n"
}
