package iam

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
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

// keyServices are those of them whose credential is a key: it has an alias and a secret in place of a user name and a
// password, and may expire. Source: IAM API Reference, ServiceSpecificCredential.
var keyServices = []string{"bedrock.amazonaws.com", "logs.amazonaws.com"}

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
	out := &iamapi.ServiceSpecificCredential{
		CreateDate: &v.Created, ExpirationDate: v.expires(), ServiceName: &v.Service, ServiceSpecificCredentialId: &v.ID, UserName: &o.name,
		Status: activeText(v.Inactive),
	}
	if v.key() {
		out.ServiceCredentialAlias, out.ServiceCredentialSecret = &v.User, password
	} else {
		out.ServiceUserName, out.ServicePassword = &v.User, password
	}
	return out
}

func (v *serviceCredential) key() bool { return slices.Contains(keyServices, v.Service) }

// metadata is the credential as lists show it.
func (v *serviceCredential) metadata(user string) iamapi.ServiceSpecificCredentialMetadata {
	out := iamapi.ServiceSpecificCredentialMetadata{
		UserName: &user, Status: activeText(v.Inactive), CreateDate: &v.Created, ExpirationDate: v.expires(),
		ServiceSpecificCredentialId: &v.ID, ServiceName: &v.Service,
	}
	if v.key() {
		out.ServiceCredentialAlias = &v.User
	} else {
		out.ServiceUserName = &v.User
	}
	return out
}

// callIt names a new credential of a user who has others: jane-at-123456789012, jane+1-at-123456789012; a key has always a number.
func (v *serviceCredential) callIt(o owner, others []serviceCredential) {
	for n := 0; ; n++ {
		v.User = o.name + "+" + strconv.Itoa(n) + "-at-" + o.account
		switch {
		case n == 0 && v.key():
			continue
		case n == 0:
			v.User = o.name + "-at-" + o.account
		}
		if !slices.ContainsFunc(others, func(x serviceCredential) bool { return x.Service == v.Service && x.User == v.User }) {
			return
		}
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
		v := serviceCredential{ID: directory.NewID("ACCA"), Service: service, Created: s.now()}
		v.callIt(o, b.Credentials)
		if in.CredentialAgeDays != nil {
			if !v.key() {
				return apierr.Newf(codeInvalid, "CredentialAgeDays is not supported for the service %s.", service)
			}
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
	if api.Val(in.AllUsers) {
		return out, s.allCredentials(ctx, c, in, out)
	}
	err := s.readOwned(ctx, c, in.UserName, func(o owner, b belongings) (err error) {
		if service != "" && !slices.Contains(credentialServices, service) {
			return unsupportedService(service)
		}
		all := drop(b.Credentials, func(v serviceCredential) bool { return service != "" && v.Service != service })
		var shown []serviceCredential
		shown, out.IsTruncated, out.Marker, err = pageOwned(s, c, o, all, func(v serviceCredential) string { return v.ID }, in.Marker, in.MaxItems)
		out.ServiceSpecificCredentials = []iamapi.ServiceSpecificCredentialMetadata{}
		for _, v := range shown {
			out.ServiceSpecificCredentials = append(out.ServiceSpecificCredentials, v.metadata(o.name))
		}
		return err
	})
	return out, err
}

// allCredentials lists the credentials of all users, by their ids.
// Source: IAM API Reference, ListServiceSpecificCredentials, AllUsers.
func (s *Service) allCredentials(ctx context.Context, c *guard.Call, in *iamapi.ListServiceSpecificCredentialsRequest, out *iamapi.ListServiceSpecificCredentialsResponse) error {
	service := api.Val(in.ServiceName)
	switch {
	case in.UserName != nil:
		return apierr.New(codeInvalid, "UserName and AllUsers cannot be specified together.")
	case service != "" && !slices.Contains(credentialServices, service):
		return unsupportedService(service)
	}
	pg, err := s.page(c, "all "+service, in.Marker, in.MaxItems)
	if err != nil {
		return err
	}
	return s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "user", ""); err != nil {
			return err
		}
		names := map[string]string{}
		for u, err := range s.dir.Users(tx, c.Account(), "") {
			if err != nil {
				return err
			}
			names[u.Value.ID] = u.Value.Name
		}
		all := []iamapi.ServiceSpecificCredentialMetadata{}
		for r, err := range belongingsTable.Scan(tx, c.Account()) {
			if err != nil {
				return err
			}
			for _, v := range r.Value.Credentials {
				if name, ok := names[r.Key[1]]; ok && (service == "" || v.Service == service) {
					all = append(all, v.metadata(name))
				}
			}
		}
		id := func(v iamapi.ServiceSpecificCredentialMetadata) string { return *v.ServiceSpecificCredentialId }
		slices.SortFunc(all, func(a, b iamapi.ServiceSpecificCredentialMetadata) int { return strings.Compare(id(a), id(b)) })
		var last string
		if out.ServiceSpecificCredentials, last = cut(pg, all, id); out.ServiceSpecificCredentials == nil {
			out.ServiceSpecificCredentials = all[:0]
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
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
