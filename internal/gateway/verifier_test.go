package gateway_test

import "github.com/kagimori/kagimori/internal/sigv4"

func newVerifier() *sigv4.Verifier { return &sigv4.Verifier{} }
