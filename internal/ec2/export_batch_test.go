package ec2

import "github.com/kagimori/kagimori/internal/store"

// Unfinish puts the store back to where a launch of many instances was before its last transaction.
func (s *Service) Unfinish(tx store.Tx, region, account, reservation, token string, ids []string) error {
	b := batchRecord{region, account, reservation, s.name, token, ids}
	return batchTable.Put(tx, b, b.key()...)
}
