package doctor_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
)

// BenchmarkCheck is one scenario that launches, and one that does not, whose fixes are looked for.
func BenchmarkCheck(b *testing.B) {
	all := corpus(b)
	for _, id := range []string{"001-example1-two-volumes", "012-default-key-policy"} {
		b.Run(id, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				doctor.Check(all[id])
			}
		})
	}
}
