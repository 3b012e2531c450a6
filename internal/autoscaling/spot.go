package autoscaling

import (
	"context"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// spotPrincipal is the service principal of EC2 Spot.
const spotPrincipal = "spot.amazonaws.com"

// spotSession is the name of the sessions of the Spot service's role.
const spotSession = launch.SpotSession

// isPrice reports whether a text is a price in US dollars: a positive decimal number.
func isPrice(s string) bool {
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && v > 0 && v < 1e6 && strings.Trim(s, "0123456789.") == ""
}

// spotRole is the service-linked role of EC2 Spot.
func spotRole(account string) string {
	return arn.Role(account, arn.ServiceLinkedPath(spotPrincipal), "AWSServiceRoleForEC2Spot")
}

// launcher is the identity that makes a launch: the group's service-linked role, or, for a launch
// configuration with a Spot price, that of EC2 Spot. Spot Instances of a launch template or a
// mixed instances policy are launched by the group's role.
// Source: User Guide, "Required AWS KMS key policy for use with encrypted volumes"; EC2 User Guide,
// "Service-linked role for Spot Instance requests".
func (s *Service) launcher(ctx context.Context, v *sight, call *guard.Call, as guard.Caller, l *launchRecord) (guard.Caller, error) {
	if l.bid() == "" {
		return as, nil
	}
	role := spotRole(v.Account)
	exists := false
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		_, exists, err = s.dir.Resolve(tx, role)
		return err
	})
	if err != nil {
		return as, err
	}
	if !exists { // The policy of the group's role lets it make this one role.
		_, err := s.roles.CreateServiceLinkedRole(ctx, call, as, &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new(spotPrincipal)})
		if err != nil && apierr.Code(err) != "InvalidInput" { // InvalidInput: another launch was first
			return as, err
		}
	}
	id, err := s.roles.AssumeServiceRole(ctx, call, spotPrincipal, role, spotSession)
	return guard.Caller{Identity: id, InvokedBy: spotPrincipal, UserAgent: spotPrincipal, Secure: true}, err
}
