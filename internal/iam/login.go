package iam

import (
	"context"
	"crypto/subtle"
	"strings"
	"time"
	"unicode"

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
	l.Changed = s.now()
	l.Sealed = s.secrets.Seal([]byte(password.Reveal()), passwordAAD(o))
	return nil
}

func passwordAAD(o owner) []byte { return []byte("password " + o.account + " " + o.id) }

// checkPassword holds a password against a policy, or AWS's own where there is none.
// Source: IAM User Guide, "Set an account password policy for IAM users".
func checkPassword(p *iamapi.PasswordPolicy, password, user string) error {
	violated := func(what string) error {
		return apierr.New("PasswordPolicyViolation", "Password does not conform to the account password policy: it should have "+what+".")
	}
	if p == nil {
		kinds := 0
		for _, has := range []func(rune) bool{unicode.IsUpper, unicode.IsLower, unicode.IsDigit, symbol} {
			if strings.IndexFunc(password, has) >= 0 {
				kinds++
			}
		}
		switch {
		case len(password) < 8:
			return violated("a minimum length of 8")
		case kinds < 3:
			return violated("three of uppercase letters, lowercase letters, numbers and symbols")
		case strings.EqualFold(password, user):
			return violated("something else than the user's name")
		}
		return nil
	}
	if least := int(api.Val(p.MinimumPasswordLength)); len(password) < least {
		return apierr.Newf("PasswordPolicyViolation", "Password does not conform to the account password policy: it should have a minimum length of %d.", least)
	}
	for _, rule := range []struct {
		on   *bool
		has  func(rune) bool
		what string
	}{
		{p.RequireUppercaseCharacters, unicode.IsUpper, "at least one uppercase letter"},
		{p.RequireLowercaseCharacters, unicode.IsLower, "at least one lowercase letter"},
		{p.RequireNumbers, unicode.IsDigit, "at least one number"},
		{p.RequireSymbols, symbol, "at least one symbol"},
	} {
		if api.Val(rule.on) && strings.IndexFunc(password, rule.has) < 0 {
			return violated(rule.what)
		}
	}
	return nil
}

func symbol(r rune) bool { return strings.ContainsRune("!@#$%^&*()_+-=[]{}|'", r) }

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
