package org

import (
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/policy"
)

// maxContent is how many characters a document of a type may have, white space included.
// Source: AWS Organizations User Guide, "Quotas and service limits".
func maxContent(t directory.PolicyType) int {
	switch t {
	case directory.SCP:
		return 10240
	case directory.RCP:
		return 5120
	case aiOptOut:
		return 2500
	}
	return 10000
}

// checkDocument checks the text of a policy; see [policy.CheckOrganization] and [parseManagement].
func checkDocument(t directory.PolicyType, src string) error {
	if utf8.RuneCountInString(src) > maxContent(t) {
		return errTooLong
	}
	if !t.Limits() {
		if _, err := parseManagement(t, src); err != nil {
			return malformed(err)
		}
		return nil
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
