package kagimori

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/trail"
)

// failure adds to the last evaluation of a request that was allowed and failed all the same that
// permissions are not why. A dry run did not fail; EC2 makes them to ask for permissions.
func failure(r *trail.Record, evals []kagimoriapi.Evaluation, l speech.Language) {
	if r.ErrorCode == "" || len(evals) == 0 {
		return
	}
	for i := range evals {
		if api.Val(evals[i].EvaluatedEffect) != kagimoriapi.EffectTypeALLOW {
			return
		}
	}
	last := &evals[len(evals)-1]
	if r.ErrorCode == "DryRunOperationException" || r.ErrorCode == "DryRunOperation" { // of KMS, of EC2
		last.Explanation = append(last.Explanation, speech.Say("It was a dry run, which does nothing: the request would have succeeded.").In(l))
		return
	}
	what := r.ErrorCode
	if r.ErrorMessage != "" {
		what += ", " + r.ErrorMessage
	}
	last.Explanation = append(last.Explanation, speech.Say("The permissions are there, but the request failed: %s", what).In(l))
	if wrongKind(r) {
		last.Explanation = append(last.Explanation,
			speech.Say("%s is not a symmetric encryption key, and %s for a volume works with no other.", api.Val(last.Resource), r.EventName).In(l))
	}
}

// wrongKind reports whether EC2 asked for something that the kind of the key does not have. What
// EC2 sends is well-formed, so nothing else makes KMS refuse it with these codes. Source: Amazon
// EBS User Guide, "How Amazon EBS encryption works".
func wrongKind(r *trail.Record) bool {
	if r.UserIdentity.InvokedBy != "ec2.amazonaws.com" {
		return false
	}
	return r.ErrorCode == "InvalidKeyUsageException" || r.EventName == "CreateGrant" && r.ErrorCode == "ValidationException"
}
