// Package envelope is the codec of KMS ciphertext blobs. It holds no keys and encrypts nothing:
// it puts a header before the raw ciphertext that package hsm made, so that Decrypt finds the key
// and the key material from the blob alone, and it gives the associated data (AAD) that ties both
// to the ciphertext.
//
// A blob, version 1:
//
//	"KG" 0x01                     magic and version
//	algorithm                     1 byte, 1 = SYMMETRIC_DEFAULT
//	account                       5 bytes, big endian, below 10^12
//	material id                   32 bytes
//	region                        1 byte length, text
//	key id                        1 byte length, text
//	raw ciphertext                the rest, at least 1 byte
//
// Each header has one encoding, and no header is the beginning of another one. Ciphertext of
// asymmetric keys has no envelope: it is made to be used outside KMS too.
//
// The layout is ours. Source for what it must carry: KMS Developer Guide, "AWS KMS ciphertexts",
// and "Multi-Region keys in AWS KMS" (related keys share a key id and read each other's blobs).
package envelope

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/kagimori/kagimori/internal/arn"
)

// MaxBlob is the longest blob in bytes. Source: KMS API Reference, Decrypt, CiphertextBlob.
const MaxBlob = 6144

// Errors.
var (
	// ErrMalformed: not a blob that Marshal made.
	ErrMalformed = errors.New("envelope: malformed ciphertext blob")
	// ErrHeader: the header has no encoding, or the blob would be longer than MaxBlob.
	ErrHeader = errors.New("envelope: header or ciphertext cannot be encoded")
)

// A Header says which key made a ciphertext.
//
// The identity of the key is Account and KeyID. Related multi-Region keys have the same, so they
// read each other's ciphertexts. Region only tells where the blob was made: it is
// authenticated, but the key is looked up in the region of the request.
type Header struct {
	Region     string // 1..63 bytes of a-z, 0-9 and "-"
	Account    string // 12 digits
	KeyID      string // 1..128 bytes of letters, digits, "-" and "_"
	MaterialID string // 64 lower-case hex digits
	Algorithm  string // "SYMMETRIC_DEFAULT"
}

const (
	version     = 1
	magic       = "KG"
	accounts    = 1_000_000_000_000 // below 2^40, so five bytes
	materialLen = 32
	accountLen  = 12
	maxRegion   = 63
	maxKeyID    = 128
	fixedLen    = len(magic) + 1 + 1 + 5 + materialLen
)

// algorithms maps the code in a blob to the name; code 0 stays invalid.
var algorithms = [...]string{1: "SYMMETRIC_DEFAULT"}

// Marshal puts the header before the raw ciphertext. It returns [ErrHeader] for a header outside
// the rules of [Header], an empty body, or a blob longer than [MaxBlob].
func Marshal(h Header, body []byte) ([]byte, error) {
	n := fixedLen + 2 + len(h.Region) + len(h.KeyID) + len(body)
	if len(body) == 0 || n > MaxBlob {
		return nil, fmt.Errorf("%w: %d bytes of ciphertext", ErrHeader, len(body))
	}
	blob, err := h.appendTo(make([]byte, 0, n))
	if err != nil {
		return nil, err
	}
	return append(blob, body...), nil
}

// Parse splits what [Marshal] made. The body shares memory with the blob. Every other input gives
// [ErrMalformed]. Nothing is authenticated until the module opens the body with [Header.Bind].
func Parse(blob []byte) (Header, []byte, error) {
	if len(blob) < fixedLen || len(blob) > MaxBlob || string(blob[:2]) != magic || blob[2] != version {
		return Header{}, nil, ErrMalformed
	}
	code := int(blob[3])
	if code == 0 || code >= len(algorithms) {
		return Header{}, nil, ErrMalformed
	}
	account := uint64(blob[4])<<32 | uint64(binary.BigEndian.Uint32(blob[5:9]))
	if account >= accounts {
		return Header{}, nil, ErrMalformed
	}
	region, rest, ok := cut(blob[fixedLen:])
	if !ok || len(region) > maxRegion {
		return Header{}, nil, ErrMalformed
	}
	keyID, rest, ok := cut(rest)
	if !ok || len(keyID) > maxKeyID || len(rest) == 0 {
		return Header{}, nil, ErrMalformed
	}
	// One text, of which the header's are parts.
	var room [accountLen + 2*materialLen + maxRegion + maxKeyID]byte
	all := appendAccount(room[:0], account)
	all = hex.AppendEncode(all, blob[9:fixedLen])
	text := string(append(append(all, region...), keyID...))
	const m, r = accountLen, accountLen + 2*materialLen
	k := r + len(region)
	h := Header{Account: text[:m], MaterialID: text[m:r], Region: text[r:k], KeyID: text[k:], Algorithm: algorithms[code]}
	if !isRegion(h.Region) || !isKeyID(h.KeyID) {
		return Header{}, nil, ErrMalformed
	}
	return h, rest, nil
}

// appendAccount appends the digits of an account.
func appendAccount(b []byte, account uint64) []byte {
	var d [accountLen]byte
	for i := range d {
		d[len(d)-1-i] = '0' + byte(account%10)
		account /= 10
	}
	return append(b, d[:]...)
}

// Bound is what [Header.Bind] makes of the header of a blob, which the blob has encoded already; body is what [Parse]
// gave of it.
func Bound(blob, body, context []byte) []byte {
	head := blob[: len(blob)-len(body) : len(blob)-len(body)]
	return append(head, context...)
}

// Bind is the associated data of a ciphertext: the encoded header, then the context, which is
// the result of [CanonicalContext]. A header ends where its own lengths say, so different pairs
// of header and context give different bytes. So nobody can change the header of a blob, and
// a reader that has the right material but believes another header gets nothing.
//
// A header without encoding has no blob; for it the result begins with a zero byte, which no
// valid header does.
func (h Header) Bind(context []byte) []byte {
	n := fixedLen + max(materialLen, 2+len(h.Region)+len(h.KeyID)+len(context)) // the material's id is there in full for a moment
	b, err := h.appendTo(make([]byte, 0, n))
	if err != nil {
		b = []byte{0}
		for _, s := range []string{h.Region, h.Account, h.KeyID, h.MaterialID, h.Algorithm} {
			b = appendText(b, s)
		}
	}
	return append(b, context...)
}

// Head is the header as it is at the beginning of what [Header.Bind] made of it, and so of a blob; nil if it
// has no encoding. What comes after it in a blob is for the caller to put there, as [Marshal] does.
func (h Header) Head(bound []byte) []byte {
	n := fixedLen + 2 + len(h.Region) + len(h.KeyID)
	if len(bound) < n || bound[0] == 0 {
		return nil
	}
	return bound[:n:n]
}

func (h Header) appendTo(b []byte) ([]byte, error) {
	code := algorithmCode(h.Algorithm)
	account, err := strconv.ParseUint(h.Account, 10, 64)
	switch {
	case code == 0:
		return nil, fmt.Errorf("%w: algorithm", ErrHeader)
	case err != nil || !arn.IsAccount(h.Account):
		return nil, fmt.Errorf("%w: account", ErrHeader)
	case !isMaterialID(h.MaterialID):
		return nil, fmt.Errorf("%w: key material id", ErrHeader)
	case !isRegion(h.Region):
		return nil, fmt.Errorf("%w: region", ErrHeader)
	case !isKeyID(h.KeyID):
		return nil, fmt.Errorf("%w: key id", ErrHeader)
	}
	b = append(b, magic...)
	b = append(b, version, code, byte(account>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(account))
	n := len(b)
	b = append(b, h.MaterialID...)
	if _, err = hex.Decode(b[n:], b[n:]); err != nil { // each byte is written behind the two that it is made of
		return nil, fmt.Errorf("%w: key material id", ErrHeader)
	}
	b = b[:n+materialLen]
	b = append(append(b, byte(len(h.Region))), h.Region...)
	return append(append(b, byte(len(h.KeyID))), h.KeyID...), nil
}

func algorithmCode(name string) byte {
	for code, n := range algorithms {
		if n == name && code > 0 {
			return byte(code)
		}
	}
	return 0
}

// cut takes a text with a length of one byte off the front.
func cut(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

func isRegion(s string) bool { return len(s) >= 1 && len(s) <= maxRegion && only(s, false) }

func isKeyID(s string) bool { return len(s) >= 1 && len(s) <= maxKeyID && only(s, true) }

// only reports whether s has no characters but those of regions, or of key ids.
func only(s string, keyID bool) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
		case keyID && (c >= 'A' && c <= 'Z' || c == '_'):
		default:
			return false
		}
	}
	return true
}

func isMaterialID(s string) bool {
	if len(s) != 2*materialLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
