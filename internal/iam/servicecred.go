package iam

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// serviceCredential is a user name and password for one service. The password is shown when it is
// made and kept nowhere: no service here would ask for it.
type serviceCredential struct {
	ID       string    `json:"id"`
	Service  string    `json:"service"`
	User     string    `json:"user"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Inactive bool      `json:"inactive,omitempty"`
}

// credentialServices have credentials of their own. Source: IAM User Guide, "Service-specific
// credentials for IAM users".
var credentialServices = []string{"bedrock.amazonaws.com", "cassandra.amazonaws.com", "codecommit.amazonaws.com", "logs.amazonaws.com"}

const maxCredentials = 2 // of a user for a service

func unsupportedService(name string) error {
	return apierr.Newf("NotSupportedService", "No such service %s is supported for Service Specific Credentials", name)
}

func newPassword() *secret.String {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return new(secret.String(base64.StdEncoding.EncodeToString(b)))
}

func (v *serviceCredential) expires() *time.Time {
	if v.Expires.IsZero() {
		return nil
	}
	return &v.Expires
}

func (v *serviceCredential) show(o owner, password *secret.String) *iamapi.ServiceSpecificCredential {
	return &iamapi.ServiceSpecificCredential{
		CreateDate: &v.Created, ExpirationDate: v.expires(), ServiceName: &v.Service, ServiceUserName: &v.User, ServicePassword: password,
		ServiceSpecificCredentialId: &v.ID, UserName: &o.name, Status: activeText(v.Inactive),
	}
}

// credentialOf is a credential of a user by id.
func (b *belongings) credentialOf(id *string) (*serviceCredential, error) {
	for i := range b.Credentials {
		if b.Credentials[i].ID == api.Val(id) {
			return &b.Credentials[i], nil
		}
	}
	return nil, noSuchEntity("No such credential %s exists", api.Val(id))
}

// CreateServiceSpecificCredential makes a user name and password for a service.
func (s *Service) CreateServiceSpecificCredential(ctx context.Context, c *guard.Call, in *iamapi.CreateServiceSpecificCredentialRequest) (*iamapi.CreateServiceSpecificCredentialResponse, error) {
	out := &iamapi.CreateServiceSpecificCredentialResponse{}
	service := api.Val(in.ServiceName)
	password := newPassword()
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, userKind, in.UserName, c.Operation, func(ctx *authz.Context) {
			ctx.Set("iam:servicespecificcredentialservicename", service)
			if in.CredentialAgeDays != nil {
				ctx.Set("iam:servicespecificcredentialagedays", number32(*in.CredentialAgeDays))
			}
		})
		if err != nil {
			return err
		}
		if !slices.Contains(credentialServices, service) {
			return unsupportedService(service)
		}
		o := owner{p.account, p.label, p.user.ID}
		b, _, err := belongingsTable.Get(tx, o.key()...)
		if err != nil {
			return err
		}
		same := 0
		for _, v := range b.Credentials {
			if v.Service == service {
				same++
			}
		}
		if same >= maxCredentials {
			return exceeded("Cannot exceed quota for ServiceSpecificCredentialsPerUser: %d", maxCredentials)
		}
		v := serviceCredential{ID: directory.NewID("ACCA"), Service: service, User: o.name + "-at-" + o.account, Created: s.now()}
		if same > 0 {
			v.User = o.name + "+1-at-" + o.account
		}
		if in.CredentialAgeDays != nil {
			v.Expires = v.Created.AddDate(0, 0, int(*in.CredentialAgeDays))
		}
		b.Credentials = append(b.Credentials, v)
		out.ServiceSpecificCredential = v.show(o, password)
		return belongingsTable.Put(tx, b, o.key()...)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListServiceSpecificCredentials lists the credentials of a user, or of the caller.
func (s *Service) ListServiceSpecificCredentials(ctx context.Context, c *guard.Call, in *iamapi.ListServiceSpecificCredentialsRequest) (*iamapi.ListServiceSpecificCredentialsResponse, error) {
	out := &iamapi.ListServiceSpecificCredentialsResponse{}
	service := api.Val(in.ServiceName)
	err := s.readOwned(ctx, c, in.UserName, func(o owner, b belongings) (err error) {
		if service != "" && !slices.Contains(credentialServices, service) {
			return unsupportedService(service)
		}
		all := drop(b.Credentials, func(v serviceCredential) bool { return service != "" && v.Service != service })
		var shown []serviceCredential
		shown, out.IsTruncated, out.Marker, err = pageOwned(s, c, o, all, func(v serviceCredential) string { return v.ID }, in.Marker, in.MaxItems)
		out.ServiceSpecificCredentials = []iamapi.ServiceSpecificCredentialMetadata{}
		for _, v := range shown {
			out.ServiceSpecificCredentials = append(out.ServiceSpecificCredentials, iamapi.ServiceSpecificCredentialMetadata{
				UserName: &o.name, Status: activeText(v.Inactive), ServiceUserName: &v.User, CreateDate: &v.Created, ExpirationDate: v.expires(),
				ServiceSpecificCredentialId: &v.ID, ServiceName: &v.Service,
			})
		}
		return err
	})
	return out, err
}

// changeCredential lets fn change a credential of a user, or of the caller, after deciding the
// operation, which carries the name of the credential's service.
func (s *Service) changeCredential(ctx context.Context, c *guard.Call, user, id *string, fn func(owner, *belongings, *serviceCredential) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		name := user
		if name == nil {
			name = &c.Caller.Principal.Username
		}
		p, err := s.load(tx, userKind, c.Account(), *name)
		if err != nil {
			return err
		}
		b, _, err := belongingsTable.Get(tx, p.account, cmp.Or(p.user.ID, p.account))
		if err != nil {
			return err
		}
		v, missing := b.credentialOf(id)
		o, err := s.keyOwner(tx, c, user, c.Operation, func(ctx *authz.Context) {
			if missing == nil {
				ctx.Set("iam:servicespecificcredentialservicename", v.Service)
			}
		})
		if err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if err := fn(o, &b, v); err != nil {
			return err
		}
		return belongingsTable.Put(tx, b, o.key()...)
	})
}

// UpdateServiceSpecificCredential makes a credential active or inactive.
func (s *Service) UpdateServiceSpecificCredential(ctx context.Context, c *guard.Call, in *iamapi.UpdateServiceSpecificCredentialRequest) error {
	return s.changeCredential(ctx, c, in.UserName, in.ServiceSpecificCredentialId, func(_ owner, _ *belongings, v *serviceCredential) error {
		v.Inactive = api.Val(in.Status) == iamapi.StatusTypeInactive
		return checkStatus(in.Status)
	})
}

// ResetServiceSpecificCredential makes another password.
func (s *Service) ResetServiceSpecificCredential(ctx context.Context, c *guard.Call, in *iamapi.ResetServiceSpecificCredentialRequest) (*iamapi.ResetServiceSpecificCredentialResponse, error) {
	out := &iamapi.ResetServiceSpecificCredentialResponse{}
	password := newPassword()
	err := s.changeCredential(ctx, c, in.UserName, in.ServiceSpecificCredentialId, func(o owner, _ *belongings, v *serviceCredential) error {
		out.ServiceSpecificCredential = v.show(o, password)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteServiceSpecificCredential removes a credential.
func (s *Service) DeleteServiceSpecificCredential(ctx context.Context, c *guard.Call, in *iamapi.DeleteServiceSpecificCredentialRequest) error {
	return s.changeCredential(ctx, c, in.UserName, in.ServiceSpecificCredentialId, func(_ owner, b *belongings, v *serviceCredential) error {
		b.Credentials = drop(b.Credentials, func(x serviceCredential) bool { return x.ID == v.ID })
		return nil
	})
}
