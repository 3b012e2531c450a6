package iam

import (
	"crypto/subtle"
	"strconv"
	"strings"
	"unicode"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// maxEarlier is how many earlier passwords of a user a password policy can forbid.
// Source: IAM API Reference, UpdateAccountPasswordPolicy.
const maxEarlier = 24

// Texts of violations are as reported by users; that of a password that was used before is ours.
func violated(what string) error { return apierr.New("PasswordPolicyViolation", what) }

// checkPassword holds a password against a policy, or AWS's own where there is none.
// Source: IAM User Guide, "Set an account password policy for IAM users".
func checkPassword(p *iamapi.PasswordPolicy, password, user string) error {
	least, all := int32(8), p == nil
	if all {
		p = new(iamapi.PasswordPolicy)
	} else {
		least = api.Val(p.MinimumPasswordLength)
	}
	var missing []string
	for _, rule := range []struct {
		on   *bool
		has  func(rune) bool
		what string
	}{
		{p.RequireUppercaseCharacters, unicode.IsUpper, "uppercase letter"},
		{p.RequireLowercaseCharacters, unicode.IsLower, "lowercase letter"},
		{p.RequireNumbers, unicode.IsDigit, "number"},
		{p.RequireSymbols, symbol, "symbol"},
	} {
		if (all || api.Val(rule.on)) && strings.IndexFunc(password, rule.has) < 0 {
			missing = append(missing, "Password should have at least one "+rule.what)
		}
	}
	switch {
	case len(password) < int(least):
		return violated("Password should have a minimum length of " + number32(least))
	case all && len(missing) > 1: // three of the four are wanted
		return violated("Password should meet " + strconv.Itoa(len(missing)-1) + " more of the following requirements: " + strings.Join(missing, ", "))
	case all && strings.EqualFold(password, user):
		return violated("Password should not be the name of the user")
	case !all && len(missing) > 0:
		return violated(strings.Join(missing, ", "))
	}
	return nil
}

func symbol(r rune) bool { return strings.ContainsRune("!@#$%^&*()_+-=[]{}|'", r) }

// checkReuse refuses a password that is one of the last ones, of which had has the newest first.
func (s *Service) checkReuse(o owner, had [][]byte, last int, password secret.String) error {
	for _, sealed := range had[:min(len(had), last)] {
		old, err := s.secrets.Open(sealed, passwordAAD(o))
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(old, []byte(password.Reveal())) == 1 {
			return violated("Password should not be one of the last " + strconv.Itoa(last) + " passwords")
		}
	}
	return nil
}

// changers is what an account gives all of its users that lets them change their passwords. Nobody changes another's.
// Source: IAM API Reference, PasswordPolicy, AllowUsersToChangePassword (in the SDKs' documentation): the permissions
// "are applied at the account-level for all users".
var changers = func() *authz.Document {
	doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:ChangePassword","iam:GetAccountPasswordPolicy"],"Resource":"*"}}`), policy.Identity)
	if err != nil {
		panic(err) // a constant
	}
	return authz.Compile(doc, policy.Identity)
}()

// given are the policies that an account gives its users for an operation, beside those that they have.
func (s *Service) given(tx store.Tx, c *guard.Call) ([]*authz.Document, error) {
	me := c.Caller.Principal
	if me.Type != authz.User || c.Operation != "ChangePassword" && c.Operation != "GetAccountPasswordPolicy" {
		return nil, nil
	}
	v, _, err := settingsTable.Get(tx, me.Account)
	if err != nil || v.Password == nil || !api.Val(v.Password.AllowUsersToChangePassword) {
		return nil, err
	}
	doc := *changers
	doc.Name, doc.Owner, doc.Attached = "AllowUsersToChangePassword", me.Account, me.ARN
	return []*authz.Document{&doc}, nil
}

// allow decides one part of an operation.
func (s *Service) allow(tx store.Tx, c *guard.Call, part authz.Part) error {
	given, err := s.given(tx, c)
	switch {
	case err != nil:
		return err
	case given == nil:
		_, err = s.g.Allow(tx, c, part)
	default:
		_, err = s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{part}, Given: given})
	}
	return err
}
