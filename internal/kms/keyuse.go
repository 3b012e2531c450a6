package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
)

// A keyUse is one use of a key for something else than encryption.
type keyUse struct {
	op     string // "Sign"
	usage  string // KeyUsage that it needs
	alg    string
	keyID  *string
	tokens []string
	dryRun *bool
	more   func(*authz.Part)    // adds condition keys; may be nil
	check  func(*keyView) error // what else the key must be, instead of usage and alg; may be nil

	key    resolved
	permit permit.Permit
}

// begin finds the key, decides and checks the key, on one snapshot. The error of a dry run that
// would have succeeded comes from dry.
func (u *keyUse) begin(ctx context.Context, s *Service, c *guard.Call) error {
	if err := s.checkTokens(u.tokens); err != nil {
		return err
	}
	return s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if u.key, err = s.resolve(tx, c, u.keyID, true); err != nil {
			return err
		}
		c.Touch(u.key.arn, u.key.Account, keyType)
		p := u.key.part(c, "kms:"+u.op)
		requestAlias(&p.Context, u.key)
		if u.more != nil {
			u.more(&p)
		}
		if u.permit, err = s.authorize(tx, c, u.key.keyView, p, api.Val(u.dryRun)); err != nil {
			return err
		}
		if u.check != nil {
			err = u.check(u.key.keyView)
		} else {
			err = u.key.checkUse(u.op, u.usage, u.alg)
		}
		if err != nil {
			return err
		}
		return u.key.check(opUse)
	})
}

// dry ends a dry run of what cannot fail any more. What can is left to the module.
func (u *keyUse) dry() error {
	if api.Val(u.dryRun) {
		return errDryRun
	}
	return nil
}

func (u *keyUse) use() hsm.Use { return hsm.Use{Action: "kms:" + u.op, KeyARN: u.key.arn} }
