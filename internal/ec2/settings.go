package ec2

import (
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// A settingRecord holds what an account set for EBS encryption in a region.
type settingRecord struct {
	EncryptionByDefault bool `json:"encryptionByDefault,omitempty"`
	// DefaultKey is the ARN of the default key; as given if it could not be resolved; "" for the
	// AWS managed key.
	DefaultKey string `json:"defaultKey,omitempty"`
}

var settingTable = store.Table[settingRecord]{Bucket: "ec2/setting", Version: 1} // region, account

// encryptionDefaults are the account's settings for EBS encryption in a region.
func (s *Service) encryptionDefaults(tx store.Tx, region, account string) (launch.Defaults, error) {
	rec, _, err := settingTable.Get(tx, region, account)
	return launch.Defaults{EncryptionByDefault: rec.EncryptionByDefault, DefaultKey: rec.DefaultKey}, err
}

// settingOperations are the handlers of the account settings.
func (s *Service) settingOperations() map[string]guard.Handler { return map[string]guard.Handler{} }
