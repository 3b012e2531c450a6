package accessanalyzer

import (
	"bytes"
	"errors"
	"strings"

	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/policy"
)

// checkReference is the page of Access Analyzer's checks.
const checkReference = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html#access-analyzer-reference-policy-checks-"

const (
	kindError      = accessanalyzerapi.ValidatePolicyFindingTypeERROR
	kindWarning    = accessanalyzerapi.ValidatePolicyFindingTypeWARNING
	kindSecurity   = accessanalyzerapi.ValidatePolicyFindingTypeSECURITY_WARNING
	kindSuggestion = accessanalyzerapi.ValidatePolicyFindingTypeSUGGESTION
)

// An issue is a check: its code, the type of its findings and its place on the page of checks, "" for a
// check of our own.
type issue struct{ code, kind, anchor string }

// issues are the checks of Access Analyzer that rules of package lint stand for. Other rules have codes
// of their own.
//
// Source: IAM User Guide, "IAM policy validation check reference".
var issues = map[string]issue{
	"too-large":             {"POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA", kindError, "error-policy-size-exceeds-identity-policy-quota"},
	"unknown-action":        {"INVALID_ACTION", kindError, "error-invalid-action"},
	"unknown-service":       {"INVALID_SERVICE_IN_ACTION", kindError, "error-invalid-service-in-action"},
	"bad-arn":               {"INVALID_ARN_RESOURCE", kindError, "error-invalid-arn-resource"},
	"unknown-condition-key": {"INVALID_SERVICE_CONDITION_KEY", kindError, "error-invalid-service-condition-key"},
	"condition-key-absent":  {"UNSUPPORTED_ACTION_FOR_CONDITION_KEY", kindError, "error-unsupported-action-for-condition-key"},
	"condition-type":        {"TYPE_MISMATCH", kindWarning, "general-warning-type-mismatch"},
	"variable-2008":         {"VARIABLE_UNSUPPORTED_IN_VERSION", kindError, "error-variable-unsupported-in-version"},
	"for-all-values":        {"FORALLVALUES_WITH_SINGLE_VALUED_KEY", kindSecurity, "security-warning-forallvalues-with-single-valued-key"},
	"not-principal-allow":   {"ALLOW_WITH_NOT_PRINCIPAL", kindSecurity, "security-warning-allow-with-notprincipal"},
	"any-action":            {"PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE", kindSecurity, "security-warning-pass-role-with-star-in-action-and-resource"},
	"pass-any-role":         {"PASS_ROLE_WITH_STAR_IN_RESOURCE", kindSecurity, "security-warning-pass-role-with-star-in-resource"},
	"duplicate-sid":         {"UNIQUE_SIDS_RECOMMENDED", kindWarning, "general-warning-unique-sids-recommended"},
}

// security are the rules of our own about who gets more than was meant.
var security = map[string]bool{
	"anyone": true, "any-key": true, "not-action-allow": true, "not-resource-allow": true, "key-administration": true,
	"grant-condition-missing": true, "account-typo": true, "confused-deputy": true,
}

// refusals are the checks for what the grammar does not allow.
var refusals = map[policy.Rule]issue{
	policy.RuleJSON:        {"JSON_SYNTAX_ERROR", kindError, "error-json-syntax-error"},
	policy.RuleDuplicate:   {"JSON_SYNTAX_ERROR", kindError, "error-json-syntax-error"},
	policy.RuleCharacter:   {"JSON_SYNTAX_ERROR", kindError, "error-json-syntax-error"},
	policy.RuleSize:        {"POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA", kindError, "error-policy-size-exceeds-identity-policy-quota"},
	policy.RuleShape:       {"DATA_TYPE_MISMATCH", kindError, "error-data-type-mismatch"},
	policy.RuleUnknown:     {"INVALID_POLICY_ELEMENT", kindError, "error-invalid-policy-element"},
	policy.RulePair:        {"UNSUPPORTED_ELEMENT_COMBINATION", kindError, "error-unsupported-element-combination"},
	policy.RuleVersion:     {"INVALID_VERSION", kindError, "error-invalid-version"},
	policy.RuleNoStatement: {"MISSING_STATEMENT", kindError, "error-missing-statement"},
	policy.RuleEffect:      {"INVALID_EFFECT", kindError, "error-invalid-effect"},
	policy.RuleEffectCase:  {"INVALID_EFFECT", kindError, "error-invalid-effect"},
	policy.RulePrincipal:   {"INVALID_PRINCIPAL_FORMAT", kindError, "error-invalid-principal-format"},
	policy.RuleOperator:    {"INVALID_CONDITION_OPERATOR", kindError, "error-invalid-condition-operator"},
	policy.RuleProhibited:  {"INVALID_POLICY_ELEMENT", kindError, "error-invalid-policy-element"},
}

// storageTexts tell by IAM's text which check a document fails that follows the grammar.
var storageTexts = []struct {
	text  string
	issue issue
}{
	{"must contain resources", issue{"MISSING_RESOURCE", kindError, "error-missing-resource"}},
	{"must contain actions", issue{"MISSING_ACTION", kindError, "error-missing-action"}},
	{"must contain principal", issue{"MISSING_PRINCIPAL", kindError, "error-missing-principal"}},
	{"prefaced by a vendor", issue{"INVALID_ACTION", kindError, "error-invalid-action"}},
	{"must be unique", issue{"UNIQUE_SIDS_REQUIRED", kindError, "error-unique-sids-required"}},
	{"Partition", issue{"INVALID_PARTITION", kindError, "error-invalid-partition"}},
	{"ARN format", issue{"INVALID_ARN_PREFIX", kindError, "error-invalid-arn-prefix"}},
}

func syntaxError(err error) (*policy.SyntaxError, bool) {
	return errors.AsType[*policy.SyntaxError](err)
}

// onlyVersion reports whether AWS does not store a document for nothing but its missing version.
func onlyVersion(src []byte, kind policy.Kind) bool {
	doc, err := policy.Parse(src, kind)
	return err == nil && doc.Version == "" && strings.Contains(apierrText(storing(src, kind)), "version")
}

func apierrText(err error) string {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return e.Message
	}
	return ""
}

// storing is how AWS refuses to store a document that follows the grammar, or nil. White space before
// it is not of the document.
func storing(src []byte, kind policy.Kind) error {
	src = bytes.TrimLeft(src, " \t\r\n")
	var err error
	switch kind {
	case policy.Trust:
		_, err = policy.CheckTrust(src)
	case policy.Key:
		_, err = policy.CheckKey(src)
	case policy.Identity:
		_, err = policy.CheckIdentity(src)
	}
	return err
}
