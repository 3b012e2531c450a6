package ec2

import (
	"context"
	"fmt"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// Roles is IAM and STS as EC2 calls them for what it launches by itself.
type Roles interface {
	CreateServiceLinkedRole(ctx context.Context, parent *guard.Call, as guard.Caller, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error)
	// AssumeServiceRole gives a service a session of its service-linked role.
	AssumeServiceRole(ctx context.Context, parent *guard.Call, service, roleARN, session string) (directory.Identity, error)
}

// A linkedService is a part of EC2 that launches instances as a service-linked role.
// Source: EC2 User Guide, "Service-linked role for Spot Instance requests", "... for EC2 Fleet",
// "... for Spot Fleet".
type linkedService struct {
	principal, role, session, noun string
}

var (
	spotService      = linkedService{"spot.amazonaws.com", "AWSServiceRoleForEC2Spot", launch.SpotSession, "EC2 Spot Instances"}
	fleetService     = linkedService{"ec2fleet.amazonaws.com", "AWSServiceRoleForEC2Fleet", launch.FleetSession, "EC2 Fleet"}
	spotFleetService = linkedService{"spotfleet.amazonaws.com", "AWSServiceRoleForEC2SpotFleet", launch.SpotFleetSession, "EC2 Spot Fleet"}
)

func (l linkedService) arn(account string) string {
	return arn.Role(account, arn.ServiceLinkedPath(l.principal), l.role)
}

// needRole makes the role of a service with the caller's permission, if it is not there.
func (s *Service) needRole(ctx context.Context, c *guard.Call, l linkedService) error {
	exists := false
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		_, exists, err = s.dir.Resolve(tx, l.arn(c.Account()))
		return err
	})
	if err != nil || exists {
		return err
	}
	if s.roles == nil {
		return apierr.New("UnsupportedOperation", "This server has no service-linked roles.")
	}
	_, err = s.roles.CreateServiceLinkedRole(ctx, c, c.Caller, &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: &l.principal})
	switch code := apierr.Code(err); {
	case code == "InvalidInput": // another request was first
		return nil
	case code == "AccessDenied" || code == "AccessDeniedException":
		return apierr.Newf("AuthFailure.ServiceLinkedRoleCreationNotPermitted",
			"The provided credentials do not have permission to create the service-linked role for %s.", l.noun)
	}
	return err
}

// serviceCall is a call that a service makes by itself, as its role in an account.
func (s *Service) serviceCall(ctx context.Context, l linkedService, region, account, operation string) (*guard.Call, guard.Caller, error) {
	parent := &guard.Call{
		ID: guard.NewRequestID(), Service: "ec2", Operation: operation, Region: region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: directory.ServiceIdentity(l.principal), InvokedBy: l.principal, SourceAccount: account},
	}
	if s.roles == nil {
		return parent, guard.Caller{}, apierr.New("UnsupportedOperation", "This server has no service-linked roles.")
	}
	id, err := s.roles.AssumeServiceRole(ctx, parent, l.principal, l.arn(account), l.session)
	return parent, guard.Caller{Identity: id, InvokedBy: l.principal, UserAgent: l.principal, Secure: true}, err
}

// runAs is ec2:RunInstances as part of another call, as somebody: a request of its own, which can be
// explained by itself. spot is the Spot Instance request that it serves, or "".
func (s *Service) runAs(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.RunInstancesRequest, spot string) (*ec2api.Reservation, error) {
	c := parent.Child(as, "ec2", "RunInstances", in, false)
	c.ID, c.Time = guard.NewRequestID(), s.g.Now()
	return guard.InvokeOp(ctx, s.g, c, in, func(ctx context.Context, c *guard.Call, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
		return s.run(ctx, c, in, spot, false)
	})
}

// terminateAs is ec2:TerminateInstances as part of another call. Instances that are gone already
// are none of its business.
func (s *Service) terminateAs(ctx context.Context, parent *guard.Call, as guard.Caller, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	in := &ec2api.TerminateInstancesRequest{InstanceIds: ids}
	c := parent.Child(as, "ec2", "TerminateInstances", in, false)
	c.ID, c.Time = guard.NewRequestID(), s.g.Now()
	_, err := guard.InvokeOp(ctx, s.g, c, in, s.TerminateInstances)
	if apierr.Code(err) == "InvalidInstanceID.NotFound" {
		return nil
	}
	return err
}

// A storedLaunch is a RunInstances request as stored. User data is a secret to every printer.
type storedLaunch struct {
	Members  jsontext.Value `json:"members"`
	UserData *string        `json:"userData,omitempty"`
}

func storeLaunch(in ec2api.RunInstancesRequest) (storedLaunch, error) {
	var out storedLaunch
	if in.UserData != nil {
		out.UserData = new(in.UserData.Reveal())
		in.UserData = nil
	}
	var err error
	out.Members, err = json.Marshal(in, json.OmitZeroStructFields(true), json.Deterministic(true))
	return out, err
}

func (l storedLaunch) request() (*ec2api.RunInstancesRequest, error) {
	out := new(ec2api.RunInstancesRequest)
	if err := json.Unmarshal(l.Members, out); err != nil {
		return nil, fmt.Errorf("ec2: stored launch: %w", err)
	}
	if l.UserData != nil {
		out.UserData = new(secret.String(*l.UserData))
	}
	return out, nil
}

// convert copies members of the same name from one structure of the model to another: those of
// requests and answers differ in their types only.
func convert[To any](from any) (*To, error) {
	data, err := json.Marshal(from, json.OmitZeroStructFields(true))
	if err != nil {
		return nil, err
	}
	out := new(To)
	return out, json.Unmarshal(data, out)
}

// instanceEnded tells those who asked for an instance that it is gone.
func (s *Service) instanceEnded(region, account, id string) {
	s.spotEnded(region, account, id)
	s.fleetEnded(region, account, id)
}
