package ec2

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/kagimori/kagimori/internal/apierr"
)

// errDryRun is the answer to a request with DryRun that would have been allowed. Source: EC2 API
// Reference, "Error codes" (DryRunOperation).
var errDryRun = apierr.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").WithStatus(412)

// dryRun is errDryRun if the parameter asks for it. Call it after the decision.
func dryRun(flag *bool) error {
	if flag != nil && *flag {
		return errDryRun
	}
	return nil
}

// invalidValue is EC2's answer to a parameter value that makes no sense.
func invalidValue(format string, args ...any) error {
	return apierr.Newf("InvalidParameterValue", format, args...)
}

// randomID makes the id of a new resource: the prefix, a dash and 17 hexadecimal digits.
// Source: EC2 User Guide, "Resource IDs".
func randomID(prefix string) string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return prefix + "-0" + hex.EncodeToString(b[:])
}
