package remedy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// An hcl writes Terraform's language.
type hcl struct {
	b     strings.Builder
	names map[string]string // of ARNs and ids that only stand for something
}

func (h *hcl) line(depth int, format string, args ...any) {
	h.b.WriteString(strings.Repeat("  ", depth) + fmt.Sprintf(format, args...) + "\n")
}

// quote is a string, or the reference that it stands for.
//
// Source: Terraform, "Strings and Templates": ${ and %{ are escaped by doubling.
func (h *hcl) quote(s string) string {
	if is, ok := h.names[s]; ok && !strings.Contains(is, " ") {
		return is
	}
	q := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
	for name, is := range h.names {
		if !strings.Contains(is, " ") {
			q = strings.ReplaceAll(q, name, "${"+is+"}")
		}
	}
	return q
}

func (h *hcl) list(v any) string {
	var out []string
	for _, s := range texts(v) {
		out = append(out, h.quote(s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// texts are the strings of a value that is one or a list of them.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case bool, json.Number, float64:
		return []string{fmt.Sprint(v)}
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, texts(x)...)
		}
		return out
	}
	return nil
}

// value is a JSON value as an expression.
func (h *hcl) value(depth int, v any) string {
	switch v := v.(type) {
	case string:
		return h.quote(v)
	case []any:
		if !slices.ContainsFunc(v, func(x any) bool { _, ok := x.(map[string]any); return ok }) {
			return h.list(v)
		}
		var out strings.Builder
		out.WriteString("[\n")
		for _, x := range v {
			out.WriteString(strings.Repeat("  ", depth+1) + h.value(depth+1, x) + ",\n")
		}
		return out.String() + strings.Repeat("  ", depth) + "]"
	case map[string]any:
		var out strings.Builder
		out.WriteString("{\n")
		for _, name := range membersOf(v) {
			key := name
			if strings.ContainsAny(name, ":/-. ") {
				key = strconv.Quote(name)
			}
			out.WriteString(strings.Repeat("  ", depth+1) + key + " = " + h.value(depth+1, v[name]) + "\n")
		}
		return out.String() + strings.Repeat("  ", depth) + "}"
	}
	return string(compact(v))
}

// membersOf are the names of an object's members, those of statements in their order.
func membersOf(m map[string]any) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int {
		if i, j := slices.Index(order, a), slices.Index(order, b); i >= 0 && j >= 0 {
			return i - j
		}
		return strings.Compare(a, b)
	})
	return out
}

// terraform is the step in Terraform's language; "" if it has no words for it.
func (s *Step) terraform(t *Target) string {
	h := &hcl{names: t.Names}
	at := ""
	if t.At != nil {
		at = t.At(s.Path)
	}
	switch s.Kind {
	case KeyPolicy, IdentityPolicy, ChangePolicy:
		s.terraformPolicy(h, at, t.Language)
	case Grant, SetupCall:
		if s.Grant == nil {
			return ""
		}
		s.terraformGrant(h)
	case CreatePrincipal:
		if s.Principal.Kind != format.KindLinked {
			return ""
		}
		service, suffix := linkedRole(s.Target)
		h.line(0, "resource %q %q {", "aws_iam_service_linked_role", label(short(s.Target)))
		h.line(1, "aws_service_name = %s", h.quote(service))
		if suffix != "" {
			h.line(1, "custom_suffix    = %s", h.quote(suffix))
		}
		h.line(0, "}")
	case KeyState:
		if s.Name != "Disabled" {
			return ""
		}
		h.line(0, "is_enabled = true")
	case Alias:
		h.line(0, "resource %q %q {", "aws_kms_alias", label(strings.TrimPrefix(s.Name, "alias/")))
		h.line(1, "name          = %s", h.quote(s.Name))
		h.line(1, "target_key_id = %s", h.quote(s.Target))
		h.line(0, "}")
	case ShareImage:
		h.line(0, "resource %q %q {", "aws_ami_launch_permission", label(s.Target+"-"+s.Value))
		h.line(1, "image_id   = %s", h.quote(s.Target))
		h.line(1, "account_id = %s", h.quote(s.Value))
		h.line(0, "}")
	case AccountDefault:
		h.line(0, "resource %q %q {", "aws_ebs_default_kms_key", "default")
		h.line(1, "key_arn = data.aws_kms_alias.ebs.target_key_arn")
		h.line(0, "}")
		h.line(0, "data %q %q {", "aws_kms_alias", "ebs")
		h.line(1, "name = %s", h.quote("alias/aws/ebs"))
		h.line(0, "}")
	case Template:
		s.terraformTemplate(h)
	case Group:
		h.line(0, "service_linked_role_arn = %s", s.groupRole(h))
	}
	return h.b.String()
}

func (s *Step) groupRole(h *hcl) string {
	if s.Value == "" {
		return "null"
	}
	return h.quote(s.Value)
}

// terraformPolicy writes what a policy gets: statements for the document at hand, or the whole policy.
func (s *Step) terraformPolicy(h *hcl, at string, l speech.Language) {
	var after any
	_ = json.Unmarshal(s.After, &after) // it is a policy
	document := strings.Contains(at, "aws_iam_policy_document.")
	switch {
	case s.Added != nil && document:
		for _, st := range s.Added {
			h.statement(st)
		}
		return
	case s.Added != nil && at != "":
		h.line(0, "# %s", speech.Say("Add to the list Statement of the policy:").In(l))
		for _, st := range s.Added {
			h.line(0, "%s,", h.value(0, st))
		}
		return
	case document:
		h.line(0, "# %s", speech.Say("The document must come to this:").In(l))
		all, _ := after.(map[string]any)
		list, many := all["Statement"].([]any)
		if !many {
			list = []any{all["Statement"]}
		}
		for _, st := range list {
			h.statement(st)
		}
		return
	}
	a, _ := arn.Parse(s.Target)
	switch {
	case s.Kind == KeyPolicy:
		h.line(0, "resource %q %q {", "aws_kms_key_policy", label("key-"+short(s.Target)))
		h.line(1, "key_id = %s", h.quote(s.Target))
	case a.Type() == "user":
		h.line(0, "resource %q %q {", "aws_iam_user_policy", label(short(s.Target)+"-"+s.Name))
		h.line(1, "name = %s", h.quote(s.Name))
		h.line(1, "user = %s", h.quote(short(s.Target)))
	default:
		h.line(0, "resource %q %q {", "aws_iam_role_policy", label(short(s.Target)+"-"+s.Name))
		h.line(1, "name = %s", h.quote(s.Name))
		h.line(1, "role = %s", h.quote(short(s.Target)))
	}
	h.line(1, "policy = jsonencode(%s)", h.value(1, after))
	h.line(0, "}")
}

// statement is a block of aws_iam_policy_document.
func (h *hcl) statement(v any) {
	st, _ := v.(map[string]any)
	h.line(0, "statement {")
	if sid, ok := st["Sid"].(string); ok {
		h.line(1, "sid       = %s", h.quote(sid))
	}
	h.line(1, "effect    = %s", h.value(1, st["Effect"]))
	for _, m := range []struct{ member, argument string }{{"Action", "actions"}, {"NotAction", "not_actions"}, {"Resource", "resources"}, {"NotResource", "not_resources"}} {
		if x, ok := st[m.member]; ok {
			h.line(1, "%-9s = %s", m.argument, h.list(x))
		}
	}
	for _, m := range []struct{ member, block string }{{"Principal", "principals"}, {"NotPrincipal", "not_principals"}} {
		switch p := st[m.member].(type) {
		case string:
			h.line(1, "%s {\n    type        = \"*\"\n    identifiers = [\"*\"]\n  }", m.block)
		case map[string]any:
			for _, kind := range membersOf(p) {
				h.line(1, "%s {\n    type        = %q\n    identifiers = %s\n  }", m.block, kind, h.list(p[kind]))
			}
		}
	}
	conditions, _ := st["Condition"].(map[string]any)
	for _, op := range membersOf(conditions) {
		keys, _ := conditions[op].(map[string]any)
		for _, key := range membersOf(keys) {
			h.line(1, "condition {\n    test     = %q\n    variable = %q\n    values   = %s\n  }", op, key, h.list(keys[key]))
		}
	}
	h.line(0, "}")
}

func (s *Step) terraformGrant(h *hcl) {
	h.line(0, "resource %q %q {", "aws_kms_grant", label(short(s.Grant.GranteePrincipal)))
	h.line(1, "key_id            = %s", h.quote(s.Target))
	h.line(1, "grantee_principal = %s", h.quote(s.Grant.GranteePrincipal))
	var ops []any
	for _, op := range s.Grant.Operations {
		ops = append(ops, op)
	}
	h.line(1, "operations        = %s", h.list(ops))
	if c := s.Grant.Constraints; c != nil {
		h.line(1, "constraints {")
		for _, m := range []struct {
			argument string
			context  map[string]string
		}{{"encryption_context_subset", c.EncryptionContextSubset}, {"encryption_context_equals", c.EncryptionContextEquals}} {
			if len(m.context) == 0 {
				continue
			}
			pairs := map[string]any{}
			for k, v := range m.context {
				pairs[k] = v
			}
			h.line(2, "%s = %s", m.argument, h.value(2, pairs))
		}
		h.line(1, "}")
	}
	h.line(0, "}")
}

func (s *Step) terraformTemplate(h *hcl) {
	for _, d := range s.Template.BlockDevices {
		if !slices.Contains(s.Devices, d.Device) {
			continue
		}
		h.line(0, "block_device_mappings {")
		h.line(1, "device_name = %s", h.quote(d.Device))
		h.line(1, "ebs {")
		if d.EBS.Encrypted != nil {
			h.line(2, "encrypted  = %t", *d.EBS.Encrypted)
		}
		if d.EBS.KmsKeyID != "" {
			h.line(2, "kms_key_id = %s", h.quote(d.EBS.KmsKeyID))
		}
		h.line(1, "}")
		h.line(0, "}")
	}
}

// label is a name for a resource of Terraform.
func label(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s)
}
