//go:build !purego

package b64

import "golang.org/x/sys/cpu"

// encode encodes whole blocks from the beginning of src, and tells how many bytes: a multiple of 3.
func encode(dst, src []byte) int {
	if !cpu.X86.HasAVX2 {
		return 0
	}
	return encodeAVX2(dst, src)
}

// decode decodes whole blocks from the beginning of src, up to one that is not all of the alphabet, and tells
// how many characters: a multiple of 4.
func decode(dst, src []byte) int {
	if !cpu.X86.HasAVX2 {
		return 0
	}
	return decodeAVX2(dst, src)
}

// encodeAVX2 makes 32 characters of 24 bytes at a time, of which it reads 28.
//
//go:noescape
func encodeAVX2(dst, src []byte) int

// decodeAVX2 makes 24 bytes of 32 characters at a time.
//
//go:noescape
func decodeAVX2(dst, src []byte) int
