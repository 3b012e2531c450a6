package idiom

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// AllowList decides an action that has no resource; describe puts condition keys of the request into the decision.
func AllowList(tx store.Tx, g *guard.Guard, c *guard.Call, action string, describe ...func(*authz.Part)) error {
	p := Part(c, action, "*", nil)
	for _, d := range describe {
		d(&p)
	}
	_, err := g.Allow(tx, c, p)
	return err
}

// AllowDry is AllowList for a request that may have DryRun set.
func AllowDry(tx store.Tx, g *guard.Guard, c *guard.Call, action string, flag *bool, describe ...func(*authz.Part)) error {
	if err := AllowList(tx, g, c, action, describe...); err != nil {
		return err
	}
	return DryRun(flag)
}

// ViewList runs fn in a snapshot after an action without resource has been decided.
func ViewList(ctx context.Context, g *guard.Guard, c *guard.Call, action string, flag *bool, fn func(tx store.Tx) error) error {
	return g.View(ctx, c, func(tx store.Tx) error {
		if err := AllowDry(tx, g, c, action, flag); err != nil {
			return err
		}
		return fn(tx)
	})
}

// WithTags adds the evaluation of tagging what a request makes, if it has tags.
func WithTags(c *guard.Call, parts []authz.Part, kind string, tags []Tag) []authz.Part {
	if len(tags) == 0 {
		return parts
	}
	return append(parts, CreateTagsPart(c, kind+"/*", tags, c.Operation))
}

// SetAttribute says in a part which attribute a request changes and, of a text, number or truth
// value, to what. Source: EC2 User Guide, "ec2:Attribute condition key".
func SetAttribute(p *authz.Part, attribute, value string) {
	if attribute != "" {
		p.Context.Set("ec2:attribute", attribute)
	}
	if value != "" {
		p.Context.Set("ec2:attribute/"+attribute, value)
	}
}

// OrMissing is the error of a read, or that what was looked for does not exist.
func OrMissing(err error, code, format string, args ...any) error {
	if err != nil {
		return err
	}
	return apierr.Newf(code, format, args...)
}

// Time is how EC2 writes the times that are text in its model.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
