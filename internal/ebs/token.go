package ebs

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/kagimori/kagimori/internal/guard"
)

// How long tokens can be used. Source: Amazon EBS User Guide, "Read snapshots with EBS direct APIs": block
// tokens expire after seven days, those of pages after 60 minutes.
const (
	blockLife = 7 * 24 * time.Hour
	pageLife  = time.Hour
)

// blockToken names a block of a snapshot until a time.
func (s *Service) blockToken(snapshot string, block int64, expires time.Time) string {
	return base64.StdEncoding.EncodeToString(s.blocks.Seal(numbers(block, expires.Unix()), []byte(snapshot)))
}

// checkBlock verifies that a token names the block of the snapshot.
func (s *Service) checkBlock(token, snapshot string, block int64, now time.Time) error {
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err == nil {
		var plain []byte
		if plain, err = s.blocks.Open(sealed, []byte(snapshot)); err == nil && len(plain) == 16 {
			b, until := int64(binary.BigEndian.Uint64(plain)), int64(binary.BigEndian.Uint64(plain[8:]))
			switch {
			case b != block:
			case now.Unix() >= until:
				return invalid("INVALID_BLOCK_TOKEN", "The block token has expired.")
			default:
				return nil
			}
		}
	}
	return invalid("INVALID_BLOCK_TOKEN", "The block token is not valid for block %d of snapshot '%s'.", block, snapshot)
}

// pageToken continues a list of a caller at a block. subject names what is listed.
func (s *Service) pageToken(c *guard.Call, subject string, block int64, now time.Time) *string {
	return new(base64.StdEncoding.EncodeToString(s.pages.Seal(numbers(block, now.Add(pageLife).Unix()), []byte(pageOf(c, subject)))))
}

func (s *Service) openPage(c *guard.Call, subject, token string, now time.Time) (block int64, err error) {
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err == nil {
		var plain []byte
		if plain, err = s.pages.Open(sealed, []byte(pageOf(c, subject))); err == nil && len(plain) == 16 {
			if now.Unix() >= int64(binary.BigEndian.Uint64(plain[8:])) {
				return 0, invalid("INVALID_PAGE_TOKEN", "The page token has expired.")
			}
			return int64(binary.BigEndian.Uint64(plain)), nil
		}
	}
	return 0, invalid("INVALID_PAGE_TOKEN", "The page token is not valid for this request.")
}

func pageOf(c *guard.Call, subject string) string {
	return c.Region + "\x00" + c.Account() + "\x00" + c.Operation + "\x00" + subject
}

func numbers(a, b int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(a)), uint64(b))
}
