package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// GenerateDataKey makes a data key: in plaintext, and encrypted under a key.
func (s *Service) GenerateDataKey(ctx context.Context, c *guard.Call, in *kmsapi.GenerateDataKeyRequest) (*kmsapi.GenerateDataKeyResponse, error) {
	to, err := s.recipient(c, in.Recipient)
	if err != nil {
		return nil, err
	}
	sd, plain, blob, err := s.dataKey(ctx, c, "kms:GenerateDataKey", to, in)
	if err != nil {
		return nil, err
	}
	out := &kmsapi.GenerateDataKeyResponse{CiphertextBlob: blob, KeyId: &sd.key.arn}
	if to == nil {
		out.KeyMaterialId = sd.materialID(sd.key.current())
	}
	out.Plaintext, out.CiphertextForRecipient, err = to.answer(plain)
	return out, err
}

// GenerateDataKeyWithoutPlaintext makes a data key that only Decrypt reveals.
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, c *guard.Call, in *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error) {
	sd, _, blob, err := s.dataKey(ctx, c, "kms:GenerateDataKeyWithoutPlaintext", nil, &kmsapi.GenerateDataKeyRequest{
		KeyId: in.KeyId, EncryptionContext: in.EncryptionContext, NumberOfBytes: in.NumberOfBytes, KeySpec: in.KeySpec,
		GrantTokens: in.GrantTokens, DryRun: in.DryRun,
	})
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateDataKeyWithoutPlaintextResponse{
		CiphertextBlob: blob, KeyId: &sd.key.arn, KeyMaterialId: sd.materialID(sd.key.current()),
	}, nil
}

func (s *Service) dataKey(ctx context.Context, c *guard.Call, action string, to *recipient, in *kmsapi.GenerateDataKeyRequest) (side, secret.Bytes, []byte, error) {
	sd, err := s.newSide(action, nil, in.EncryptionContext)
	if err != nil {
		return sd, nil, nil, err
	}
	sd.to = to
	if (in.KeySpec == nil) == (in.NumberOfBytes == nil) {
		return sd, nil, nil, apierr.Validation("Please specify either number of bytes or key spec.")
	}
	n := int(api.Val(in.NumberOfBytes))
	switch api.Val(in.KeySpec) {
	case "AES_256":
		n = 32
	case "AES_128":
		n = 16
	}
	if err := s.forwardedManaged(ctx, c, in.KeyId); err != nil {
		return sd, nil, nil, err
	}
	if err := s.begin(ctx, c, &sd, in.GrantTokens, in.DryRun, s.byIdentifier(c, &sd, in.KeyId), sd.usable); err != nil {
		return sd, nil, nil, err
	}
	if api.Val(in.DryRun) {
		return sd, nil, nil, errDryRun
	}
	h := sd.header()
	use, aad := sd.sealing(h)
	plain, raw, err := s.hsm.GenerateDataKey(ctx, sd.permit, use, sd.key.current(), n, aad)
	if err != nil {
		return sd, nil, nil, cryptoError(err)
	}
	if raw, err = s.toStore(ctx, c, &sd, raw); err != nil {
		plain.Wipe()
		return sd, nil, nil, err
	}
	blob, err := sd.sealed(use, h, raw)
	if err == nil {
		s.used(ctx, c, sd.op, sd.key.keyView)
		sd.note(c, materialNote, sd.key.current())
	}
	return sd, plain, blob, err
}

// GenerateRandom returns random bytes.
func (s *Service) GenerateRandom(ctx context.Context, c *guard.Call, in *kmsapi.GenerateRandomRequest) (*kmsapi.GenerateRandomResponse, error) {
	if in.NumberOfBytes == nil {
		return nil, apierr.Validation("NumberOfBytes is required.")
	}
	to, err := s.recipient(c, in.Recipient)
	if err != nil {
		return nil, err
	}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		p := anyPart(c, "kms:GenerateRandom")
		to.conditions(&p)
		if _, err := s.g.Allow(tx, c, p); err != nil || in.CustomKeyStoreId == nil {
			return err
		}
		if _, err := findStore(tx, c, *in.CustomKeyStoreId); err != nil {
			return err
		}
		return apierr.New("UnsupportedOperationException", "External key stores do not generate random bytes.")
	})
	if err != nil {
		return nil, err
	}
	out := &kmsapi.GenerateRandomResponse{}
	out.Plaintext, out.CiphertextForRecipient, err = to.answer(s.hsm.Random(int(*in.NumberOfBytes)))
	return out, err
}

// GenerateDataKeyPair makes a key pair to be used outside KMS: its private key in plaintext, and
// encrypted under a key.
func (s *Service) GenerateDataKeyPair(ctx context.Context, c *guard.Call, in *kmsapi.GenerateDataKeyPairRequest) (*kmsapi.GenerateDataKeyPairResponse, error) {
	to, err := s.recipient(c, in.Recipient)
	if err != nil {
		return nil, err
	}
	sd, pair, blob, err := s.dataKeyPair(ctx, c, "kms:GenerateDataKeyPair", to, in)
	if err != nil {
		return nil, err
	}
	out := &kmsapi.GenerateDataKeyPairResponse{PrivateKeyCiphertextBlob: blob, PublicKey: pair.Public, KeyId: &sd.key.arn, KeyPairSpec: &sd.pair}
	if to == nil {
		out.KeyMaterialId = new(sd.key.current().ID)
	}
	out.PrivateKeyPlaintext, out.CiphertextForRecipient, err = to.answer(pair.Private)
	return out, err
}

// GenerateDataKeyPairWithoutPlaintext makes a key pair whose private key only Decrypt reveals.
func (s *Service) GenerateDataKeyPairWithoutPlaintext(ctx context.Context, c *guard.Call, in *kmsapi.GenerateDataKeyPairWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyPairWithoutPlaintextResponse, error) {
	sd, pair, blob, err := s.dataKeyPair(ctx, c, "kms:GenerateDataKeyPairWithoutPlaintext", nil, &kmsapi.GenerateDataKeyPairRequest{
		KeyId: in.KeyId, EncryptionContext: in.EncryptionContext, KeyPairSpec: in.KeyPairSpec, GrantTokens: in.GrantTokens, DryRun: in.DryRun,
	})
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateDataKeyPairWithoutPlaintextResponse{
		PrivateKeyCiphertextBlob: blob, PublicKey: pair.Public,
		KeyId: &sd.key.arn, KeyPairSpec: &sd.pair, KeyMaterialId: new(sd.key.current().ID),
	}, nil
}

// dataKeyPair makes the pair after the decision's transaction has ended: RSA takes its time.
func (s *Service) dataKeyPair(ctx context.Context, c *guard.Call, action string, to *recipient, in *kmsapi.GenerateDataKeyPairRequest) (side, hsm.DataKeyPair, []byte, error) {
	sd, err := s.newSide(action, nil, in.EncryptionContext)
	if err != nil {
		return sd, hsm.DataKeyPair{}, nil, err
	}
	sd.to = to
	if sd.pair = api.Val(in.KeyPairSpec); !keyrule.InRegion(sd.pair, c.Region) {
		return sd, hsm.DataKeyPair{}, nil, notHere("DataKeyPairSpec", "keyPairSpec", sd.pair, c.Region)
	}
	if err := s.forwardedManaged(ctx, c, in.KeyId); err != nil {
		return sd, hsm.DataKeyPair{}, nil, err
	}
	if err := s.begin(ctx, c, &sd, in.GrantTokens, in.DryRun, s.byIdentifier(c, &sd, in.KeyId), sd.usableForPair); err != nil {
		return sd, hsm.DataKeyPair{}, nil, err
	}
	if api.Val(in.DryRun) {
		return sd, hsm.DataKeyPair{}, nil, errDryRun
	}
	h := sd.header()
	pair, err := s.hsm.GenerateDataKeyPair(ctx, sd.permit, sd.use(), sd.key.current(), hsm.Spec(sd.pair), sd.aad())
	if err != nil {
		return sd, hsm.DataKeyPair{}, nil, cryptoError(err)
	}
	blob, err := sd.blob(h, pair.Ciphertext)
	if err == nil {
		s.used(ctx, c, sd.op, sd.key.keyView)
		sd.note(c, materialNote, sd.key.current())
	}
	return sd, pair, blob, err
}
