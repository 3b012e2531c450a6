package cloudtrail

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

// A token is a sequence number of the log, sealed: it would tell how much all accounts do. It is
// bound to the look-up that it continues, which AWS wants repeated without a change; only the size
// of the pages may vary.

// token continues a look-up below a sequence number.
func (s *Service) token(c *guard.Call, in *cloudtrailapi.LookupEventsRequest, last uint64) *string {
	sealed := s.tokens.Seal(binary.BigEndian.AppendUint64(nil, last), bound(c, in))
	return new(base64.StdEncoding.EncodeToString(sealed))
}

func (s *Service) openToken(c *guard.Call, in *cloudtrailapi.LookupEventsRequest, token string) (uint64, bool) {
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	plain, err := s.tokens.Open(sealed, bound(c, in))
	if err != nil || len(plain) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(plain), true
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
