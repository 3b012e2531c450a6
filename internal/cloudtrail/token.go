package cloudtrail

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

// A token is a position in the logs, sealed: it would tell how much all accounts do. It is bound to the
// look-up that it continues, which AWS wants repeated without a change; only the size of the pages may vary.

// token continues a look-up at a position.
func (s *Service) token(c *guard.Call, in *cloudtrailapi.LookupEventsRequest, p *position) *string {
	data, _ := json.Marshal(p) // numbers and names always encode
	return new(base64.StdEncoding.EncodeToString(s.tokens.Seal(data, bound(c, in))))
}

// position is where a look-up goes on: the zero position without a token. ok is false if the token is none of
// this look-up.
func (s *Service) position(c *guard.Call, in *cloudtrailapi.LookupEventsRequest) (p position, ok bool) {
	token := api.Val(in.NextToken)
	if token == "" {
		return p, true
	}
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return p, false
	}
	plain, err := s.tokens.Open(sealed, bound(c, in))
	return p, err == nil && json.Unmarshal(plain, &p) == nil
}

// bound is what a token belongs to.
func bound(c *guard.Call, in *cloudtrailapi.LookupEventsRequest) []byte {
	same := *in
	same.NextToken, same.MaxResults = nil, nil
	data, _ := json.Marshal([]any{c.Account(), c.Region, same}) // text, times and lists always encode
	sum := sha256.Sum256(data)
	return sum[:]
}

func invalidToken() error {
	return apierr.New("InvalidNextTokenException", "The token is not valid, or the parameters are not those that it was made for.")
}
