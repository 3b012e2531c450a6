package idiom

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// NoOperator refuses to make something that a service provider manages: the parameter is reserved for AWS's own services.
// Source: EC2 API Reference, OperatorRequest. Which code AWS gives is not documented.
func NoOperator(in *ec2api.OperatorRequest) error {
	if in != nil && api.Val(in.Principal) != "" {
		return apierr.New("UnsupportedOperation", "The parameter Operator is reserved for internal use.")
	}
	return nil
}

// Unmanaged says that no service provider manages a resource. Source: EC2 API Reference, OperatorResponse.
func Unmanaged() *ec2api.OperatorResponse { return &ec2api.OperatorResponse{Managed: new(false)} }
