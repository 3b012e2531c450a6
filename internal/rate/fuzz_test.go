package rate_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/rate"
)

func FuzzSet(f *testing.F) {
	for _, seed := range []string{"kms:CreateKey=5/20", "kms:cryptographic=1000", "iam:*=0", "", "=", "a:b=-1", "a:b=1e400/1", "a:b=NaN", "a:b=1/Inf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quota, l, err := rate.ParseSet(text)
		if err == nil && (quota == "" || !(l.PerSecond >= 0) || !(l.Burst >= 0)) {
			t.Fatalf("%q: %q %+v", text, quota, l)
		}
	})
}
