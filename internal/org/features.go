package org

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func featureSet(billing bool) string {
	if billing {
		return organizationsapi.OrganizationFeatureSetCONSOLIDATED_BILLING
	}
	return organizationsapi.OrganizationFeatureSetALL
}

// EnableAllFeatures gives all features to an organization with consolidated billing only. At AWS
// the accounts that were invited have to approve it; here none is asked, and the handshake is
// accepted at once. Source: AWS Organizations User Guide, "Enabling all features".
func (s *Service) EnableAllFeatures(ctx context.Context, c *guard.Call, _ *organizationsapi.EnableAllFeaturesRequest) (*organizationsapi.EnableAllFeaturesResponse, error) {
	out := &organizationsapi.EnableAllFeaturesResponse{}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on())
		switch {
		case err != nil:
			return err
		case !o.Billing:
			return errAllFeatures
		}
		o.Billing = false
		h := handshake{
			ID: directory.NewOrgID("h-", 32), Organization: o.ID, Management: o.Management, Features: true,
			State: organizationsapi.HandshakeStateACCEPTED, Requested: s.now(), Ended: s.now(),
		}
		out.Handshake = h.show(s.now())
		c.Respond(out)
		if err := handshakeTable.Put(tx, h, h.ID); err != nil {
			return err
		}
		return s.dir.PutOrganization(tx, o)
	})
	return out, err
}
