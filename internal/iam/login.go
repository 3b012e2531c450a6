package iam

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// login is a user's password. Nobody can sign in with it here: it is kept so that ChangePassword
// can ask for the old one.
type login struct {
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed,omitzero"` // of the password itself
	Sealed  []byte    `json:"sealed,omitempty"` // none until one was given
	Reset   bool      `json:"reset,omitempty"`
	Earlier [][]byte  `json:"earlier,omitempty"` // sealed passwords, the newest first, at most maxEarlier
}

func noLogin(o owner) error {
	return noSuchEntity("Login Profile for User %s cannot be found.", o.name)
}

func apiLogin(o owner, l *login) *iamapi.LoginProfile {
	return &iamapi.LoginProfile{UserName: &o.name, CreateDate: &l.Created, PasswordResetRequired: new(l.Reset)}
}

// setPassword seals a password that the account's policy takes.
func (s *Service) setPassword(tx store.Tx, o owner, l *login, password secret.String) error {
	v, _, err := settingsTable.Get(tx, o.account)
	if err != nil {
		return err
	}
	if err := checkPassword(v.Password, password.Reveal(), o.name); err != nil {
		return err
	}
	had := l.Earlier
	if l.Sealed != nil {
		had = append([][]byte{l.Sealed}, had...)
	}
	if v.Password != nil {
		if err := s.checkReuse(o, had, int(api.Val(v.Password.PasswordReusePrevention)), password); err != nil {
			return err
		}
	}
	l.Earlier = had[:min(len(had), maxEarlier)]
	l.Changed = s.now()
	l.Sealed = s.secrets.Seal([]byte(password.Reveal()), passwordAAD(o))
	return nil
}

func passwordAAD(o owner) []byte { return []byte("password " + o.account + " " + o.id) }

// CreateLoginProfile gives a user a password.
func (s *Service) CreateLoginProfile(ctx context.Context, c *guard.Call, in *iamapi.CreateLoginProfileRequest) (*iamapi.CreateLoginProfileResponse, error) {
	var out *iamapi.CreateLoginProfileResponse
	err := s.changeOwned(ctx, c, in.UserName, func(tx store.Tx, o owner, b *belongings) error {
		if b.Login != nil {
			return apierr.Newf(codeExists, "Login Profile for user %s already exists.", o.name)
		}
		b.Login = &login{Created: s.now(), Reset: api.Val(in.PasswordResetRequired)}
		if in.Password != nil {
			if err := s.setPassword(tx, o, b.Login, *in.Password); err != nil {
				return err
			}
		}
		out = &iamapi.CreateLoginProfileResponse{LoginProfile: apiLogin(o, b.Login)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetLoginProfile tells since when a user has a password.
func (s *Service) GetLoginProfile(ctx context.Context, c *guard.Call, in *iamapi.GetLoginProfileRequest) (*iamapi.GetLoginProfileResponse, error) {
	out := &iamapi.GetLoginProfileResponse{}
	err := s.readOwned(ctx, c, in.UserName, func(o owner, b belongings) error {
		if b.Login == nil {
			return noLogin(o)
		}
		out.LoginProfile = apiLogin(o, b.Login)
		return nil
	})
	return out, err
}

// UpdateLoginProfile changes a user's password.
func (s *Service) UpdateLoginProfile(ctx context.Context, c *guard.Call, in *iamapi.UpdateLoginProfileRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(tx store.Tx, o owner, b *belongings) error {
		if b.Login == nil {
			return noLogin(o)
		}
		if in.PasswordResetRequired != nil {
			b.Login.Reset = *in.PasswordResetRequired
		}
		if in.Password == nil {
			return nil
		}
		return s.setPassword(tx, o, b.Login, *in.Password)
	})
}

// DeleteLoginProfile removes a user's password.
func (s *Service) DeleteLoginProfile(ctx context.Context, c *guard.Call, in *iamapi.DeleteLoginProfileRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(_ store.Tx, o owner, b *belongings) error {
		if b.Login == nil {
			return noLogin(o)
		}
		b.Login = nil
		return nil
	})
}

// ChangePassword changes the password of the user that calls.
func (s *Service) ChangePassword(ctx context.Context, c *guard.Call, in *iamapi.ChangePasswordRequest) error {
	if c.Caller.Principal.Type != authz.User {
		return apierr.New("InvalidUserType", "Only IAM Users can change their own password.")
	}
	return s.changeOwned(ctx, c, nil, func(tx store.Tx, o owner, b *belongings) error {
		if b.Login == nil {
			return noLogin(o)
		}
		old, err := s.secrets.Open(b.Login.Sealed, passwordAAD(o))
		if err != nil || subtle.ConstantTimeCompare(old, []byte(in.OldPassword.Reveal())) != 1 {
			return apierr.New("AccessDenied", "The old password was incorrect.").WithStatus(403)
		}
		b.Login.Reset = false
		return s.setPassword(tx, o, b.Login, *in.NewPassword)
	})
}
