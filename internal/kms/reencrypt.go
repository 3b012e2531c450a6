package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
)

// ReEncrypt moves a ciphertext to another key or encryption context.
func (s *Service) ReEncrypt(ctx context.Context, c *guard.Call, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	from, err := s.newSide("kms:ReEncryptFrom", in.SourceEncryptionAlgorithm, in.SourceEncryptionContext)
	if err != nil {
		return nil, err
	}
	to, err := s.newSide("kms:ReEncryptTo", in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext)
	if err != nil {
		return nil, err
	}
	in.SourceEncryptionAlgorithm, in.DestinationEncryptionAlgorithm = &from.alg, &to.alg // the record has them always
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	ignore, err := checkCiphertext(in.CiphertextBlob, in.SourceKeyId, in.DryRun, in.DryRunModifiers)
	if err != nil {
		return nil, err
	}
	if err := s.forwardedManaged(ctx, c, in.DestinationKeyId); err != nil {
		return nil, err
	}
	ct := from.parse(in.CiphertextBlob)
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		// The destination first: whether it exists is the caller's to know, whether the key exists
		// that a ciphertext claims to be of is not.
		if to.key, err = s.resolveFor(tx, c, "", in.DestinationKeyId, true); err != nil {
			return err
		}
		if err = s.source(tx, c, &from, in.SourceKeyId, ct); err != nil {
			return err
		}
		if err := s.authorizeBoth(tx, c, &from, &to, api.Val(in.DryRun)); err != nil {
			return s.ciphertextDenial(c, &from, in.SourceKeyId, err)
		}
		if err := from.opens(ct); err != nil {
			return err
		}
		if to.key.policy == nil {
			return errForeignCiphertext
		}
		return to.usable()
	})
	if err != nil {
		return nil, err
	}
	if ignore {
		return nil, errDryRun
	}
	m, err := from.material(ct)
	if err != nil {
		return nil, err
	}
	if api.Val(in.DryRun) && (from.key.Store != "" || to.key.Store != "") { // proxies know no dry runs
		return nil, errDryRun
	}
	if ct.raw, err = s.fromStore(ctx, c, &from, ct.raw); err != nil {
		return nil, err
	}
	toHeader := to.header()
	out, err := s.hsm.ReEncrypt(ctx,
		hsm.Side{Permit: from.permit, Use: from.use(), Material: m, Alg: from.alg, In: ct.raw, AAD: ct.aad},
		hsm.Side{Permit: to.permit, Use: to.use(), Material: to.key.current(), Alg: to.alg, AAD: to.aad()})
	if err != nil {
		return nil, cryptoError(err)
	}
	if out, err = s.toStore(ctx, c, &to, out); err != nil {
		return nil, err
	}
	blob, err := to.blob(toHeader, out)
	if err != nil {
		return nil, err
	}
	s.used(ctx, c, "ReEncrypt", from.key.keyView, to.key.keyView)
	to.note(c, "destinationKeyMaterialId", to.key.current())
	from.note(c, "sourceKeyMaterialId", m)
	resp := &kmsapi.ReEncryptResponse{
		CiphertextBlob: blob, SourceKeyId: &from.key.arn, KeyId: &to.key.arn,
		SourceEncryptionAlgorithm: &from.alg, DestinationEncryptionAlgorithm: &to.alg,
	}
	if from.alg == symmetric {
		resp.SourceKeyMaterialId = from.materialID(m)
	}
	if to.alg == symmetric {
		resp.DestinationKeyMaterialId = to.materialID(to.key.current())
	}
	return resp, nil
}

func (s *Service) authorizeBoth(tx store.Tx, c *guard.Call, from, to *side, dryRun bool) error {
	same := from.key.arn == to.key.arn
	check := guard.Check{DryRun: dryRun}
	for _, sd := range []*side{from, to} {
		p := cryptoPart(c, sd)
		p.Context.SetBool("kms:reencryptonsamekey", same)
		check.Parts = append(check.Parts, p)
		check.Grants = append(check.Grants, s.grants(c, sd.key.keyView))
	}
	permits, err := s.g.Authorize(tx, c, check)
	if err != nil {
		return err
	}
	from.permit, to.permit = permits[0], permits[1]
	return nil
}
