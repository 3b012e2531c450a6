package org

import (
	"fmt"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/policy"
)

// maxContent is how many characters a document of a type may have, white space included.
// Source: AWS Organizations User Guide, "Quotas and service limits".
var maxContent = map[directory.PolicyType]int{directory.SCP: 10240, directory.RCP: 5120}

// checkDocument checks the text of a policy; see [policy.CheckOrganization].
func checkDocument(t directory.PolicyType, src string) error {
	if n := utf8.RuneCountInString(src); n > maxContent[t] {
		return because(codeConstraint, "POLICY_CONTENT_LIMIT_EXCEEDED", fmt.Sprintf("The policy has %d characters; policies of the type %s may have %d.", n, t, maxContent[t]))
	}
	kind := policy.SCP
	if t == directory.RCP {
		kind = policy.RCP
	}
	if _, err := policy.CheckOrganization([]byte(src), kind); err != nil {
		return malformed(err)
	}
	return nil
}

// malformed is errMalformed with the place for the log.
func malformed(cause error) error {
	return apierr.New(errMalformed.Code, errMalformed.Message).Because(cause)
}
