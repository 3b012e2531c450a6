// Package b64 is encoding/base64's standard encoding, several times faster where the processor has AVX2 or
// NEON: plaintexts and ciphertexts travel in it. What is taken and what is refused is the standard library's.
package b64

import (
	"encoding/base64"
	"slices"

	fast "github.com/segmentio/asm/base64"
)

// AppendEncode appends what encoding/base64's StdEncoding makes of src.
func AppendEncode(dst, src []byte) []byte {
	n := base64.StdEncoding.EncodedLen(len(src))
	dst = slices.Grow(dst, n)
	fast.StdEncoding.Encode(dst[len(dst):len(dst)+n], src)
	return dst[:len(dst)+n]
}

// Decode is StdEncoding's: it writes at most as many bytes as DecodedLen says into dst, and tells how many.
// Where an error is, it does not tell.
func Decode(dst, src []byte) (int, error) { return fast.StdEncoding.Decode(dst, src) }
