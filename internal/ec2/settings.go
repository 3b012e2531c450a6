package ec2

import (
	"cmp"
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/allowedimages"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// A settingRecord holds what an account set for EBS encryption in a region.
type settingRecord struct {
	EncryptionByDefault bool `json:"encryptionByDefault,omitempty"`
	// DefaultKey is the ARN of the default key; as given if it could not be resolved; "" for the
	// AWS managed key of an account that never set another one.
	DefaultKey string `json:"defaultKey,omitempty"`
	// SnapshotsBlocked and ImagesBlocked are the states of block public access, "" for unblocked.
	SnapshotsBlocked string `json:"snapshotsBlocked,omitempty"`
	ImagesBlocked    string `json:"imagesBlocked,omitempty"`
	// SerialConsole lets the account use the serial consoles of its instances.
	SerialConsole bool `json:"serialConsole,omitempty"`
	// Metadata and Credits are what launches begin with; of Credits by the family of burstable types.
	Metadata metadataDefaults  `json:"metadata,omitzero"`
	Credits  map[string]string `json:"credits,omitempty"`
	// Feed is the data feed of Spot Instances, if there is one.
	Feed *spotFeed `json:"feed,omitempty"`
	// Allowed are the Allowed AMIs.
	Allowed allowedimages.Settings `json:"allowed,omitzero"`
}

var settingTable = store.Table[settingRecord]{Bucket: "ec2/setting", Version: 1} // region, account

// encryptionDefaults are the account's settings for EBS encryption in a region.
func (s *Service) encryptionDefaults(tx store.Tx, region, account string) (launch.Defaults, error) {
	rec, _, err := settingTable.Get(tx, region, account)
	return rec.encryption(), err
}

func (rec *settingRecord) encryption() launch.Defaults {
	return launch.Defaults{EncryptionByDefault: rec.EncryptionByDefault, DefaultKey: rec.DefaultKey}
}

// settingOperations are the handlers of the account's settings for EBS encryption. They hold for
// one region, and have no resource to decide on.
func (s *Service) settingOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"EnableEbsEncryptionByDefault":  guard.Handle(s.EnableEbsEncryptionByDefault),
		"DisableEbsEncryptionByDefault": guard.Handle(s.DisableEbsEncryptionByDefault),
		"GetEbsEncryptionByDefault":     guard.Handle(s.GetEbsEncryptionByDefault),
		"ModifyEbsDefaultKmsKeyId":      guard.Handle(s.ModifyEbsDefaultKmsKeyId),
		"GetEbsDefaultKmsKeyId":         guard.Handle(s.GetEbsDefaultKmsKeyId),
		"ResetEbsDefaultKmsKeyId":       guard.Handle(s.ResetEbsDefaultKmsKeyId),

		"EnableSerialConsoleAccess":    guard.Handle(s.EnableSerialConsoleAccess),
		"DisableSerialConsoleAccess":   guard.Handle(s.DisableSerialConsoleAccess),
		"GetSerialConsoleAccessStatus": guard.Handle(s.GetSerialConsoleAccessStatus),

		"GetInstanceMetadataDefaults":      guard.Handle(s.GetInstanceMetadataDefaults),
		"ModifyInstanceMetadataDefaults":   guard.Handle(s.ModifyInstanceMetadataDefaults),
		"GetDefaultCreditSpecification":    guard.Handle(s.GetDefaultCreditSpecification),
		"ModifyDefaultCreditSpecification": guard.Handle(s.ModifyDefaultCreditSpecification),

		"EnableSnapshotBlockPublicAccess":   guard.Handle(s.EnableSnapshotBlockPublicAccess),
		"DisableSnapshotBlockPublicAccess":  guard.Handle(s.DisableSnapshotBlockPublicAccess),
		"GetSnapshotBlockPublicAccessState": guard.Handle(s.GetSnapshotBlockPublicAccessState),
		"EnableImageBlockPublicAccess":      guard.Handle(s.EnableImageBlockPublicAccess),
		"DisableImageBlockPublicAccess":     guard.Handle(s.DisableImageBlockPublicAccess),
		"GetImageBlockPublicAccessState":    guard.Handle(s.GetImageBlockPublicAccessState),
	}
}

// set changes the caller's settings; describe puts what the request changes into the decision.
func (s *Service) set(ctx context.Context, c *guard.Call, flag *bool, out any, change func(*settingRecord), describe ...func(*authz.Part)) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowDry(tx, c, "ec2:"+c.Operation, flag, describe...); err != nil {
			return err
		}
		rec, _, err := settingTable.Get(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		change(&rec)
		c.Respond(out)
		return settingTable.Put(tx, rec, c.Region, c.Account())
	})
}

// settings reads the caller's settings.
func (s *Service) settings(ctx context.Context, c *guard.Call, flag *bool) (d launch.Defaults, err error) {
	err = s.viewList(ctx, c, "ec2:"+c.Operation, flag, func(tx store.Tx) (err error) {
		d, err = s.encryptionDefaults(tx, c.Region, c.Account())
		return err
	})
	return d, err
}

// EnableEbsEncryptionByDefault makes every new volume and copy of the account encrypted.
func (s *Service) EnableEbsEncryptionByDefault(ctx context.Context, c *guard.Call, in *ec2api.EnableEbsEncryptionByDefaultRequest) (*ec2api.EnableEbsEncryptionByDefaultResult, error) {
	out := &ec2api.EnableEbsEncryptionByDefaultResult{EbsEncryptionByDefault: new(true)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.EncryptionByDefault = true })
}

// DisableEbsEncryptionByDefault takes EnableEbsEncryptionByDefault back.
func (s *Service) DisableEbsEncryptionByDefault(ctx context.Context, c *guard.Call, in *ec2api.DisableEbsEncryptionByDefaultRequest) (*ec2api.DisableEbsEncryptionByDefaultResult, error) {
	out := &ec2api.DisableEbsEncryptionByDefaultResult{EbsEncryptionByDefault: new(false)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.EncryptionByDefault = false })
}

// GetEbsEncryptionByDefault tells whether new volumes are encrypted.
func (s *Service) GetEbsEncryptionByDefault(ctx context.Context, c *guard.Call, in *ec2api.GetEbsEncryptionByDefaultRequest) (*ec2api.GetEbsEncryptionByDefaultResult, error) {
	d, err := s.settings(ctx, c, in.DryRun)
	out := &ec2api.GetEbsEncryptionByDefaultResult{EbsEncryptionByDefault: &d.EncryptionByDefault, SseType: new("none")}
	if d.EncryptionByDefault {
		out.SseType = new("sse-kms")
	}
	return out, err
}

// ModifyEbsDefaultKmsKeyId sets the key of volumes that name none. AWS checks the key after it has
// answered, and says nothing of the outcome: a key that does not exist, or cannot be used, makes
// later launches fail. So a name that leads nowhere is kept as it was given, and so is one of another
// account, about which the answer must not tell anything.
// Source: EC2 API Reference, "ModifyEbsDefaultKmsKeyId".
func (s *Service) ModifyEbsDefaultKmsKeyId(ctx context.Context, c *guard.Call, in *ec2api.ModifyEbsDefaultKmsKeyIdRequest) (*ec2api.ModifyEbsDefaultKmsKeyIdResult, error) {
	key := api.Val(in.KmsKeyId)
	if key == "" {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter KmsKeyId")
	}
	// Decided before the look-up, which may make the AWS managed key.
	err := s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(store.Tx) error { return nil })
	if err != nil {
		return nil, err
	}
	if a, err := arn.Parse(key); err != nil || a.Account == c.Account() {
		switch found, err := s.keys.ResolveKey(ctx, c.Region, c.Account(), key); {
		case err == nil:
			key = found
		case apierr.Code(err) == "":
			return nil, err // not KMS's answer, but a failure
		}
	}
	out := &ec2api.ModifyEbsDefaultKmsKeyIdResult{KmsKeyId: &key}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.DefaultKey = key })
}

// GetEbsDefaultKmsKeyId tells the key of volumes that name none: its ARN, or the alias of the AWS
// managed key until one is set or reset, as in the examples of AWS's CLI.
func (s *Service) GetEbsDefaultKmsKeyId(ctx context.Context, c *guard.Call, in *ec2api.GetEbsDefaultKmsKeyIdRequest) (*ec2api.GetEbsDefaultKmsKeyIdResult, error) {
	d, err := s.settings(ctx, c, in.DryRun)
	return &ec2api.GetEbsDefaultKmsKeyIdResult{KmsKeyId: new(cmp.Or(d.DefaultKey, launch.AWSManagedAlias))}, err
}

// ResetEbsDefaultKmsKeyId makes the AWS managed key the default again, and answers its ARN.
// Source: the example of the AWS CLI, "reset-ebs-default-kms-key-id".
func (s *Service) ResetEbsDefaultKmsKeyId(ctx context.Context, c *guard.Call, in *ec2api.ResetEbsDefaultKmsKeyIdRequest) (*ec2api.ResetEbsDefaultKmsKeyIdResult, error) {
	// Decided before the look-up, which may make the AWS managed key.
	err := s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(store.Tx) error { return nil })
	if err != nil {
		return nil, err
	}
	key, err := s.keys.ResolveKey(ctx, c.Region, c.Account(), launch.AWSManagedAlias)
	if err != nil {
		return nil, err
	}
	out := &ec2api.ResetEbsDefaultKmsKeyIdResult{KmsKeyId: &key}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.DefaultKey = key })
}

// EnableSerialConsoleAccess lets the account use the EC2 serial console. Nothing connects to one here.
// Source: EC2 API Reference, EnableSerialConsoleAccess.
func (s *Service) EnableSerialConsoleAccess(ctx context.Context, c *guard.Call, in *ec2api.EnableSerialConsoleAccessRequest) (*ec2api.EnableSerialConsoleAccessResult, error) {
	out := &ec2api.EnableSerialConsoleAccessResult{SerialConsoleAccessEnabled: new(true)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.SerialConsole = true })
}

// DisableSerialConsoleAccess takes EnableSerialConsoleAccess back.
func (s *Service) DisableSerialConsoleAccess(ctx context.Context, c *guard.Call, in *ec2api.DisableSerialConsoleAccessRequest) (*ec2api.DisableSerialConsoleAccessResult, error) {
	out := &ec2api.DisableSerialConsoleAccessResult{SerialConsoleAccessEnabled: new(false)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.SerialConsole = false })
}

// GetSerialConsoleAccessStatus tells the setting.
func (s *Service) GetSerialConsoleAccessStatus(ctx context.Context, c *guard.Call, in *ec2api.GetSerialConsoleAccessStatusRequest) (*ec2api.GetSerialConsoleAccessStatusResult, error) {
	out := &ec2api.GetSerialConsoleAccessStatusResult{ManagedBy: new(managedByAccount)}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		rec, _, err := settingTable.Get(tx, c.Region, c.Account())
		out.SerialConsoleAccessEnabled = &rec.SerialConsole
		return err
	})
}
