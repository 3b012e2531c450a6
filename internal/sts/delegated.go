package sts

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

// GetDelegatedAccessToken would trade the token of an accepted delegation request for credentials.
// Only partners of AWS make such requests, so there are none here and no token that is good.
// Source: STS API Reference, GetDelegatedAccessToken.
func (s *Service) GetDelegatedAccessToken(ctx context.Context, c *guard.Call, _ *stsapi.GetDelegatedAccessTokenRequest) (*stsapi.GetDelegatedAccessTokenResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	return nil, apierr.New("ExpiredTradeInTokenException", "The trade-in token provided in the request has expired and can no longer be exchanged for credentials. Request a new token and retry the operation.")
}
