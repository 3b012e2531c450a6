package ebs

import (
	"time"

	"github.com/kagimori/kagimori/internal/guard"
)

// BlockToken and CheckBlock make and read the tokens of blocks.
func (s *Service) BlockToken(snapshot string, block int64, expires time.Time) string {
	return s.blockToken(snapshot, block, expires)
}

// CheckBlock is about a token of BlockToken.
func (s *Service) CheckBlock(token, snapshot string, block int64, now time.Time) error {
	return s.checkBlock(token, snapshot, block, now)
}

// PageToken and OpenPage make and read the tokens of pages.
func (s *Service) PageToken(c *guard.Call, subject string, block int64, now time.Time) string {
	return *s.pageToken(c, subject, block, now)
}

// OpenPage is about a token of PageToken.
func (s *Service) OpenPage(c *guard.Call, subject, token string, now time.Time) (int64, error) {
	return s.openPage(c, subject, token, now)
}
