package kms

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/store"
)

// putGrant writes a grant, or finds the one that an identical named request made.
func (s *Service) putGrant(tx store.Tx, k *keyView, g grantRecord) (string, error) {
	g.Account, g.KeyID, g.Created = k.Account, k.ID, s.g.Now().Truncate(time.Millisecond)
	id, err := g.place(tx, k)
	if err != nil || id != "" {
		return id, err
	}
	g.ID = newGrantID(g.Created)
	data, err := grantTable.Encode(tx, g) // granteeTable has the same
	if err == nil {
		err = errors.Join(tx.Put(grantTable.Bucket, store.Key(k.Region, k.Account, k.ID, g.ID), data),
			tx.Put(granteeTable.Bucket, store.Key(k.Region, k.Account, k.ID, g.granteeKey(), g.ID), data))
	}
	if err != nil {
		return "", err
	}
	if g.Retiring != "" {
		if err := retiringTable.Put(tx, struct{}{}, k.Region, g.retiringKey(), k.Account, k.ID, g.ID); err != nil {
			return "", err
		}
	}
	if g.Name != "" {
		if err := grantNames.Put(tx, g.ID, k.Region, k.Account, k.ID, g.Name, g.hash()); err != nil {
			return "", err
		}
	}
	return g.ID, s.countGrants(tx, k, 1)
}

// newGrantID makes the id of a grant: the time, then 26 random bytes. The grants of a key are so beside each other
// in the order in which they were made, and those made at one time on few pages of the store. An id is no secret,
// and the time of a grant is told with it.
func newGrantID(now time.Time) string {
	var b [8 + 24]byte
	rand.Read(b[6:]) // never fails
	ms := uint64(now.UnixMilli()) << 16
	for i := range 6 {
		b[i] = byte(ms >> (56 - 8*i))
	}
	return hex.EncodeToString(b[:])
}

// place is the id of the grant that an identical named request made, or "" if there is room for another.
func (g *grantRecord) place(tx store.Tx, k *keyView) (id string, err error) {
	if g.Name != "" {
		id, _, err = grantNames.Get(tx, k.Region, k.Account, k.ID, g.Name, g.hash())
	}
	if err == nil && id == "" && k.Grants >= maxGrants && k.Manager == kmsapi.KeyManagerTypeCUSTOMER {
		err = apierr.Newf("LimitExceededException", "Key %s already has %d grants", k.arn, maxGrants)
	}
	return id, err
}

// deleteGrant removes a grant and everything that points to it.
func (s *Service) deleteGrant(tx store.Tx, k *keyView, g grantRecord) error {
	if err := grantTable.Delete(tx, k.Region, k.Account, k.ID, g.ID); err != nil {
		return err
	}
	if err := granteeTable.Delete(tx, k.Region, k.Account, k.ID, g.granteeKey(), g.ID); err != nil {
		return err
	}
	if g.Retiring != "" {
		if err := retiringTable.Delete(tx, k.Region, g.retiringKey(), k.Account, k.ID, g.ID); err != nil {
			return err
		}
	}
	if g.Name != "" {
		if err := grantNames.Delete(tx, k.Region, k.Account, k.ID, g.Name, g.hash()); err != nil {
			return err
		}
	}
	return s.countGrants(tx, k, -1)
}

func (s *Service) countGrants(tx store.Tx, k *keyView, by int) error {
	now, found, err := s.keys.Shared(tx, k.Region, k.Account, k.ID) // k may be older than the last count
	if err != nil || !found {
		return fmt.Errorf("kms: key %s vanished in its transaction: %w", k.arn, err)
	}
	rec := *now.keyRecord
	rec.Grants += by
	return keyTable.Put(tx, rec, rec.Region, rec.Account, rec.ID)
}

// hash identifies the parameters of a grant beside its name.
func (g *grantRecord) hash() string {
	data, err := json.Marshal([]any{
		g.Grantee, g.GranteeID, g.GranteeService, g.Retiring, g.RetiringID, g.RetiringSvc, g.Issuer, g.Operations, pairs(g.Equals), pairs(g.Subset), g.SourceARN,
	})
	if err != nil {
		panic(err) // strings always encode
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func pairs(m map[string]string) [][2]string {
	var out [][2]string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, [2]string{k, m[k]})
	}
	return out
}

// grantToken makes a token that names a grant. It gives no right by itself.
func (s *Service) grantToken(region, account, key, grant string) string {
	sealed := s.tokens.Seal([]byte(store.Key(region, account, key, grant)), nil)
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// openToken gives region, account, key and grant of a token.
func (s *Service) openToken(token string) ([]string, error) {
	invalid := apierr.New("InvalidGrantTokenException", "")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, invalid
	}
	plain, err := s.tokens.Open(raw, nil)
	if err != nil {
		return nil, invalid
	}
	parts := store.SplitKey(string(plain))
	if len(parts) != 4 {
		return nil, invalid
	}
	return parts, nil
}

// checkTokens refuses tokens that no CreateGrant made. They have no other effect: a grant here is
// visible as soon as it is made.
func (s *Service) checkTokens(tokens []string) error {
	for _, t := range tokens {
		if _, err := s.openToken(t); err != nil {
			return err
		}
	}
	return nil
}
