package idiom

import "github.com/kagimori/kagimori/internal/api/ec2api"

// Unmanaged says that no service provider manages a resource. Source: EC2 API Reference, OperatorResponse.
func Unmanaged() *ec2api.OperatorResponse { return &ec2api.OperatorResponse{Managed: new(false)} }
