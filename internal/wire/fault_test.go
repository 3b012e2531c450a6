package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
)

func TestFaults(t *testing.T) {
	kms, iam, ec2, asg := kmsapi.Service(), iamapi.Service(), ec2api.Service(), autoscalingapi.Service()
	const internal = "An internal error has occurred. Request id: r-1"
	for _, tt := range []struct {
		name string
		svc  *api.Service
		err  error
		want wire.Fault
	}{
		{"kms client fault", kms, apierr.New("NotFoundException", "m"), wire.Fault{Code: "NotFoundException", Message: "m", Status: 400}},
		{"kms denial", kms, apierr.New("AccessDeniedException", "m"), wire.Fault{Code: "AccessDeniedException", Message: "m", Status: 400}},
		{"kms denial, other spelling", kms, apierr.New("AccessDenied", "m"), wire.Fault{Code: "AccessDeniedException", Message: "m", Status: 400}},
		{"kms server fault", kms, apierr.New("KeyUnavailableException", ""), wire.Fault{Code: "KeyUnavailableException", Status: 500, Server: true}},
		{"wrapped", kms, fmt.Errorf("x: %w", apierr.New("DisabledException", "m")), wire.Fault{Code: "DisabledException", Message: "m", Status: 400}},
		{"explicit status", kms, apierr.New("X", "m").WithStatus(413), wire.Fault{Code: "X", Message: "m", Status: 413}},
		{"not an api error", kms, errors.New("secret detail"), wire.Fault{Code: "KMSInternalException", Message: internal, Status: 500, Server: true}},
		{"kagimori internal", kagimoriapi.Service(), errors.New("x"), wire.Fault{Code: "InternalFailure", Message: internal, Status: 500, Server: true}},
		{"iam internal", iam, errors.New("x"), wire.Fault{Code: "InternalFailure", Message: internal, Status: 500, Server: true}},
		{"ec2 internal", ec2, errors.New("x"), wire.Fault{Code: "InternalError", Message: internal, Status: 500, Server: true}},
		{"iam by shape", iam, apierr.New("NoSuchEntityException", "m"), wire.Fault{Code: "NoSuchEntity", Message: "m", Status: 404}},
		{"iam by code", iam, apierr.New("NoSuchEntity", "m"), wire.Fault{Code: "NoSuchEntity", Message: "m", Status: 404}},
		{"iam conflict", iam, apierr.New("DeleteConflict", "m"), wire.Fault{Code: "DeleteConflict", Message: "m", Status: 409}},
		{"iam server fault", iam, apierr.New("ServiceFailureException", "m"), wire.Fault{Code: "ServiceFailure", Message: "m", Status: 500, Server: true}},
		{"iam validation", iam, apierr.Validation("%d", 1), wire.Fault{Code: "ValidationError", Message: "1", Status: 400}},
		{"iam denial", iam, apierr.New("AccessDenied", "m"), wire.Fault{Code: "AccessDenied", Message: "m", Status: 403}},
		{"iam denial, other spelling", iam, apierr.New("AccessDeniedException", "m"), wire.Fault{Code: "AccessDenied", Message: "m", Status: 403}},
		{"asg validation", asg, apierr.Validation("m"), wire.Fault{Code: "ValidationError", Message: "m", Status: 400}},
		{"asg by shape", asg, apierr.New("AlreadyExistsFault", "m"), wire.Fault{Code: "AlreadyExists", Message: "m", Status: 400}},
		{"asg contention", asg, apierr.New("ResourceContention", "m"), wire.Fault{Code: "ResourceContention", Message: "m", Status: 500, Server: true}},
		{"ec2 denial", ec2, apierr.New("UnauthorizedOperation", "m"), wire.Fault{Code: "UnauthorizedOperation", Message: "m", Status: 403}},
		{"ec2 not found", ec2, apierr.New("InvalidVolume.NotFound", "m"), wire.Fault{Code: "InvalidVolume.NotFound", Message: "m", Status: 400}},
		{"ec2 validation", ec2, apierr.Validation("m"), wire.Fault{Code: "InvalidParameterValue", Message: "m", Status: 400}},
		{"ec2 server", ec2, &apierr.Error{Code: "InternalFailure", Message: "m", Server: true}, wire.Fault{Code: "InternalError", Message: "m", Status: 500, Server: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, err := wire.TableOf(tt.svc)
			if err != nil {
				t.Fatal(err)
			}
			got := table.Fault(tt.err, "r-1")
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if strings.Contains(got.Message, "secret") {
				t.Error("the cause is shown")
			}
		})
	}
}
