package org

import (
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/policy"
)

// maxContent is how many characters a document of a type may have, white space included.
// Source: AWS Organizations User Guide, "Quotas and service limits".
var maxContent = map[directory.PolicyType]int{directory.SCP: 10240, directory.RCP: 5120}

// checkDocument checks the text of a policy.
//
// Service control policies take the whole policy language but Principal. Resource control
// policies only deny, to everybody (Principal "*"), and name actions and resources.
//
// Source: AWS Organizations User Guide, "SCP syntax" and "RCP syntax".
func checkDocument(t directory.PolicyType, src string) error {
	if n := utf8.RuneCountInString(src); n > maxContent[t] {
		return apierr.Newf(codeConstraint, "The policy has %d characters; policies of the type %s may have %d.", n, t, maxContent[t])
	}
	kind := policy.SCP
	if t == directory.RCP {
		kind = policy.RCP
	}
	doc, err := policy.Parse([]byte(src), kind)
	if err != nil {
		return malformed(err)
	}
	if doc.Version != policy.Version2012 {
		return errMalformed
	}
	for i := range doc.Statements {
		if st := &doc.Statements[i]; len(st.Resources)+len(st.NotResources) == 0 || t == directory.RCP && !fitsRCP(st) {
			return errMalformed
		}
	}
	return nil
}

func fitsRCP(st *policy.Statement) bool {
	return st.Effect == policy.Deny && st.Principal != nil && st.Principal.Any && len(st.NotActions) == 0 &&
		len(st.Principal.AWS)+len(st.Principal.Service)+len(st.Principal.Federated)+len(st.Principal.Canonical) == 0
}

// malformed is errMalformed with the place for the log.
func malformed(cause error) error {
	return apierr.New(errMalformed.Code, errMalformed.Message).Because(cause)
}
