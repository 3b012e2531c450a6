package app

import (
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/rate"
)

// limit is the limit of the gateway; nil if the quotas limit nobody. Time is the wall's: a clock that a
// development server moves would fill the buckets.
func limit(q rate.Quotas) func(*guard.Call) (time.Duration, bool) {
	if q.Mode != rate.AWS && q.Mode != rate.High && len(q.Set) == 0 {
		return nil
	}
	l := rate.New(time.Now)
	return func(c *guard.Call) (time.Duration, bool) {
		quota, bound := q.For(rate.Call{Service: c.Service, Operation: c.Operation, ReadOnly: c.ReadOnly, Region: c.Region, Spec: specOf(c.Input)})
		account := c.Account()
		if account == "" { // an operation that is not signed: those who call it from one address share a bucket
			account = c.Caller.SourceIP
		}
		return l.Take(rate.Asker{Account: account, Region: c.Region}, quota, bound)
	}
}

// specOf is the algorithm or key spec that a request of KMS names: its quotas differ by the type of the key.
func specOf(in any) string {
	switch in := in.(type) {
	case *kmsapi.EncryptRequest:
		return named(in.EncryptionAlgorithm)
	case *kmsapi.DecryptRequest:
		return named(in.EncryptionAlgorithm)
	case *kmsapi.ReEncryptRequest:
		return named(in.SourceEncryptionAlgorithm)
	case *kmsapi.SignRequest:
		return named(in.SigningAlgorithm)
	case *kmsapi.VerifyRequest:
		return named(in.SigningAlgorithm)
	case *kmsapi.GenerateDataKeyPairRequest:
		return named(in.KeyPairSpec)
	case *kmsapi.GenerateDataKeyPairWithoutPlaintextRequest:
		return named(in.KeyPairSpec)
	}
	return ""
}

func named(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
