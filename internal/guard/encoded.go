package guard

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// What sts:DecodeAuthorizationMessage gives back has its lists and texts in objects.
type (
	encodedList[T any] struct {
		Items []T `json:"items"`
	}
	encodedText struct {
		Value string `json:"value"`
	}
	encodedStatement struct {
		ID         string                   `json:"statementId"`
		Effect     string                   `json:"effect"`
		Principals encodedList[encodedText] `json:"principals"`
		Groups     encodedList[encodedText] `json:"principalGroups"`
		Actions    encodedList[encodedText] `json:"actions"`
		Resources  encodedList[encodedText] `json:"resources"`
		Conditions encodedList[encodedText] `json:"conditions"`
	}
	encodedCondition struct {
		Key    string                   `json:"key"`
		Values encodedList[encodedText] `json:"values"`
	}
	encodedPrincipal struct {
		ID  string `json:"id"`
		ARN string `json:"arn"`
	}
	encodedDenial struct {
		Allowed      bool                          `json:"allowed"`
		ExplicitDeny bool                          `json:"explicitDeny"`
		Matched      encodedList[encodedStatement] `json:"matchedStatements"`
		Failures     encodedList[encodedText]      `json:"failures"`
		Context      struct {
			Principal  encodedPrincipal              `json:"principal"`
			Action     string                        `json:"action"`
			Resource   string                        `json:"resource"`
			Conditions encodedList[encodedCondition] `json:"conditions"`
		} `json:"context"`
	}
)

func encodedTexts(list ...string) encodedList[encodedText] {
	out := encodedList[encodedText]{[]encodedText{}}
	for _, v := range list {
		out.Items = append(out.Items, encodedText{v})
	}
	return out
}

// encodedMessage is what sts:DecodeAuthorizationMessage gives back. It shows the statements that
// deny, which belong to the caller's side: EC2 has no resource policies. Source: AWS CLI
// reference, decode-authorization-message.
func encodedMessage(req *authz.Request, d authz.Decision) []byte {
	out := encodedDenial{
		ExplicitDeny: d.Outcome == authz.ExplicitDeny, Matched: encodedList[encodedStatement]{[]encodedStatement{}}, Failures: encodedTexts(),
	}
	out.Context.Principal = encodedPrincipal{req.Principal.UserID, req.Principal.ARN}
	out.Context.Conditions.Items = []encodedCondition{}
	context := slices.Clip(req.Context)
	if d.Part >= 0 && d.Part < len(d.Parts) && d.Part < len(req.Parts) {
		part := &d.Parts[d.Part]
		_, out.Context.Action, _ = strings.Cut(part.Action, ":")
		out.Context.Resource = part.Resource
		context = append(context, req.Parts[d.Part].Context...)
		context = append(context, resourceFacts(part.Resource)...)
		for _, m := range part.Matched {
			if m.Effect == policy.Deny {
				out.Matched.Items = append(out.Matched.Items, encodedStatement{
					ID: m.Sid, Effect: "DENY", Principals: encodedTexts(req.Principal.UserID), Groups: encodedTexts(),
					Actions: encodedTexts(part.Action), Resources: encodedTexts(part.Resource), Conditions: encodedTexts(),
				})
			}
		}
	}
	for _, e := range context {
		c := encodedCondition{Key: spelled(e.Key)}
		switch {
		case e.Multi:
			c.Values = encodedTexts(e.List...)
		case e.Unknown:
			continue
		default:
			c.Values = encodedTexts(e.One)
		}
		out.Context.Conditions.Items = append(out.Context.Conditions.Items, c)
	}
	text, _ := json.Marshal(out) // strings, bools and lists always encode
	return text
}

// resourceFacts are what such a message tells of the resource besides its condition keys.
func resourceFacts(resource string) (out authz.Context) {
	a, err := arn.Parse(resource)
	if err != nil {
		return nil
	}
	out.Set("aws:Resource", a.Resource)
	out.Set("aws:Account", a.Account)
	out.Set("aws:Region", a.Region)
	out.Set("aws:Service", a.Service)
	out.Set("aws:Type", a.Type())
	out.Set("aws:ARN", resource)
	return out
}

// spelled is a condition key as documentation spells it; what a tag's key is called stays.
func spelled(key string) string {
	k, ok := actions.Load().Key(key)
	if !ok {
		return key
	}
	name, _, tag := strings.Cut(k.Template, "${")
	if tag && len(name) <= len(key) {
		return name + key[len(name):]
	}
	return name
}
