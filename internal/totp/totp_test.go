package totp_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/totp"
)

// The values of RFC 6238, appendix B (SHA-1), cut to six digits.
func TestCode(t *testing.T) {
	seed := []byte("12345678901234567890")
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := totp.Code(seed, totp.At(time.Unix(at, 0))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestNoCodeIsGoodTwiceOrLate(t *testing.T) {
	seed, now := []byte("seed of a device"), time.Unix(1_800_000_000, 0)
	code := totp.Code(seed, totp.At(now))
	step, ok := totp.Find(seed, code, now, 0)
	if !ok || step != totp.At(now) {
		t.Fatalf("step %d, %v", step, ok)
	}
	for rule, tt := range map[string]struct {
		now   time.Time
		after int64
		want  bool
	}{
		"a clock 30 s off":   {now.Add(totp.Step), 0, true},
		"a minute later":     {now.Add(2 * totp.Step), 0, false},
		"used before":        {now, step, false},
		"an older one used":  {now, step - 1, true},
		"from the future":    {now.Add(-2 * totp.Step), 0, false},
		"from the next step": {now.Add(-totp.Step), 0, true},
	} {
		if _, ok := totp.Find(seed, code, tt.now, tt.after); ok != tt.want {
			t.Errorf("%s: %v", rule, ok)
		}
	}
}

func TestPairMustFollowOneAnother(t *testing.T) {
	seed, now := []byte("seed of a device"), time.Unix(1_800_000_000, 0)
	c := func(d int64) string { return totp.Code(seed, totp.At(now)+d) }
	for _, tt := range []struct {
		first, second string
		want          bool
	}{{c(-1), c(0), true}, {c(0), c(1), true}, {c(0), c(0), false}, {c(0), c(-1), false}, {c(-2), c(0), false}, {"", "", false}} {
		if _, ok := totp.Pair(seed, tt.first, tt.second, now); ok != tt.want {
			t.Errorf("%s, %s: %v", tt.first, tt.second, ok)
		}
	}
}
