package keyrule

import (
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
)

// An Identifier is what the identifier of a key names: a key id, or an alias with its prefix, of an
// account.
type Identifier struct {
	Account string
	ID      string // "" if Alias is given
	Alias   string
}

// Identify takes an identifier apart: a key id, a key ARN, an alias name or an alias ARN. Ids and
// names are of the given account; one of another region than the given is refused.
//
// Source: KMS API Reference, DescribeKey, KeyId.
func Identify(given, region, account string) (Identifier, error) {
	res := given
	if strings.HasPrefix(given, "arn:") {
		a, err := arn.Parse(given)
		if err != nil || a.Service != "kms" || a.Partition != arn.Partition || !arn.IsAccount(a.Account) {
			return Identifier{}, apierr.Newf("InvalidArnException", "Invalid arn %s", given)
		}
		if a.Region != region {
			return Identifier{}, NotFound("Invalid arn %s", a.Region)
		}
		account, res = a.Account, a.Resource
		if id, ok := strings.CutPrefix(res, "key/"); ok {
			return Identifier{Account: account, ID: id}, nil
		}
		if !strings.HasPrefix(res, "alias/") {
			return Identifier{}, apierr.Newf("InvalidArnException", "Invalid arn %s", given)
		}
	}
	if strings.HasPrefix(res, "alias/") {
		return Identifier{Account: account, Alias: res}, nil
	}
	if !IsKeyID(res) {
		return Identifier{}, NotFound("Invalid keyId '%s'", given)
	}
	return Identifier{Account: account, ID: res}, nil
}

// NotFound is a NotFoundException.
func NotFound(format string, args ...any) error {
	return apierr.Newf("NotFoundException", format, args...)
}

// NoKey and NoAlias refuse what does not exist, by its ARN.
func NoKey(keyARN string) error     { return NotFound("Key '%s' does not exist", keyARN) }
func NoAlias(aliasARN string) error { return NotFound("Alias %s is not found.", aliasARN) }

// IsKeyID accepts a UUID in lower or upper case hex and a multi-Region key id.
func IsKeyID(s string) bool {
	if rest, ok := strings.CutPrefix(s, "mrk-"); ok {
		return len(rest) == 32 && IsHex(rest)
	}
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !IsHex(s[i : i+1]) {
			return false
		}
	}
	return true
}

// IsHex reports whether a text consists of hex digits.
func IsHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
