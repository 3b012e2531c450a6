// Package totp is the arithmetic of virtual MFA devices: time-based one-time passwords of six
// digits that change every 30 seconds.
//
// Source: RFC 6238; IAM User Guide, "Assign a virtual MFA device in the AWS Management Console".
package totp

import (
	"crypto/hmac"
	"crypto/sha1" // what RFC 6238 and authenticator apps use
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// Step is how long a code lasts.
const Step = 30 * time.Second

// window is how many steps a device's clock may be off, either way.
const window = 1

// At numbers the step that a time is in.
func At(t time.Time) int64 { return t.Unix() / int64(Step/time.Second) }

// Code is the code of a step.
func Code(seed []byte, step int64) string {
	var msg [8]byte
	binary.BigEndian.PutUint64(msg[:], uint64(step))
	mac := hmac.New(sha1.New, seed)
	mac.Write(msg[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff%1_000_000)
}

// Find is the step near now that a code belongs to and that is later than after, which codes before
// were of: no code is good twice. ok is false if there is none.
func Find(seed []byte, code string, now time.Time, after int64) (step int64, ok bool) {
	for s := At(now) - window; s <= At(now)+window; s++ {
		if s > after && subtle.ConstantTimeCompare([]byte(Code(seed, s)), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// Pair is the step of the second of two codes that follow one another, the second of which is near
// now: what a device proves with that it has the seed. ok is false if they are not.
func Pair(seed []byte, first, second string, now time.Time) (step int64, ok bool) {
	step, ok = Find(seed, second, now, 0)
	if !ok || subtle.ConstantTimeCompare([]byte(Code(seed, step-1)), []byte(first)) != 1 {
		return 0, false
	}
	return step, true
}
