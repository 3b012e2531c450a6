package sts

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A federation is what an identity provider says of a user who asks for a session of a role.
type federation struct {
	action     string
	provider   string        // its ARN
	claims     authz.Context // condition keys, which the session keeps
	more       authz.Context // condition keys of the request alone
	tags       map[string]string
	transitive []string
	until      time.Time // the session ends then at the latest; zero is no limit
}

// An issued session of a role.
type issued struct {
	credentials *stsapi.Credentials
	user        *stsapi.AssumedRoleUser
	packed      *int32
}

// federate decides a request of somebody whom a provider vouches for and issues the session.
func (s *Service) federate(ctx context.Context, c *guard.Call, as *stsapi.AssumeRoleRequest, f federation) (issued, error) {
	for _, key := range slices.Sorted(maps.Keys(f.tags)) {
		value := f.tags[key]
		if key == "" || len([]rune(key)) > maxTagKey || len([]rune(value)) > maxTagValue {
			return issued{}, invalidToken("The session tags of the token are not valid.")
		}
		as.Tags = append(as.Tags, stsapi.Tag{Key: &key, Value: &value})
	}
	as.TransitiveTagKeys = f.transitive
	w, err := wishes(c, as)
	if err != nil {
		return issued{}, err
	}
	w.action, w.provider, w.claims = f.action, f.provider, f.claims
	w.context.Set("aws:federatedprovider", f.provider)
	w.context = append(append(w.context, f.claims...), f.more...)
	var r role
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		r, err = s.assume(tx, c, as, w)
		return err
	})
	if err != nil {
		return issued{}, err
	}
	if left := f.until.Sub(s.wall()).Truncate(time.Second); !f.until.IsZero() && left < w.duration {
		w.duration = left
	}
	return s.issue(ctx, c, r, w, api.Val(as.RoleSessionName))
}

// Lengths of session tags. Source: STS API Reference, Tag.
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// issue makes the session that was decided.
func (s *Service) issue(ctx context.Context, c *guard.Call, r role, w *wish, name string) (issued, error) {
	now := s.wall().UTC().Truncate(time.Second)
	creds, err := s.dir.Issue(directory.SessionGrant{
		Account: r.Account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: name,
		IssuedAt: now, ExpiresAt: now.Add(w.duration), SourceIdentity: w.source, Provider: w.provider, Claims: w.claims,
		Tags: w.tags, Transitive: w.transitive, Policies: w.policies, PolicyARNs: w.policyARNs, HasPolicies: w.hasPolicies(),
	})
	if err != nil {
		return issued{}, err
	}
	s.used(ctx, c, r.Role)
	out := issued{credentials: credentials(creds), user: &stsapi.AssumedRoleUser{AssumedRoleId: new(r.ID + ":" + name), Arn: new(arn.Session(r.Account, r.Name, name))}}
	if w.packed > 0 {
		out.packed = &w.packed
	}
	return out, nil
}
