package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ListGrants lists a key's grants, all or those of one grantee or id.
func (s *Service) ListGrants(ctx context.Context, c *guard.Call, in *kmsapi.ListGrantsRequest) (*kmsapi.ListGrantsResponse, error) {
	var out *kmsapi.ListGrantsResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		c.Touch(k.arn, k.Account, keyType)
		p := k.part(c, "kms:ListGrants")
		grantIsForAWSResource(c, &p)
		if _, err := s.authorize(tx, c, k.keyView, p, false); err != nil {
			return err
		}
		if in.GranteeServicePrincipal != nil && c.Caller.Principal.Type != authz.Service {
			return apierr.Validation("GranteeServicePrincipal can be used by AWS services only.")
		}
		prefix := []string{k.Region, k.Account, k.ID}
		if in.GrantId != nil {
			if err := checkGrantID(*in.GrantId); err != nil {
				return err
			}
			prefix = append(prefix, *in.GrantId)
		}
		pg, err := s.page(in.Marker, in.Limit, 50, 100, prefix...)
		if err != nil {
			return err
		}
		names := s.names(tx)
		recs, end, err := list(tx, grantTable, pg, func(r store.Record[grantRecord]) bool { return names.match(&r.Value, in) })
		if err != nil {
			return err
		}
		out = &kmsapi.ListGrantsResponse{Grants: make([]kmsapi.GrantListEntry, 0, len(recs))}
		for _, g := range recs {
			out.Grants = append(out.Grants, names.entry(g))
		}
		if names.err != nil {
			return names.err
		}
		out.Truncated, out.NextMarker = s.more(end)
		return nil
	})
	return out, err
}

// ListRetirableGrants lists the grants in the region that a principal of the caller's account may
// retire, whoever owns their keys.
func (s *Service) ListRetirableGrants(ctx context.Context, c *guard.Call, in *kmsapi.ListRetirableGrantsRequest) (*kmsapi.ListGrantsResponse, error) {
	who := api.Val(in.RetiringPrincipal)
	if in.RetiringServicePrincipal != nil {
		return nil, apierr.Validation("RetiringServicePrincipal can be used by AWS services only.")
	}
	a, err := arn.Parse(who)
	if err != nil {
		return nil, apierr.Newf("InvalidArnException", "ARN %s is not a valid principal", who)
	}
	var out *kmsapi.ListGrantsResponse
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		// The action has no resource; a principal of another account is refused as its would be.
		_, err := s.g.Allow(tx, c, authz.Part{Action: "kms:ListRetirableGrants", Resource: authz.Resource{ARN: "*", Account: a.Account}})
		if err != nil {
			return err
		}
		id, known, err := s.dir.Resolve(tx, who)
		if err != nil {
			return err
		}
		if !known || a.Account != c.Account() {
			return apierr.Newf("InvalidArnException", "ARN does not refer to a valid principal: %s", who)
		}
		if id == "" {
			id = who
		}
		pg, err := s.page(in.Marker, in.Limit, 50, 100, c.Region, id)
		if err != nil {
			return err
		}
		out = &kmsapi.ListGrantsResponse{Grants: []kmsapi.GrantListEntry{}}
		names, end := s.names(tx), next{}
		for r, err := range retiringTable.ScanRange(tx, store.Range{Prefix: pg.prefix, After: pg.after}) {
			if err != nil {
				return err
			}
			if len(out.Grants) == pg.limit {
				end.prefix = pg.prefix
				break
			}
			g, found, err := grantTable.Get(tx, c.Region, r.Key[2], r.Key[3], r.Key[4])
			if err != nil {
				return err
			}
			if !found || names.shown(g.Retiring, g.RetiringID) != who { // a role and its sessions have one id
				continue
			}
			out.Grants = append(out.Grants, names.entry(g))
			end.last = store.Key(r.Key...)
		}
		if names.err != nil {
			return names.err
		}
		if end.prefix == "" {
			end = next{}
		}
		out.Truncated, out.NextMarker = s.more(end)
		return nil
	})
	return out, err
}

// granteeNames shows the principals of grants, and remembers those it looked up. A deleted one
// shows as its unique id.
type granteeNames struct {
	name  func(who, id string) (string, error)
	known map[string]string // by what was saved
	err   error             // the first that a lookup gave
}

func (s *Service) names(tx store.Tx) *granteeNames {
	return &granteeNames{known: map[string]string{}, name: func(who, id string) (string, error) { return s.dir.NameOf(tx, who, id) }}
}

func (n *granteeNames) shown(who, id string) string {
	if id == "" {
		return who
	}
	name, known := n.known[who+" "+id]
	if !known {
		var err error
		if name, err = n.name(who, id); err != nil && n.err == nil {
			n.err = err
		}
		n.known[who+" "+id] = name
	}
	return name
}

// match reports whether a grant is one that the request asks for, its GrantId aside.
func (n *granteeNames) match(g *grantRecord, in *kmsapi.ListGrantsRequest) bool {
	if who := in.GranteePrincipal; who != nil && (g.GranteeService || n.shown(g.Grantee, g.GranteeID) != *who) {
		return false
	}
	who := in.GranteeServicePrincipal
	return who == nil || g.GranteeService && g.Grantee == *who
}

// entry is a grant as lists show it.
func (n *granteeNames) entry(g grantRecord) kmsapi.GrantListEntry {
	e := kmsapi.GrantListEntry{
		KeyId: new(arn.KMSKey(g.Region, g.Account, g.KeyID)), GrantId: &g.ID, Name: &g.Name, CreationDate: &g.Created,
		IssuingAccount: new(arn.Root(g.Issuer)), Operations: g.Operations,
	}
	if grantee := n.shown(g.Grantee, g.GranteeID); g.GranteeService {
		e.GranteeServicePrincipal = &grantee
	} else {
		e.GranteePrincipal = &grantee
	}
	if retiring := n.shown(g.Retiring, g.RetiringID); g.RetiringSvc {
		e.RetiringServicePrincipal = &retiring
	} else {
		e.RetiringPrincipal = api.Opt(retiring)
	}
	if g.Equals != nil || g.Subset != nil || g.SourceARN != "" {
		e.Constraints = &kmsapi.GrantConstraints{
			EncryptionContextEquals: g.Equals, EncryptionContextSubset: g.Subset, SourceArn: api.Opt(g.SourceARN),
		}
	}
	return e
}
