package policy

import (
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
)

// MaxKeyPolicySize is the quota for a key policy, in bytes.
//
// Source: KMS Developer Guide, "Resource quotas".
const MaxKeyPolicySize = 32768

const codeKeyMalformed = "MalformedPolicyDocumentException"

// CheckKey parses a new key policy and checks what KMS checks of the document alone. The caller
// still has to check that the principals exist (see [Document.PrincipalARNs] and
// [InvalidKeyPrincipals]) and that the caller keeps access to the key. A statement without Action
// or Resource is accepted and has no effect, as in KMS.
//
// Every error is an [*apierr.Error]: LimitExceededException over [MaxKeyPolicySize],
// InvalidArnException for an ARN that is not one of a principal, ValidationException for
// characters outside the API's pattern, else MalformedPolicyDocumentException. A [*SyntaxError],
// where there is one, is its cause; the message then says the place.
//
// Source: KMS Developer Guide, "Creating a key policy"; KMS API Reference, PutKeyPolicy.
func CheckKey(src []byte) (*Document, error) {
	if len(src) > MaxKeyPolicySize {
		return nil, apierr.Newf("LimitExceededException", "The key policy is longer than %d bytes.", MaxKeyPolicySize)
	}
	if err := checkCharset(src, "policy"); err != nil {
		return nil, err
	}
	d, err := Parse(src, Key)
	if err != nil {
		e := err.(*SyntaxError)
		return nil, apierr.Newf(codeKeyMalformed, "Policy has a syntax error at line %d, column %d: %s.",
			e.Line, e.Column, e.Reason).Because(err)
	}
	for _, s := range d.Statements {
		if s.Principal.Empty() && s.NotPrincipal.Empty() {
			return nil, apierr.New(codeKeyMalformed, "Policy contains a statement with no principal.")
		}
	}
	for _, f := range []func(*Document) error{checkKeyPrincipals, checkKeyConditions} {
		if err := f(d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// InvalidKeyPrincipals is the error of KMS for a key policy with a principal that does not exist.
func InvalidKeyPrincipals() *apierr.Error {
	return apierr.New(codeKeyMalformed, "Policy contains a statement with one or more invalid principals.")
}

// A PrincipalError is the cause where KMS refuses a key policy for a principal, and does not say which.
type PrincipalError struct{ Principal Text }

func (e *PrincipalError) Error() string { return "the principal is " + e.Principal.Value }

func checkKeyPrincipals(d *Document) error {
	for _, s := range d.Statements {
		for _, list := range []*Principals{s.Principal, s.NotPrincipal} {
			for kind, t := range list.All() {
				switch kind {
				case PrincipalFederated, PrincipalCanonical:
					return InvalidKeyPrincipals().Because(&PrincipalError{t})
				case PrincipalService:
					continue
				}
				switch shapeOf(t.Value) {
				case shapeBadARN:
					return apierr.New("InvalidArnException", "An ARN in the specified key policy is invalid.").Because(&PrincipalError{t})
				case shapeGarbage, shapeWildcard:
					return InvalidKeyPrincipals().Because(&PrincipalError{t})
				}
			}
		}
	}
	return nil
}

// checkKeyConditions refuses ForAllValues on keys that have one value: it is true for a request
// without the key, so it would open the key to requests without an encryption context or tag.
//
// Source: KMS Developer Guide, "kms:EncryptionContext:context-key".
func checkKeyConditions(d *Document) error {
	for _, s := range d.Statements {
		for _, c := range s.Conditions {
			if op, _ := ParseOperator(c.Operator); op.Set != ForAllValues {
				continue
			}
			what := ""
			switch key := strings.ToLower(c.Key); {
			case strings.HasPrefix(key, "kms:encryptioncontext:"):
				what = "encryption context"
			case strings.HasPrefix(key, "aws:requesttag/"):
				what = "tag"
			default:
				continue
			}
			return apierr.New(codeKeyMalformed, fmt.Sprintf("OverlyPermissiveCondition: Using the ForAllValues "+
				"set operator with a single-valued condition key matches requests without the specified %[1]s "+
				"or with an unspecified %[1]s. To fix, remove ForAllValues.", what))
		}
	}
	return nil
}
