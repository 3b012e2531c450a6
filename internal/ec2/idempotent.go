package ec2

import (
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Longest client tokens: of most operations, and of CopyImage, launch templates and fleets. Source: EC2 API
// Reference, "Ensuring idempotency", CopyImage and CreateLaunchTemplate, ClientToken.
const (
	maxToken      = 64
	maxTokenImage = 128
)

// knownToken is what an earlier request with the client token made; ok is false if there was none.
func knownToken(tx store.Tx, c *guard.Call, op string, token *string, hash string) (t idiom.TokenRecord, ok bool, err error) {
	if token == nil {
		return t, false, nil
	}
	most := maxToken
	if op == "CopyImage" {
		most = maxTokenImage
	}
	if len(*token) > most || *token == "" {
		return t, false, invalidValue("The client token is not valid: it has 1 to %d characters.", most)
	}
	if t, ok, err = idiom.Tokens.Get(tx, c.Region, c.Account(), op, *token); err != nil || !ok {
		return t, ok, err
	}
	if t.Hash != hash {
		return t, true, errTokenMismatch()
	}
	return t, true, nil
}

func errTokenMismatch() error {
	return apierr.New("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
}

// sameLaunch is the answer about the instances of an earlier request with the same client token.
func (s *Service) sameLaunch(tx store.Tx, c *guard.Call, ids []string) (*ec2api.Reservation, error) {
	names, err := s.naming(tx, c)
	if err != nil {
		return nil, err
	}
	var out *ec2api.Reservation
	for _, id := range ids {
		i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), id)
		switch {
		case err != nil:
			return nil, err
		case !ok || i.State == terminated:
			continue
		case out == nil:
			out = newReservation(&i)
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return nil, err
		}
		i.nameless = !names[i.VPC]
		out.Instances = append(out.Instances, i.wire(tags))
	}
	if out == nil {
		return nil, apierr.New("IdempotentInstanceTerminated",
			"The request to launch an instance uses the same client token as a previous request for which the instance has been terminated.")
	}
	c.Respond(out)
	return out, nil
}
