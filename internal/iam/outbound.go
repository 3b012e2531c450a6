package iam

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// issuerDomain is where the issuers of accounts are. Source: IAM User Guide, "Understanding token
// claims" (of outbound identity federation), iss.
const issuerDomain = ".tokens.sts.global.api.aws"

// issuerTable has the account of each issuer's id.
var issuerTable = store.Table[string]{Bucket: "iam/issuer", Version: 1}

// IssuerURL is the issuer of an id.
func IssuerURL(id string) string { return "https://" + id + issuerDomain }

// IssuerID is the id in an issuer's host name; "" if it is none.
func IssuerID(host string) string {
	id, ok := strings.CutSuffix(strings.ToLower(host), issuerDomain)
	if !ok || strings.Contains(id, ".") {
		return ""
	}
	return id
}

// newIssuerID is a random id in the form of a UUID.
func newIssuerID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // does not fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// EnableOutboundWebIdentityFederation lets the account's principals get web tokens. The account's
// issuer stays the same for ever.
func (s *Service) EnableOutboundWebIdentityFederation(ctx context.Context, c *guard.Call, _ *iamapi.EnableOutboundWebIdentityFederationRequest) (*iamapi.EnableOutboundWebIdentityFederationResponse, error) {
	out := &iamapi.EnableOutboundWebIdentityFederationResponse{}
	err := s.settle(ctx, c, func(tx store.Tx, v *settings) error {
		if v.Outbound {
			return apierr.New("FeatureEnabled", "The request failed because outbound identity federation is already enabled for your Amazon Web Services account. "+
				"You cannot enable the feature multiple times. To fetch the current configuration (including your unique issuer URL), use the GetOutboundWebIdentityFederationInfo operation.").WithStatus(409)
		}
		v.Outbound = true
		if v.IssuerID == "" {
			v.IssuerID = newIssuerID()
			if err := issuerTable.Put(tx, c.Account(), v.IssuerID); err != nil {
				return err
			}
		}
		out.IssuerIdentifier = new(IssuerURL(v.IssuerID))
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func outboundDisabled(text string) error {
	return apierr.New("FeatureDisabled", "The request failed because outbound identity federation is "+text).WithStatus(404)
}

// DisableOutboundWebIdentityFederation ends that. Tokens that were made stay good until they expire,
// but the issuer's documents are no longer there.
func (s *Service) DisableOutboundWebIdentityFederation(ctx context.Context, c *guard.Call, _ *iamapi.DisableOutboundWebIdentityFederationRequest) error {
	return s.settle(ctx, c, func(_ store.Tx, v *settings) error {
		if !v.Outbound {
			return outboundDisabled("already disabled for your Amazon Web Services account. You cannot disable the feature multiple times.")
		}
		v.Outbound = false
		return nil
	})
}

// GetOutboundWebIdentityFederationInfo tells the account's issuer.
func (s *Service) GetOutboundWebIdentityFederationInfo(ctx context.Context, c *guard.Call, _ *iamapi.GetOutboundWebIdentityFederationInfoRequest) (*iamapi.GetOutboundWebIdentityFederationInfoResponse, error) {
	out := &iamapi.GetOutboundWebIdentityFederationInfoResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, c.Operation); err != nil {
			return err
		}
		v, _, err := settingsTable.Get(tx, c.Account())
		if err == nil && !v.Outbound {
			err = outboundDisabled("not enabled for your Amazon Web Services account.")
		}
		out.IssuerIdentifier, out.JwtVendingEnabled = new(IssuerURL(v.IssuerID)), new(v.Outbound)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// OutboundIssuer is the URL of an account's issuer of web tokens; "" if it has none or it is disabled.
func (s *Service) OutboundIssuer(tx store.Tx, account string) (string, error) {
	v, _, err := settingsTable.Get(tx, account)
	if err != nil || !v.Outbound {
		return "", err
	}
	return IssuerURL(v.IssuerID), nil
}

// IsIssuer says whether an id is that of an account's issuer, which is enabled.
func (s *Service) IsIssuer(tx store.Tx, id string) (bool, error) {
	account, ok, err := issuerTable.Get(tx, id)
	if err != nil || !ok {
		return false, err
	}
	url, err := s.OutboundIssuer(tx, account)
	return url != "", err
}
