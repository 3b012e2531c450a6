package soft_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
)

// The two operations of the hot path on a key that is ready for use, permits included.
func BenchmarkReadyKey(b *testing.B) {
	m := hsmtest.New(b)
	const arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	mat := hsmtest.Generate(b, m, arn, "SYMMETRIC_DEFAULT")
	aad := []byte("some canonical encryption context")
	make := hsm.Use{Action: "kms:GenerateDataKey", KeyARN: arn}
	_, sealed, err := m.GenerateDataKey(b.Context(), permittest.New(make.Action, arn), make, mat, 32, aad)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("GenerateDataKey", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := m.GenerateDataKey(b.Context(), permittest.New(make.Action, arn), make, mat, 32, aad); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Decrypt", func(b *testing.B) {
		b.ReportAllocs()
		open := hsm.Use{Action: "kms:Decrypt", KeyARN: arn}
		for b.Loop() {
			if _, err := m.Decrypt(b.Context(), permittest.New(open.Action, arn), open, mat, "SYMMETRIC_DEFAULT", sealed, aad); err != nil {
				b.Fatal(err)
			}
		}
	})
}
