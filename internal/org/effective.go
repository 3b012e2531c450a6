package org

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DescribeEffectivePolicy tells what the management policies of a type come to for an account. Service
// and resource control policies have no effective policy: they are evaluated level by level. Every
// account may ask for itself, the managing one and its delegates for all.
// Source: AWS Organizations API Reference, DescribeEffectivePolicy.
func (s *Service) DescribeEffectivePolicy(ctx context.Context, c *guard.Call, in *organizationsapi.DescribeEffectivePolicyRequest) (*organizationsapi.DescribeEffectivePolicyResponse, error) {
	out := &organizationsapi.DescribeEffectivePolicyResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		target := c.Account()
		if in.TargetId != nil {
			target = *in.TargetId
		}
		o, exists, err := s.ask(tx, c, question{ids: []string{target}, kind: *in.PolicyType, manages: target != c.Account()})
		switch {
		case err != nil:
			return err
		case !exists:
			return errNotInUse
		case o.Billing:
			return errBilling
		case isRoot(target) || isUnit(target):
			return errUnsupported
		}
		m, ok, err := s.dir.Member(tx, o, target)
		if err != nil {
			return err
		}
		if !ok {
			return errNoTarget
		}
		content, updated, err := s.effective(tx, o, directory.PolicyType(*in.PolicyType), m)
		if err != nil {
			return err
		}
		out.EffectivePolicy = &organizationsapi.EffectivePolicy{
			PolicyContent: &content, LastUpdatedTimestamp: &updated, TargetId: &target, PolicyType: in.PolicyType,
		}
		return nil
	})
	return out, err
}

// effective puts together what an account inherits, and when that last changed.
func (s *Service) effective(tx store.Tx, o directory.Organization, t directory.PolicyType, m directory.Member) (content string, updated time.Time, err error) {
	if !o.Enabled(t) {
		return "", updated, errNoEffective
	}
	targets := []string{m.Account}
	for id := m.Parent; id != o.Root; {
		u, ok, err := s.dir.Unit(tx, o, id)
		if err != nil {
			return "", updated, err
		}
		if !ok {
			return "", updated, errNoTarget
		}
		targets = append(targets, id)
		id = u.Parent
	}
	var all setting
	for _, target := range slices.Backward(append(targets, o.Root)) {
		ids, err := s.dir.Attached(tx, o, t, target)
		if err != nil {
			return "", updated, err
		}
		var level []map[string]any
		for _, id := range ids {
			p, _, err := s.dir.OrgPolicy(tx, o, id)
			if err != nil {
				return "", updated, err
			}
			doc, err := parseManagement(t, p.Document)
			if err != nil {
				return "", updated, err
			}
			level = append(level, doc)
			if p.Updated.After(updated) {
				updated = p.Updated
			}
		}
		all.inherit(level)
	}
	v := all.effective()
	if v == nil {
		return "", updated, errNoEffective
	}
	raw, err := json.Marshal(v)
	return string(raw), updated, err
}
