package accessanalyzer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// maxFindings is the longest page of findings, and how long one is if the caller does not say.
const maxFindings = 100

// ValidatePolicy tells what is wrong with a document, in English or, with the locale JA, in Japanese. It
// fails for no document, however bad.
func (s *Service) ValidatePolicy(ctx context.Context, c *guard.Call, in *accessanalyzerapi.ValidatePolicyRequest) (*accessanalyzerapi.ValidatePolicyResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	text, policyType := api.Val(in.PolicyDocument), api.Val(in.PolicyType)
	if in.ValidatePolicyResourceType != nil && policyType != accessanalyzerapi.PolicyTypeRESOURCE_POLICY {
		return nil, invalid("validatePolicyResourceType", "A resource type can be given for a policy of type RESOURCE_POLICY only.")
	}
	size := maxFindings
	if in.MaxResults != nil {
		if size = int(*in.MaxResults); size < 1 || size > 1000 {
			return nil, invalid("maxResults", "maxResults must be between 1 and 1000.")
		}
	}
	start, err := startOf(api.Val(in.NextToken), policyType, text)
	if err != nil {
		return nil, err
	}
	all := findings([]byte(text), lint.Options{Kind: validationKind(policyType, api.Val(in.ValidatePolicyResourceType), text), Account: c.Account()}, language(in.Locale))
	out := &accessanalyzerapi.ValidatePolicyResponse{Findings: []accessanalyzerapi.ValidatePolicyFinding{}}
	start = min(start, len(all))
	end := min(start+size, len(all))
	out.Findings = append(out.Findings, all[start:end]...)
	if end < len(all) {
		out.NextToken = new(token64(end, policyType, text))
	}
	return out, nil
}

// language is that of a locale: English for those that kagimori does not speak.
func language(locale *string) speech.Language {
	l, _ := speech.Parse(api.Val(locale))
	return l
}

// validationKind is what the document is said to be attached to.
func validationKind(policyType, resourceType, text string) policy.Kind {
	switch policyType {
	case accessanalyzerapi.PolicyTypeSERVICE_CONTROL_POLICY:
		return policy.SCP
	case accessanalyzerapi.PolicyTypeRESOURCE_CONTROL_POLICY:
		return policy.RCP
	case accessanalyzerapi.PolicyTypeIDENTITY_POLICY:
		return policy.Identity
	}
	if resourceType != "" {
		return typeKind(resourceType)
	}
	return resourceKind(text)
}

// token64 continues after a number of findings of one document. It tells nothing that its bearer does
// not know.
func token64(n int, policyType, text string) string {
	return base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(n) + ":" + digest(policyType, text)))
}

func digest(policyType, text string) string {
	sum := sha256.Sum256([]byte(policyType + "\n" + text))
	return hex.EncodeToString(sum[:8])
}

func startOf(token, policyType, text string) (int, error) {
	if token == "" {
		return 0, nil
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	number, sum, _ := strings.Cut(string(raw), ":")
	n, nerr := strconv.Atoi(number)
	if err != nil || nerr != nil || n < 0 || sum != digest(policyType, text) {
		return 0, invalid("nextToken", "The token is not one of this document's.")
	}
	return n, nil
}

// findings are what package lint says, in the terms of Access Analyzer, and the checks of Access
// Analyzer about how a document is written, in the order of the document.
func findings(src []byte, opts lint.Options, l speech.Language) []accessanalyzerapi.ValidatePolicyFinding {
	at := locate(src)
	var out []accessanalyzerapi.ValidatePolicyFinding
	add := func(i issue, details speech.Text, at ...accessanalyzerapi.Location) {
		out = append(out, accessanalyzerapi.ValidatePolicyFinding{
			FindingType: &i.kind, IssueCode: &i.code, LearnMoreLink: new(i.link()), FindingDetails: new(details.In(l)),
			Locations: at,
		})
	}
	for _, f := range lint.Check(src, opts) {
		if f.Rule == "refused" && onlyVersion(src, opts.Kind) {
			continue // there is a check for that
		}
		add(issueOf(&f, src, opts.Kind), speech.Sentences(f.Reason, f.Fix), at.between(f.Range))
	}
	for _, w := range slices.Concat(at.written(), at.mismatched()) {
		add(w.issue, w.details, append([]accessanalyzerapi.Location{w.location}, w.more...)...)
	}
	slices.SortStableFunc(out, func(a, b accessanalyzerapi.ValidatePolicyFinding) int {
		return cmp.Compare(*a.Locations[0].Span.Start.Offset, *b.Locations[0].Span.Start.Offset)
	})
	return out
}

// issueOf is the check of Access Analyzer that a finding stands for, or one of our own.
func issueOf(f *lint.Finding, src []byte, kind policy.Kind) issue {
	if f.Rule == "refused" {
		return refusal(src, kind)
	}
	if f.Rule == "unknown-condition-key" && strings.HasPrefix(strings.ToLower(quoted(f.Reason.String())), "aws:") {
		return issue{"INVALID_GLOBAL_CONDITION_KEY", kindError, "error-invalid-global-condition-key"}
	}
	if i, ok := issues[f.Rule]; ok {
		return i
	}
	i := issue{strings.ToUpper(strings.ReplaceAll(f.Rule, "-", "_")), kindSuggestion, ""}
	switch f.Severity {
	case lint.Error:
		i.kind = kindError
	case lint.Warning:
		i.kind = kindWarning
	}
	if security[f.Rule] {
		i.kind = kindSecurity
	}
	return i
}

// quoted is the first text in quotes, or the first word.
func quoted(s string) string {
	if _, rest, ok := strings.Cut(s, `"`); ok {
		q, _, _ := strings.Cut(rest, `"`)
		return q
	}
	w, _, _ := strings.Cut(s, " ")
	return w
}

// refusal is the check that a document fails which AWS does not store.
func refusal(src []byte, kind policy.Kind) issue {
	_, err := policy.Parse(src, kind)
	var rule policy.Rule
	if e, ok := syntaxError(err); ok {
		rule = e.Rule
		if rule == policy.RuleProhibited && strings.Contains(e.Pointer, "rincipal") {
			return issue{"UNSUPPORTED_PRINCIPAL", kindError, "error-unsupported-principal"}
		}
	}
	if i, ok := refusals[rule]; ok {
		return i
	}
	for _, t := range storageTexts {
		if strings.Contains(apierrText(storing(src, kind)), t.text) {
			return t.issue
		}
	}
	return issue{"INVALID_POLICY_ELEMENT", kindError, "error-invalid-policy-element"}
}

func (i issue) link() string {
	if i.anchor == "" {
		return fmt.Sprintf("https://github.com/kagimori/kagimori/blob/main/docs/lint.md#%s", strings.ToLower(strings.ReplaceAll(i.code, "_", "-")))
	}
	return checkReference + i.anchor
}
