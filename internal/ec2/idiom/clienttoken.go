package idiom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// TokenLife is how long a client token is remembered. Source: EC2 API Reference, "Ensuring
// idempotency" (at least a day).
const TokenLife = 24 * time.Hour

// maxToken is how long client tokens are at most.
// Source: EC2 API Reference, CopyImage and CreateLaunchTemplate, ClientToken.
const maxToken = 128

// A TokenRecord remembers what a request with a client token made.
type TokenRecord struct {
	Hash string    `json:"hash"` // of the request
	IDs  []string  `json:"ids"`
	Made time.Time `json:"made"`
	// Batch is the reservation of a launch of many instances, "" of any other.
	Batch string `json:"batch,omitempty"`
}

// Tokens is keyed by (region, account, operation, client token).
var Tokens = store.Table[TokenRecord]{Bucket: "ec2/token", Version: 1}

// A ClientToken is that of a request, with what the request asks for. Without a token nothing is
// remembered.
type ClientToken struct{ token, hash string }

// NewToken is a token, "" if the request has none, of a request with the fingerprint.
func NewToken(token, hash string) ClientToken { return ClientToken{token, hash} }

// Fingerprint is the same for requests that ask for the same. The values hold no secret types,
// which would all look alike.
func Fingerprint(values ...any) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic("idiom: " + err.Error()) // plain values always encode
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Seen gives what an earlier request with the token made, or "". The token of a request that
// asked for something else is an error.
func (k ClientToken) Seen(tx store.Tx, c *guard.Call) (string, error) {
	switch {
	case k.token == "":
		return "", nil
	case len(k.token) > maxToken:
		return "", InvalidValue("The client token is not valid: it has 1 to %d characters.", maxToken)
	}
	rec, ok, err := Tokens.Get(tx, c.Region, c.Account(), c.Operation, k.token)
	switch {
	case err != nil || !ok || c.Time.Sub(rec.Made) > TokenLife:
		return "", err
	case rec.Hash != k.hash:
		return "", apierr.Newf("IdempotentParameterMismatch", "The client token '%s' was used with different parameters in an earlier request.", k.token)
	}
	return rec.IDs[0], nil
}

// Remember keeps what the request made.
func (k ClientToken) Remember(tx store.Tx, c *guard.Call, now time.Time, id string) error {
	if k.token == "" {
		return nil
	}
	return Tokens.Put(tx, TokenRecord{Hash: k.hash, IDs: []string{id}, Made: now}, c.Region, c.Account(), c.Operation, k.token)
}
