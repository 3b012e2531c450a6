package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ReEncryptHalf is what a copy between Regions asks of KMS in one of them: a dry run of ReEncrypt in which
// only the key of the call's Region takes part, as the source or as the destination. Each Region decides about
// its own keys, and no data key goes from one to the other. Only services call it; it ends in
// DryRunOperationException when it is allowed.
func (s *Service) ReEncryptHalf(ctx context.Context, c *guard.Call, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	if in.SourceKeyId != nil {
		if a, err := arn.Parse(*in.SourceKeyId); err == nil && a.Region == c.Region {
			return nil, s.halfFrom(ctx, c, in)
		}
	}
	return nil, s.halfTo(ctx, c, in)
}

func (s *Service) halfFrom(ctx context.Context, c *guard.Call, in *kmsapi.ReEncryptRequest) error {
	from, err := s.newSide("kms:ReEncryptFrom", in.SourceEncryptionAlgorithm, in.SourceEncryptionContext)
	if err != nil {
		return err
	}
	ct := from.parse(in.CiphertextBlob)
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.source(tx, c, &from, in.SourceKeyId, ct); err != nil {
			return err
		}
		if err := s.authorizeHalf(tx, c, &from); err != nil {
			return s.ciphertextDenial(c, &from, in.SourceKeyId, err)
		}
		return from.opens(ct)
	})
	if err != nil {
		return err
	}
	return errDryRun
}

func (s *Service) halfTo(ctx context.Context, c *guard.Call, in *kmsapi.ReEncryptRequest) error {
	to, err := s.newSide("kms:ReEncryptTo", in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext)
	if err != nil {
		return err
	}
	if err := s.forwardedManaged(ctx, c, in.DestinationKeyId); err != nil {
		return err
	}
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if to.key, err = s.resolveFor(tx, c, "", in.DestinationKeyId, true); err != nil {
			return err
		}
		if err := s.authorizeHalf(tx, c, &to); err != nil {
			return err
		}
		if to.key.policy == nil {
			return errForeignCiphertext
		}
		return to.usable()
	})
	if err != nil {
		return err
	}
	return errDryRun
}

func (s *Service) authorizeHalf(tx store.Tx, c *guard.Call, sd *side) error {
	p := cryptoPart(c, sd)
	p.Context.SetBool("kms:reencryptonsamekey", false)
	_, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}, Grants: []guard.GrantSource{s.grants(c, sd.key.keyView)}, DryRun: true})
	return err
}
