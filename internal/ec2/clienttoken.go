package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// tokenLife is how long a client token is remembered. Source: EC2 API Reference, "Ensuring
// idempotency" (at least a day).
const tokenLife = 24 * time.Hour

// A clientToken is that of a request, with what the request asks for. Without a token nothing is
// remembered.
type clientToken struct{ token, hash string }

// fingerprint is the same for requests that ask for the same. The values hold no secret types,
// which would all look alike.
func fingerprint(values ...any) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic("ec2: " + err.Error()) // plain values always encode
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// seen gives what an earlier request with the token made, or "". The token of a request that
// asked for something else is an error.
func (k clientToken) seen(tx store.Tx, c *guard.Call) (string, error) {
	switch {
	case k.token == "":
		return "", nil
	case len(k.token) > maxTokenImage:
		return "", invalidValue("The client token is not valid: it has 1 to %d characters.", maxTokenImage)
	}
	rec, ok, err := tokenTable.Get(tx, c.Region, c.Account(), c.Operation, k.token)
	switch {
	case err != nil || !ok || c.Time.Sub(rec.Made) > tokenLife:
		return "", err
	case rec.Hash != k.hash:
		return "", apierr.Newf("IdempotentParameterMismatch", "The client token '%s' was used with different parameters in an earlier request.", k.token)
	}
	return rec.IDs[0], nil
}

// remember keeps what the request made.
func (k clientToken) remember(tx store.Tx, c *guard.Call, now time.Time, id string) error {
	if k.token == "" {
		return nil
	}
	return tokenTable.Put(tx, tokenRecord{Hash: k.hash, IDs: []string{id}, Made: now}, c.Region, c.Account(), c.Operation, k.token)
}
