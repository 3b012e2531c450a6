// Command sigstore signs and verifies with sigstore's provider for AWS KMS, the one that cosign uses:
//
//	sigstore create ALGORITHM ALIAS     make a key, or find it, and print its public key (PEM)
//	sigstore sign KEY FILE SIGNATURE    sign a file; KEY is a key's id, ARN or alias
//	sigstore verify KEY FILE SIGNATURE  verify with the public key, and once more by asking KMS
package main

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/kms/aws"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sigstore:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "create":
		return create(ctx, args[1], args[2])
	case len(args) == 4 && args[0] == "sign":
		return sign(ctx, args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "verify":
		return verify(ctx, args[1], args[2], args[3])
	}
	return errors.New("create ALGORITHM ALIAS, sign KEY FILE SIGNATURE or verify KEY FILE SIGNATURE")
}

func open(ctx context.Context, key string) (kms.SignerVerifier, error) {
	return kms.Get(ctx, aws.ReferenceScheme+"/"+key, crypto.SHA256)
}

func create(ctx context.Context, algorithm, alias string) error {
	sv, err := open(ctx, alias)
	if err != nil {
		return err
	}
	public, err := sv.CreateKey(ctx, algorithm)
	if err != nil {
		return err
	}
	pem, err := cryptoutils.MarshalPublicKeyToPEM(public)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(pem)
	return err
}

func sign(ctx context.Context, key, file, to string) error {
	message, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	sv, err := open(ctx, key)
	if err != nil {
		return err
	}
	sig, err := sv.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
	if err != nil {
		return err
	}
	return os.WriteFile(to, sig, 0o600)
}

func verify(ctx context.Context, key, file, from string) error {
	message, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	sig, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	sv, err := open(ctx, key)
	if err != nil {
		return err
	}
	for _, remote := range []bool{false, true} {
		err := sv.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message),
			options.WithContext(ctx), signature.VerifyOption(options.WithRemoteVerification(remote)))
		if err != nil {
			return fmt.Errorf("by asking KMS %t: %w", remote, err)
		}
	}
	fmt.Println("verified")
	return nil
}
