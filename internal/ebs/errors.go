package ebs

import (
	"errors"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

// invalid is a ValidationException with a reason. Source: EBS direct APIs Reference, ValidationException.
func invalid(reason, format string, args ...any) error {
	return apierr.Newf("ValidationException", format, args...).With("Reason", reason)
}

func errNoSnapshot(id string) error {
	return apierr.Newf("ResourceNotFoundException", "The snapshot '%s' does not exist.", id).With("Reason", "SNAPSHOT_NOT_FOUND")
}

// dependency puts KMS's refusal into EBS's words. The reasons are those of the model; which of KMS's errors
// gives which is our reading of their names.
func dependency(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := guard.Denied(err); ok {
		return apierr.New("AccessDeniedException", "The caller is not allowed to use the KMS key of the snapshot.").
			With("Reason", "DEPENDENCY_ACCESS_DENIED").Because(err)
	}
	var api *apierr.Error
	if !errors.As(err, &api) || api.Server {
		return err
	}
	switch code := api.Code; {
	case strings.HasPrefix(code, "AccessDenied"):
		return apierr.New("AccessDeniedException", "The caller is not allowed to use the KMS key of the snapshot.").
			With("Reason", "DEPENDENCY_ACCESS_DENIED").Because(err)
	case code == "NotFoundException":
		return apierr.New("ResourceNotFoundException", "The KMS key of the snapshot does not exist.").
			With("Reason", "DEPENDENCY_RESOURCE_NOT_FOUND").Because(err)
	case code == "LimitExceededException":
		return apierr.New("ServiceQuotaExceededException", "A quota of KMS is exceeded.").
			With("Reason", "DEPENDENCY_SERVICE_QUOTA_EXCEEDED").Because(err)
	case code == "DisabledException" || code == "KMSInvalidStateException" || code == "InvalidKeyUsageException" || code == "UnsupportedOperationException":
		return apierr.Newf("ValidationException", "The KMS key of the snapshot cannot be used: %s", api.Message).
			With("Reason", "INVALID_CUSTOMER_KEY").Because(err)
	}
	return apierr.Newf("ValidationException", "KMS refused the request: %s", api.Message).With("Reason", "INVALID_DEPENDENCY_REQUEST").Because(err)
}
