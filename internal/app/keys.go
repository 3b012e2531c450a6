package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/kms"
)

// keys is KMS as EC2 calls it: each request is decided and recorded like one of a client.
type keys struct {
	g   *guard.Guard
	kms *kms.Service
}

// invoke makes a request of one service for a call of another.
func invoke[In, Out any](ctx context.Context, g *guard.Guard, parent *guard.Call, as guard.Caller, service, op string, readOnly bool,
	in *In, fn func(context.Context, *guard.Call, *In) (*Out, error)) (*Out, error) {
	return guard.InvokeOp(ctx, g, parent.Child(as, service, op, in, readOnly), in, fn)
}

// DescribeKey is kms:DescribeKey.
func (k keys) DescribeKey(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	return invoke(ctx, k.g, parent, as, "kms", "DescribeKey", true, in, k.kms.DescribeKey)
}

// GenerateDataKeyWithoutPlaintext is the operation of that name.
func (k keys) GenerateDataKeyWithoutPlaintext(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error) {
	return invoke(ctx, k.g, parent, as, "kms", "GenerateDataKeyWithoutPlaintext", true, in, k.kms.GenerateDataKeyWithoutPlaintext)
}

// CreateGrant is kms:CreateGrant.
func (k keys) CreateGrant(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.CreateGrantRequest) (*kmsapi.CreateGrantResponse, error) {
	return invoke(ctx, k.g, parent, as, "kms", "CreateGrant", false, in, k.kms.CreateGrant)
}

// RetireGrant is kms:RetireGrant.
func (k keys) RetireGrant(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.RetireGrantRequest) error {
	return guard.InvokeVoid(ctx, k.g, parent.Child(as, "kms", "RetireGrant", in, false), in, k.kms.RetireGrant)
}

// ReEncrypt is the operation of that name.
func (k keys) ReEncrypt(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	return invoke(ctx, k.g, parent, as, "kms", "ReEncrypt", true, in, k.kms.ReEncrypt)
}

// ReEncryptHalf is the half of a ReEncrypt between Regions that concerns the parent's Region.
func (k keys) ReEncryptHalf(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	return invoke(ctx, k.g, parent, as, "kms", "ReEncrypt", true, in, k.kms.ReEncryptHalf)
}

// Decrypt is kms:Decrypt.
func (k keys) Decrypt(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error) {
	return invoke(ctx, k.g, parent, as, "kms", "Decrypt", true, in, k.kms.Decrypt)
}

// ResolveKey looks a key's name up.
func (k keys) ResolveKey(ctx context.Context, region, account, id string) (string, error) {
	return k.kms.ResolveKey(ctx, region, account, id)
}

// ManagedByAWS tells who manages a key.
func (k keys) ManagedByAWS(ctx context.Context, keyARN string) (bool, error) {
	return k.kms.ManagedByAWS(ctx, keyARN)
}
