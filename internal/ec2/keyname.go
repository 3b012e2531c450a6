package ec2

import (
	"context"
	"errors"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
)

// resolveKey looks the name of a job's key up. EC2 does that itself; a name that means no key is
// recorded as EC2's failed request, for it is why the job fails and no other request tells it.
func (s *Service) resolveKey(ctx context.Context, j *job, id string) (string, error) {
	keyARN, err := s.keys.ResolveKey(ctx, j.Region, j.Account, id)
	if _, ours := errors.AsType[*apierr.Error](err); !ours {
		return keyARN, err
	}
	as := guard.Caller{Identity: directory.ServiceIdentity(Principal), Secure: true, InvokedBy: Principal}
	in := &kmsapi.DescribeKeyRequest{KeyId: &id}
	_, err = s.g.Invoke(ctx, s.jobCall(j).Child(as, "kms", "DescribeKey", in, true), in,
		func(_ context.Context, c *guard.Call, _ any) (any, error) {
			kind, resource := "AWS::EC2::Instance", "instance/"
			switch prefix, _, _ := strings.Cut(j.Subject, "-"); prefix {
			case "vol":
				kind, resource = "AWS::EC2::Volume", "volume/"
			case "snap":
				kind, resource = "AWS::EC2::Snapshot", "snapshot/"
			case "ami":
				kind, resource = "AWS::EC2::Ami", "image/"
			}
			c.Touch(arn.EC2(j.Region, j.Account, resource+j.Subject), j.Account, kind)
			return nil, err
		})
	return "", err
}

// keyShown is the key that the answer to a request shows for a volume that is not made yet and for which no key
// was named: the ARN of a key of the caller's account, else the identifier as it was chosen, since whether
// another account has such a key is decided later.
func (s *Service) keyShown(ctx context.Context, c *guard.Call, id string) *string {
	if parsed, err := arn.Parse(id); err != nil || parsed.Account == c.Account() {
		if keyARN, err := s.keys.ResolveKey(ctx, c.Region, c.Account(), id); err == nil {
			return &keyARN
		}
	}
	return api.Opt(id)
}
